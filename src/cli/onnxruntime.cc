// ferry onnxruntime optimize|quantize: what comes after an export, under Optimum's names.
#include "cli/commands.h"

namespace ferry::cli {

void add_onnxruntime(CLI::App& parent, Context& context) {
  CLI::App* group = context.group(parent, "onnxruntime", "Optimize and quantize ONNX models");
  add_optimize(*group, context);
  add_quantize(*group, context);
}

}  // namespace ferry::cli
