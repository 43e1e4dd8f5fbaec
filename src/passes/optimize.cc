#include "passes/optimize.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "ir/infer.h"
#include "ir/op.h"
#include "passes/legalize.h"
#include "passes/rewrite.h"
#include "passes/share.h"
#include "passes/simplify.h"
#include "passes/upgrade.h"

namespace ferry::passes {
namespace {

void clean(ir::Graph& graph, const Evaluator& evaluate) {
  // What one of them finds, the others can use.
  constexpr int kRounds = 3;
  for (int round = 0; round < kRounds; ++round) {
    for_each_graph(graph, [&](ir::Graph& each) {
      for (const auto& node : each.nodes()) (void)ir::infer_declared(*node, ir::Trust::inferred);
      fold_constants(each, evaluate);
      simplify(each);
    });
    share(graph);
    for_each_graph(graph, [&](ir::Graph& each) {
      if (&each != &graph) share(each);
    });
  }
  graph.remove_dead_nodes();
}

// The shape of a cache is that of the past, longer by the new tokens. Exporters ask the concatenated cache,
// which an operator that concatenates itself gives too late for its own mask.
void ask_shape_of_parts(ir::Graph& graph, size_t place) {
  ir::Node& node = *graph.nodes()[place];
  const ir::Value* asked = node.is("Shape") ? node.input(0) : nullptr;
  const ir::Node* concat = asked != nullptr ? asked->producer : nullptr;
  if (concat == nullptr || !concat->is("Concat") || concat->inputs.size() != 2 || !asked->shape) return;
  const auto rank = static_cast<int64_t>(asked->rank());
  const auto from_front = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const int64_t start = from_front(node.get("start", int64_t{0})), end = from_front(node.get("end", rank));
  const int64_t axis = from_front(concat->get("axis", int64_t{0}));
  const auto shape_of = [&](ir::Value* part) { return ir::op::shape_of({graph, part}, start, end); };
  std::vector<int64_t> grows(static_cast<size_t>(std::max<int64_t>(0, end - start)), 0);
  if (grows.empty() || !concat->inputs[0]->shape || !concat->inputs[1]->shape) return;
  if (axis < start || axis >= end) {
    node.inputs[0] = concat->inputs[0];
    return;
  }
  grows[static_cast<size_t>(axis - start)] = 1;
  const ir::Tensor longer = ir::op::mul(shape_of(concat->inputs[1]), ir::op::integers(graph, grows));
  const ir::Tensor past = shape_of(concat->inputs[0]);
  node.op_type = "Add";
  node.attributes.clear();
  node.inputs = {past.value(), longer.value()};
}

void ask_shapes_of_parts(ir::Graph& graph) {
  for (size_t place = 0; place < graph.nodes().size(); ++place) {
    graph.set_insertion_point(place);
    ask_shape_of_parts(graph, place);
    place = *graph.insertion_point();
    graph.set_insertion_point(std::nullopt);
  }
}

// Passes look at each node's users, so that their time grows faster than the graph. The largest models have
// some ten thousand nodes.
void check_size(const ir::Graph& graph) {
  constexpr size_t kMost = 100'000;
  if (graph.nodes().size() <= kMost) return;
  throw Error(ErrorCode::unsupported,
              fmt::format("the graph has {} nodes; up to {} are optimized", graph.nodes().size(), kMost));
}

}  // namespace

void approximate_gelu(ir::Graph& graph) {
  for_each_graph(graph, [](ir::Graph& each) {
    for (const auto& node : each.nodes()) {
      if (node->is("Gelu")) node->attributes["approximate"] = std::string("tanh");
    }
  });
}

OptimizeReport optimize(ir::Graph& graph, const OptimizeOptions& options) {
  OptimizeReport report;
  const auto declared = graph.opsets.find("");
  const int own = declared == graph.opsets.end() ? options.oldest_opset : declared->second;
  check_size(graph);
  upgrade(graph);
  clean(graph, options.evaluate);
  if (options.transformers) {
    report.found = raise(graph, options.raise);
    clean(graph, options.evaluate);
  }
  if (options.gelu_approximation) approximate_gelu(graph);
  if (options.transformers && options.fuse) {
    for_each_graph(graph, [&](ir::Graph& each) {
      ask_shapes_of_parts(each);
      for (const auto& [op_type, number] : fuse(each, *options.fuse)) report.fused[op_type] += number;
    });
  }
  if (options.fp16) report.fp16 = to_fp16(graph, options.fp16_options);
  legalize(graph, std::max(own, options.oldest_opset));
  clean(graph, options.evaluate);
  ir::verify(graph);
  return report;
}

}  // namespace ferry::passes
