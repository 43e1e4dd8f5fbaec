// Operators that move, select and describe elements.
#include <algorithm>
#include <limits>

#include "ir/infer.h"

namespace ferry::ir {
namespace {

void shape_of(Inference& in) {
  const auto& data = in.input(0);
  if (!data.shape) return in.set(0, DType::i64);
  const auto rank = static_cast<int64_t>(data.shape->size());
  const auto clamp = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const int64_t start = clamp(in.node().get("start", int64_t{0}));
  const int64_t end = std::max(start, clamp(in.node().get("end", rank)));
  in.set(0, DType::i64, Shape{end - start});
  in.set_content(0, std::vector<Dim>(data.shape->begin() + start, data.shape->begin() + end));
}

void size_of(Inference& in) {
  in.set(0, DType::i64, Shape{});
  if (!in.input(0).shape) return;
  Dim product(1);
  for (const Dim& dim : in.shape(0)) product = product * dim;
  in.set_content(0, std::vector<Dim>{product});
}

// ONNX's 0 (keep) and -1 (what is left) resolved against the input's shape.
Shape reshaped(Inference& in, const std::vector<Dim>& wanted) {
  const Shape& from = in.shape(0);
  const bool allow_zero = in.node().get("allowzero", int64_t{0}) != 0;
  Shape out;
  std::optional<size_t> rest;
  Dim total(1), given(1);
  for (const Dim& dim : from) total = total * dim;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == Dim(-1)) {
      in.require(!rest, "Reshape with two dimensions of -1");
      rest = i;
      out.emplace_back(1);
      continue;
    }
    if (wanted[i] == Dim(0) && !allow_zero) {
      in.require(i < from.size(), "Reshape keeps a dimension (0) that the input does not have");
      out.push_back(from[i]);
    } else {
      out.push_back(wanted[i]);
    }
    given = given * out.back();
  }
  if (rest) {
    if (const auto left = total.divide_exactly(given)) {
      out[*rest] = *left;
    } else if (given.is_constant() && *given.constant() > 0) {
      in.require(!in.strict() || !total.is_constant(), "Reshape to a shape with another number of elements");
      out[*rest] = total.floor_div(*given.constant());
    } else {
      out[*rest] = in.unknown(0, *rest);
    }
  } else if (!(total == given)) {
    const bool decided = total.is_constant() && given.is_constant();
    in.require(!in.strict() && !decided, "Reshape to a shape with another number of elements");
  }
  return out;
}

void reshape(Inference& in) {
  const DType dtype = in.input(0).dtype;
  const auto wanted = in.content(1);
  const auto content = in.content(0);
  if (!wanted || !in.input(0).shape) {
    const auto& target = in.input(1).shape;
    const bool counted = target && target->size() == 1 && (*target)[0].is_constant();
    constexpr int64_t kMostRank = 64;
    if (counted && *(*target)[0].constant() <= kMostRank && !in.strict()) {
      Shape out;
      for (int64_t i = 0; i < *(*target)[0].constant(); ++i)
        out.push_back(in.unknown(0, static_cast<size_t>(i)));
      return in.set(0, dtype, out);
    }
    in.require(!in.strict(), "Reshape to a shape that is not known");
    return in.set(0, dtype);
  }
  in.set(0, dtype, reshaped(in, *wanted));
  if (wanted->size() <= 1) in.set_content(0, content);
}

std::optional<std::vector<int64_t>> axes_of(Inference& in, size_t input) {
  if (in.has_input(input)) return in.constants(input);
  if (const auto* axes = in.node().find<std::vector<int64_t>>("axes")) return *axes;
  return std::vector<int64_t>{};
}

void squeeze(Inference& in) {
  const auto content = in.content(0);
  const DType dtype = in.input(0).dtype;
  auto axes = axes_of(in, 1);
  if (!in.input(0).shape || !axes) return in.set(0, dtype);
  const Shape& from = in.shape(0);
  std::vector<bool> drop(from.size(), false);
  for (const int64_t axis : *axes) {
    const size_t at = in.axis(axis, from.size());
    in.require(from[at] == Dim(1) || (!in.strict() && !from[at].is_constant()),
               "Squeeze of a dimension that is not 1");
    drop[at] = true;
  }
  if (axes->empty())
    std::transform(from.begin(), from.end(), drop.begin(), [](const Dim& dim) { return dim == Dim(1); });
  Shape out;
  for (size_t i = 0; i < from.size(); ++i) {
    if (!drop[i]) out.push_back(from[i]);
  }
  in.set(0, dtype, out);
  in.set_content(0, content);
}

