#include "passes/quantize/matmul_nbits.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "passes/quantize/nbits_product.h"
#include "passes/rewrite.h"

namespace ferry::passes {
namespace {

namespace op = ir::op;

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

// The input whose elements `value` holds, however arranged.
const ir::Value* origin(const ir::Value* value) {
  constexpr const char* kArranging[] = {"Cast",    "Identity", "Reshape", "Unsqueeze",
                                        "Squeeze", "Flatten",  "Clip"};
  while (value != nullptr && value->producer != nullptr &&
         std::any_of(std::begin(kArranging), std::end(kArranging),
                     [&](const char* name) { return value->producer->is(name); }))
    value = value->producer->input(0);
  return value;
}

bool looks_up_tokens(const ir::Node& node) {
  if (!node.is("Gather") || node.get("axis", int64_t{0}) != 0 || node.input(1) == nullptr) return false;
  const ir::Value* table = node.input(0);
  if (table == nullptr || !table->is_weight() || table->dtype != DType::f32 || table->rank() != 2)
    return false;
  const ir::Value* ids = origin(node.inputs[1]);
  return ids != nullptr && ids->producer == nullptr && ends_with(ids->name, "input_ids");
}

// One graph, or a branch within.
class Quantizer {
 public:
  Quantizer(ir::Graph& graph, const MatMulNBitsOptions& options, const Selected& selected,
            QuantizationResult& result)
      : graph_(graph),
        options_(options),
        selected_(selected),
        result_(result),
        heads_(values_of_heads(graph)) {}

  void run() {
    const std::string scope = graph_.scope();
    each([&](const ir::Node& node) { product(node); });
    // After the products, whose integers they share.
    each([&](const ir::Node& node) { lookup(node); });
    graph_.set_scope(scope);
    graph_.remove_dead_nodes();
  }

 private:
  template <typename Visit>
  void each(const Visit& visit) {
    for (size_t i = 0; i < graph_.nodes().size(); ++i) {
      const ir::Node& node = *graph_.nodes()[i];
      const size_t before = graph_.nodes().size();
      graph_.set_insertion_point(i);
      graph_.set_scope(node.name.substr(0, node.name.rfind('/')));
      visit(node);
      graph_.set_insertion_point(std::nullopt);
      i += graph_.nodes().size() - before;  // What was added lies before the node.
    }
  }

  void keep(const ir::Node& node, const char* why) { result_.kept.push_back({node.name, node.op_type, why}); }

  void note(const ir::Node& node, const Weight& matrix, int bits) {
    result_.quantized.push_back({node.name, node.op_type, node.inputs[node.is("Gather") ? 0 : 1]->name,
                                 matrix.size_bytes(), matrix.count() * static_cast<uint64_t>(bits) / 8});
  }

  void product(const ir::Node& node) {
    if (!selected_(node)) return;
    const auto matrix = matrix_of(node, DType::f32);
    if (!matrix) return;
    BlockFormat format = options_.format;
    const bool is_head = heads_.count(node.outputs[0]) > 0;
    if (is_head) format.bits = options_.head_bits;
    if (format.bits == 0) return keep(node, "the head of a language model");
    const BlockWeights blocks = quantize_blocks(*matrix, format);
    const ir::Tensor y = matmul_nbits({graph_, node.inputs[0]}, blocks, format, matrix->dims()[0],
                                      options_.accuracy_level, node.inputs[1]->name);
    const ir::Node& made = *y.value()->producer;
    stored_[blocks.packed.key()] = {made.inputs[1], made.inputs[2]};
    note(node, *matrix, format.bits);
    replace_product(graph_, node, y);
  }

  void lookup(const ir::Node& node) {
    if (options_.embedding_bits == 0 || !selected_(node) || !looks_up_tokens(node)) return;
    const Weight& table = *node.inputs[0]->weight;
    BlockFormat format = options_.format;
    format.bits = options_.embedding_bits;
    format.symmetric = true;
    if (format.algorithm == BlockAlgorithm::hqq) format.algorithm = BlockAlgorithm::mse;
    const int64_t width = table.dims()[1];
    if (width % format.block_size != 0) return keep(node, "blocks do not divide the table's width");
    note(node, table, format.bits);
    take_place(graph_, node.outputs[0],
               gathered(node, quantize_blocks(table.transpose(), format), format).value());
  }

  ir::Tensor gathered(const ir::Node& node, const BlockWeights& blocks, const BlockFormat& format) {
    const ir::Tensor ids(graph_, node.inputs[1]);
    const std::string name = fmt::format("{}_", node.inputs[0]->name);
    const auto shared = stored_.find(blocks.packed.key());
    const Dims& dims = blocks.packed.dims();
    if (shared == stored_.end() || !ids.value()->shape) {
      const ir::Tensor data = op::weight(graph_, fmt::format("{}Q{}", name, format.bits),
                                         blocks.packed.reshape({dims[0], dims[1] * dims[2]}));
      const ir::Tensor scales =
          op::weight(graph_, fmt::format("{}scales{}", name, format.bits), blocks.scales);
      return gather(data, ids, scales, format, 1);
    }
    // The product's integers have a dimension of blocks, and so have the elements that are looked up.
    const ir::Tensor scales =
        op::emit_n("Unsqueeze", {{graph_, shared->second.second}, op::integers(graph_, {-1})}, {}, 1)[0];
    const ir::Tensor rows = gather({graph_, shared->second.first}, ids, scales, format, 2);
    std::vector<int64_t> to(ids.rank(), 0);
    to.push_back(dims[1] * format.block_size);
    return op::reshape(rows, to);
  }

  static ir::Tensor gather(const ir::Tensor& data, const ir::Tensor& ids, const ir::Tensor& scales,
                           const BlockFormat& format, int64_t axis) {
    return op::emit_n("GatherBlockQuantized", {data, ids, scales},
                      {{"bits", int64_t{format.bits}},
                       {"block_size", format.block_size},
                       {"gather_axis", int64_t{0}},
                       {"quantize_axis", axis}},
                      1, ir::kMicrosoftDomain)[0];
  }

  ir::Graph& graph_;
  const MatMulNBitsOptions& options_;
  const Selected& selected_;
  QuantizationResult& result_;
  std::set<const ir::Value*> heads_;
  std::map<std::string, std::pair<ir::Value*, ir::Value*>> stored_;  // Packed integers and their scales.
};

}  // namespace

QuantizationResult quantize_matmul_nbits(ir::Graph& graph, const MatMulNBitsOptions& options) {
  check(options.format);
  const Selected selected(options.nodes, graph);
  QuantizationResult out;
  for_each_graph(graph, [&](ir::Graph& each) { Quantizer(each, options, selected, out).run(); });
  return out;
}

}  // namespace ferry::passes
