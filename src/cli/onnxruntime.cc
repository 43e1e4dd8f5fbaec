// ferry onnxruntime optimize|quantize: what comes after an export, under Optimum's names.
#include "cli/commands.h"

namespace ferry::cli {

void add_onnxruntime(CLI::App& parent, Context& context) {
  CLI::App* group = context.group(parent, "onnxruntime", "Optimize and quantize ONNX models");
  add_optimize(*group, context);
  context
      .command(*group, "quantize", "Not built yet",
               [] {
                 not_built_yet("onnxruntime quantize",
                               "the folders that `ferry export onnx` writes are Optimum's: its own command "
                               "takes them");
               })
      ->prefix_command();  // Whatever flags follow, the answer is the same.
}

}  // namespace ferry::cli
