#include "exporter/prove.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "exporter/export_quantization.h"
#include "onnx/refer_to_weights.h"

namespace ferry::exporter {
namespace {

// The file as it was written, its weights mapped and not copied.
ort::Session mapped_session(const ort::Runtime& runtime, const WrittenModel& model,
                            ort::SessionOptions& options) {
  namespace fs = std::filesystem;
  const fs::path file = fs::absolute(model.file);
  const fs::path folder =
      model.weights_folder.empty() ? file.parent_path() : fs::absolute(model.weights_folder);
  options.config["session.model_external_initializers_file_folder_path"] = folder.string();
  const auto mapped = MappedFile::open(file);
  const std::string graph = onnx::refer_to_weights(mapped->bytes(), file.lexically_relative(folder).string());
  return {runtime, std::as_bytes(std::span(graph)), options};
}

ort::Session open_session(const WrittenModel& model, const Log& log) {
  ort::RuntimeOptions runtime_options;
  runtime_options.library = model.onnxruntime;
  runtime_options.log = log;
  const auto runtime = ort::Runtime::open(runtime_options);
  ort::SessionOptions options;
  options.graph_optimization = ort::GraphOptimization::none;
  options.severity = LogLevel::error;
  // Two short runs: arranging the weights for fast ones would take longer than it saves. Integers are
  // multiplied as a user's session does it, which arranged weights decide.
  if (!model.quantized) options.config["session.disable_prepacking"] = "1";
  options.memory_pattern = false;
  options.cpu_arena = false;  // It takes memory by doubling what it has, and keeps it.
  return mapped_session(runtime, model, options);
}

[[noreturn]] void refuse(const WrittenModel& model, const std::vector<std::string>& wrong) {
  if (model.by_cosine) {
    throw Error(ErrorCode::validation_failed,
                fmt::format("the quantized model is too far from the reference (cosine below {}): {}",
                            kLeastCosine, join(wrong)))
        .with_hint("nothing was written; try smaller blocks, --head-bits 8 or 0, or int8");
  }
  throw Error(ErrorCode::validation_failed,
              fmt::format("The maximum absolute difference between the output of the reference model and "
                          "the ONNX exported model is not within the set "
                          "tolerance {}: {}",
                          model.tolerance.absolute, join(wrong)))
      .with_hint("nothing was written; --atol sets another tolerance");
}

}  // namespace

std::vector<OutputValidation> prove(const WrittenModel& model, const ir::Graph& graph,
                                    const std::vector<ReferenceRun>& reference, const Log& log) {
  refuse_weights_that_are_no_numbers(reference, graph, model.shown);
  // The checkpoint is not read again before the next part, and would be in memory beside the file.
  for (const ir::Value* value : graph.used_weights()) value->weight->drop_pages();
  const ort::Session session = open_session(model, log);
  std::vector<std::string> names;
  for (const auto* output : graph.outputs) names.push_back(output->name);
  auto out = model.by_cosine ? compare_quantized(reference, session, names, model.shown, log)
                             : compare(reference, session, names, model.tolerance, model.shown, log);
  std::vector<std::string> wrong;
  for (const auto& output : out) {
    if (!output.within_tolerance)
      wrong.push_back(fmt::format("{}: max diff = {}", output.name, output.max_difference));
  }
  if (!wrong.empty()) refuse(model, wrong);
  return out;
}

}  // namespace ferry::exporter
