#pragma once
// Distances between what two models gave.
#include "ferry/compare.h"
#include "tensor/host_tensor.h"

namespace ferry::runtime {

/// Whether an output of that name holds logits, of which a softmax is meant: "logits", "start_logits",
/// "logits_per_image", ...
bool holds_logits(std::string_view name);

/// Sums over samples. Tensors that hold no numbers (text) are passed over.
class ErrorSum {
 public:
  /// `logits`: rows along the last axis are distributions (not of rank 4: planes of pixels). Errors:
  /// Error{shape_mismatch} if the dims differ.
  void add(const HostTensor& a, const HostTensor& b, bool logits);
  [[nodiscard]] ErrorFigures figures() const;
  [[nodiscard]] bool empty() const { return samples_ == 0; }

 private:
  double largest_ = 0, absolute_ = 0, squared_ = 0, length_ = 0;
  double cosines_ = 0, least_ = 1, divergence_ = 0;
  uint64_t values_ = 0, samples_ = 0, rows_ = 0;
};

}  // namespace ferry::runtime
