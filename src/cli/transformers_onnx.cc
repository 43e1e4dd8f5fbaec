// ferry transformers.onnx: the front that came before Optimum's, `python -m transformers.onnx`.
// Source: transformers 4.57.6, onnx/__main__.py.
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/model_flags.h"
#include "cli/report.h"

namespace ferry::cli {
namespace {

struct Flags {
  ModelFlags model;
  MainExportOptions options;
  std::string output;
  std::string feature = "default";
  std::string preprocessor = "auto";
  bool export_with_transformers = false;
};

void transformers_onnx(Flags& flags, const Context& context) {
  if (flags.model.model.empty()) throw Error(ErrorCode::usage, "--model is missing");
  if (flags.output.empty()) throw Error(ErrorCode::usage, "the output folder is missing");
  flags.model.apply(context, flags.options);
  flags.options.output = flags.output;
  flags.options.task = flags.feature;
  const ExportReport report = main_export(flags.options);
  for (const FileReport& file : report.files) {
    context.log().info("All good, model saved at: " + (flags.options.output / file.file).string());
  }
  if (context.json()) context.print_json(to_json(report, flags.options.output));
}

}  // namespace

void add_transformers_onnx(CLI::App& parent, Context& context) {
  auto flags = std::make_shared<Flags>();
  CLI::App* app =
      context.command(parent, "transformers.onnx",
                      "Export as `python -m transformers.onnx` does: the body, unless --feature is given",
                      [flags, &context] { transformers_onnx(*flags, context); });
  app->add_option("-m,--model", flags->model.model,
                  "Folder of the checkpoint, or a model on the Hub (org/name)");
  app->add_option("output", flags->output, "Folder for the exported model; made if it is not there");
  app->add_option("--feature", flags->feature,
                  "default (the body), sequence-classification, question-answering, ...")
      ->capture_default_str();
  app->add_option("--opset", flags->options.opset, "ONNX opset, 13 to 24 (default: 18)")->check(at_least(1));
  app->add_option("--atol", flags->options.atol, "Largest absolute difference of the validation")
      ->check(not_negative());
  app->add_option("--framework", flags->options.framework, "Whose weights, where there are both")
      ->check(CLI::IsMember({"pt", "tf"}));
  app->add_option("--preprocessor", flags->preprocessor, "Accepted, without effect: what is there is copied")
      ->check(CLI::IsMember({"auto", "tokenizer", "feature_extractor", "image_processor", "processor"}));
  app->add_flag("--export_with_transformers", flags->export_with_transformers, "Accepted, without effect");
  flags->model.add(*app);
}

}  // namespace ferry::cli
