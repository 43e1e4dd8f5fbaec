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
  /// What the flags and, for a model that is no local folder, the environment say.
  /// Errors: Error{usage} for a variable whose value makes no sense.
  void apply(const Context& context, MainExportOptions& options) const;
  /// The same for the Hub's own commands.
  [[nodiscard]] hub::HubOptions hub_options(const Context& context) const;
};

}  // namespace ferry::cli
