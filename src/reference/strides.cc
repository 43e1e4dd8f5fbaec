#include "reference/strides.h"

#include <algorithm>

#include "base/parallel.h"

namespace ferry::reference {

Dims row_major(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return strides;
}

std::optional<Dims> broadcast(const Dims& a, const Dims& b) {
  Dims out(std::max(a.size(), b.size()), 1);
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t x = i + a.size() < out.size() ? 1 : a[i + a.size() - out.size()];
    const int64_t y = i + b.size() < out.size() ? 1 : b[i + b.size() - out.size()];
    if (x != y && x != 1 && y != 1) return std::nullopt;
    out[i] = x == 1 ? y : x;
  }
  return out;
}

Dims broadcast_strides(const Dims& from, const Dims& to) {
  const Dims strides = row_major(from);
  Dims out(to.size(), 0);
  for (size_t i = 0; i < from.size(); ++i) {
    const size_t at = i + to.size() - from.size();
    if (from[i] != 1) out[at] = strides[i];
  }
  return out;
}

Tensor strided(const Tensor& in, Dims dims, const Dims& strides, int64_t offset) {
  return for_kind(in.kind(), [&]<typename T>(std::type_identity<T>) {
    Tensor out = Tensor::make<T>(dims);
    const T* from = in.get<T>().data() + offset;
    T* to = out.edit<T>().data();
    const Walk<1> walk(dims, {strides});
    const int64_t step = walk.step(0);
    walk.rows([&](int64_t first, const std::array<int64_t, 1>& at) {
      const T* row = from + at[0];
      if (step == 1) {
        std::copy_n(row, walk.length(), to + first);
      } else {
        for (int64_t i = 0; i < walk.length(); ++i) to[first + i] = row[i * step];
      }
    });
    return out;
  });
}

Tensor transposed(const Tensor& in, const std::vector<int64_t>& perm) {
  const Dims from = row_major(in.dims());
  Dims dims, strides;
  for (const int64_t axis : perm) {
    dims.push_back(in.dim(static_cast<size_t>(axis)));
    strides.push_back(from[static_cast<size_t>(axis)]);
  }
  return strided(in, std::move(dims), strides);
}

int64_t product(const Dims& dims, size_t begin, size_t end) {
  int64_t out = 1;
  for (size_t i = begin; i < end; ++i) out *= dims[i];
  return out;
}

void in_blocks(int64_t count, int64_t cost, const std::function<void(int64_t, int64_t)>& body) {
  constexpr int64_t kWorthAThread = 1 << 15;
  const auto threads = static_cast<int64_t>(default_threads());
  const int64_t pieces = std::min({count, count * std::max<int64_t>(1, cost) / kWorthAThread, 4 * threads});
  if (pieces <= 1 || threads == 1) return body(0, count);
  parallel_for(static_cast<size_t>(pieces), [&](size_t piece) {
    const auto i = static_cast<int64_t>(piece);
    body(count * i / pieces, count * (i + 1) / pieces);
  });
}

}  // namespace ferry::reference