void unsqueeze(Inference& in) {
  const auto content = in.content(0);
  const DType dtype = in.input(0).dtype;
  const auto axes = axes_of(in, 1);
  if (!in.input(0).shape || !axes) return in.set(0, dtype);
  const Shape& from = in.shape(0);
  const size_t rank = from.size() + axes->size();
  std::vector<bool> added(rank, false);
  for (const int64_t axis : *axes) added[in.axis(axis, rank)] = true;
  Shape out;
  size_t next = 0;
  for (size_t i = 0; i < rank; ++i) {
    in.require(added[i] || next < from.size(), "Unsqueeze with an axis twice");
    if (added[i]) {
      out.emplace_back(1);
    } else {
      out.push_back(from[next++]);
    }
  }
  in.set(0, dtype, out);
  if (rank <= 1) in.set_content(0, content);
}

void flatten(Inference& in) {
  if (!in.input(0).shape) return in.set(0, in.input(0).dtype);
  const Shape& from = in.shape(0);
  int64_t axis = in.node().get("axis", int64_t{1});
  if (axis < 0) axis += static_cast<int64_t>(from.size());
  in.require(axis >= 0 && axis <= static_cast<int64_t>(from.size()), "Flatten at an axis that is not there");
  Dim outer(1), inner(1);
  for (size_t i = 0; i < from.size(); ++i)
    (static_cast<int64_t>(i) < axis ? outer : inner) =
        (static_cast<int64_t>(i) < axis ? outer : inner) * from[i];
  in.set(0, in.input(0).dtype, Shape{outer, inner});
}

void transpose(Inference& in) {
  if (!in.input(0).shape) return in.set(0, in.input(0).dtype);
  const Shape& from = in.shape(0);
  std::vector<int64_t> perm;
  for (size_t i = from.size(); i-- > 0;) perm.push_back(static_cast<int64_t>(i));
  perm = in.node().get("perm", perm);
  in.require(perm.size() == from.size(), "Transpose with a permutation of another length");
  Shape out;
  std::vector<bool> seen(from.size(), false);
  for (const int64_t axis : perm) {
    const size_t at = in.axis(axis, from.size());
    in.require(!seen[at], "Transpose with an axis twice");
    seen[at] = true;
    out.push_back(from[at]);
  }
  in.set(0, in.input(0).dtype, out);
}

void concat(Inference& in) {
  const size_t count = in.node().inputs.size();
  const DType dtype = in.input(0).dtype;
  for (size_t i = 1; i < count; ++i) in.require_same_dtype(0, i);
  if (!in.ranks_known(count)) return in.set(0, dtype);
  Shape out = in.shape(0);
  const size_t axis = in.axis(in.node().get("axis", int64_t{0}), out.size());
  std::optional<std::vector<Dim>> content = in.content(0);
  for (size_t i = 1; i < count; ++i) {
    const Shape& next = in.shape(i);
    in.require(next.size() == out.size(), "Concat of tensors of different ranks");
    for (size_t d = 0; d < out.size(); ++d) {
      out[d] = d == axis ? out[d] + next[d]
                         : in.same(out[d], next[d], "Concat of tensors that differ off the axis");
    }
    const auto more = in.content(i);
    if (content && more) {
      content->insert(content->end(), more->begin(), more->end());
    } else {
      content.reset();
    }
  }
  in.set(0, dtype, out);
  if (out.size() == 1) in.set_content(0, content);
}

