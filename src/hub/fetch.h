#pragma once
// Many files of one commit into the cache.
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "hub/api.h"
#include "hub/cache.h"
#include "hub/download.h"

namespace ferry::hub {

/// Downloads files of one repository at one commit, several at once. Used by one thread.
class Fetcher {
 public:
  explicit Fetcher(const HubOptions& options, std::string repo_id);

  [[nodiscard]] Api& api() { return api_; }
  [[nodiscard]] const RepoCache& cache() const { return cache_; }

  /// Returns when snapshots/<commit> holds all of `files`. After the first failure the other downloads end
  /// soon, their beginnings stay. Errors: those of BlobDownload, and Error{io} if the disk has no room for
  /// all.
  void fetch(const std::string& commit, const std::vector<RepoSibling>& files);

 private:
  void fetch_one(const std::string& commit, const RepoSibling& file);
  BlobTarget target_of(const std::string& commit, const RepoSibling& file, bool ask);
  void check_space(const std::vector<RepoSibling>& files) const;
  void report(int64_t bytes);
  [[nodiscard]] bool should_stop() const;

  const HubOptions& options_;
  const std::string repo_id_;
  RepoCache cache_;
  std::atomic<bool> failed_{false};
  Api api_;
  std::mutex mutex_;  // Guards done_ and total_.
  int64_t done_ = 0;
  int64_t total_ = 0;
};

}  // namespace ferry::hub
