#include "cli/quantize_loss.h"

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/flags.h"
#include "ferry/compare.h"

namespace ferry::cli {
namespace {

LoadOptions loading(const std::string& onnxruntime, const Context& context) {
  LoadOptions out;
  out.onnxruntime = onnxruntime.empty() ? context.variable("FERRY_ONNXRUNTIME") : onnxruntime;
  out.environment = context.environment();
  out.log = &context.log();
  return out;
}

}  // namespace

MaxLoss limit_of(const LossFlags& flags, const std::string& onnxruntime, const Context& context) {
  MaxLoss out;
  out.max_loss = *flags.max_loss;
  out.metric = flags.metric;
  out.input = flags.input;
  out.max_samples = flags.max_samples;
  out.load = loading(onnxruntime, context);
  return out;
}

void check(const LossFlags& loss, const std::filesystem::path& folder) {
  std::error_code ignored;
  if (std::filesystem::is_directory(loss.report, ignored))
    throw Error(ErrorCode::usage,
                "--report " + printable(loss.report, 1000) + " is a folder: it is one file");
  if (!loss.max_loss && loss.report.empty() && !loss.input.empty())
    throw Error(ErrorCode::usage, "--input belongs to --max-loss or --report");
  // A page is about one model.
  if (!loss.report.empty()) static_cast<void>(ORTQuantizer::from_pretrained(folder));
}

// The model that was made against the one that it was made of.
void write_page(const LossFlags& flags, const SearchedQuantization& searched,
                const std::filesystem::path& folder, const std::filesystem::path& output,
                const std::string& onnxruntime, const Context& context) {
  CompareOptions options;
  options.input = flags.input;
  options.max_samples = flags.max_samples;
  options.layers = options.weights = true;
  options.load = loading(onnxruntime, context);
  const auto model = ORTQuantizer::from_pretrained(folder).model();
  auto report = compare_models(model, output / searched.quantization.files.at(0).file, options);
  report.nodes = searched.nodes;
  report.metric = flags.metric;
  write_report(report, flags.report);
  context.log().info("Report: " + printable(flags.report, 1000));
}

nlohmann::ordered_json search_json(const LossFlags& flags, const SearchedQuantization& searched) {
  nlohmann::ordered_json nodes = nlohmann::ordered_json::array();
  for (const NodeLoss& node : searched.nodes) {
    nodes.push_back({{"name", node.name},
                     {"op_type", node.op_type},
                     {"loss", node.loss},
                     {"saved", node.saved},
                     {"kept", node.kept}});
  }
  return {{"metric", flags.metric},    {"max_loss", *flags.max_loss},
          {"loss", searched.loss},     {"loss_of_all", searched.full_loss},
          {"trials", searched.trials}, {"nodes", std::move(nodes)}};
}

void add_loss_flags(CLI::App& app, LossFlags& flags) {
  const char* group = "What may be lost";
  app.add_option("--max-loss,--max_loss", flags.max_loss,
                 "Keep as few nodes in floats as it takes to lose no more than this on --input")
      ->check(not_negative())
      ->group(group);
  app.add_option("--metric", flags.metric,
                 "cosine: 1 - mean cosine; agreement: decisions that change; kl: of logits")
      ->check(CLI::IsMember({"cosine", "agreement", "kl"}))
      ->group(group);
  app.add_option("--input", flags.input, "Samples, one JSON object a line, as of ferry compare")
      ->group(group);
  app.add_option("--max-samples,--max_samples", flags.max_samples, "Lines to read at most; 0: all")
      ->capture_default_str()
      ->group(group);
  app.add_option("--report", flags.report, "Write one HTML file: the result against the original")
      ->group(group);
}

}  // namespace ferry::cli
