// Pad, one axis after the other.
#include <algorithm>

#include "reference/call.h"
#include "reference/strides.h"

namespace ferry::reference {
namespace {

constexpr int64_t kOutside = -1;

// Which element of an axis of `size` a place before, within or after it repeats.
int64_t source_of(Call& call, const std::string& mode, int64_t at, int64_t size) {
  if (at >= 0 && at < size) return at;
  if (mode == "constant") return kOutside;
  call.require(size > 0, "an empty dimension cannot be repeated");
  if (mode == "edge") return std::clamp<int64_t>(at, 0, size - 1);
  const auto modulo = [](int64_t value, int64_t period) { return ((value % period) + period) % period; };
  if (mode == "wrap") return modulo(at, size);
  if (mode != "reflect") call.unsupported("the padding mode " + mode);
  if (size == 1) return 0;
  const int64_t period = 2 * (size - 1);
  const int64_t within = modulo(at, period);
  return within < size ? within : period - within;
}

template <typename T>
Tensor padded(Call& call, const Tensor& in, size_t axis, int64_t before, int64_t after, T fill) {
  const std::string mode = call.attribute("mode", "constant");
  const int64_t size = in.dim(axis);
  const int64_t length = before + size + after;
  call.require(length >= 0, "more is cut off than there is");
  std::vector<int64_t> sources;
  for (int64_t i = 0; i < length; ++i) sources.push_back(source_of(call, mode, i - before, size));
  const int64_t outer = product(in.dims(), 0, axis);
  const int64_t inner = product(in.dims(), axis + 1, in.rank());
  Dims dims = in.dims();
  dims[axis] = length;
  Tensor out = Tensor::make<T>(dims);
  const T* from = in.get<T>().data();
  T* to = out.edit<T>().data();
  for (int64_t o = 0; o < outer; ++o) {
    for (const int64_t source : sources) {
      to = source == kOutside ? std::fill_n(to, inner, fill)
                              : std::copy_n(from + (o * size + source) * inner, inner, to);
    }
  }
  return out;
}

void pad(Call& call) {
  const Tensor& in = call.input(0);
  const auto pads = call.integers(1, call.attribute("pads", std::vector<int64_t>{}));
  std::vector<int64_t> axes;
  for (size_t i = 0; i < in.rank(); ++i) axes.push_back(static_cast<int64_t>(i));
  axes = call.integers(3, axes);
  call.require(pads.size() == 2 * axes.size(), "there are not two pads an axis");
  call.set(0, for_kind(in.kind(), [&]<typename T>(std::type_identity<T>) {
             const T fill =
                 call.has(2) ? call.input(2).get<T>()[0] : static_cast<T>(call.attribute("value", 0.0f));
             Tensor out = in;
             for (size_t i = 0; i < axes.size(); ++i) {
               const int64_t before = pads[i], after = pads[i + axes.size()];
               if (before != 0 || after != 0)
                 out = padded<T>(call, out, call.axis(axes[i], in.rank()), before, after, fill);
             }
             return out;
           }));
}

constexpr Op kOps[] = {{"Pad", pad}};

}  // namespace

std::span<const Op> pad_ops() {
  return kOps;
}

}  // namespace ferry::reference
