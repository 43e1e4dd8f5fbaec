#pragma once
// Walking over tensors: broadcasting, strided views, work in parallel blocks.
#include <array>
#include <cstdint>
#include <functional>
#include <optional>

#include "reference/tensor.h"

namespace ferry::reference {

/// Strides, in elements, of a row-major tensor.
Dims row_major(const Dims& dims);
/// numpy's broadcasting; nothing if the shapes do not fit.
std::optional<Dims> broadcast(const Dims& a, const Dims& b);
/// Strides with which a tensor of dims `from` is read as one of dims `to` (0 where it repeats).
Dims broadcast_strides(const Dims& from, const Dims& to);
/// A copy: out[i, j, ...] = in[offset + i * strides[0] + j * strides[1] + ...].
Tensor strided(const Tensor& in, Dims dims, const Dims& strides, int64_t offset = 0);
Tensor transposed(const Tensor& in, const std::vector<int64_t>& perm);

/// Product of dims[begin, end).
int64_t product(const Dims& dims, size_t begin, size_t end);

/// body(begin, end) over pieces of [0, count), in parallel where count * cost (elements touched, roughly) is
/// worth a thread.
void in_blocks(int64_t count, int64_t cost, const std::function<void(int64_t, int64_t)>& body);

/// N operands walked together in the order of a row-major result.
template <size_t N>
class Walk {
 public:
  Walk(Dims dims, std::array<Dims, N> strides) : dims_(std::move(dims)), strides_(std::move(strides)) {
    if (dims_.empty()) {
      dims_.push_back(1);
      for (auto& of : strides_) of.push_back(0);
    }
    for (size_t i = dims_.size() - 1; i-- > 0;) merge(i);
  }

  /// Length of a row, and how far apart an operand's elements of a row lie.
  [[nodiscard]] int64_t length() const { return dims_.back(); }
  [[nodiscard]] int64_t step(size_t operand) const { return strides_[operand].back(); }

  /// body(first element of the row in the result, offsets of the row in the operands), rows in parallel.
  template <typename Body>
  void rows(const Body& body) const {
    const int64_t total = element_count(dims_);
    if (total == 0) return;
    in_blocks(total / length(), length(), [&](int64_t begin, int64_t end) {
      Dims at(dims_.size() - 1);
      std::array<int64_t, N> offsets{};
      int64_t rest = begin;
      for (size_t i = at.size(); i-- > 0; rest /= dims_[i]) {
        at[i] = rest % dims_[i];
        for (size_t n = 0; n < N; ++n) offsets[n] += at[i] * strides_[n][i];
      }
      for (int64_t row = begin; row < end; ++row) {
        body(row * length(), offsets);
        for (size_t i = at.size(); i-- > 0;) {
          for (size_t n = 0; n < N; ++n) offsets[n] += strides_[n][i];
          if (++at[i] < dims_[i]) break;
          for (size_t n = 0; n < N; ++n) offsets[n] -= dims_[i] * strides_[n][i];
          at[i] = 0;
        }
      }
    });
  }

 private:
  // Makes dimensions i and i + 1 one, if every operand lies so.
  void merge(size_t i) {
    for (const auto& of : strides_) {
      if (of[i] != of[i + 1] * dims_[i + 1]) return;
    }
    dims_[i] *= dims_[i + 1];
    dims_.erase(dims_.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    for (auto& of : strides_) of.erase(of.begin() + static_cast<std::ptrdiff_t>(i));
  }

  Dims dims_;
  std::array<Dims, N> strides_;
};

}  // namespace ferry::reference
