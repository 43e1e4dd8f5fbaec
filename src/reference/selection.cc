// Operators that choose by value or by place.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "reference/call.h"
#include "reference/strides.h"

namespace ferry::reference {
namespace {

// An axis of a tensor: rows of `length` elements that lie `inner` apart.
struct Rows {
  Rows(const Dims& dims, size_t axis)
      : outer(product(dims, 0, axis)), length(dims[axis]), inner(product(dims, axis + 1, dims.size())) {}
  int64_t outer, length, inner;
  [[nodiscard]] int64_t count() const { return outer * inner; }
  // The first element of row i.
  [[nodiscard]] int64_t first(int64_t i, int64_t of_length) const {
    return i / inner * of_length * inner + i % inner;
  }
};

template <typename T>
bool above(T a, T b) {
  return a > b;
}
template <typename T>
bool below(T a, T b) {
  return a < b;
}

void arg_pick(Call& call, bool largest) {
  const Tensor& in = call.input(0);
  const size_t axis = call.axis_attribute(0, in.rank());
  const bool last = call.attribute("select_last_index", int64_t{0}) != 0;
  const Rows rows(in.dims(), axis);
  call.require(rows.length > 0 || rows.count() == 0, "an empty row has no extreme");
  Dims dims = in.dims();
  dims[axis] = 1;
  Tensor out = Tensor::make<int64_t>(dims);
  auto to = out.edit<int64_t>();
  for_kind(in.kind(), [&]<typename T>(std::type_identity<T>) {
    const T* from = in.get<T>().data();
    for (int64_t i = 0; i < rows.count(); ++i) {
      const T* row = from + rows.first(i, rows.length);
      int64_t best = 0;
      for (int64_t k = 1; k < rows.length; ++k) {
        const T x = row[k * rows.inner], held = row[best * rows.inner];
        const bool better = largest ? above(x, held) : below(x, held);
        if (better || (last && x == held)) best = k;
      }
      to[static_cast<size_t>(i)] = best;
    }
  });
  if (call.attribute("keepdims", int64_t{1}) == 0)
    dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(axis));
  call.set(0, out.with_dims(dims));
}

void arg_max(Call& call) {
  arg_pick(call, true);
}
void arg_min(Call& call) {
  arg_pick(call, false);
}

// Equal elements keep their order, as ONNX asks; results are always sorted.
void top_k(Call& call) {
  const Tensor& in = call.input(0);
  const size_t axis = call.axis_attribute(-1, in.rank());
  const bool largest = call.attribute("largest", int64_t{1}) != 0;
  const int64_t k = call.integer(1, call.attribute("k", int64_t{1}));
  const Rows rows(in.dims(), axis);
  call.require(k >= 0 && k <= rows.length, "k is larger than the axis");
  Dims dims = in.dims();
  dims[axis] = k;
  Tensor places = Tensor::make<int64_t>(dims);
  auto at = places.edit<int64_t>();
  call.set(0, for_kind(in.kind(), [&]<typename T>(std::type_identity<T>) {
             Tensor values = Tensor::make<T>(dims);
             auto to = values.edit<T>();
             const T* from = in.get<T>().data();
             std::vector<int64_t> order(static_cast<size_t>(rows.length));
             for (int64_t i = 0; i < rows.count(); ++i) {
               const T* row = from + rows.first(i, rows.length);
               std::iota(order.begin(), order.end(), 0);
               std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
                 const T x = row[a * rows.inner], y = row[b * rows.inner];
                 return largest ? above(x, y) : below(x, y);
               });
               for (int64_t n = 0; n < k; ++n) {
                 const auto place = static_cast<size_t>(rows.first(i, k) + n * rows.inner);
                 at[place] = order[static_cast<size_t>(n)];
                 to[place] = row[order[static_cast<size_t>(n)] * rows.inner];
               }
             }
             return values;
           }));
  call.set(1, places);
}

template <typename T>
Tensor running_sum(const Tensor& in, size_t axis, bool exclusive, bool reverse) {
  using Sum = std::conditional_t<std::is_same_v<T, float>, double, T>;
  const Rows rows(in.dims(), axis);
  Tensor out = Tensor::make<T>(in.dims());
  const T* from = in.get<T>().data();
  T* to = out.edit<T>().data();
  for (int64_t i = 0; i < rows.count(); ++i) {
    Sum sum{};
    for (int64_t n = 0; n < rows.length; ++n) {
      const int64_t k = reverse ? rows.length - 1 - n : n;
      const int64_t at = rows.first(i, rows.length) + k * rows.inner;
      if (exclusive) to[at] = static_cast<T>(sum);
      sum += from[at];
      if (!exclusive) to[at] = static_cast<T>(sum);
    }
  }
  return out;
}

