#pragma once
// What a model loses against a reference, as one number.
#include <optional>
#include <string>
#include <vector>

#include "ferry/compare.h"
#include "runtime/compare/agreement.h"
#include "runtime/compare/run.h"

namespace ferry::runtime {

enum class LossMetric : uint8_t { cosine, agreement, kl };
/// Errors: Error{usage} that names those there are.
LossMetric loss_metric(const std::string& name);

/// Holds what the reference gives for each sample.
class LossMeter {
 public:
  /// Errors: Error{usage} if the reference's outputs do not have the metric.
  LossMeter(const ort::Session& reference, const std::string& config, std::vector<Sample> samples,
            LossMetric metric);

  /// The worst of the outputs. Infinite if there are values that are no numbers.
  [[nodiscard]] double loss(const ort::Session& session) const;
  [[nodiscard]] size_t samples() const { return samples_.size(); }

 private:
  LossMetric metric_;
  std::optional<AgreementCounter> agreement_;
  std::vector<std::string> names_;  // Outputs that count.
  std::vector<Sample> samples_;
  std::vector<Outputs> expected_;
};

}  // namespace ferry::runtime
