#pragma once
// `ferry hub download|ls|scan-cache`, without its argument parser.
#include <iosfwd>
#include <string>
#include <vector>

#include "hub/export_files.h"
#include "hub/options.h"

namespace ferry::hub {

struct HubArguments {
  enum class Action { download, ls, scan_cache };

  Action action = Action::ls;
  std::string model;     ///< "org/name[@revision]"; not for scan_cache.
  std::string revision;  ///< --revision; empty: what `model` says, else "main".
  std::vector<std::string>
      include;  ///< Shell patterns of the files to download. Empty: what an export needs.
  std::vector<std::string> exclude;  ///< Patterns of files that are left out after that.
  ExportFilesOptions files;          ///< --framework, --variant, --subfolder; without `include` only.
};

/// Does what the arguments say and writes the result to `out`: download the folder of the snapshot, ls a line
/// "size name" for each file, scan_cache a table. Messages and progress go to options.log. Returns 0.
/// `options` holds --cache_dir and --token already. Errors: those of Hub and of scan_cache_dir;
/// Error{not_found} if no file matches the patterns.
int run_hub(const HubArguments& arguments, const HubOptions& options, std::ostream& out);

}  // namespace ferry::hub
