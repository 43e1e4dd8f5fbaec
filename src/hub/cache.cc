#include "hub/cache.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <random>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "hub/repo_id.h"

namespace ferry::hub {
namespace {
namespace fs = std::filesystem;

constexpr uint64_t kLongestRef = 4096;

[[noreturn]] void throw_io(std::string_view doing, const fs::path& path, const std::error_code& reason) {
  throw Error(ErrorCode::io,
              fmt::format("cannot {} {}: {}", doing, printable(path.string()), reason.message()));
}

void make_folder(const fs::path& folder) {
  std::error_code failure;
  fs::create_directories(folder, failure);
  if (failure) throw_io("make the folder", folder, failure);
}

void check_commit(std::string_view commit) {
  if (!is_commit_hash(commit)) {
    throw Error(ErrorCode::network, fmt::format("\"{}\" is not a commit", printable(commit, 80)));
  }
}

void check_etag(std::string_view etag) {
  if (!is_blob_name(etag))
    throw Error(ErrorCode::network, fmt::format("\"{}\" is not a hash", printable(etag, 80)));
}

// A new file with that content, under a name of its own.
fs::path write_temporary(const fs::path& folder, std::string_view text) {
  const fs::path path = temporary_name(folder);
  const File file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!file.is_open()) throw_io("create", path, {errno, std::generic_category()});
  const ssize_t written = ::write(file.descriptor(), text.data(), text.size());
  if (written != static_cast<ssize_t>(text.size()) || ::fsync(file.descriptor()) != 0) {
    const std::error_code reason(errno, std::generic_category());
    ::unlink(path.c_str());
    throw_io("write", path, reason);
  }
  return path;
}

// The name of the blob that a link of the snapshot leads to; empty if it is not a link.
std::string blob_of(const fs::path& pointer) {
  std::error_code failure;
  const fs::path target = fs::read_symlink(pointer, failure);
  return failure ? "" : target.filename().string();
}

}  // namespace

RepoCache::RepoCache(const fs::path& cache_dir, std::string_view repo_id) {
  validate_repo_id(repo_id);
  if (cache_dir.empty()) {
    throw Error(ErrorCode::usage, "there is no folder for the Hub's cache")
        .with_hint("set HF_HOME or pass --cache_dir");
  }
  folder_ = cache_dir / repo_folder_name(repo_id);
  locks_ = cache_dir / ".locks" / repo_folder_name(repo_id);
}

fs::path RepoCache::blob(std::string_view etag) const {
  check_etag(etag);
  return folder_ / "blobs" / etag;
}

fs::path RepoCache::incomplete(std::string_view etag) const {
  return blob(etag) += ".incomplete";
}

fs::path RepoCache::lock(std::string_view etag) const {
  check_etag(etag);
  return locks_ / (std::string(etag) + ".lock");
}

fs::path RepoCache::snapshot(std::string_view commit) const {
  check_commit(commit);
  return folder_ / "snapshots" / commit;
}

fs::path RepoCache::pointer(std::string_view commit, std::string_view file) const {
  check_relative_name(file, "the Hub");
  return snapshot(commit) / file;
}

std::optional<std::string> RepoCache::find_commit(std::string_view revision) const {
  validate_revision(revision);
  std::optional<std::string> commit;
  if (is_commit_hash(revision)) {
    commit = std::string(revision);
  } else if (const fs::path ref = folder_ / "refs" / revision; ferry::is_regular_file(ref)) {
    commit = parse_ref(read_text(ref, kLongestRef));
  }
  std::error_code ignored;
  if (commit && !fs::is_directory(snapshot(*commit), ignored)) return std::nullopt;
  return commit;
}

std::vector<RepoSibling> RepoCache::list(std::string_view commit) const {
  std::vector<RepoSibling> out;
  const fs::path root = snapshot(commit);
  std::error_code failure;
  for (auto entry = fs::recursive_directory_iterator(root, failure);
       entry != fs::recursive_directory_iterator(); entry.increment(failure)) {
    if (failure) break;
    std::error_code absent;
    if (!entry->is_regular_file(absent)) continue;
    const uint64_t size = entry->file_size(absent);
    if (absent) continue;
    const std::string blob = blob_of(entry->path());
    out.push_back({entry->path().lexically_relative(root).string(), size, is_blob_name(blob) ? blob : ""});
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.rfilename < b.rfilename; });
  return out;
}

bool RepoCache::holds(std::string_view commit, const RepoSibling& file) const {
  const fs::path path = pointer(commit, file.rfilename);
  std::error_code failure;
  const uint64_t size = fs::file_size(path, failure);
  if (failure || !ferry::is_regular_file(path)) return false;
  if (file.size && *file.size != size) return false;
  const std::string blob = blob_of(path);
  return blob.empty() || file.etag.empty() || blob == file.etag;
}

bool RepoCache::is_known_absent(std::string_view commit, std::string_view file) const {
  check_commit(commit);
  check_relative_name(file, "the Hub");
  return ferry::is_regular_file(folder_ / ".no_exist" / commit / file);
}

void RepoCache::prepare() const {
  make_folder(folder_ / "blobs");
  make_folder(folder_ / "snapshots");
  make_folder(locks_);
}

void RepoCache::link(std::string_view commit, std::string_view file, std::string_view etag) const {
  const fs::path path = pointer(commit, file);
  make_folder(path.parent_path());
  const fs::path target = blob(etag).lexically_relative(path.parent_path());
  const fs::path temporary = temporary_name(folder_);
  std::error_code failure;
  fs::create_symlink(target, temporary, failure);
  // A file system without links gets a copy, as huggingface_hub does.
  if (failure) fs::copy_file(blob(etag), temporary, failure);
  if (failure) throw_io("link", path, failure);
  rename_file(temporary, path);
}

void RepoCache::write_ref(std::string_view revision, std::string_view commit) const {
  check_commit(commit);
  validate_revision(revision);
  if (revision == commit) return;
  const fs::path path = folder_ / "refs" / revision;
  if (ferry::is_regular_file(path) && parse_ref(read_text(path, kLongestRef)) == commit) return;
  make_folder(path.parent_path());
  rename_file(write_temporary(folder_, commit), path);
}

void RepoCache::write_no_exist(std::string_view commit, std::string_view file) const {
  if (is_known_absent(commit, file)) return;
  const fs::path path = folder_ / ".no_exist" / commit / file;
  make_folder(path.parent_path());
  rename_file(write_temporary(folder_, ""), path);
}

std::optional<std::string> parse_ref(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return std::nullopt;
  text = text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
  if (!is_commit_hash(text)) return std::nullopt;
  return std::string(text);
}

fs::path temporary_name(const fs::path& folder) {
  static std::atomic<uint64_t> counter{std::random_device{}()};
  return folder / fmt::format("tmp_{}_{}", ::getpid(), counter++);
}

void rename_file(const fs::path& from, const fs::path& to) {
  std::error_code failure;
  fs::rename(from, to, failure);
  if (failure) {
    std::error_code ignored;
    fs::remove(from, ignored);
    throw_io("put into place", to, failure);
  }
}

}  // namespace ferry::hub
