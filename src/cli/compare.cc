// ferry compare A B: what a model gains and loses against another.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "ferry/compare.h"

namespace ferry::cli {
namespace {
using Json = nlohmann::ordered_json;

struct Flags {
  std::string a, b, input, report, provider, onnxruntime;
  CompareOptions options;
};

Json figures_json(const ErrorFigures& error) {
  Json out = {{"max_difference", error.max_difference},
              {"mean_difference", error.mean_difference},
              {"relative", error.relative},
              {"cosine", error.cosine},
              {"least_cosine", error.least_cosine}};
  if (error.kl) out["kl"] = *error.kl;
  return out;
}

Json model_json(const ComparedModel& model) {
  return {{"file", model.file.string()},    {"bytes", model.bytes},
          {"nodes", model.nodes},           {"load_ms", model.load_ms},
          {"latency_ms", model.latency_ms}, {"runs", model.latencies_ms.size()}};
}

Json report_json(const ComparisonReport& report) {
  Json out = {{"a", model_json(report.a)},
              {"b", model_json(report.b)},
              {"samples", report.samples},
              {"input", report.input.empty() ? Json() : Json(report.input.string())}};
  Json outputs = Json::array();
  for (const auto& output : report.outputs) {
    outputs.push_back({{"name", output.name}});
    outputs.back().update(figures_json(output.error));
  }
  out["outputs"] = std::move(outputs);
  if (report.agreement) {
    out["agreement"] = {{"of", report.agreement->of},
                        {"same", report.agreement->same},
                        {"total", report.agreement->total},
                        {"rate", report.agreement->rate()}};
  }
  if (report.layers.empty()) return out;
  Json layers = Json::array();
  for (const auto& layer : report.layers) {
    layers.push_back({{"name", layer.name}, {"op_type", layer.op_type}});
    layers.back().update(figures_json(layer.error));
  }
  out["layers"] = std::move(layers);
  return out;
}

std::string milliseconds(double value) {
  return value < 10 ? fmt::format("{:.2f} ms", value) : fmt::format("{:.0f} ms", value);
}

void print_costs(std::ostream& out, const ComparisonReport& report) {
  const ComparedModel &a = report.a, &b = report.b;
  const auto row = [&](const char* label, const std::string& of_a, const std::string& of_b,
                       const std::string& note) {
    out << fmt::format("{:<9} {:>12} {:>12}{}{}\n", label, of_a, of_b, note.empty() ? "" : "   ", note);
  };
  out << "A         " << printable(a.file.string(), 1000) << "\nB         "
      << printable(b.file.string(), 1000) << "\nsamples   "
      << (report.input.empty()
              ? fmt::format("{} batches of random inputs", report.samples)
              : fmt::format("{} of {}", report.samples, printable(report.input.string(), 1000)))
      << "\n\n";
  row("", "A", "B", "");
  row("size", human_bytes(static_cast<double>(a.bytes)), human_bytes(static_cast<double>(b.bytes)),
      fmt::format("{:.2f}x", static_cast<double>(b.bytes) / std::max(1.0, static_cast<double>(a.bytes))));
  row("nodes", std::to_string(a.nodes), std::to_string(b.nodes), "");
  row("load", milliseconds(a.load_ms), milliseconds(b.load_ms), "");
  row("latency", milliseconds(a.latency_ms), milliseconds(b.latency_ms),
      fmt::format("{:.2f}x as fast, medians of {} runs", a.latency_ms / std::max(b.latency_ms, 1e-9),
                  b.latencies_ms.size()));
}

// Caches by their worst alone: a decoder has dozens.
std::vector<OutputComparison> shown_outputs(const std::vector<OutputComparison>& outputs) {
  std::vector<OutputComparison> out, caches;
  for (const auto& output : outputs) (starts_with(output.name, "present") ? caches : out).push_back(output);
  if (caches.empty()) return out;
  auto worst = std::min_element(caches.begin(), caches.end(),
                                [](const auto& x, const auto& y) { return x.error.cosine < y.error.cosine; });
  worst->name = fmt::format("worst of {} caches: {}", caches.size(), worst->name);
  out.push_back(std::move(*worst));
  return out;
}

void print_errors(std::ostream& out, const std::vector<OutputComparison>& outputs, const char* label) {
  const bool has_kl =
      std::any_of(outputs.begin(), outputs.end(), [](const auto& o) { return o.error.kl.has_value(); });
  size_t widest = std::string_view(label).size();
  for (const auto& output : outputs) widest = std::max(widest, printable(output.name).size());
  out << fmt::format("\n{:<{}}  {:>9} {:>9} {:>9} {:>9} {:>9}{}\n", label, widest, "max diff", "mean diff",
                     "relative", "cosine", "least", has_kl ? "        KL" : "");
  for (const auto& output : outputs) {
    const ErrorFigures& error = output.error;
    out << fmt::format("{:<{}}  {:>9.3g} {:>9.3g} {:>9.3g} {:>9.6f} {:>9.6f}{}\n", printable(output.name),
                       widest, error.max_difference, error.mean_difference, error.relative, error.cosine,
                       error.least_cosine, error.kl ? fmt::format(" {:>9.3g}", *error.kl) : "");
  }
}

void print(std::ostream& out, const ComparisonReport& report) {
  print_costs(out, report);
  print_errors(out, shown_outputs(report.outputs), "output");
  if (report.agreement) {
    out << fmt::format("\nagreement: {:.2f} % ({} of {}, by {})\n", 100 * report.agreement->rate(),
                       report.agreement->same, report.agreement->total, report.agreement->of);
  }
  if (report.layers.empty()) return;
  std::vector<OutputComparison> layers;
  for (const auto& layer : report.layers) layers.push_back({layer.name, layer.error});
  print_errors(out, layers, "tensor");
}

void compare(Flags& flags, const Context& context) {
  if (flags.a.empty() || flags.b.empty()) {
    throw Error(ErrorCode::usage, "two models are needed")
        .with_hint("ferry compare A B, each a folder or an .onnx file");
  }
  std::error_code ignored;
  if (std::filesystem::is_directory(flags.report, ignored))
    throw Error(ErrorCode::usage,
                "--report " + printable(flags.report, 1000) + " is a folder: it is one file");
  CompareOptions& options = flags.options;
  options.input = flags.input;
  options.weights = !flags.report.empty();
  options.layers = options.layers || options.weights;
  if (!flags.provider.empty()) options.load.providers = {flags.provider};
  options.load.onnxruntime =
      flags.onnxruntime.empty() ? context.variable("FERRY_ONNXRUNTIME") : flags.onnxruntime;
  options.load.environment = context.environment();
  options.load.log = &context.log();
  const ComparisonReport report = compare_models(flags.a, flags.b, options);
  if (!flags.report.empty()) {
    write_report(report, flags.report);
    context.log().info("Report: " + printable(flags.report, 1000));
  }
  if (context.json()) {
    context.print_json(report_json(report));
  } else {
    ComparisonReport shown = report;
    if (!flags.report.empty()) shown.layers.clear();  // They are in the report.
    print(context.out(), shown);
  }
}

}  // namespace

void add_compare(CLI::App& parent, Context& context) {
  auto flags = std::make_shared<Flags>();
  CLI::App* app =
      context.command(parent, "compare", "Compare two ONNX models: size, latency, error, agreement",
                      [flags, &context] { compare(*flags, context); });
  auto& options = flags->options;
  app->add_option("a", flags->a, "The model to measure against: a folder or an .onnx file");
  app->add_option("b", flags->b, "The other: quantized, optimized, converted");
  app->add_option(
      "--input", flags->input,
      "Samples, one JSON object a line: text and text_pair, question and context, image, audio, or "
      "inputs by name. Without it: random inputs");
  app->add_option("--max-samples", options.max_samples, "Lines to read at most; 0: all")
      ->capture_default_str();
  app->add_option("--max-length", options.max_length, "Tokens of a text at most")
      ->check(at_least(1))
      ->capture_default_str();
  app->add_flag("--layers", options.layers, "Also the error of tensors inside that both graphs name alike");
  app->add_option("--report", flags->report,
                  "Write one HTML file with plots of size, latency, error by layer and weights");
  app->add_option("--runs", options.runs, "Latency: runs of each of up to 16 samples")
      ->check(at_least(1))
      ->capture_default_str();
  app->add_option("--file-name,--file_name", options.load.file_name,
                  "Of several .onnx files in a folder, which");
  app->add_option("--threads", options.load.intra_op_threads, "Threads of ONNX Runtime; 0: one a core")
      ->check(at_least(0))
      ->capture_default_str();
  app->add_option("--provider", flags->provider, "Execution provider of ONNX Runtime");
  app->add_option("--onnxruntime", flags->onnxruntime, "libonnxruntime.so, or the folder it is in");
}

}  // namespace ferry::cli