void split(Inference& in) {
  const DType dtype = in.input(0).dtype;
  const size_t count = in.output_count();
  if (!in.input(0).shape) {
    for (size_t i = 0; i < count; ++i) in.set(i, dtype);
    return;
  }
  const Shape& from = in.shape(0);
  const size_t axis = in.axis(in.node().get("axis", int64_t{0}), from.size());
  std::optional<std::vector<int64_t>> sizes;
  if (in.has_input(1)) sizes = in.constants(1);
  if (const auto* attribute = in.node().find<std::vector<int64_t>>("split")) sizes = *attribute;
  if (sizes) {
    in.require(sizes->size() == count, "Split into another number of parts than there are outputs");
    Dim sum;
    for (const int64_t size : *sizes) sum = sum + Dim(size);
    in.same(from[axis], sum, "Split sizes do not add up to the dimension");
  }
  const bool counted = !sizes && in.has_input(1);
  Dim rest = from[axis];
  for (size_t i = 0; i < count; ++i) {
    Shape out = from;
    if (sizes) {
      out[axis] = (*sizes)[i];
    } else if (counted) {  // The data decides; the last part is what the others leave.
      out[axis] = i + 1 < count ? in.counted(i, axis) : rest;
      rest = rest - out[axis];
    } else if (const auto whole = from[axis].divide_exactly(Dim(static_cast<int64_t>(count)))) {
      out[axis] = *whole;
    } else {
      const auto parts = static_cast<int64_t>(count);
      const Dim part = (from[axis] + Dim(parts - 1)).floor_div(parts);
      out[axis] = i + 1 < count ? part : from[axis] - part * Dim(parts - 1);
    }
    in.set(i, dtype, out);
  }
}

// The length of dim[start:end:step], numpy's way. Symbolic ends are taken to lie within the dimension: a
// graph that slices beyond it is wrong at another place.
std::optional<Dim> sliced(const Dim& dim, const Dim& start, const Dim& end, int64_t step) {
  const auto from_start = [&](const Dim& at) -> Dim {
    if (!at.is_constant()) return at;
    const int64_t value = *at.constant();
    if (value < 0 && dim.is_constant()) return std::max<int64_t>(0, value + *dim.constant());
    if (value < 0) return value < std::numeric_limits<int32_t>::min() ? Dim(0) : dim + at;
    if (dim.is_constant()) return std::min(value, *dim.constant());
    return value > std::numeric_limits<int32_t>::max() ? dim : at;
  };
  if (step == 1) {
    const Dim length = from_start(end) - from_start(start);
    if (length.is_constant()) return Dim(std::max<int64_t>(0, *length.constant()));
    return length;
  }
  if (step > 1) return (from_start(end) - from_start(start) + Dim(step - 1)).floor_div(step);
  const bool reverses = step == -1 && start == Dim(-1) && end.is_constant() &&
                        *end.constant() < std::numeric_limits<int32_t>::min();
  if (reverses) return dim;
  return std::nullopt;
}

void slice(Inference& in) {
  const auto content = in.content(0);
  const DType dtype = in.input(0).dtype;
  if (!in.input(0).shape) return in.set(0, dtype);
  Shape out = in.shape(0);
  const auto starts = in.content(1);
  const auto ends = in.content(2);
  auto axes = in.has_input(3) ? in.constants(3) : std::optional<std::vector<int64_t>>(std::vector<int64_t>{});
  const auto steps =
      in.has_input(4) ? in.constants(4) : std::optional<std::vector<int64_t>>(std::vector<int64_t>{});
  if (!axes || !steps || (!starts && !ends)) {
    in.require(!in.strict(), "Slice at places that are not known");
    for (size_t i = 0; i < out.size(); ++i) out[i] = in.unknown(0, i);
    return in.set(0, dtype, out);
  }
  if (!in.has_input(3)) {
    for (size_t i = 0; i < (starts ? starts : ends)->size(); ++i) axes->push_back(static_cast<int64_t>(i));
  }
  for (const auto& places : {starts, ends})
    in.require(!places || places->size() == axes->size(), "Slice has not one start and end for each axis");
  in.require(steps->empty() || steps->size() == axes->size(), "Slice has not one step for each axis");
  for (size_t i = 0; i < axes->size(); ++i) {
    const size_t axis = in.axis((*axes)[i], out.size());
    const int64_t step = steps->empty() ? 1 : steps->at(i);
    const auto length = starts && ends ? sliced(out[axis], starts->at(i), ends->at(i), step) : std::nullopt;
    out[axis] = length ? *length : in.unknown(0, axis);
  }
  in.set(0, dtype, out);
  const bool simple = content && starts && ends && out.size() == 1 && out[0].is_constant() &&
                      starts->at(0).is_constant() && (steps->empty() || steps->at(0) == 1);
  if (simple) {
    const auto size = static_cast<int64_t>(content->size());
    int64_t begin = *starts->at(0).constant();
    begin = std::clamp<int64_t>(begin < 0 ? begin + size : begin, 0, size);
    const int64_t length = std::min(*out[0].constant(), size - begin);
    in.set_content(0, std::vector<Dim>(content->begin() + begin, content->begin() + begin + length));
  }
}

