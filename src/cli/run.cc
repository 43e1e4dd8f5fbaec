// ferry run TASK FOLDER: an exported model with its tokenizer and pipeline.
#include <memory>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/run_flags.h"
#include "cli/run_pipeline.h"
#include "ferry/pipelines.h"

namespace ferry::cli {
namespace {
using Json = nlohmann::ordered_json;

struct Flags {
  RunRequest request;
  Json input = Json::object();
  Json options = Json::object();  // Of flags; they win over `json`.
  std::string json = "{}";
  std::string provider, onnxruntime;
};

void run(Flags& flags, Context& context) {
  Json options = parse_json(flags.json, "--options");
  if (!options.is_object()) throw Error(ErrorCode::usage, "--options is not a JSON object");
  options.update(flags.options);
  RunRequest& request = flags.request;
  if (request.batch_size < 1 || request.batch_size > 4096)
    throw Error(ErrorCode::usage, "--batch-size is between 1 and 4096");
  if (!flags.provider.empty()) request.load.providers = {flags.provider};
  request.load.onnxruntime =
      flags.onnxruntime.empty() ? context.variable("FERRY_ONNXRUNTIME") : flags.onnxruntime;
  request.load.environment = context.environment();
  request.load.log = &context.log();
  request.compact = context.json();
  run_pipeline(request, flags.input, options, context.out());
}

}  // namespace

void add_run(CLI::App& parent, Context& context) {
  auto flags = std::make_shared<Flags>();
  CLI::App* app = context.command(
      parent, "run", "Run a pipeline on an exported folder: text, picture or sound in, answer out",
      [flags, &context] { run(*flags, context); });
  RunRequest& request = flags->request;
  app->add_option("task", request.task, join(pipeline_tasks()))->required();
  app->add_option("model", request.model, "Exported folder, or a model on the Hub")->required();
  add_run_flags(*app, run_input_flags(), flags->input);
  app->add_option(
      "--input", request.input,
      "JSON Lines file of inputs, - for standard input: texts, or objects as the flags name them");
  app->add_option("--output", request.output, "Where results go, one line each; standard output if left out");
  app->add_option("--draw", request.draw, "PNG file for the picture with the result drawn on it");
  app->add_flag("--stream", request.stream, "Write generated text as it comes");
  app->add_option("--batch-size", request.batch_size, "Inputs computed at once")->capture_default_str();
  app->add_option("--options", flags->json, "Options of the pipeline as JSON, with transformers' names")
      ->capture_default_str();
  add_run_flags(*app, run_option_flags(), flags->options);
  app->add_option(
      "--dtype", request.load.dtype,
      "Which of several precisions, as `ferry export onnx --dtypes` writes them: fp16, q8, q4, ...");
  app->add_option("--threads", request.load.intra_op_threads, "Threads of ONNX Runtime; 0: one a core")
      ->capture_default_str();
  app->add_option("--provider", flags->provider, "Execution provider of ONNX Runtime");
  app->add_option("--onnxruntime", flags->onnxruntime, "ONNX Runtime's library");
}

}  // namespace ferry::cli
