#include "passes/quantize/nbits_product.h"

#include <fmt/format.h>

#include "passes/rewrite.h"

namespace ferry::passes {

namespace op = ir::op;

std::optional<Weight> matrix_of(const ir::Node& node, DType dtype) {
  if (!node.is("MatMul") && !node.is("Gemm")) return std::nullopt;
  const ir::Value* right = node.input(1);
  if (right == nullptr || !right->is_weight() || right->dtype != dtype || right->rank() != 2)
    return std::nullopt;
  if (node.input(0) == nullptr || node.inputs[0]->is_weight()) return std::nullopt;
  if (node.is("MatMul")) return right->weight;
  if (node.get("alpha", 1.0f) != 1.0f || node.get("transA", int64_t{0}) != 0) return std::nullopt;
  if (node.input(2) != nullptr && node.get("beta", 1.0f) != 1.0f) return std::nullopt;
  return node.get("transB", int64_t{0}) != 0 ? right->weight->transpose() : right->weight;
}

ir::Tensor matmul_nbits(const ir::Tensor& x, const BlockWeights& weights, const BlockFormat& format,
                        int64_t rows, int64_t accuracy_level, const std::string& name) {
  ir::Graph& graph = x.graph();
  const auto suffixed = [&](const char* what) { return fmt::format("{}_{}{}", name, what, format.bits); };
  const ir::Tensor zeros =
      weights.zero_points ? op::weight(graph, suffixed("zeros"), *weights.zero_points) : ir::Tensor();
  return op::emit_n("MatMulNBits",
                    {x, op::weight(graph, suffixed("Q"), weights.packed),
                     op::weight(graph, suffixed("scales"), weights.scales), zeros},
                    {{"K", rows},
                     {"N", weights.packed.dims()[0]},
                     {"bits", int64_t{format.bits}},
                     {"block_size", format.block_size},
                     {"accuracy_level", accuracy_level}},
                    1, ir::kMicrosoftDomain)[0];
}

void replace_product(ir::Graph& graph, const ir::Node& node, ir::Tensor product) {
  if (node.is("Gemm") && node.input(2) != nullptr) product = product + ir::Tensor(graph, node.inputs[2]);
  take_place(graph, node.outputs[0], product.value());
}

}  // namespace ferry::passes
