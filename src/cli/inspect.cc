// ferry inspect: what a checkpoint or an exported folder is, from its headers alone.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/model_flags.h"
#include "cli/report.h"

namespace ferry::cli {
namespace {

// 66,955,010
std::string with_commas(uint64_t number) {
  std::string digits = std::to_string(number);
  for (size_t at = digits.size(); at > 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

void row(std::ostream& out, std::string_view label, const std::string& text) {
  if (!text.empty()) out << fmt::format("{:<11} {}\n", label, text);
}

std::string parameters(const ModelInfo& info) {
  if (info.parameters == 0) return "";
  std::vector<std::string> kinds;
  for (const auto& [dtype, count] : info.parameters_by_dtype) {
    kinds.push_back(with_commas(count) + " " + printable(dtype));
  }
  return with_commas(info.parameters) + (kinds.empty() ? "" : " (" + join(kinds) + ")");
}

void values(std::ostream& out, std::string_view label, const std::vector<InputOutput>& values) {
  size_t widest = 0;
  for (const InputOutput& value : values) widest = std::max(widest, printable(value.name).size());
  for (const InputOutput& value : values) {
    out << fmt::format("  {:<8} {:<{}}  {}[{}]\n", label, printable(value.name), widest, value.dtype,
                       printable(join(value.axes, ", ", 100)));
    label = "";
  }
}

void print(std::ostream& out, const std::string& model, const ModelInfo& info) {
  row(out, "model", printable(model, 4096));
  row(out, "type",
      printable(info.model_type) + (info.library.empty() ? "" : " (" + printable(info.library) + ")"));
  row(out, "task", printable(info.task));
  row(out, "tasks", join(info.tasks, ", ", 100));
  row(out, "weights", printable(info.format));
  row(out, "parameters", parameters(info));
  for (const auto& file : info.weight_files) row(out, "file", printable(file.string(), 4096));
  for (const InspectedFile& file : info.files) {
    out << '\n' << printable(file.file, 4096) << '\n';
    values(out, "inputs", file.inputs);
    values(out, "outputs", file.outputs);
  }
}

struct Flags {
  ModelFlags model;
  MainExportOptions options;
};

void inspect(Flags& flags, const Context& context) {
  if (flags.model.model.empty()) {
    throw Error(ErrorCode::usage, "the model is missing").with_hint("ferry inspect FOLDER_OR_HUB_NAME");
  }
  flags.model.apply(context, flags.options);
  // What an export would tell on its way is not asked for here.
  Log log = context.log();
  log.on_message = [&](LogLevel level, std::string_view text) {
    if (level >= LogLevel::warning) context.log().on_message(level, text);
  };
  flags.options.log = &log;
  const ModelInfo info = inspect_model(flags.options);
  if (context.json()) {
    context.print_json(to_json(info));
  } else {
    print(context.out(), flags.model.model, info);
  }
}

}  // namespace

void add_inspect(CLI::App& parent, Context& context) {
  auto flags = std::make_shared<Flags>();
  CLI::App* app =
      context.command(parent, "inspect", "Say what a checkpoint, an exported folder or an .onnx file is",
                      [flags, &context] { inspect(*flags, context); });
  app->add_option("model,-m,--model", flags->model.model,
                  "Folder, .onnx file, or a model on the Hub (org/name)");
  app->add_option("--task", flags->options.task, "Task whose inputs and outputs are shown")
      ->capture_default_str();
  app->add_option("--framework", flags->options.framework, "Whose weights, where there are both")
      ->check(CLI::IsMember({"pt", "tf"}));
  flags->model.add(*app);
}

}  // namespace ferry::cli
