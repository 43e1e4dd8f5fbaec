// ferry onnxruntime optimize|quantize: known by name, so that whoever types Optimum's commands learns where
// they stand.
#include "cli/commands.h"

namespace ferry::cli {

void add_onnxruntime(CLI::App& parent, Context& context) {
  CLI::App* group = context.group(parent, "onnxruntime", "Optimize and quantize ONNX models (not built yet)");
  for (const char* name : {"optimize", "quantize"}) {
    const std::string what = std::string("onnxruntime ") + name;
    CLI::App* app = context.command(*group, name, "Not built yet", [what] {
      not_built_yet(what,
                    "the folders that `ferry export onnx` writes are Optimum's: its own command takes them");
    });
    app->prefix_command();  // Whatever flags follow, the answer is the same.
  }
}

}  // namespace ferry::cli