void gather(Inference& in) {
  const auto content = in.content(0);
  const DType dtype = in.input(0).dtype;
  if (!in.ranks_known(2)) return in.set(0, dtype);
  const Shape& data = in.shape(0);
  const Shape& indices = in.shape(1);
  const size_t axis = in.axis(in.node().get("axis", int64_t{0}), data.size());
  Shape out(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(axis));
  out.insert(out.end(), indices.begin(), indices.end());
  out.insert(out.end(), data.begin() + static_cast<std::ptrdiff_t>(axis) + 1, data.end());
  in.set(0, dtype, out);
  const auto at = in.constants(1);
  if (!content || !at || out.size() > 1) return;
  std::vector<Dim> picked;
  for (int64_t index : *at) {
    if (index < 0) index += static_cast<int64_t>(content->size());
    in.require(index >= 0 && index < static_cast<int64_t>(content->size()),
               "Gather at an index that is not there");
    picked.push_back((*content)[static_cast<size_t>(index)]);
  }
  in.set_content(0, picked);
}

void gather_elements(Inference& in) {
  in.set(0, in.input(0).dtype, in.input(1).shape);
}

void gather_nd(Inference& in) {
  const DType dtype = in.input(0).dtype;
  if (!in.ranks_known(2)) return in.set(0, dtype);
  const Shape& data = in.shape(0);
  const Shape& indices = in.shape(1);
  const auto batch = static_cast<size_t>(in.node().get("batch_dims", int64_t{0}));
  in.require(!indices.empty() && indices.back().is_constant(),
             "GatherND with an index length that is not known");
  const auto depth = static_cast<size_t>(*indices.back().constant());
  in.require(batch + depth <= data.size(), "GatherND with longer indices than the data has dimensions");
  Shape out(indices.begin(), indices.end() - 1);
  out.insert(out.end(), data.begin() + static_cast<std::ptrdiff_t>(batch + depth), data.end());
  in.set(0, dtype, out);
}

void like_first(Inference& in) {
  in.set(0, in.input(0).dtype, in.input(0).shape);
}

void expand(Inference& in) {
  const DType dtype = in.input(0).dtype;
  const auto wanted = in.content(1);
  if (!in.input(0).shape || !wanted) {
    in.require(!in.strict(), "Expand to a shape that is not known");
    return in.set(0, dtype);
  }
  in.set(0, dtype, in.broadcast(in.shape(0), *wanted));
}

void tile(Inference& in) {
  const DType dtype = in.input(0).dtype;
  const auto repeats = in.content(1);
  if (!in.input(0).shape || !repeats) {
    in.require(!in.strict(), "Tile with repeats that are not known");
    return in.set(0, dtype);
  }
  Shape out = in.shape(0);
  in.require(repeats->size() == out.size(), "Tile with another number of repeats than dimensions");
  for (size_t i = 0; i < out.size(); ++i) out[i] = out[i] * (*repeats)[i];
  in.set(0, dtype, out);
}

