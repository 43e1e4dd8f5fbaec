#pragma once
// The flags that say which checkpoint, shared by the commands that read one.
#include <CLI/CLI.hpp>
#include <string>

#include "cli/context.h"
#include "ferry/export.h"
#include "hub/options.h"

namespace ferry::cli {

struct ModelFlags {
  std::string model;
  std::string revision = "main";
  std::string subfolder;
  std::string cache_dir;
  std::string token;
  bool offline = false;

  void add(CLI::App& app);
  /// Hands over what the flags say, the log, and the environment for a model that is no local folder.
  void apply(const Context& context, MainExportOptions& options) const;
  /// What flags and environment say, for the Hub's own commands.
  /// Errors: Error{usage} for a variable whose value makes no sense.
  [[nodiscard]] hub::HubOptions hub_options(const Context& context) const;
};

}  // namespace ferry::cli
