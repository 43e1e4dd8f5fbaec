// Reductions and softmax. Sums are taken in f64.
#include <algorithm>
#include <cmath>
#include <limits>

#include "reference/call.h"
#include "reference/kernels.h"
#include "reference/strides.h"

namespace ferry::reference {
namespace {

// The input with the reduced axes moved to the end: [kept, reduced], and the dims of the result.
struct Reduced {
  Tensor rows;
  int64_t kept = 1;
  int64_t length = 1;
  Dims dims;
};

std::vector<bool> reduced_axes(Call& call, const Tensor& in) {
  const auto axes = call.integers(1, call.attribute("axes", std::vector<int64_t>{}));
  const bool none = axes.empty() && call.attribute("noop_with_empty_axes", int64_t{0}) != 0;
  std::vector<bool> out(in.rank(), axes.empty() && !none);
  for (const int64_t axis : axes) out[call.axis(axis, in.rank())] = true;
  return out;
}

Reduced reduced(Call& call) {
  const Tensor& in = call.input(0);
  const auto drop = reduced_axes(call, in);
  const bool keep = call.attribute("keepdims", int64_t{1}) != 0;
  Reduced out;
  std::vector<int64_t> perm;
  for (size_t i = 0; i < in.rank(); ++i) {
    if (drop[i]) {
      if (keep) out.dims.push_back(1);
      continue;
    }
    perm.push_back(static_cast<int64_t>(i));
    out.kept *= in.dim(i);
    out.dims.push_back(in.dim(i));
  }
  for (size_t i = 0; i < in.rank(); ++i) {
    if (!drop[i]) continue;
    perm.push_back(static_cast<int64_t>(i));
    out.length *= in.dim(i);
  }
  out.rows = std::is_sorted(perm.begin(), perm.end()) ? in : transposed(in, perm);
  return out;
}

// f(the elements of a row) for each row.
template <typename T, typename F>
Tensor each_row(const Reduced& in, const F& f) {
  Tensor out = Tensor::make<T>(in.dims);
  const T* from = in.rows.get<T>().data();
  T* to = out.edit<T>().data();
  in_blocks(in.kept, in.length, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      to[i] = static_cast<T>(f(std::span<const T>(from + i * in.length, static_cast<size_t>(in.length))));
  });
  return out;
}

// Sums of term(x); Sum is double for floats, int64_t for integers.
template <typename Sum, typename T, typename Term>
Sum total(std::span<const T> row, const Term& term) {
  Sum sum{};
  for (const T x : row) sum += term(static_cast<Sum>(x));
  return sum;
}

template <typename Term>
void reduce_with(Call& call, const Term& term) {
  const Reduced in = reduced(call);
  if (in.rows.kind() == Kind::integer) {
    return call.set(
        0, each_row<int64_t>(in, [&](std::span<const int64_t> row) { return total<int64_t>(row, term); }));
  }
  call.set(0, each_row<float>(in, [&](std::span<const float> row) { return total<double>(row, term); }));
}

void reduce_sum(Call& call) {
  reduce_with(call, [](auto x) { return x; });
}
void reduce_sum_square(Call& call) {
  reduce_with(call, [](auto x) { return x * x; });
}
void reduce_l1(Call& call) {
  reduce_with(call, [](auto x) { return x < 0 ? -x : x; });
}

void reduce_mean(Call& call) {
  const Reduced in = reduced(call);
  if (in.rows.kind() == Kind::integer) {
    return call.set(0, each_row<int64_t>(in, [&](std::span<const int64_t> row) {
                      return row.empty() ? 0 : total<int64_t>(row, [](int64_t x) { return x; }) / in.length;
                    }));
  }
  call.set(0, each_row<float>(in, [&](std::span<const float> row) {
             return total<double>(row, [](double x) { return x; }) / static_cast<double>(in.length);
           }));
}

template <typename F>
void reduce_real(Call& call, const F& f) {
  call.set(0, each_row<float>(reduced(call), f));
}

void reduce_l2(Call& call) {
  reduce_real(call, [](std::span<const float> row) {
    return std::sqrt(total<double>(row, [](double x) { return x * x; }));
  });
}
void reduce_log_sum(Call& call) {
  reduce_real(call, [](std::span<const float> row) {
    return std::log(total<double>(row, [](double x) { return x; }));
  });
}

double log_sum_exp(std::span<const float> row) {
  if (row.empty()) return -std::numeric_limits<double>::infinity();
  const double top = *std::max_element(row.begin(), row.end());
  if (std::isinf(top)) return top;
  return top + std::log(total<double>(row, [top](double x) { return std::exp(x - top); }));
}
void reduce_log_sum_exp(Call& call) {
  reduce_real(call, log_sum_exp);
}

// Of a kind's own elements; `start` is the result of an empty row, a NaN that is met stays.
template <typename Pick>
void reduce_pick(Call& call, const Pick& pick, bool upwards) {
  const Reduced in = reduced(call);
  call.set(0, for_kind(in.rows.kind(), [&]<typename T>(std::type_identity<T>) {
             return each_row<T>(in, [&](std::span<const T> row) {
               using Limits = std::numeric_limits<T>;
               T best = upwards ? Limits::lowest() : Limits::max();
               if constexpr (Limits::has_infinity) best = upwards ? -Limits::infinity() : Limits::infinity();
               for (const T x : row) best = x != x || (best == best && pick(x, best)) ? x : best;
               return best;
             });
           }));
}
void reduce_max(Call& call) {
  reduce_pick(
      call, [](auto x, auto best) { return x > best; }, true);
}
void reduce_min(Call& call) {
  reduce_pick(
      call, [](auto x, auto best) { return x < best; }, false);
}

void reduce_prod(Call& call) {
  const Reduced in = reduced(call);
  if (in.rows.kind() == Kind::integer) {
    return call.set(0, each_row<int64_t>(in, [](std::span<const int64_t> row) {
                      uint64_t out = 1;
                      for (const int64_t x : row) out *= static_cast<uint64_t>(x);
                      return static_cast<int64_t>(out);
                    }));
  }
  call.set(0, each_row<float>(in, [](std::span<const float> row) {
             double out = 1;
             for (const float x : row) out *= x;
             return out;
           }));
}

// f(a row along the axis, its result) for every row; rows are gathered where they do not lie together.
template <typename F>
void along_axis(Call& call, const F& f) {
  const Tensor& in = call.input(0);
  const size_t axis = call.axis_attribute(-1, in.rank());
  const int64_t outer = product(in.dims(), 0, axis);
  const int64_t inner = product(in.dims(), axis + 1, in.rank());
  const int64_t length = in.dim(axis);
  Tensor out = Tensor::make<float>(in.dims());
  const float* from = in.get<float>().data();
  float* to = out.edit<float>().data();
  in_blocks(outer * inner, 8 * length, [&](int64_t begin, int64_t end) {
    std::vector<double> row(static_cast<size_t>(length));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i / inner * length * inner + i % inner;
      for (int64_t k = 0; k < length; ++k) row[static_cast<size_t>(k)] = from[first + k * inner];
      f(row);
      for (int64_t k = 0; k < length; ++k)
        to[first + k * inner] = static_cast<float>(row[static_cast<size_t>(k)]);
    }
  });
  call.set(0, out);
}

