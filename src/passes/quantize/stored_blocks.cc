#include "passes/quantize/stored_blocks.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "passes/quantize/nbits_product.h"
#include "passes/rewrite.h"
#include "passes/share.h"
#include "tensor/grouped.h"

namespace ferry::passes {
namespace {

namespace op = ir::op;

// Whether two parts can be one: columns of the same kind, in the same order of rows.
bool same_blocks(const BlockMatrix& a, const BlockMatrix& b) {
  const bool same_order = a.order.has_value() == b.order.has_value() &&
                          (!a.order || content_key(*a.order) == content_key(*b.order));
  return a.format.bits == b.format.bits && a.format.block_size == b.format.block_size && same_order;
}

BlockMatrix joined(const std::vector<BlockMatrix>& parts) {
  if (parts.size() == 1) return parts[0];
  std::vector<Weight> packed, scales, zeros;
  for (const BlockMatrix& part : parts) {
    packed.push_back(part.weights.packed);
    scales.push_back(part.weights.scales);
    if (part.weights.zero_points) zeros.push_back(*part.weights.zero_points);
  }
  BlockMatrix out = parts[0];
  out.weights = {Weight::concat(packed, 0), Weight::concat(scales, 0), std::nullopt};
  if (!zeros.empty()) out.weights.zero_points = Weight::concat(zeros, 0);
  return out;
}

// Neighbours that are stored in the same way, as one.
std::vector<BlockMatrix> merged(const std::vector<BlockMatrix>& parts) {
  std::vector<BlockMatrix> out, run;
  for (const BlockMatrix& part : parts) {
    if (!run.empty() && !same_blocks(run[0], part)) {
      out.push_back(joined(run));
      run.clear();
    }
    run.push_back(part);
  }
  out.push_back(joined(run));
  return out;
}

class Taker {
 public:
  Taker(ir::Graph& graph, int64_t accuracy_level) : graph_(graph), accuracy_level_(accuracy_level) {}

  void product(const ir::Node& node, const Weight& matrix, const std::vector<BlockMatrix>& parts) {
    const ir::Tensor x(graph_, node.inputs[0]);
    const std::string& name = node.inputs[1]->name;
    // ONNX Runtime 1.32 multiplies f16 by 8-bit integers wrongly.
    const int64_t accuracy_level = matrix.dtype() == DType::f16 ? 0 : accuracy_level_;
    std::vector<ir::Tensor> results;
    for (const BlockMatrix& part : merged(parts)) {
      const std::string part_name = results.empty() ? name : fmt::format("{}_{}", name, results.size());
      results.push_back(matmul_nbits(part.order ? ordered(x, *part.order) : x, part.weights, part.format,
                                     matrix.dims()[0], accuracy_level, part_name));
    }
    replace_product(graph_, node, results.size() == 1 ? results[0] : op::concat(results, -1));
  }

 private:
  ir::Tensor ordered(const ir::Tensor& x, const Weight& order) {
    const auto [at, added] = ordered_.try_emplace({x.value(), content_key(order)});
    if (added) at->second = op::gather(x, op::weight(graph_, x.value()->name + "_order", order), -1);
    return at->second;
  }

  ir::Graph& graph_;
  int64_t accuracy_level_;
  std::map<std::pair<const ir::Value*, std::string>, ir::Tensor> ordered_;
};

}  // namespace

StoredBlocksResult take_stored_blocks(ir::Graph& graph, int64_t accuracy_level) {
  StoredBlocksResult out;
  for_each_graph(graph, [&](ir::Graph& each) {
    Taker taker(each, accuracy_level);
    const std::string scope = each.scope();
    for (size_t i = 0; i < each.nodes().size(); ++i) {
      const ir::Node& node = *each.nodes()[i];
      auto matrix = matrix_of(node, DType::f32);
      if (!matrix) matrix = matrix_of(node, DType::f16);
      if (!matrix || !has_grouped(*matrix)) continue;
      const auto parts = stored_blocks(*matrix);
      if (parts.empty()) {
        out.kept.push_back(node.name);
        continue;
      }
      const size_t before = each.nodes().size();
      each.set_insertion_point(i);
      each.set_scope(node.name.substr(0, node.name.rfind('/')));
      taker.product(node, *matrix, parts);
      each.set_insertion_point(std::nullopt);
      i += each.nodes().size() - before;  // What was added lies before the node.
      ++out.products;
    }
    each.set_scope(scope);
    each.remove_dead_nodes();
  });
  return out;
}

}  // namespace ferry::passes
