#include "passes/quantize/matmul_nbits.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "passes/quantize/nbits_product.h"
#include "passes/rewrite.h"

namespace ferry::passes {
namespace {

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
      const auto matrix = matrix_of(node, DType::f32);
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
      BlockFormat format = options.format;
      format.bits = bits;
      replace_product(each, node,
                      matmul_nbits({each, node.inputs[0]}, quantize_blocks(*matrix, format), format,
                                   matrix->dims()[0], options.accuracy_level, node.inputs[1]->name));
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
