// Operators that describe, rearrange and make tensors.
#include <algorithm>
#include <cmath>

#include "reference/call.h"
#include "reference/strides.h"

namespace ferry::reference {
namespace {

int64_t clamped(int64_t at, int64_t size) {
  return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size);
}

// A weight's dims are known without reading it.
Dims dims_of(Call& call, size_t index) {
  const Weight* weight = call.weight(index);
  return weight != nullptr ? weight->dims() : call.input(index).dims();
}

void shape_of(Call& call) {
  const Dims dims = dims_of(call, 0);
  const auto rank = static_cast<int64_t>(dims.size());
  const int64_t begin = clamped(call.attribute("start", int64_t{0}), rank);
  const int64_t end = std::max(begin, clamped(call.attribute("end", rank), rank));
  call.set(0, Tensor::of<int64_t>({end - begin}, {dims.begin() + begin, dims.begin() + end}));
}

void size_of(Call& call) {
  call.set(0, Tensor::scalar<int64_t>(element_count(dims_of(call, 0))));
}

void reshape(Call& call) {
  const Tensor& in = call.input(0);
  Dims to = call.integers(1, call.attribute("shape", std::vector<int64_t>{}));
  const bool allow_zero = call.attribute("allowzero", int64_t{0}) != 0;
  std::optional<size_t> rest;
  for (size_t i = 0; i < to.size(); ++i) {
    if (to[i] == 0 && !allow_zero) {
      call.require(i < in.rank(), "a dimension is kept (0) that the input does not have");
      to[i] = in.dim(i);
    } else if (to[i] == -1) {
      call.require(!rest, "two dimensions are -1");
      rest = i;
    }
    call.require(to[i] >= -1, "a dimension is negative");
  }
  if (rest) {
    to[*rest] = 1;
    const int64_t given = element_count(to);
    call.require(given > 0 && element_count(in.dims()) % given == 0,
                 "the elements do not divide by the dimensions given");
    to[*rest] = element_count(in.dims()) / given;
  }
  call.require(element_count(to) == element_count(in.dims()),
               "the new shape " + to_string(to) + " has another number of elements");
  call.set(0, in.with_dims(to));
}

void squeeze(Call& call) {
  const Tensor& in = call.input(0);
  const auto axes = call.integers(1, call.attribute("axes", std::vector<int64_t>{}));
  std::vector<bool> drop(in.rank(), false);
  for (const int64_t axis : axes) {
    drop[call.axis(axis, in.rank())] = true;
    call.require(in.dim(call.axis(axis, in.rank())) == 1, "a dimension that is not 1 is squeezed");
  }
  Dims to;
  for (size_t i = 0; i < in.rank(); ++i) {
    if (axes.empty() ? in.dim(i) != 1 : !drop[i]) to.push_back(in.dim(i));
  }
  call.set(0, in.with_dims(to));
}

void unsqueeze(Call& call) {
  const Tensor& in = call.input(0);
  const auto axes = call.integers(1, call.attribute("axes", std::vector<int64_t>{}));
  const size_t rank = in.rank() + axes.size();
  std::vector<bool> added(rank, false);
  for (const int64_t axis : axes) {
    call.require(!added[call.axis(axis, rank)], "an axis is added twice");
    added[call.axis(axis, rank)] = true;
  }
  Dims to;
  size_t next = 0;
  for (size_t i = 0; i < rank; ++i) to.push_back(added[i] ? 1 : in.dim(next++));
  call.set(0, in.with_dims(to));
}

void flatten(Call& call) {
  const Tensor& in = call.input(0);
  int64_t axis = call.attribute("axis", int64_t{1});
  if (axis < 0) axis += static_cast<int64_t>(in.rank());
  call.require(axis >= 0 && axis <= static_cast<int64_t>(in.rank()), "there is no such axis");
  const auto at = static_cast<size_t>(axis);
  call.set(0, in.with_dims({product(in.dims(), 0, at), product(in.dims(), at, in.rank())}));
}

void transpose(Call& call) {
  const Tensor& in = call.input(0);
  std::vector<int64_t> perm;
  for (size_t i = in.rank(); i-- > 0;) perm.push_back(static_cast<int64_t>(i));
  perm = call.attribute("perm", perm);
  std::vector<int64_t> sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < sorted.size(); ++i)
    call.require(sorted.size() == in.rank() && sorted[i] == static_cast<int64_t>(i),
                 "that is no permutation");
  call.set(0, transposed(in, perm));
}

