#include "tensor/weight_norm.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <mutex>

#include "base/error.h"

namespace ferry {
namespace {

constexpr uint64_t kRange = 1 << 16;

class Normalized {
 public:
  Normalized(const Weight& direction, const Weight& magnitude, size_t axis)
      : direction_(direction.cast(DType::f32)),
        magnitude_(magnitude.cast(DType::f32)),
        entries_(static_cast<uint64_t>(direction.dims()[axis])),
        inner_(1) {
    for (size_t i = axis + 1; i < direction.dims().size(); ++i)
      inner_ *= static_cast<uint64_t>(direction.dims()[i]);
  }

  void read(uint64_t first, uint64_t count, std::byte* out) {
    std::call_once(once_, [&] { measure(); });
    direction_.read(first, count, out);
    auto* values = reinterpret_cast<float*>(out);  // NOLINT: the bytes are those of an f32 weight.
    each(first, count, [&](uint64_t i, uint64_t entry) { values[i] *= scales_[entry]; });
  }

 private:
  // f(position from `first`, entry of the axis) for all elements of a range.
  template <typename F>
  void each(uint64_t first, uint64_t count, const F& f) const {
    uint64_t within = first % inner_, entry = first / inner_ % entries_;
    for (uint64_t i = 0; i < count; ++i) {
      f(i, entry);
      if (++within < inner_) continue;
      within = 0;
      if (++entry == entries_) entry = 0;
    }
  }

  void measure() {
    std::vector<double> squares(entries_, 0.0);
    std::vector<float> range;
    for (uint64_t first = 0; first < direction_.count(); first += kRange) {
      range.resize(std::min(kRange, direction_.count() - first));
      direction_.read(first, range.size(), reinterpret_cast<std::byte*>(range.data()));  // NOLINT: as above.
      each(first, range.size(), [&](uint64_t i, uint64_t entry) {
        squares[entry] += static_cast<double>(range[i]) * static_cast<double>(range[i]);
      });
    }
    scales_ = magnitude_.as_f32();
    for (uint64_t i = 0; i < entries_; ++i)
      scales_[i] = static_cast<float>(static_cast<double>(scales_[i]) / std::sqrt(squares[i]));
  }

  Weight direction_, magnitude_;
  uint64_t entries_, inner_;
  std::once_flag once_;
  std::vector<float> scales_;
};

}  // namespace

Weight weight_norm(const Weight& direction, const Weight& magnitude, size_t axis) {
  Dims wanted(direction.dims().size(), 1);
  if (axis < wanted.size()) wanted[axis] = direction.dims()[axis];
  if (axis >= wanted.size() || magnitude.dims() != wanted) {
    throw Error(ErrorCode::shape_mismatch,
                fmt::format("weight norm over axis {} of {}: the magnitude is {}", axis,
                            to_string(direction.dims()), to_string(magnitude.dims())));
  }
  const auto made = std::make_shared<Normalized>(direction, magnitude, axis);
  const std::string identity = fmt::format("weight_norm({},{},{})", direction.key(), magnitude.key(), axis);
  return Weight::computed(
             DType::f32, direction.dims(), identity,
             [made](uint64_t first, uint64_t count, std::byte* out) { made->read(first, count, out); })
      .cast(direction.dtype());
}

}  // namespace ferry
