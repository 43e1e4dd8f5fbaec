#include "passes/quantize/matmul_nbits.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "ir/op.h"
#include "passes/rewrite.h"

namespace ferry::passes {
namespace {

namespace op = ir::op;

bool is_f32_matrix(const ir::Value* value) {
  return value != nullptr && value->is_weight() && value->dtype == DType::f32 && value->rank() == 2;
}

// The matrix [K, N] that the node multiplies with, if it is a product of the kind.
std::optional<Weight> matrix_of(const ir::Node& node) {
  if (node.is("MatMul") && is_f32_matrix(node.input(1)) && !node.inputs[0]->is_weight())
    return node.inputs[1]->weight;
  if (!node.is("Gemm") || !is_f32_matrix(node.input(1)) || node.inputs[0]->is_weight()) return std::nullopt;
  if (node.get("alpha", 1.0f) != 1.0f || node.get("transA", int64_t{0}) != 0) return std::nullopt;
  if (node.input(2) != nullptr && node.get("beta", 1.0f) != 1.0f) return std::nullopt;
  const Weight& right = *node.inputs[1]->weight;
  return node.get("transB", int64_t{0}) != 0 ? right.transpose() : right;
}

// Values from which element-wise operators alone lead to the logits.
std::set<const ir::Value*> values_of_heads(const ir::Graph& graph) {
  constexpr const char* kThrough[] = {"Add", "Mul", "Div", "Sub", "Tanh", "Cast", "Identity"};
  std::set<const ir::Value*> out;
  for (const ir::Value* output : graph.outputs) {
    if (output->name == "logits") out.insert(output);
  }
  for (size_t i = graph.nodes().size(); i-- > 0;) {
    const ir::Node& node = *graph.nodes()[i];
    const bool through = std::any_of(std::begin(kThrough), std::end(kThrough),
                                     [&](const char* name) { return node.is(name); });
    if (through && out.count(node.outputs[0]) > 0) out.insert(node.inputs.begin(), node.inputs.end());
  }
  return out;
}

void replace(ir::Graph& graph, const ir::Node& node, const Weight& matrix, const MatMulNBitsOptions& options,
             int bits) {
  BlockFormat format = options.format;
  format.bits = bits;
  const BlockWeights made = quantize_blocks(matrix, format);
  const std::string name = node.inputs[1]->name;
  const auto suffixed = [&](const char* what) { return fmt::format("{}_{}{}", name, what, bits); };
  const ir::Tensor zeros =
      made.zero_points ? op::weight(graph, suffixed("zeros"), *made.zero_points) : ir::Tensor();
  ir::Tensor y = op::emit_n("MatMulNBits",
                            {ir::Tensor(graph, node.inputs[0]), op::weight(graph, suffixed("Q"), made.packed),
                             op::weight(graph, suffixed("scales"), made.scales), zeros},
                            {{"K", matrix.dims()[0]},
                             {"N", matrix.dims()[1]},
                             {"bits", int64_t{bits}},
                             {"block_size", format.block_size},
                             {"accuracy_level", options.accuracy_level}},
                            1, ir::kMicrosoftDomain)[0];
  if (node.is("Gemm") && node.input(2) != nullptr) y = y + ir::Tensor(graph, node.inputs[2]);
  take_place(graph, node.outputs[0], y.value());
}

void check(const BlockFormat& format) {
  constexpr int64_t kSizes[] = {16, 32, 64, 128, 256};
  if (std::find(std::begin(kSizes), std::end(kSizes), format.block_size) == std::end(kSizes)) {
    throw Error(
        ErrorCode::usage,
        fmt::format("blocks of {} are none that MatMulNBits has: 16, 32, 64, 128, 256", format.block_size));
  }
}

}  // namespace

MatMulNBitsResult quantize_matmul_nbits(ir::Graph& graph, const MatMulNBitsOptions& options) {
  check(options.format);
  MatMulNBitsResult out;
  for_each_graph(graph, [&](ir::Graph& each) {
    const auto heads = values_of_heads(each);
    const std::string scope = each.scope();
    for (size_t i = 0; i < each.nodes().size(); ++i) {
      const ir::Node& node = *each.nodes()[i];
      const auto matrix = matrix_of(node);
      if (!matrix) continue;
      const bool is_head = heads.count(node.outputs[0]) > 0;
      const int bits = is_head ? options.head_bits : options.format.bits;
      if (bits == 0) {
        out.kept.push_back(node.name);
        continue;
      }
      const size_t before = each.nodes().size();
      each.set_insertion_point(i);
      each.set_scope(node.name.substr(0, node.name.rfind('/')));
      replace(each, node, *matrix, options, bits);
      each.set_insertion_point(std::nullopt);
      i += each.nodes().size() - before;  // What was added lies before the node.
      ++out.quantized;
    }
    each.set_scope(scope);
    each.remove_dead_nodes();
  });
  return out;
}

}  // namespace ferry::passes
