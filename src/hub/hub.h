#pragma once
// The Hub: what huggingface_hub's model_info, snapshot_download and hf_hub_download are in Python.
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "hub/export_files.h"
#include "hub/model_info.h"
#include "hub/options.h"
#include "hub/repo_id.h"

namespace ferry::hub {

/// Chooses, from the files of a repository, the names to download. May throw; may name what the list lacks,
/// which is then an Error{not_found}.
using FileFilter = std::function<std::vector<std::string>(const std::vector<RepoSibling>&)>;

/// A client of one Hub and one cache folder.
///
/// Errors    Error{usage}      a repository id, revision, endpoint or token that cannot be one
///           Error{not_found}  no such repository (or no access), revision or file; offline and not in the
///           cache Error{network}    unreachable, TLS, gated, denied, too many requests, an answer that is
///           not the Hub's, a
///                             body of the wrong length or hash
///           Error{io}         no space, no right to write into the cache
///           Error{cancelled}  options.cancelled returned true
/// Threads   one call at a time per object; several objects and processes may share a cache folder.
/// Security  the token goes to the endpoint's scheme, host and port and nowhere else, and is never shown.
/// Source    huggingface_hub 0.36.2, file_download.py and _snapshot_download.py
/// Example   Hub(HubOptions::from_environment(std::getenv)).download_for_export("org/name", "main");
class Hub {
 public:
  /// Errors: Error{usage} for an endpoint that is not an http or https address.
  explicit Hub(HubOptions options);

  /// What the Hub knows about a model. Never answered by the cache.
  [[nodiscard]] ModelInfo model_info(const std::string& repo_id, const std::string& revision = "main") const;

  /// The files of a model with their sizes; offline or unreachable, those that the cache holds.
  [[nodiscard]] std::vector<RepoSibling> list_repo_files(const std::string& repo_id,
                                                         const std::string& revision = "main") const;

  /// Brings the files that `filter` chooses into the cache, several at once, and returns the snapshot's
  /// folder (its last part is the commit). refs/<revision> is written when all of them are there. Offline, or
  /// with a Hub that cannot be reached, the cache answers if it holds every file that `filter` chooses from
  /// what is there.
  std::filesystem::path snapshot_download(const std::string& repo_id, const std::string& revision,
                                          const FileFilter& filter) const;

  /// snapshot_download of what an export needs: export_files, and the shards that an index names.
  std::filesystem::path download_for_export(const std::string& repo_id, const std::string& revision,
                                            const ExportFilesOptions& options = {}) const;

  /// One file; returns its path in the snapshot. That a file does not exist is remembered in .no_exist, as
  /// Python does.
  std::filesystem::path hf_hub_download(const std::string& repo_id, const std::string& filename,
                                        const std::string& revision = "main") const;

  [[nodiscard]] const HubOptions& options() const { return options_; }

 private:
  HubOptions options_;
};

}  // namespace ferry::hub
