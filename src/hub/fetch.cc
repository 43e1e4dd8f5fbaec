#include "hub/fetch.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/checked.h"
#include "base/parallel.h"
#include "base/text.h"

namespace ferry::hub {
namespace {
constexpr uint64_t kSpareBytes = 16u << 20;  // Left on the disk for links, locks and whoever else writes.
}

Fetcher::Fetcher(const HubOptions& options, std::string repo_id)
    : options_(options),
      repo_id_(std::move(repo_id)),
      cache_(options.cache_dir, repo_id_),
      api_(options, [this] { return should_stop(); }) {}

bool Fetcher::should_stop() const {
  return failed_ || (options_.cancelled && options_.cancelled());
}

void Fetcher::report(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  done_ += bytes;
  options_.log.progress(repo_id_, static_cast<uint64_t>(std::max<int64_t>(done_, 0)),
                        static_cast<uint64_t>(std::max(done_, total_)));
}

void Fetcher::check_space(const std::vector<RepoSibling>& files) const {
  uint64_t needed = kSpareBytes;
  for (const auto& file : files) {
    uint64_t present = 0;
    if (!file.etag.empty()) {
      std::error_code absent;
      const auto size = std::filesystem::file_size(cache_.incomplete(file.etag), absent);
      if (!absent) present = size;
      if (std::filesystem::exists(cache_.blob(file.etag), absent)) continue;
    }
    const uint64_t size = file.size.value_or(0);
    needed = checked_add(needed, size > present ? size - present : 0).value_or(UINT64_MAX);
  }
  std::error_code failure;
  const auto space = std::filesystem::space(cache_.folder(), failure);
  if (failure || space.available >= needed) return;
  throw Error(ErrorCode::io,
              fmt::format("{} needs {} of disk space in {}, {} are free", repo_id_,
                          human_bytes(static_cast<double>(needed)), printable(options_.cache_dir.string()),
                          human_bytes(static_cast<double>(space.available))))
      .with_hint("free some space, or choose another --cache_dir");
}

void Fetcher::fetch(const std::string& commit, const std::vector<RepoSibling>& files) {
  std::vector<RepoSibling> missing;
  std::copy_if(files.begin(), files.end(), std::back_inserter(missing),
               [&](const RepoSibling& file) { return !cache_.holds(commit, file); });
  if (missing.empty()) return;
  cache_.prepare();
  check_space(missing);
  // The largest first: the last ones to end should be short.
  std::stable_sort(missing.begin(), missing.end(),
                   [](const auto& a, const auto& b) { return a.size > b.size; });
  int64_t bytes = 0;
  for (const auto& file : missing) bytes += static_cast<int64_t>(file.size.value_or(0));
  total_ += bytes;
  options_.log.info(fmt::format("downloading {} file{} of {} ({})", missing.size(),
                                missing.size() == 1 ? "" : "s", repo_id_,
                                human_bytes(static_cast<double>(bytes))));
  const auto body = [&](size_t i) {
    try {
      fetch_one(commit, missing[i]);
    } catch (...) {
      failed_ = true;
      throw;
    }
  };
  parallel_for(missing.size(), body, std::max<size_t>(1, options_.max_workers));
}

// What to download for a file: as the list of files says, or (`ask`, or if it says too little) the file's own
// address.
BlobTarget Fetcher::target_of(const std::string& commit, const RepoSibling& file, bool ask) {
  BlobTarget target{api_.file_url(repo_id_, commit, file.rfilename), commit, file.etag, file.size.value_or(0),
                    api_.subject(repo_id_, commit, file.rfilename)};
  if (!ask && !file.etag.empty() && file.size) return target;
  const FileMetadata metadata = api_.file_metadata(repo_id_, commit, file.rfilename);
  if (metadata.commit != commit) {
    throw HubError(Failure::changed,
                   fmt::format("{} of {} is answered at commit {} instead of {}", printable(file.rfilename),
                               repo_id_, metadata.commit, commit));
  }
  const auto size = metadata.size ? metadata.size : file.size;
  if (!size) {
    throw HubError(Failure::malformed, fmt::format("the Hub does not say how long {} of {} is",
                                                   printable(file.rfilename), repo_id_));
  }
  target.etag = metadata.etag;
  target.size = *size;
  return target;
}

void Fetcher::fetch_one(const std::string& commit, const RepoSibling& file) {
  if (should_stop()) throw Error(ErrorCode::cancelled, "the download was cancelled");
  const auto progress = [this](int64_t bytes) { report(bytes); };
  BlobTarget target = target_of(commit, file, false);
  try {
    BlobDownload(api_, cache_, target, progress).run();
  } catch (const HubError& error) {
    // A mirror may list other tags than it serves: what the file's own address says counts, once.
    if (error.failure() != Failure::changed) throw;
    target = target_of(commit, file, true);
    BlobDownload(api_, cache_, target, progress).run();
  }
  cache_.link(commit, file.rfilename, target.etag);
}

}  // namespace ferry::hub