void pad(Inference& in) {
  const DType dtype = in.input(0).dtype;
  const auto pads = in.content(1);
  if (!in.input(0).shape || !pads) {
    in.require(!in.strict(), "Pad by amounts that are not known");
    return in.set(0, dtype);
  }
  Shape out = in.shape(0);
  std::vector<int64_t> axes;
  for (size_t i = 0; i < out.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  if (in.has_input(3)) axes = in.constants(3).value_or(axes);
  in.require(pads->size() == 2 * axes.size(), "Pad with another number of pads than two an axis");
  for (size_t i = 0; i < axes.size(); ++i) {
    const size_t axis = in.axis(axes[i], out.size());
    out[axis] = out[axis] + (*pads)[i] + (*pads)[i + axes.size()];
  }
  in.set(0, dtype, out);
}

void range(Inference& in) {
  const DType dtype = in.input(0).dtype;
  const auto start = in.content(0);
  const auto limit = in.content(1);
  const auto step = in.constants(2);
  if (!start || !limit || !step || step->at(0) == 0 || start->size() != 1) {
    in.set(0, dtype, Shape{in.unknown(0, 0)});
    return;
  }
  const int64_t by = step->at(0);
  const Dim span = by > 0 ? limit->at(0) - start->at(0) : start->at(0) - limit->at(0);
  const int64_t magnitude = by > 0 ? by : -by;
  Dim length = (span + Dim(magnitude - 1)).floor_div(magnitude);
  if (length.is_constant()) length = Dim(std::max<int64_t>(0, *length.constant()));
  in.set(0, dtype, Shape{length});
}

void constant_of_shape(Inference& in) {
  const auto* value = in.node().find<Weight>("value");
  const DType dtype = value != nullptr ? value->dtype() : DType::f32;
  const auto shape = in.content(0);
  if (!shape) {
    in.require(!in.strict(), "ConstantOfShape of a shape that is not known");
    return in.set(0, dtype);
  }
  in.set(0, dtype, *shape);
  const bool counted =
      shape->size() <= 1 && (shape->empty() || (*shape)[0].is_constant()) && is_integer(dtype);
  const int64_t count = counted && !shape->empty() ? *(*shape)[0].constant() : 1;
  constexpr int64_t kMost = 64;
  if (counted && value != nullptr && count >= 0 && count <= kMost)
    in.set_content(0, std::vector<Dim>(static_cast<size_t>(count), Dim(value->as_i64().at(0))));
}

void one_hot(Inference& in) {
  const DType dtype = in.input(2).dtype;
  const auto depth = in.content(1);
  if (!in.input(0).shape) return in.set(0, dtype);
  Shape out = in.shape(0);
  const size_t axis = in.axis(in.node().get("axis", int64_t{-1}), out.size() + 1);
  out.insert(out.begin() + static_cast<std::ptrdiff_t>(axis),
             depth && depth->size() == 1 ? depth->at(0) : in.unknown(0, axis));
  in.set(0, dtype, out);
}

void non_zero(Inference& in) {
  if (!in.input(0).shape) return in.set(0, DType::i64);
  in.set(0, DType::i64, Shape{static_cast<int64_t>(in.shape(0).size()), in.counted(0, 1)});
}

void depth_to_space(Inference& in) {
  const DType dtype = in.input(0).dtype;
  if (!in.input(0).shape) return in.set(0, dtype);
  const Shape& from = in.shape(0);
  const Dim block(in.node().get("blocksize", int64_t{1}));
  in.require(from.size() == 4, "the input must have rank 4");
  if (in.node().op_type == "DepthToSpace") {
    const auto channels = from[1].divide_exactly(block * block);
    in.require(channels.has_value(), "DepthToSpace of channels that the block size does not divide");
    in.set(0, dtype, Shape{from[0], *channels, from[2] * block, from[3] * block});
  } else {
    const int64_t size = *block.constant();
    in.set(0, dtype,
           Shape{from[0], from[1] * block * block, from[2].floor_div(size), from[3].floor_div(size)});
  }
}

void constant(Inference& in) {
  const auto* value = in.node().find<Weight>("value");
  if (value != nullptr) in.set(0, value->dtype(), Shape(value->dims().begin(), value->dims().end()));
}

constexpr OpDef kOps[] = {
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
    {"Gather", gather},
    {"GatherElements", gather_elements},
    {"GatherND", gather_nd},
    {"ScatterElements", like_first},
    {"ScatterND", like_first},
    {"TensorScatter", like_first},
    {"Expand", expand},
    {"Tile", tile},
    {"Pad", pad},
    {"Range", range},
    {"ConstantOfShape", constant_of_shape},
    {"OneHot", one_hot},
    {"NonZero", non_zero},
    {"Trilu", like_first},
    {"ReverseSequence", like_first},
    {"DepthToSpace", depth_to_space},
    {"SpaceToDepth", depth_to_space},
    {"Constant", constant},
};

}  // namespace

std::span<const OpDef> shape_ops() {
  return kOps;
}

}  // namespace ferry::ir
