#include "passes/optimize.h"

#include <algorithm>

#include "ir/infer.h"
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
  upgrade(graph);
  clean(graph, options.evaluate);
  if (options.transformers) {
    report.found = raise(graph, options.raise);
    clean(graph, options.evaluate);
  }
  if (options.gelu_approximation) approximate_gelu(graph);
  if (options.transformers && options.fuse) {
    for (const auto& [op_type, number] : fuse(graph, *options.fuse)) report.found[op_type] += number;
  }
  if (options.fp16) report.fp16 = to_fp16(graph, options.fp16_options);
  legalize(graph, std::max(own, options.oldest_opset));
  clean(graph, options.evaluate);
  ir::verify(graph);
  return report;
}

}  // namespace ferry::passes
