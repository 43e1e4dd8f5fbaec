#include "hub/download.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/text.h"
#include "hub/lock.h"
#include "hub/retry.h"
#include "hub/url.h"

namespace ferry::hub {
namespace {

constexpr size_t kLongestErrorBody = 64 * 1024;
constexpr uint64_t kProgress = 1 << 20;  // So many new bytes make up for earlier failures.

[[noreturn]] void throw_errno(std::string_view doing, const std::filesystem::path& path) {
  const int code = errno;
  Error error(ErrorCode::io,
              fmt::format("cannot {} {}: {}", doing, printable(path.string()), std::strerror(code)));
  if (code == ENOSPC || code == EDQUOT) error.with_hint("free some space, or choose another --cache_dir");
  throw error;
}

void write_at(const File& file, std::string_view bytes, uint64_t offset, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written =
        ::pwrite(file.descriptor(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_errno("write", path);
    bytes.remove_prefix(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
}

bool is_encoded(const Response& response) {
  const std::string encoding = to_lower(response.headers.get("Content-Encoding"));
  return !encoding.empty() && encoding != "identity";
}

}  // namespace

BlobDownload::BlobDownload(Api& api, const RepoCache& cache, BlobTarget target, Progress progress)
    : api_(api), cache_(cache), target_(std::move(target)), progress_(std::move(progress)) {}

std::string BlobDownload::name() const {
  return fmt::format("{} of {}", printable(target_.subject.file), target_.subject.repo_id);
}

void BlobDownload::run() {
  if (is_done()) return;
  const FileLock lock(cache_.lock(target_.etag), api_.options().log, api_.stop());
  if (is_done()) return;
  Retry retry(api_.options(), api_.stop());
  bool was_altered = false;
  uint64_t farthest = 0;
  open();
  while (true) {
    try {
      attempt();
      finish();
      return;
    } catch (const HubError& error) {
      if (error.failure() == Failure::altered) {
        // What an earlier run left may be to blame, or a bad line: one whole new try, no more.
        discard();
        if (was_altered) throw;
        was_altered = true;
        open();
        continue;
      }
      if (offset_ >= farthest + kProgress) retry.progressed();
      farthest = std::max(farthest, offset_);
      if (!retry.again(error)) throw;
    }
  }
}

// True if the blob is there; one of another size cannot be what its name says.
bool BlobDownload::is_done() {
  const auto path = cache_.blob(target_.etag);
  std::error_code absent;
  const uint64_t size = std::filesystem::file_size(path, absent);
  if (absent) return false;
  if (size != target_.size) {
    api_.options().log.warning(fmt::format("{} in the cache has {} bytes instead of {}: downloading it again",
                                           name(), size, target_.size));
    std::filesystem::remove(path, absent);
    return false;
  }
  progress_(static_cast<int64_t>(size));
  return true;
}

void BlobDownload::open() {
  const auto path = cache_.incomplete(target_.etag);
  file_ = File(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0666));
  struct stat status {};
  if (!file_.is_open() || ::fstat(file_.descriptor(), &status) != 0) throw_errno("open", path);
  if (!S_ISREG(status.st_mode))
    throw Error(ErrorCode::io, fmt::format("{} is not a regular file", printable(path.string())));
  const uint64_t present = file_.size();
  if (present > target_.size) {
    discard();
    return open();
  }
  hasher_ = Hasher::for_etag(target_.etag, target_.size);
  std::string buffer(1 << 20, '\0');
  while (offset_ < present) {
    if (api_.stop()()) throw Error(ErrorCode::cancelled, "the download was cancelled");
    const ssize_t got =
        ::pread(file_.descriptor(), buffer.data(), buffer.size(), static_cast<off_t>(offset_));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno("read", path);
    if (got == 0) break;
    hasher_.update({buffer.data(), static_cast<size_t>(got)});
    offset_ += static_cast<uint64_t>(got);
  }
  progress_(static_cast<int64_t>(offset_));
}

// Forgets what came so far. The file is not cut: another process may be writing the same bytes to it.
void BlobDownload::start_over() {
  progress_(-static_cast<int64_t>(offset_));
  offset_ = 0;
  hasher_ = Hasher::for_etag(target_.etag, target_.size);
}

void BlobDownload::discard() {
  start_over();
  ::unlink(cache_.incomplete(target_.etag).c_str());
  file_ = File();
}

std::vector<std::string> BlobDownload::range_headers(bool at_hub) const {
  if (offset_ == 0) return {};
  std::vector<std::string> lines{fmt::format("Range: bytes={}-", offset_)};
  // The Hub itself answers with the blob's name as its ETag. Elsewhere the tag is that server's own, known
  // only if the bytes so far came from there in this run; if they did not, the hash at the end has the last
  // word.
  if (!validator_.empty()) {
    lines.push_back("If-Range: " + validator_);
  } else if (at_hub) {
    lines.push_back(fmt::format("If-Range: \"{}\"", target_.etag));
  }
  return lines;
}

void BlobDownload::attempt() {
  if (offset_ == target_.size && target_.size > 0) return;
  begun_ = false;
  error_body_.clear();
  Request request;
  request.url = target_.url;
  request.headers = [&](bool at_hub) { return range_headers(at_hub); };
  Handlers handlers;
  handlers.on_redirect = [&](const Response& response) {
    check_identity(response);
    return true;
  };
  handlers.on_body = [&](const Response& response, std::string_view piece) {
    begin(response);
    if (response.status < 300) return take(piece);
    if (error_body_.size() + piece.size() > kLongestErrorBody) return false;
    error_body_ += piece;
    return true;
  };
  const Response response = api_.pool().lease()->follow(request, handlers);
  begin(response);
  if (response.status == 416) {
    discard();
    open();
    throw HubError(Failure::broken, fmt::format("the server has no such part of {}", name()));
  }
  if (response.status >= 300) throw error_from_response(response, error_body_, target_.subject);
  if (offset_ < target_.size) {
    throw HubError(Failure::broken,
                   fmt::format("{} ends after {} of {} bytes", name(), offset_, target_.size));
  }
}

// Only the Hub's own answers name a commit; another server's ETag means nothing here.
void BlobDownload::check_identity(const Response& response) const {
  const std::string commit = response.headers.get("X-Repo-Commit");
  if (commit.empty()) return;
  const std::string linked = response.headers.get("X-Linked-Etag");
  const std::string tag =
      linked.empty() && !is_redirect(response.status) ? response.headers.get("ETag") : linked;
  const std::string etag = normalize_etag(tag);
  if (commit != target_.commit || (!etag.empty() && etag != target_.etag)) {
    throw HubError(Failure::changed, fmt::format("{} changed while it was downloaded", name()));
  }
}

// Looks at the final answer's headers, once, before its body counts.
void BlobDownload::begin(const Response& response) {
  if (std::exchange(begun_, true)) return;
  if (response.status >= 300) return;
  check_identity(response);
  if (response.status != 200 && response.status != 206) {
    throw HubError(Failure::rejected,
                   fmt::format("HTTP status {} is no answer to a request for {}", response.status, name()));
  }
  if (starts_with(to_lower(response.headers.get("Content-Type")), "text/html") &&
      !ends_with(target_.subject.file, ".html")) {
    throw HubError(Failure::html, fmt::format("the answer to a request for {} is an HTML page", name()),
                   "a captive portal or a proxy may answer in the Hub's place; check HF_ENDPOINT");
  }
  if (response.status == 206) {
    begin_partial(response);
  } else {
    if (offset_ > 0) start_over();
    const auto length = parse_size(response.headers.get("Content-Length"));
    if (length && !is_encoded(response) && *length != target_.size) {
      throw HubError(Failure::broken, fmt::format("{} has {} bytes by the Hub's word, {} by {}", name(),
                                                  target_.size, *length, display_url(response.url)));
    }
  }
  const std::string tag = response.headers.get("ETag");
  validator_ = starts_with(tag, "\"") && !is_encoded(response) ? tag : "";
}

void BlobDownload::begin_partial(const Response& response) {
  const auto range = parse_content_range(response.headers.get("Content-Range"));
  const bool fits = range && range->first == offset_ && offset_ > 0 && !is_encoded(response) &&
                    range->total.value_or(target_.size) == target_.size;
  if (fits) return;
  start_over();
  throw HubError(Failure::broken,
                 fmt::format("the server sends another part of {} than it was asked for", name()));
}

bool BlobDownload::take(std::string_view piece) {
  if (piece.size() > target_.size - offset_) {
    throw HubError(Failure::altered,
                   fmt::format("{} goes on after the {} bytes that were announced", name(), target_.size));
  }
  write_at(file_, piece, offset_, cache_.incomplete(target_.etag));
  hasher_.update(piece);
  offset_ += piece.size();
  progress_(static_cast<int64_t>(piece.size()));
  return true;
}

void BlobDownload::finish() {
  const std::string hash = hasher_.finish();
  if (!hash.empty() && hash != target_.etag) {
    throw HubError(Failure::altered,
                   fmt::format("{} has the hash {} instead of {}: it was altered on the way", name(), hash,
                               target_.etag));
  }
  const auto path = cache_.incomplete(target_.etag);
  if (file_.size() > target_.size && ::ftruncate(file_.descriptor(), static_cast<off_t>(target_.size)) != 0) {
    throw_errno("cut", path);
  }
  if (::fsync(file_.descriptor()) != 0) throw_errno("write", path);
  put_into_place();
}

// Takes the file away from its shared name first: what is renamed after that is what was checked.
void BlobDownload::put_into_place() {
  const auto temporary = temporary_name(cache_.folder());
  rename_file(cache_.incomplete(target_.etag), temporary);
  struct stat mine {};
  struct stat taken {};
  const bool known = ::fstat(file_.descriptor(), &mine) == 0 && ::lstat(temporary.c_str(), &taken) == 0;
  if (!known || mine.st_ino != taken.st_ino || mine.st_dev != taken.st_dev) {
    rename_file(temporary, cache_.incomplete(target_.etag));
    throw Error(ErrorCode::io, fmt::format("another process replaced the download of {}", name()))
        .with_hint("run the command again");
  }
  rename_file(temporary, cache_.blob(target_.etag));
}

}  // namespace ferry::hub
