#include "onnx/shared_weights.h"

namespace ferry::onnx {

SharedWeights::Place SharedWeights::place(const Weight& weight) {
  const auto [known, is_new] = offsets_.emplace(weight.key(), 0);
  if (is_new) {
    known->second = aligned_offset(bytes_, weight.size_bytes());
    bytes_ = known->second + weight.size_bytes();
  }
  return {known->second, is_new};
}

const OutputFile& SharedWeights::file() {
  if (!file_) file_.emplace(path_);
  file_->reserve(bytes_);
  return *file_;
}

void SharedWeights::finish(bool sync) {
  if (!file_) return;
  file_->finish(sync);
  file_->keep();
}

uint64_t aligned_offset(uint64_t end, uint64_t size) {
  // Large tensors begin on a page, so that a runtime can map them.
  constexpr uint64_t kPage = 4096, kSmall = 64;
  const uint64_t alignment = size >= kPage ? kPage : kSmall;
  return (end + alignment - 1) / alignment * alignment;
}

}  // namespace ferry::onnx
