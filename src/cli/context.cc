#include "cli/context.h"

#include <nlohmann/json.hpp>
#include <ostream>
#include <utility>

#include "base/text.h"

namespace ferry::cli {
namespace {

// transformers' and optimum's names of levels as well as ours.
LogLevel level_named(const std::string& name) {
  const std::string lower = to_lower(name);
  if (lower == "debug" || lower == "detail") return LogLevel::debug;
  if (lower == "warning") return LogLevel::warning;
  if (lower == "error" || lower == "critical") return LogLevel::error;
  return LogLevel::info;
}

}  // namespace

Context::Context(const Io& io, std::string program)
    : io_(io), program_(std::move(program)), console_(io.err), log_(console_.log()) {}

std::string Context::variable(const char* name) const {
  const char* value = io_.environment ? io_.environment(name) : nullptr;
  return value == nullptr ? "" : value;
}

CLI::App* Context::command(CLI::App& parent, const std::string& name, const std::string& description,
                           std::function<void()> run) {
  CLI::App* app = group(parent, name, description);
  commands_.push_back({app, std::move(run)});
  return app;
}

CLI::App* Context::group(CLI::App& parent, const std::string& name, const std::string& description) {
  CLI::App* app = parent.add_subcommand(name, description);
  // What nothing took is looked at when the line has been read (cli.cc), to name what is nearest.
  app->allow_extras();
  // At most one, so that a folder named like a command is still a folder.
  app->require_subcommand(0, 1);
  return app;
}

void Context::add_shared_flags(CLI::App& root) {
  add_shared_flags_to(root);
  for (const Command& command : commands_) add_shared_flags_to(*command.app);
}

void Context::add_shared_flags_to(CLI::App& app) {
  app.add_flag("--quiet,-q", quiet_, "Print warnings and errors only, and no progress")->group("Messages");
  app.add_option("--log-level", log_level_, "Least level of the messages that are printed")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->group("Messages");
  app.add_flag("--json", json_, "Print the result on standard output as JSON")->group("Messages");
}

void Context::settle() {
  ConsoleOptions options;
  const std::string verbosity = variable("TRANSFORMERS_VERBOSITY");
  options.least = level_named(log_level_.empty() ? verbosity : log_level_);
  if (quiet_) options.least = std::max(options.least, LogLevel::warning);
  options.terminal = io_.err_is_terminal && variable("TERM") != "dumb";
  options.color = options.terminal && variable("NO_COLOR").empty();
  options.progress = options.least <= LogLevel::info;
  console_.configure(options);
}

void Context::run(const CLI::App* app) const {
  for (const Command& command : commands_) {
    if (command.app == app) return command.run();
  }
  throw Error(ErrorCode::usage, "a command is missing");
}

void Context::print_json(const nlohmann::ordered_json& result) const {
  // Names come from files and may be anything; JSON is UTF-8.
  out() << result.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << '\n';
}

void not_built_yet(const std::string& what, const std::string& instead) {
  throw Error(ErrorCode::usage, what + " is not built yet in this version of ferry").with_hint(instead);
}

}  // namespace ferry::cli
