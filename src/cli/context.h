#pragma once
// What every command gets: streams, environment, the flags that all commands share, and the log.
#include <CLI/CLI.hpp>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/console.h"

namespace ferry::cli {

class Context {
 public:
  Context(const Io& io, std::string program);

  /// The name that the program was called by: "ferry" or "optimum-cli".
  [[nodiscard]] const std::string& program() const { return program_; }
  [[nodiscard]] std::ostream& out() const { return io_.out; }
  [[nodiscard]] const Log& log() const { return log_; }
  [[nodiscard]] Console& console() { return console_; }
  [[nodiscard]] const Environment& environment() const { return io_.environment; }
  /// The value of a variable; "" if it is not set.
  [[nodiscard]] std::string variable(const char* name) const;
  /// True if results are to be JSON.
  [[nodiscard]] bool json() const { return json_; }

  /// A command that does something. `run` is called once the whole line was understood.
  CLI::App* command(CLI::App& parent, const std::string& name, const std::string& description,
                    std::function<void()> run);
  /// A name that has commands below it.
  CLI::App* group(CLI::App& parent, const std::string& name, const std::string& description);
  /// Gives --quiet, --log-level and --json to `root` and to every command so far: they are taken before and
  /// after the command's name.
  void add_shared_flags(CLI::App& root);

  /// Lets --quiet, --log-level, TRANSFORMERS_VERBOSITY and NO_COLOR count. Call after parsing.
  void settle();
  /// Runs what `app` was registered with. Errors: Error{usage} if it is a group.
  void run(const CLI::App* app) const;

  void print_json(const nlohmann::ordered_json& result) const;

 private:
  struct Command {
    CLI::App* app;
    std::function<void()> run;
  };

  void add_shared_flags_to(CLI::App& app);

  const Io& io_;
  std::string program_;
  Console console_;
  Log log_;
  std::vector<Command> commands_;
  bool quiet_ = false;
  bool json_ = false;
  std::string log_level_;
};

/// Error{usage}: for a flag whose capability is not built yet. `instead` says what can be done now.
[[noreturn]] void not_built_yet(const std::string& what, const std::string& instead);

}  // namespace ferry::cli
