#include "reference/window.h"

#include <algorithm>

#include "reference/strides.h"

namespace ferry::reference {
namespace {

Dims per_axis(Call& call, std::string_view name, size_t count, int64_t otherwise) {
  const Dims out = call.attribute(name, std::vector<int64_t>(count, otherwise));
  call.require(out.size() == count, "an attribute has another length than there are spatial dimensions");
  return out;
}

// Sets the result's size, and the padding where auto_pad decides it.
void lay_out(Windows& w, size_t d, const std::string& padding, bool ceil_mode) {
  const int64_t span = w.dilations[d] * (w.kernel[d] - 1) + 1;
  const int64_t stride = w.strides[d];
  if (padding == "SAME_UPPER" || padding == "SAME_LOWER") {
    w.out[d] = (w.in[d] + stride - 1) / stride;
    const int64_t total = std::max<int64_t>(0, (w.out[d] - 1) * stride + span - w.in[d]);
    w.before[d] = padding == "SAME_UPPER" ? total / 2 : total - total / 2;
    w.after[d] = total - w.before[d];
    return;
  }
  if (padding == "VALID") w.before[d] = w.after[d] = 0;
  const int64_t room = w.in[d] + w.before[d] + w.after[d] - span;
  w.out[d] = room < 0 ? 0 : (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
  // A last window that would start in the padding behind is left out.
  if (ceil_mode && w.out[d] > 0 && (w.out[d] - 1) * stride >= w.in[d] + w.before[d]) --w.out[d];
}

}  // namespace

Windows windows_of(Call& call, const Dims& in, const Dims& kernel, bool ceil_mode) {
  call.require(in.size() >= 3, "the input has rank 3 or more");
  const size_t rank = in.size() - 2;
  Windows w;
  w.in.assign(in.begin() + 2, in.end());
  w.kernel = call.attribute("kernel_shape", kernel);
  w.strides = per_axis(call, "strides", rank, 1);
  w.dilations = per_axis(call, "dilations", rank, 1);
  const Dims pads = per_axis(call, "pads", 2 * rank, 0);
  w.before.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(rank));
  w.after.assign(pads.begin() + static_cast<std::ptrdiff_t>(rank), pads.end());
  w.out.assign(rank, 0);
  call.require(w.kernel.size() == rank, "the kernel has another rank than the image");
  for (size_t d = 0; d < rank; ++d) {
    call.require(w.kernel[d] > 0 && w.strides[d] > 0 && w.dilations[d] > 0,
                 "kernel sizes, strides and dilations are positive");
    lay_out(w, d, call.attribute("auto_pad", "NOTSET"), ceil_mode);
  }
  return w;
}

std::vector<int64_t> tap_sources(const Windows& w, int64_t tap, int64_t begin, int64_t end) {
  const size_t rank = w.rank();
  Dims taps(rank), place(rank);
  for (size_t d = rank; d-- > 0; tap /= w.kernel[d]) taps[d] = tap % w.kernel[d];
  int64_t rest = begin;
  for (size_t d = rank; d-- > 0; rest /= w.out[d]) place[d] = rest % w.out[d];
  const Dims strides = row_major(w.in);
  std::vector<int64_t> out;
  out.reserve(static_cast<size_t>(end - begin));
  for (int64_t i = begin; i < end; ++i) {
    int64_t offset = 0;
    bool inside = true;
    for (size_t d = 0; d < rank; ++d) {
      const int64_t at = w.source(d, place[d], taps[d]);
      inside = inside && at >= 0 && at < w.in[d];
      offset += at * strides[d];
    }
    out.push_back(inside ? offset : -1);
    for (size_t d = rank; d-- > 0;) {
      if (++place[d] < w.out[d]) break;
      place[d] = 0;
    }
  }
  return out;
}

}  // namespace ferry::reference