void concat(Call& call) {
  const Tensor& first = call.input(0);
  const size_t axis = call.axis_attribute(0, first.rank());
  Dims dims = first.dims();
  dims[axis] = 0;
  for (size_t i = 0; i < call.input_count(); ++i) {
    Dims rest = call.input(i).dims();
    call.require(rest.size() == dims.size(), "the ranks differ");
    const int64_t along = rest[axis];
    rest[axis] = dims[axis];
    call.require(rest == dims, "the inputs differ off the axis");
    dims[axis] += along;
  }
  const int64_t outer = product(dims, 0, axis);
  const int64_t run = product(dims, axis, dims.size());
  call.set(0, for_kind(first.kind(), [&]<typename T>(std::type_identity<T>) {
             Tensor out = Tensor::make<T>(dims);
             T* to = out.edit<T>().data();
             for (size_t i = 0; i < call.input_count(); ++i) {
               const Tensor& part = call.input(i);
               const T* from = part.get<T>().data();
               const int64_t length = product(part.dims(), axis, part.rank());
               for (int64_t o = 0; o < outer; ++o) std::copy_n(from + o * length, length, to + o * run);
               to += length;
             }
             return out;
           }));
}

// A part of a tensor along one axis.
Tensor part_of(const Tensor& in, size_t axis, int64_t begin, int64_t length) {
  Dims dims = in.dims();
  dims[axis] = length;
  const Dims strides = row_major(in.dims());
  return strided(in, dims, strides, begin * strides[axis]);
}

void split(Call& call) {
  const Tensor& in = call.input(0);
  const size_t axis = call.axis_attribute(0, in.rank());
  const size_t count = call.node().outputs.size();
  auto sizes = call.integers(1, call.attribute("split", std::vector<int64_t>{}));
  if (sizes.empty()) {
    // The last part is the smaller one, where the parts are not equal.
    const auto parts = static_cast<int64_t>(count);
    const int64_t part = (in.dim(axis) + parts - 1) / parts;
    sizes.assign(count, part);
    sizes.back() = in.dim(axis) - part * (parts - 1);
  }
  call.require(sizes.size() == count, "there are not as many parts as results");
  int64_t begin = 0;
  for (const int64_t size : sizes) {
    call.require(size >= 0, "a part has a negative size");
    begin += size;
  }
  call.require(begin == in.dim(axis), "the parts do not add up to the dimension");
  begin = 0;
  for (size_t i = 0; i < count; ++i) {
    if (call.wants(i)) call.set(i, part_of(in, axis, begin, sizes[i]));
    begin += sizes[i];
  }
}

