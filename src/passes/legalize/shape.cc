// Operators that describe and move elements.
#include <algorithm>
#include <limits>

#include "passes/legalize/lowering.h"

namespace ferry::passes {
namespace {

namespace op = ir::op;

bool has_range(const Lowering& at) {
  return at.node.attributes.count("start") > 0 || at.node.attributes.count("end") > 0;
}

Tensors shape_of(const Lowering& at) {
  const Tensor x = at.input(0);
  const int64_t start = at.node.get("start", int64_t{0});
  const int64_t end = at.node.get("end", std::numeric_limits<int64_t>::max());
  // Not op::emit: the dimensions may be known, and what is asked for is the operator.
  const Tensor all(at.graph, at.graph.add_node("Shape", {x.value()}).outputs[0]);
  if (end == start + 1) return {op::gather(all, op::integers(at.graph, {start}))};
  return {op::slice(all, 0, start, end)};
}

// Equal parts need no sizes before opset 18; the last of unequal ones is smaller.
bool has_part_count(const Lowering& at) {
  return at.node.attributes.count("num_outputs") > 0;
}
Tensors split(const Lowering& at) {
  const Tensor x = at.shaped(0);
  const auto parts = static_cast<int64_t>(at.node.outputs.size());
  const ir::Dim& size = x.dim(static_cast<int>(at.axis(0, x.rank())));
  at.drop("num_outputs");
  if (at.has_input(1) || size.divide_exactly(ir::Dim(parts))) return {};
  if (!size.is_constant()) at.unsupported("it splits a dimension that need not be a multiple of the parts");
  const int64_t part = (*size.constant() + parts - 1) / parts;
  std::vector<int64_t> sizes(static_cast<size_t>(parts), part);
  sizes.back() = *size.constant() - part * (parts - 1);
  if (sizes.back() < 0) at.unsupported("there are more parts than elements");
  at.node.inputs.resize(2);
  at.node.inputs[1] = op::integers(at.graph, sizes).value();
  return {};
}

bool has_axes_input(const Lowering& at) {
  return at.has_input(3);
}
Tensors pad(const Lowering& at) {
  const size_t rank = at.shaped(0).rank();
  const auto axes = *at.constants(3);
  const auto given = at.constants(1);
  if (!given || given->size() != 2 * axes.size()) at.unsupported("the pads are not two for each axis");
  std::vector<int64_t> pads(2 * rank, 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t axis = axes[i] < 0 ? axes[i] + static_cast<int64_t>(rank) : axes[i];
    if (axis < 0 || axis >= static_cast<int64_t>(rank)) at.unsupported("an axis is not one of the input's");
    pads[static_cast<size_t>(axis)] = (*given)[i];
    pads[static_cast<size_t>(axis) + rank] = (*given)[i + axes.size()];
  }
  at.node.inputs[1] = op::integers(at.graph, pads).value();
  at.drop_input(3);
  return {};
}

bool wraps(const Lowering& at) {
  return at.node.get("mode", std::string("constant")) == "wrap";
}
Tensors no_wrap(const Lowering& at) {
  at.unsupported("Pad with mode wrap is new in opset 19");
}

bool has_allow_zero(const Lowering& at) {
  return at.node.attributes.count("allowzero") > 0;
}
Tensors reshape(const Lowering& at) {
  if (at.node.get("allowzero", int64_t{0}) != 0) {
    const auto dims = at.constants(1);
    if (dims && std::find(dims->begin(), dims->end(), 0) != dims->end())
      at.unsupported("it reshapes to a dimension of 0 (allowzero)");
  }
  at.drop("allowzero");
  return {};
}

// Where(row + k <= column, x, 0), or >= for the lower triangle.
Tensors trilu(const Lowering& at) {
  const Tensor x = at.shaped(0);
  if (x.rank() < 2) at.unsupported("the input is no matrix");
  Tensor rows = op::unsqueeze(at.positions(x, -2), {1});
  if (at.has_input(1)) rows = op::add(rows, at.input(1));
  const Tensor columns = at.positions(x, -1);
  const bool upper = at.node.get("upper", int64_t{1}) != 0;
  const Tensor keep = op::emit(upper ? "LessOrEqual" : "GreaterOrEqual", {rows, columns});
  return {op::where(keep, x, op::weight(at.graph, "zero", Weight::zeros(x.dtype(), {})))};
}

Tensors cast_like(const Lowering& at) {
  const DType to = at.input(1).dtype();
  if (to == DType::undefined) at.unsupported("the element type to cast to is not known");
  if (at.input(0).dtype() == to) return {op::unary("Identity", at.input(0))};
  return {op::cast(at.input(0), to)};
}

constexpr Rule kRules[] = {
    {"Shape", 15, shape_of, has_range}, {"Split", 18, split, has_part_count},     {"Pad", 19, no_wrap, wraps},
    {"Pad", 18, pad, has_axes_input},   {"Reshape", 14, reshape, has_allow_zero}, {"Trilu", 14, trilu},
    {"CastLike", 15, cast_like},
};

}  // namespace

std::span<const Rule> shape_rules() {
  return kRules;
}

}  // namespace ferry::passes
