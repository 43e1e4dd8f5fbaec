// Reductions, whose axes were attributes before opset 18.
#include "passes/legalize/lowering.h"

namespace ferry::passes {
namespace {

namespace op = ir::op;

// A reduction over no axes: what is done to each element is done, and nothing is summed up.
Tensor of_single_elements(std::string_view op_type, const Tensor& x) {
  if (op_type == "ReduceL1" || op_type == "ReduceL2") return op::unary("Abs", x);
  if (op_type == "ReduceSumSquare") return op::mul(x, x);
  if (op_type == "ReduceLogSum") return op::unary("Log", x);
  return op::unary("Identity", x);
}

Tensors axes_to_attribute(const Lowering& at) {
  const auto axes = at.constants(1);
  const bool all = !axes || axes->empty();
  if (all && at.node.get("noop_with_empty_axes", int64_t{0}) != 0)
    return {of_single_elements(at.node.op_type, at.input(0))};
  at.drop("noop_with_empty_axes");
  at.drop_input(1);
  if (!all) at.node.attributes["axes"] = *axes;
  return {};
}

bool has_axes_input(const Lowering& at) {
  return at.has_input(1) || at.node.attributes.count("noop_with_empty_axes") > 0;
}

// Of truth values: through i32.
Tensors reduce_boolean(const Lowering& at) {
  Tensors inputs = {op::cast(at.input(0), DType::i32)};
  if (at.has_input(1)) inputs.push_back(at.input(1));
  return {op::cast(op::emit(at.node.op_type, inputs, at.node.attributes), DType::boolean)};
}

bool is_boolean(const Lowering& at) {
  return at.has_input(0) && at.node.input(0)->dtype == DType::boolean;
}

// Sums of halves: through f32.
Tensors cumulative_sum(const Lowering& at) {
  const Tensor x = at.input(0);
  const Tensor sum = op::emit("CumSum", {op::cast(x, DType::f32), at.input(1)}, at.node.attributes);
  return {op::cast(sum, x.dtype())};
}

bool is_half(const Lowering& at) {
  const DType dtype = at.has_input(0) ? at.node.input(0)->dtype : DType::undefined;
  return dtype == DType::f16 || dtype == DType::bf16;
}

Tensors is_infinite(const Lowering& at) {
  return {op::emit("IsInf", {op::cast(at.input(0), DType::f32)}, at.node.attributes)};
}

constexpr Rule kRules[] = {
    {"ReduceMax", 20, reduce_boolean, is_boolean},
    {"ReduceMin", 20, reduce_boolean, is_boolean},
    {"ReduceMean", 18, axes_to_attribute, has_axes_input},
    {"ReduceMax", 18, axes_to_attribute, has_axes_input},
    {"ReduceMin", 18, axes_to_attribute, has_axes_input},
    {"ReduceProd", 18, axes_to_attribute, has_axes_input},
    {"ReduceL1", 18, axes_to_attribute, has_axes_input},
    {"ReduceL2", 18, axes_to_attribute, has_axes_input},
    {"ReduceSumSquare", 18, axes_to_attribute, has_axes_input},
    {"ReduceLogSum", 18, axes_to_attribute, has_axes_input},
    {"ReduceLogSumExp", 18, axes_to_attribute, has_axes_input},
    {"CumSum", 14, cumulative_sum, is_half},
    {"IsInf", 20, is_infinite, is_half},
};

}  // namespace

std::span<const Rule> reduction_rules() {
  return kRules;
}

}  // namespace ferry::passes
