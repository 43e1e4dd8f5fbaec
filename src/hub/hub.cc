#include "hub/hub.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "hub/fetch.h"
#include "hub/url.h"

namespace ferry::hub {
namespace {
namespace fs = std::filesystem;

// Workers speak at the same time; a sink need not know.
Log serialized(const Log& log) {
  const auto mutex = std::make_shared<std::mutex>();
  Log out;
  if (log.on_message) {
    out.on_message = [log, mutex](LogLevel level, std::string_view text) {
      const std::lock_guard lock(*mutex);
      log.on_message(level, text);
    };
  }
  if (log.on_progress) {
    out.on_progress = [log, mutex](std::string_view what, uint64_t done, uint64_t total) {
      const std::lock_guard lock(*mutex);
      log.on_progress(what, done, total);
    };
  }
  return out;
}

// One call that brings files of a repository: from the Hub if possible, else from the cache.
class Snapshot {
 public:
  Snapshot(const HubOptions& options, std::string repo_id, std::string revision)
      : options_(options),
        repo_id_(std::move(repo_id)),
        revision_(std::move(revision)),
        fetcher_(options, repo_id_) {
    validate_revision(revision_);
    const auto cached = fetcher_.cache().find_commit(revision_);
    if (options_.offline) {
      from_cache_ = true;
      if (!cached) throw absent(fmt::format("revision {}", revision_));
    } else {
      ask_hub(cached.has_value());
    }
    if (from_cache_) {
      commit_ = *cached;
      siblings_ = fetcher_.cache().list(commit_);
    }
  }

  [[nodiscard]] const std::vector<RepoSibling>& siblings() const { return siblings_; }
  [[nodiscard]] fs::path folder() const { return fetcher_.cache().snapshot(commit_); }

  void bring(const std::vector<std::string>& names) {
    std::vector<RepoSibling> files;
    for (const auto& name : names) {
      const auto found = std::find_if(siblings_.begin(), siblings_.end(),
                                      [&](const RepoSibling& sibling) { return sibling.rfilename == name; });
      if (found == siblings_.end()) throw missing(name);
      files.push_back(*found);
    }
    if (!from_cache_) fetcher_.fetch(commit_, files);
  }

  // All is there: the revision counts from now on.
  void complete() {
    options_.log.info(fmt::format("{}@{} is commit {}", repo_id_, printable(revision_), commit_));
    if (from_cache_) return;
    try {
      fetcher_.cache().write_ref(revision_, commit_);
    } catch (Error& error) {
      // A cache that can be read only serves all the same.
      options_.log.warning(error.what());
    }
  }

  // Runs what needs the files; if the Hub failed earlier, that is the reason worth telling.
  template <typename Body>
  void run(const Body& body) {
    try {
      body();
    } catch (Error& error) {
      if (hub_error_) throw HubError(*hub_error_);
      if (from_cache_) error.with_context(fmt::format("the cache may hold only a part of {}", repo_id_));
      throw;
    }
  }

 private:
  void ask_hub(bool has_cached) {
    try {
      ModelInfo info = fetcher_.api().model_info(repo_id_, revision_, has_cached);
      commit_ = info.sha;
      siblings_ = std::move(info.siblings);
      if (is_commit_hash(revision_) && revision_ != commit_) {
        throw HubError(Failure::malformed, fmt::format("{} answers with commit {} for commit {} of {}",
                                                       options_.endpoint, commit_, revision_, repo_id_));
      }
    } catch (const HubError& error) {
      if (!has_cached || !error.cache_may_answer()) throw;
      options_.log.warning(fmt::format("{}; using what the cache holds", error.message()));
      hub_error_ = error;
      from_cache_ = true;
    }
  }

  [[nodiscard]] Error absent(std::string_view what) const {
    Error error(ErrorCode::not_found,
                fmt::format("{} of {} is not in the cache {}, and ferry is offline", printable(what),
                            repo_id_, printable(options_.cache_dir.string())));
    error.with_hint("go online once (HF_HUB_OFFLINE=0), or pass a folder");
    return error;
  }

