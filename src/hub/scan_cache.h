#pragma once
// What lies in the cache.
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <string>
#include <vector>

namespace ferry::hub {

struct CachedRevisionInfo {
  std::string commit_hash;
  std::filesystem::path snapshot_path;
  std::vector<std::string> refs;  ///< Branches and tags that are at this commit, sorted.
  size_t nb_files = 0;
  uint64_t size_on_disk = 0;  ///< Bytes; contents shared with another revision count in both.
};

struct CachedRepoInfo {
  std::string repo_id;
  std::string repo_type;  ///< "model", "dataset" or "space".
  std::filesystem::path repo_path;
  uint64_t size_on_disk = 0;  ///< Bytes; each content counts once.
  size_t nb_files = 0;        ///< Different contents.
  std::time_t last_modified = 0;
  std::vector<CachedRevisionInfo> revisions;  ///< Sorted by commit.
};

struct HFCacheInfo {
  uint64_t size_on_disk = 0;
  std::vector<CachedRepoInfo> repos;  ///< Sorted by type and id.
  std::vector<std::string> warnings;  ///< What was left out because it is not as it should be.
};

/// Looks through a cache folder. A repository that is damaged (no snapshots, a broken link, a reference to a
/// commit that is not there) becomes a warning, as in Python. Errors: Error{not_found} if the folder does not
/// exist. Source: huggingface_hub 0.36.2, utils/_cache_manager.py:scan_cache_dir.
HFCacheInfo scan_cache_dir(const std::filesystem::path& cache_dir);

}  // namespace ferry::hub