void cumulative_sum(Call& call) {
  const Tensor& in = call.input(0);
  const size_t axis = call.axis(call.integer(1, 0), in.rank());
  const bool exclusive = call.attribute("exclusive", int64_t{0}) != 0;
  const bool reverse = call.attribute("reverse", int64_t{0}) != 0;
  call.set(0, in.kind() == Kind::integer ? running_sum<int64_t>(in, axis, exclusive, reverse)
                                         : running_sum<float>(in, axis, exclusive, reverse));
}

// Coordinates of the elements that are not zero: [rank, count], in row-major order.
void non_zero(Call& call) {
  const Tensor& in = call.input(0);
  std::vector<int64_t> found;
  for_kind(in.kind(), [&]<typename T>(std::type_identity<T>) {
    const auto values = in.get<T>();
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i] != T{}) found.push_back(static_cast<int64_t>(i));
    }
  });
  const Dims strides = row_major(in.dims());
  const auto count = static_cast<int64_t>(found.size());
  Tensor out = Tensor::make<int64_t>({static_cast<int64_t>(in.rank()), count});
  auto to = out.edit<int64_t>();
  for (size_t axis = 0; axis < in.rank(); ++axis) {
    for (size_t i = 0; i < found.size(); ++i)
      to[axis * found.size() + i] = found[i] / strides[axis] % in.dim(axis);
  }
  call.set(0, out);
}

// An index beyond the depth gives a row without a one.
void one_hot(Call& call) {
  const Tensor& indices = call.input(0);
  const Tensor& values = call.input(2);
  const auto depth = static_cast<int64_t>(call.number(1, 0));
  call.require(depth > 0 && values.count() == 2, "OneHot wants a depth, and an off and an on value");
  const size_t axis = call.axis_attribute(-1, indices.rank() + 1);
  Dims dims = indices.dims();
  dims.insert(dims.begin() + static_cast<std::ptrdiff_t>(axis), depth);
  const int64_t outer = product(dims, 0, axis);
  const int64_t inner = product(dims, axis + 1, dims.size());
  const auto index = [&](int64_t i) {
    const auto at = static_cast<size_t>(i);
    return indices.kind() == Kind::integer ? indices.get<int64_t>()[at]
                                           : static_cast<int64_t>(indices.get<float>()[at]);
  };
  call.set(0, for_kind(values.kind(), [&]<typename T>(std::type_identity<T>) {
             Tensor out = Tensor::make<T>(dims);
             T* to = out.edit<T>().data();
             std::fill_n(to, out.count(), values.get<T>()[0]);
             for (int64_t i = 0; i < outer * inner; ++i) {
               const int64_t at = index(i) < 0 ? index(i) + depth : index(i);
               if (at >= 0 && at < depth)
                 to[(i / inner * depth + at) * inner + i % inner] = values.get<T>()[1];
             }
             return out;
           }));
}

void trilu(Call& call) {
  const Tensor& in = call.input(0);
  const bool upper = call.attribute("upper", int64_t{1}) != 0;
  const int64_t k = call.integer(1, 0);
  call.require(in.rank() >= 2, "the input is no matrix");
  const int64_t rows = in.dim(in.rank() - 2), columns = in.dim(in.rank() - 1);
  call.set(0, for_kind(in.kind(), [&]<typename T>(std::type_identity<T>) {
             Tensor out = Tensor::make<T>(in.dims());
             const auto from = in.get<T>();
             auto to = out.edit<T>();
             for (size_t i = 0; i < from.size(); ++i) {
               const auto at = static_cast<int64_t>(i);
               const int64_t diagonal = at % columns - at / columns % rows;
               to[i] = (upper ? diagonal >= k : diagonal <= k) ? from[i] : T{};
             }
             return out;
           }));
}

constexpr Op kOps[] = {
    {"ArgMax", arg_max},   {"ArgMin", arg_min}, {"TopK", top_k},  {"CumSum", cumulative_sum},
    {"NonZero", non_zero}, {"OneHot", one_hot}, {"Trilu", trilu},
};

}  // namespace

std::span<const Op> selection_ops() {
  return kOps;
}

}  // namespace ferry::reference