  [[nodiscard]] Error missing(const std::string& name) const {
    if (from_cache_) return absent(name);
    return {ErrorCode::not_found,
            fmt::format("{} has no file {} at revision {}", repo_id_, printable(name), printable(revision_))};
  }

  const HubOptions& options_;
  const std::string repo_id_;
  const std::string revision_;
  Fetcher fetcher_;
  std::string commit_;
  std::vector<RepoSibling> siblings_;
  bool from_cache_ = false;
  std::optional<HubError> hub_error_;
};

}  // namespace

Hub::Hub(HubOptions options) : options_(std::move(options)) {
  options_.endpoint = clean_endpoint(options_.endpoint);
  options_.token = clean_token(options_.token);
  options_.log = serialized(options_.log);
  if (!options_.offline && !options_.token.empty() && origin_of(options_.endpoint).scheme == "http") {
    options_.log.warning(fmt::format("the access token goes to {} unencrypted", options_.endpoint));
  }
}

ModelInfo Hub::model_info(const std::string& repo_id, const std::string& revision) const {
  validate_repo_id(repo_id);
  validate_revision(revision);
  if (options_.offline) {
    throw Error(ErrorCode::not_found, fmt::format("nothing is known about {}: ferry is offline", repo_id))
        .with_hint("HF_HUB_OFFLINE=0 allows requests");
  }
  return Fetcher(options_, repo_id).api().model_info(repo_id, revision);
}

std::vector<RepoSibling> Hub::list_repo_files(const std::string& repo_id, const std::string& revision) const {
  return Snapshot(options_, repo_id, revision).siblings();
}

fs::path Hub::snapshot_download(const std::string& repo_id, const std::string& revision,
                                const FileFilter& filter) const {
  Snapshot snapshot(options_, repo_id, revision);
  snapshot.run([&] { snapshot.bring(filter(snapshot.siblings())); });
  snapshot.complete();
  return snapshot.folder();
}

fs::path Hub::download_for_export(const std::string& repo_id, const std::string& revision,
                                  const ExportFilesOptions& options) const {
  Snapshot snapshot(options_, repo_id, revision);
  snapshot.run([&] {
    const auto names = export_files(snapshot.siblings(), options);
    snapshot.bring(names);
    std::vector<std::string> shards;
    for (const auto& name : names) {
      if (!is_weights_index(name)) continue;
      for (const auto& shard : index_shards(snapshot.folder(), name)) {
        if (!std::binary_search(names.begin(), names.end(), shard)) shards.push_back(shard);
      }
    }
    if (!shards.empty()) snapshot.bring(shards);
  });
  snapshot.complete();
  return snapshot.folder();
}

fs::path Hub::hf_hub_download(const std::string& repo_id, const std::string& filename,
                              const std::string& revision) const {
  Fetcher fetcher(options_, repo_id);
  const RepoCache& cache = fetcher.cache();
  check_relative_name(filename, "the file to download");
  validate_revision(revision);
  const auto cached = cache.find_commit(revision);
  const bool held = cached && cache.holds(*cached, {filename, std::nullopt, ""});
  if (held && (is_commit_hash(revision) || options_.offline)) return cache.pointer(*cached, filename);
  if (options_.offline) {
    throw Error(ErrorCode::not_found, fmt::format("{} of {} is not in the cache, and ferry is offline",
                                                  printable(filename), repo_id))
        .with_hint("HF_HUB_OFFLINE=0 allows requests");
  }
  std::string absent_at;
  try {
    const FileMetadata metadata = fetcher.api().file_metadata(repo_id, revision, filename, &absent_at);
    fetcher.fetch(metadata.commit, {{filename, metadata.size, metadata.etag}});
    cache.write_ref(revision, metadata.commit);
    return cache.pointer(metadata.commit, filename);
  } catch (const HubError& error) {
    if (is_commit_hash(absent_at)) cache.write_no_exist(absent_at, filename);
    if (!held || !error.cache_may_answer()) throw;
    options_.log.warning(fmt::format("{}; using what the cache holds", error.message()));
    return cache.pointer(*cached, filename);
  }
}

}  // namespace ferry::hub