void slice(Call& call) {
  const Tensor& in = call.input(0);
  const auto starts = call.integers(1, call.attribute("starts", std::vector<int64_t>{}));
  const auto ends = call.integers(2, call.attribute("ends", std::vector<int64_t>{}));
  std::vector<int64_t> axes;
  for (size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  axes = call.integers(3, call.attribute("axes", axes));
  const auto steps = call.integers(4, std::vector<int64_t>(starts.size(), 1));
  call.require(ends.size() == starts.size() && axes.size() == starts.size() && steps.size() == starts.size(),
               "starts, ends, axes and steps differ in length");
  Dims dims = in.dims();
  Dims strides = row_major(dims);
  int64_t offset = 0;
  for (size_t i = 0; i < axes.size(); ++i) {
    const size_t axis = call.axis(axes[i], in.rank());
    const int64_t size = in.dim(axis);
    const int64_t step = steps[i];
    call.require(step != 0, "a step is 0");
    // Going backwards, the last element is where a range starts at most, and one before the first is its end.
    const int64_t low = step > 0 ? 0 : -1;
    const int64_t high = step > 0 ? size : size - 1;
    const auto bound = [&](int64_t at) { return std::clamp(at < 0 ? at + size : at, low, high); };
    const int64_t begin = bound(starts[i]);
    const int64_t distance = bound(ends[i]) - begin;
    const bool empty = distance == 0 || (distance > 0) != (step > 0);
    dims[axis] = empty ? 0 : (std::abs(distance) - 1) / std::abs(step) + 1;
    offset += dims[axis] == 0 ? 0 : begin * strides[axis];
    strides[axis] *= step;
  }
  call.set(0, strided(in, dims, strides, offset));
}

void expand(Call& call) {
  const Tensor& in = call.input(0);
  const Dims dims = call.broadcast(in.dims(), call.integers(1));
  call.set(0, strided(in, dims, broadcast_strides(in.dims(), dims)));
}

void tile(Call& call) {
  const Tensor& in = call.input(0);
  const auto repeats = call.integers(1);
  call.require(repeats.size() == in.rank(), "there are not as many repeats as dimensions");
  const Dims from = row_major(in.dims());
  Dims dims, view, strides;
  for (size_t i = 0; i < in.rank(); ++i) {
    call.require(repeats[i] >= 0, "a repeat is negative");
    view.insert(view.end(), {repeats[i], in.dim(i)});
    strides.insert(strides.end(), {0, from[i]});
    dims.push_back(repeats[i] * in.dim(i));
  }
  call.set(0, strided(in, view, strides).with_dims(dims));
}

template <typename T>
Tensor counted(T start, T limit, T step) {
  const double steps =
      std::ceil((static_cast<double>(limit) - static_cast<double>(start)) / static_cast<double>(step));
  Tensor out = Tensor::make<T>({std::max<int64_t>(0, static_cast<int64_t>(steps))});
  T index{};
  for (T& value : out.edit<T>()) value = start + step * index++;
  return out;
}

void range(Call& call) {
  call.require(call.number(2, 1) != 0, "the step is 0");
  if (call.input(0).kind() == Kind::integer)
    return call.set(0, counted<int64_t>(call.integer(0, 0), call.integer(1, 0), call.integer(2, 1)));
  call.set(0, counted<float>(static_cast<float>(call.number(0, 0)), static_cast<float>(call.number(1, 0)),
                             static_cast<float>(call.number(2, 1))));
}

void constant_of_shape(Call& call) {
  const Dims dims = call.integers(0);
  const auto* attribute = call.node().find<Weight>("value");
  const Tensor value = attribute != nullptr ? Tensor::from_weight(*attribute) : Tensor::of<float>({1}, {0});
  call.require(value.count() == 1, "the value is not a single element");
  for (const int64_t dim : dims) call.require(dim >= 0, "a dimension is negative");
  call.set(0, strided(value, dims, Dims(dims.size(), 0)));
}

void constant(Call& call) {
  const ir::Node& node = call.node();
  if (const auto* value = node.find<Weight>("value")) return call.set(0, Tensor::from_weight(*value));
  if (node.attributes.count("value_float") > 0)
    return call.set(0, Tensor::scalar<float>(node.get("value_float", 0.0f)));
  if (node.attributes.count("value_int") > 0)
    return call.set(0, Tensor::scalar<int64_t>(node.get("value_int", int64_t{0})));
  if (const auto* floats = node.find<std::vector<float>>("value_floats"))
    return call.set(0, Tensor::of<float>({static_cast<int64_t>(floats->size())}, *floats));
  if (const auto* ints = node.find<std::vector<int64_t>>("value_ints"))
    return call.set(0, Tensor::of<int64_t>({static_cast<int64_t>(ints->size())}, *ints));
  call.unsupported("a constant of that kind");
}

void depth_to_space(Call& call) {
  const Tensor& in = call.input(0);
  const int64_t b = call.attribute("blocksize", int64_t{1});
  call.require(in.rank() == 4 && b > 0 && in.dim(1) % (b * b) == 0, "the block does not divide the channels");
  const int64_t n = in.dim(0), c = in.dim(1) / (b * b), h = in.dim(2), w = in.dim(3);
  const bool depth_first = call.attribute("mode", "DCR") == "DCR";
  const Tensor view = in.with_dims(depth_first ? Dims{n, b, b, c, h, w} : Dims{n, c, b, b, h, w});
  const Tensor moved = transposed(
      view, depth_first ? std::vector<int64_t>{0, 3, 4, 1, 5, 2} : std::vector<int64_t>{0, 1, 4, 2, 5, 3});
  call.set(0, moved.with_dims({n, c, h * b, w * b}));
}

void space_to_depth(Call& call) {
  const Tensor& in = call.input(0);
  const int64_t b = call.attribute("blocksize", int64_t{1});
  call.require(in.rank() == 4 && b > 0 && in.dim(2) % b == 0 && in.dim(3) % b == 0,
               "the block does not divide the image");
  const int64_t n = in.dim(0), c = in.dim(1), h = in.dim(2) / b, w = in.dim(3) / b;
  const Tensor moved = transposed(in.with_dims({n, c, h, b, w, b}), {0, 3, 5, 1, 2, 4});
  call.set(0, moved.with_dims({n, c * b * b, h, w}));
}

constexpr Op kOps[] = {
    {"Shape", shape_of},
    {"Size", size_of},
    {"Reshape", reshape},
    {"Squeeze", squeeze},
    {"Unsqueeze", unsqueeze},
    {"Flatten", flatten},
    {"Transpose", transpose},
    {"Concat", concat},
    {"Split", split},
    {"Slice", slice},
    {"Expand", expand},
    {"Tile", tile},
    {"Range", range},
    {"ConstantOfShape", constant_of_shape},
    {"Constant", constant},
    {"DepthToSpace", depth_to_space},
    {"SpaceToDepth", space_to_depth},
};

}  // namespace

std::span<const Op> shape_ops() {
  return kOps;
}

}  // namespace ferry::reference
