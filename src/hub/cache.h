#pragma once
// The cache folder of huggingface_hub, which ferry and Python share:
//
//   models--org--name/blobs/<etag>                  contents, named by their hash
//   models--org--name/blobs/<etag>.incomplete       a download that can go on
//   models--org--name/snapshots/<commit>/<file>     relative links to the blobs
//   models--org--name/refs/<revision>               the commit that a branch or tag was at
//   models--org--name/.no_exist/<commit>/<file>     an empty file: the Hub has no such file
//   .locks/models--org--name/<etag>.lock
//
// Source: huggingface_hub 0.36.2, file_download.py.
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hub/model_info.h"

namespace ferry::hub {

/// The part of the cache that belongs to one repository. Every name that becomes part of a path is checked
/// here once more. Functions throw Error{io} if the operating system refuses; those that only look never
/// throw for absent things.
class RepoCache {
 public:
  /// Errors: Error{usage} for a repository id that is none, or if `cache_dir` is empty.
  RepoCache(const std::filesystem::path& cache_dir, std::string_view repo_id);

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] std::filesystem::path blob(std::string_view etag) const;
  [[nodiscard]] std::filesystem::path incomplete(std::string_view etag) const;
  [[nodiscard]] std::filesystem::path lock(std::string_view etag) const;
  [[nodiscard]] std::filesystem::path snapshot(std::string_view commit) const;
  [[nodiscard]] std::filesystem::path pointer(std::string_view commit, std::string_view file) const;

  /// The commit of which a snapshot exists for `revision`: itself, or what refs/<revision> says. Nothing
  /// otherwise.
  [[nodiscard]] std::optional<std::string> find_commit(std::string_view revision) const;
  /// The files of a snapshot that are really there, sorted by name.
  [[nodiscard]] std::vector<RepoSibling> list(std::string_view commit) const;
  /// True if the snapshot holds that file, of that size and etag where they are known.
  [[nodiscard]] bool holds(std::string_view commit, const RepoSibling& file) const;
  [[nodiscard]] bool is_known_absent(std::string_view commit, std::string_view file) const;

  /// Makes the folders that a download needs.
  void prepare() const;
  /// Puts the link snapshots/<commit>/<file> -> blobs/<etag>, replacing another one. Atomic.
  void link(std::string_view commit, std::string_view file, std::string_view etag) const;
  /// Notes the commit of a branch or tag, which makes the snapshot count. Atomic. Does nothing if `revision`
  /// is the commit.
  void write_ref(std::string_view revision, std::string_view commit) const;
  void write_no_exist(std::string_view commit, std::string_view file) const;

 private:
  std::filesystem::path folder_;
  std::filesystem::path locks_;
};

/// The commit in the content of a file below refs/; nothing if there is none. Surrounding white space is
/// ignored.
std::optional<std::string> parse_ref(std::string_view text);

/// A name that nobody else uses, in `folder`. For files that are renamed once they are whole.
std::filesystem::path temporary_name(const std::filesystem::path& folder);

/// Renames and says so in the error. Errors: Error{io}.
void rename_file(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace ferry::hub
