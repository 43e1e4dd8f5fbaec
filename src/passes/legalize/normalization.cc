// Normalizations, as means and roots.
#include "passes/legalize/lowering.h"

namespace ferry::passes {
namespace {

namespace op = ir::op;

// The dtype of the statistics: f32 for the halves, unless the node says that they keep their own.
DType stash_type(const Lowering& at, DType dtype) {
  const auto stash = dtype_from_onnx(static_cast<int>(at.node.get("stash_type", int64_t{1})));
  const bool half = dtype == DType::f16 || dtype == DType::bf16;
  return half && stash == DType::f32 ? DType::f32 : dtype;
}

// The function body of ONNX, in the order that ONNX Runtime's LayerNormFusion looks for.
Tensors layer_norm(const Lowering& at) {
  const Tensor x = at.shaped(0);
  const auto axis = static_cast<int64_t>(at.axis(-1, x.rank()));
  const DType stash = stash_type(at, x.dtype());
  const Tensor wide = op::cast(x, stash);
  const Tensor mean = Lowering::reduce("ReduceMean", wide, axis);
  const Tensor centered = op::sub(wide, mean);
  const Tensor variance = Lowering::reduce("ReduceMean", op::pow(centered, 2.0), axis);
  const Tensor deviation = op::unary("Sqrt", op::add(variance, at.node.get("epsilon", 1e-5f)));
  Tensor y = op::mul(op::cast(op::div(centered, deviation), x.dtype()), at.input(1));
  if (at.has_input(2)) y = op::add(y, at.input(2));
  Tensors results = {y};
  if (at.wants(1)) results.push_back(mean);
  if (at.wants(2)) {
    results.resize(2);
    results.push_back(op::unary("Reciprocal", deviation));
  }
  return results;
}

// The order that ONNX Runtime's SimplifiedLayerNormFusion looks for.
Tensors rms_norm(const Lowering& at) {
  const Tensor x = at.shaped(0);
  const auto axis = static_cast<int64_t>(at.axis(-1, x.rank()));
  const Tensor wide = op::cast(x, stash_type(at, x.dtype()));
  const Tensor mean = Lowering::reduce("ReduceMean", op::pow(wide, 2.0), axis);
  const Tensor root = op::unary("Sqrt", op::add(mean, at.node.get("epsilon", 1e-5f)));
  return {op::mul(op::cast(op::div(wide, root), x.dtype()), at.input(1))};
}

// One value a channel, for broadcasting over [N, C, ...].
Tensor per_channel(const Tensor& values, size_t rank) {
  std::vector<int64_t> dims(rank - 1, 1);
  dims[0] = -1;
  return op::reshape(values, dims);
}

// Each group is an instance: [N, G, all the rest] through InstanceNormalization, then scale and bias.
// Opset 18 has the operator with another meaning (scale and bias a group), which no runtime kept.
Tensors group_norm(const Lowering& at) {
  const Tensor x = at.shaped(0);
  const int64_t groups = at.node.get("num_groups", int64_t{0});
  if (groups <= 0 || x.rank() < 3) at.unsupported("it has no groups, or fewer than three dimensions");
  const DType stash = stash_type(at, x.dtype());
  const Tensor grouped = op::reshape(op::cast(x, stash), {0, groups, -1});
  const std::vector<float> ones(static_cast<size_t>(groups), 1.0f);
  const Tensor scale = op::weight(at.graph, "ones", Weight::from_f32({groups}, ones).cast(stash));
  const Tensor bias = op::weight(at.graph, "zeros", Weight::zeros(stash, {groups}));
  const Tensor normal =
      op::emit("InstanceNormalization", {grouped, scale, bias}, {{"epsilon", at.node.get("epsilon", 1e-5f)}});
  const Tensor back = op::cast(at.reshape_like(normal, x), x.dtype());
  return {op::add(op::mul(back, per_channel(at.input(1), x.rank())), per_channel(at.input(2), x.rank()))};
}

// In training it has further results, which are not lowered.
bool in_training(const Lowering& at) {
  return at.node.attributes.count("training_mode") > 0;
}
Tensors batch_norm(const Lowering& at) {
  if (at.node.get("training_mode", int64_t{0}) != 0) at.unsupported("it is in training mode");
  at.drop("training_mode");
  return {};
}

constexpr Rule kRules[] = {
    {"LayerNormalization", 17, layer_norm},
    {"RMSNormalization", 23, rms_norm},
    {"GroupNormalization", 21, group_norm},
    {"BatchNormalization", 14, batch_norm, in_training},
};

}  // namespace

std::span<const Rule> normalization_rules() {
  return kRules;
}

}  // namespace ferry::passes
