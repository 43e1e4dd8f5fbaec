#pragma once
// Every command of the program: one function adds one to its parent. Each has a file of its own.
#include <CLI/CLI.hpp>

#include "cli/context.h"

namespace ferry::cli {

void add_export_onnx(CLI::App& parent, Context& context);
void add_export_tflite(CLI::App& parent, Context& context);
void add_transformers_onnx(CLI::App& parent, Context& context);
void add_inspect(CLI::App& parent, Context& context);
void add_run(CLI::App& parent, Context& context);
void add_compare(CLI::App& parent, Context& context);
void add_tokenize(CLI::App& parent, Context& context);
void add_hub(CLI::App& parent, Context& context);
void add_env(CLI::App& parent, Context& context);
void add_onnxruntime(CLI::App& parent, Context& context);
void add_optimize(CLI::App& parent, Context& context);
void add_quantize(CLI::App& parent, Context& context);
void add_internal(CLI::App& parent, Context& context);

}  // namespace ferry::cli
