#include "base/temporary_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace ferry {
namespace {
namespace fs = std::filesystem;

// What a signal handler may touch: fixed memory, written under a lock, published by one atomic store.
struct Slot {
  std::atomic<bool> in_use{false};
  std::array<char, 4096> path{};
};
std::array<Slot, 128> slots;
std::mutex slots_mutex;

size_t remember(const fs::path& path) {
  const std::lock_guard lock(slots_mutex);
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].in_use) continue;
    if (path.native().size() + 1 > slots[i].path.size())
      throw Error(ErrorCode::io, "the path " + printable(path.string()) + " is too long");
    std::memcpy(slots[i].path.data(), path.c_str(), path.native().size() + 1);
    slots[i].in_use = true;
    return i;
  }
  throw Error(ErrorCode::internal, "too many temporary files at once");
}

[[noreturn]] void throw_errno(const fs::path& path, const char* doing) {
  const int code = errno;
  throw Error(ErrorCode::io,
              fmt::format("cannot {} {}: {}", doing, printable(path.string()), std::strerror(code)));
}

void sync_path(const fs::path& path) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open() || ::fsync(file.descriptor()) != 0) throw_errno(path, "sync");
}

void write_all(const File& file, std::string_view content, const fs::path& path) {
  while (!content.empty()) {
    const ssize_t done = ::write(file.descriptor(), content.data(), content.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) throw_errno(path, "write");
    content.remove_prefix(static_cast<size_t>(done));
  }
}

}  // namespace

void remove_all_temporaries() noexcept {
  // Files were registered after their folders.
  for (size_t i = slots.size(); i-- > 0;) {
    if (slots[i].in_use && ::unlink(slots[i].path.data()) != 0) ::rmdir(slots[i].path.data());
  }
}

StagingFolder::StagingFolder(fs::path output) : output_(std::move(output)) {
  std::error_code error;
  for (fs::path at = fs::absolute(output_).lexically_normal(); !at.empty() && !fs::exists(at, error);
       at = at.parent_path()) {
    // "out/" ends in an empty name.
    if (at.has_filename()) created_.insert(created_.begin(), at);
    if (at == at.parent_path()) break;
  }
  if (fs::exists(output_, error) && !fs::is_directory(output_, error)) {
    throw Error(ErrorCode::io, fmt::format("the output {} is not a folder", printable(output_.string())));
  }
  fs::create_directories(output_, error);
  if (error) {
    created_.clear();
    throw Error(ErrorCode::io,
                fmt::format("cannot create {}: {}", printable(output_.string()), error.message()));
  }
  std::string name = (output_ / ".ferry-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    const int code = errno;
    discard();
    errno = code;
    throw_errno(output_, "write to");
  }
  staging_ = name;
  for (const auto& folder : created_) slots_.push_back(remember(folder));
  slots_.push_back(remember(staging_));
}

StagingFolder::~StagingFolder() {
  if (!committed_) discard();
  for (const size_t slot : slots_) slots[slot].in_use = false;
}

void StagingFolder::discard() noexcept {
  std::error_code ignored;
  if (!staging_.empty()) fs::remove_all(staging_, ignored);
  for (size_t i = created_.size(); i-- > 0;) ::rmdir(created_[i].c_str());  // Only if empty.
}

fs::path StagingFolder::file(const std::string& name) {
  check_relative_name(name, "output");
  if (std::find(files_.begin(), files_.end(), name) == files_.end()) {
    slots_.push_back(remember(staging_ / name));
    files_.push_back(name);
  }
  return staging_ / name;
}

void StagingFolder::copy(const fs::path& from, const std::string& name) {
  const fs::path to = file(name);
  const File source = File::open(from);
  const File target(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!target.is_open()) throw_errno(to, "create");
  if (::ioctl(target.descriptor(), FICLONE, source.descriptor()) == 0) return;
  const uint64_t size = source.size();
  for (uint64_t done = 0; done < size;) {
    const ssize_t step =
        ::copy_file_range(source.descriptor(), nullptr, target.descriptor(), nullptr, size - done, 0);
    if (step < 0 && errno == EINTR) continue;
    if (step <= 0) {
      // Not between these file systems: read and write.
      std::array<char, 1 << 16> buffer{};
      const ssize_t got = ::read(source.descriptor(), buffer.data(), buffer.size());
      if (got < 0) throw_errno(from, "read");
      if (got == 0) break;
      write_all(target, {buffer.data(), static_cast<size_t>(got)}, to);
      done += static_cast<uint64_t>(got);
      continue;
    }
    done += static_cast<uint64_t>(step);
  }
}

void StagingFolder::write(const std::string& name, std::string_view content) {
  const fs::path to = file(name);
  const File target(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!target.is_open()) throw_errno(to, "create");
  write_all(target, content, to);
}

void StagingFolder::commit(const std::vector<std::string>& last) {
  const auto is_last = [&](const std::string& name) {
    return std::find(last.begin(), last.end(), name) != last.end();
  };
  // A name that was asked for and not used (external data of a small model) has no file.
  std::erase_if(files_, [&](const std::string& name) { return !fs::exists(staging_ / name); });
  for (const auto& name : files_) sync_path(staging_ / name);
  if (files_.size() > last.size()) {
    for (const auto& name : last) {
      if (::unlink((output_ / name).c_str()) != 0 && errno != ENOENT) throw_errno(output_ / name, "replace");
    }
  }
  for (const bool turn : {false, true}) {
    for (const auto& name : files_) {
      if (is_last(name) == turn && ::rename((staging_ / name).c_str(), (output_ / name).c_str()) != 0)
        throw_errno(output_ / name, "create");
    }
    sync_path(output_);
  }
  committed_ = true;
  ::rmdir(staging_.c_str());
}

}  // namespace ferry
