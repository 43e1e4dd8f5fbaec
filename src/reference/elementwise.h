#pragma once
// Applying a function to every element, and to every pair of broadcast elements.
#include "reference/call.h"
#include "reference/strides.h"

namespace ferry::reference {

template <typename From, typename To, typename F>
Tensor mapped(const Tensor& in, const F& f) {
  Tensor out = Tensor::make<To>(in.dims());
  const auto from = in.get<From>();
  const auto to = out.edit<To>();
  constexpr int64_t kCost = 8;  // Most functions cost more than moving the element.
  in_blocks(static_cast<int64_t>(from.size()), kCost, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) to[i] = f(from[i]);
  });
  return out;
}

template <typename A, typename B, typename To, typename F>
Tensor combined(const Call& call, const Tensor& a, const Tensor& b, const F& f) {
  const Dims dims = call.broadcast(a.dims(), b.dims());
  Tensor out = Tensor::make<To>(dims);
  const A* x = a.get<A>().data();
  const B* y = b.get<B>().data();
  To* to = out.edit<To>().data();
  const Walk<2> walk(dims, {broadcast_strides(a.dims(), dims), broadcast_strides(b.dims(), dims)});
  const int64_t n = walk.length();
  walk.rows([&](int64_t first, const std::array<int64_t, 2>& at) {
    const A* p = x + at[0];
    const B* q = y + at[1];
    To* r = to + first;
    // The usual steps are written out for the compiler to vectorize.
    if (walk.step(0) == 1 && walk.step(1) == 1) {
      for (int64_t i = 0; i < n; ++i) r[i] = f(p[i], q[i]);
    } else if (walk.step(0) == 1 && walk.step(1) == 0) {
      for (int64_t i = 0; i < n; ++i) r[i] = f(p[i], *q);
    } else {
      for (int64_t i = 0; i < n; ++i) r[i] = f(p[i * walk.step(0)], q[i * walk.step(1)]);
    }
  });
  return out;
}

}  // namespace ferry::reference
