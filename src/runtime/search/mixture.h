#pragma once
// Which parts of a model to keep in floats.
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace ferry::runtime {

/// A node, or neighbours that are judged together.
struct Candidate {
  double loss = 0;     ///< With nothing else quantized.
  uint64_t saved = 0;  ///< Bytes that quantizing it saves.
};

struct Mixture {
  std::vector<bool> kept;  ///< For each candidate, whether it stays in floats.
  double loss = 0;
  uint64_t saved = 0;
};

/// The mixture that saves most and loses at most `max_loss`, of those tried: the k most damaging are kept,
/// by loss and by loss a byte, k by bisection; then each of them, the largest first, is quantized again where
/// that is allowed. `measure` gives the loss of a mixture; that of all quantized is known to be too much. At
/// most `trials` are measured (a bisection is finished all the same). Nothing if not even the least damaging
/// alone is within the limit; `least` is then its loss.
std::optional<Mixture> find_mixture(const std::vector<Candidate>& candidates, double max_loss, size_t trials,
                                    const std::function<double(const std::vector<bool>& kept)>& measure,
                                    double& least);

}  // namespace ferry::runtime
