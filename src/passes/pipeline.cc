#include "passes/pipeline.h"

#include "passes/batch_norm.h"
#include "passes/fold.h"
#include "passes/fuse.h"
#include "passes/in_place.h"
#include "passes/legalize.h"
#include "passes/optimize.h"
#include "passes/share.h"
#include "passes/simplify.h"

namespace ferry::passes {

void run_pipeline(ir::Graph& graph, const PipelineOptions& options) {
  const auto step = [&](std::string_view name, bool wanted, const std::function<void()>& pass) {
    if (!wanted || options.skip.count(name) > 0) return;
    pass();
    ir::verify(graph);
    if (options.after) options.after(name, graph);
  };
  step("fold_constants", options.constant_folding, [&] { fold_constants(graph, options.evaluate); });
  step("fold_batch_norms", options.constant_folding && !options.in_place, [&] { fold_batch_norms(graph); });
  step("share", true, [&] { share(graph); });
  step("approximate_gelu", options.gelu_approximation, [&] { approximate_gelu(graph); });
  step("fuse", options.fuse.has_value(), [&] { fuse(graph, *options.fuse); });
  step("quantize_weights", options.quantize_weights != nullptr, [&] { options.quantize_weights(graph); });
  step("fp16", options.fp16.has_value(), [&] { (void)to_fp16(graph, *options.fp16); });
  step("legalize", true, [&] { legalize(graph, options.opset); });
  step("simplify", true, [&] { simplify(graph); });
  // What the lowering of several layers made alike.
  step("share_lowered", true, [&] { share(graph); });
  step("expose_stored_weights", options.in_place, [&] { expose_stored_weights(graph); });
}

}  // namespace ferry::passes