double sum_of_exponentials(std::vector<double>& row) {
  double top = -std::numeric_limits<double>::infinity();
  for (const double x : row) top = std::max(top, x);
  double sum = 0;
  for (double& x : row) {
    x -= top;  // -inf - -inf is NaN: a row of nothing but -inf has no softmax.
    sum += std::exp(x);
  }
  return sum;
}

void softmax(Call& call) {
  const Tensor& in = call.input(0);
  const size_t axis = call.axis_attribute(-1, in.rank());
  if (product(in.dims(), axis + 1, in.rank()) == 1) {
    const int64_t length = in.dim(axis);
    Tensor out = Tensor::make<float>(in.dims());
    const float* from = in.get<float>().data();
    float* to = out.edit<float>().data();
    in_blocks(product(in.dims(), 0, axis), 8 * length, [&](int64_t begin, int64_t end) {
      std::copy(from + begin * length, from + end * length, to + begin * length);
      for (int64_t i = begin; i < end; ++i) kernels().softmax(to + i * length, length);
    });
    return call.set(0, out);
  }
  along_axis(call, [](std::vector<double>& row) {
    const double sum = sum_of_exponentials(row);
    for (double& x : row) x = std::exp(x) / sum;
  });
}

void log_softmax(Call& call) {
  along_axis(call, [](std::vector<double>& row) {
    const double sum = std::log(sum_of_exponentials(row));
    for (double& x : row) x -= sum;
  });
}

void hardmax(Call& call) {
  along_axis(call, [](std::vector<double>& row) {
    const auto top = std::max_element(row.begin(), row.end()) - row.begin();
    for (size_t i = 0; i < row.size(); ++i) row[i] = static_cast<std::ptrdiff_t>(i) == top ? 1 : 0;
  });
}

void lp_normalization(Call& call) {
  const int64_t p = call.attribute("p", int64_t{2});
  call.require(p == 1 || p == 2, "p is 1 or 2");
  along_axis(call, [p](std::vector<double>& row) {
    double norm = 0;
    for (const double x : row) norm += p == 1 ? std::abs(x) : x * x;
    if (p == 2) norm = std::sqrt(norm);
    for (double& x : row) x = norm == 0 ? 0 : x / norm;
  });
}

constexpr Op kOps[] = {
    {"ReduceSum", reduce_sum},
    {"ReduceMean", reduce_mean},
    {"ReduceMax", reduce_max},
    {"ReduceMin", reduce_min},
    {"ReduceProd", reduce_prod},
    {"ReduceL1", reduce_l1},
    {"ReduceL2", reduce_l2},
    {"ReduceSumSquare", reduce_sum_square},
    {"ReduceLogSum", reduce_log_sum},
    {"ReduceLogSumExp", reduce_log_sum_exp},
    {"Softmax", softmax},
    {"LogSoftmax", log_softmax},
    {"Hardmax", hardmax},
    {"LpNormalization", lp_normalization},
};

}  // namespace

std::span<const Op> reduction_ops() {
  return kOps;
}

}  // namespace ferry::reference
