#include "cli/cli.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <new>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/flags.h"
#include "cli/report.h"
#include "cli/version.h"

namespace ferry::cli {
namespace {

int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::usage:
      return kExitUsage;
    case ErrorCode::validation_failed:
      return kExitMismatch;
    case ErrorCode::internal:
      return kExitInternal;
    default:
      return kExitBadInput;
  }
}

// "ferry export onnx": the command that was meant, as it is typed.
std::string spelled(const CLI::App* app) {
  const CLI::App* parent = app->get_parent();
  return (parent == nullptr ? "" : spelled(parent) + " ") + app->get_name();
}

void print_help(const CLI::App* app, std::ostream& out) {
  out << app->help(app->get_parent() == nullptr ? "" : spelled(app->get_parent()));
}

const CLI::App* innermost(const CLI::App& root) {
  const CLI::App* app = &root;
  while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
  return app;
}

// The flags or, for a word, the commands that `app` knows.
std::vector<std::string> known_names(const CLI::App* app, bool flags) {
  std::vector<std::string> names;
  if (flags) {
    for (const CLI::Option* option : app->get_options()) {
      for (const auto& name : option->get_lnames()) names.push_back("--" + name);
    }
  } else {
    for (const CLI::App* below : app->get_subcommands([](const CLI::App*) { return true; })) {
      if (!below->get_group().empty()) names.push_back(below->get_name());  // No group: hidden.
    }
  }
  return names;
}

// Throws for the first word of the line that no command took.
void refuse_extras(const CLI::App& root) {
  const CLI::App* app = innermost(root);
  const std::vector<std::string> extras = root.remaining(true);
  if (extras.empty() || app->get_prefix_command()) return;
  const bool flag = starts_with(extras.front(), "-");
  const std::string name = flag ? extras.front().substr(0, extras.front().find('=')) : extras.front();
  const auto candidates = known_names(app, flag);
  const auto near = nearest(name, candidates);
  const char* kind = flag ? "flag" : candidates.empty() ? "argument" : "command";
  Error error(ErrorCode::usage, std::string("unknown ") + kind + " '" + name + "' of `" + spelled(app) + "`");
  error.with_hint(near.empty() ? "see `" + spelled(app) + " --help`"
                               : "did you mean " + join(near, " or ") + "?");
  throw error;
}

void add_commands(CLI::App& root, Context& context) {
  CLI::App* exports = context.group(root, "export", "Export a checkpoint");
  add_export_onnx(*exports, context);
  add_export_tflite(*exports, context);
  add_inspect(root, context);
  add_run(root, context);
  add_compare(root, context);
  add_tokenize(root, context);
  add_hub(root, context);
  add_env(root, context);
  add_onnxruntime(root, context);
  add_transformers_onnx(root, context);
  add_internal(root, context);
}

void report(Context& context, const Error& error) {
  std::string text = error.message();
  for (const auto& where : error.contexts()) text += " (" + where + ")";
  context.console().line("error[" + std::string(to_string(error.code())) + "]: ", text, true);
  if (!error.hint().empty()) context.console().line("hint: ", error.hint(), false);
  if (context.json()) context.print_json(to_json(error));
}

// Help and the version are results; anything else that CLI11 throws is a mistake in the line.
int finish_parsing(const CLI::App& root, const CLI::ParseError& error, const Io& io) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
    if (dynamic_cast<const CLI::CallForVersion*>(&error) != nullptr) {
      io.out << error.what() << '\n';
    } else {
      print_help(innermost(root), io.out);
    }
    return kExitGood;
  }
  throw Error(ErrorCode::usage, error.what()).with_hint("see `" + spelled(innermost(root)) + " --help`");
}

int parse_and_run(CLI::App& root, int argc, const char* const* argv, Context& context, const Io& io) {
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    context.settle();
    return finish_parsing(root, error, io);
  }
  context.settle();
  refuse_extras(root);
  const CLI::App* app = innermost(root);
  if (!app->get_subcommands([](const CLI::App*) { return true; }).empty()) {
    print_help(app, io.err);
    return kExitUsage;
  }
  context.run(app);
  io.out.flush();
  if (!io.out) throw Error(ErrorCode::io, "the result could not be written to the standard output");
  return kExitGood;
}

int run_in(Context& context, int argc, const char* const* argv, const Io& io) {
  CLI::App root("Carries a trained Hugging Face checkpoint into production.", context.program());
  root.require_subcommand(0, 1);
  root.allow_extras();
  root.formatter(std::make_shared<HelpFormatter>());
  root.set_version_flag("--version,-V", context.program() + " " + std::string(kVersion) +
                                            (context.program() == "ferry" ? "" : " (ferry)"));
  add_commands(root, context);
  context.add_shared_flags(root);
  try {
    return parse_and_run(root, argc, argv, context, io);
  } catch (const Error& error) {
    report(context, error);
    return exit_code(error.code());
  }
}

}  // namespace

int run(int argc, const char* const* argv, const Io& io) {
  constexpr const char* kNoArguments[] = {"ferry", nullptr};
  if (argc < 1) return run(1, kNoArguments, io);
  const std::string called = std::filesystem::path(argv[0]).filename().string();
  Context context(io, called == "optimum-cli" ? called : "ferry");
  try {
    return run_in(context, argc, argv, io);
  } catch (const std::bad_alloc&) {
    context.console().line("error[io]: ", "not enough memory", true);
    return kExitBadInput;
  } catch (const std::exception& error) {
    context.console().line("error[internal]: ", std::string(error.what()) + "; this is a bug of ferry's",
                           true);
    return kExitInternal;
  } catch (...) {
    context.console().line("error[internal]: ", "an unknown exception; this is a bug of ferry's", true);
    return kExitInternal;
  }
}

}  // namespace ferry::cli
