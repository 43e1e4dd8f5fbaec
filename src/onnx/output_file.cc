#include "onnx/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace ferry::onnx {
namespace {

// A file beyond the process's limit raises SIGXFSZ in the thread that grows it, which would end the program.
// While this lives the signal waits, and is taken back if it came: the call then reports EFBIG.
class NoFileSizeSignal {
 public:
  NoFileSizeSignal() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  ~NoFileSizeSignal() {
    const timespec at_once{};
    if (sigismember(&before_, SIGXFSZ) == 0) sigtimedwait(&set_, nullptr, &at_once);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoFileSizeSignal(const NoFileSizeSignal&) = delete;
  NoFileSizeSignal& operator=(const NoFileSizeSignal&) = delete;

 private:
  sigset_t set_{};
  sigset_t before_{};
};

}  // namespace

OutputFile::OutputFile(std::filesystem::path path) : path_(std::move(path)) {
  const int descriptor = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    kept_ = true;  // Whatever is there is not ours to remove.
    fail("create", errno);
  }
  file_ = File(descriptor);
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      file_(std::move(other.file_)),
      size_(other.size_),
      kept_(std::exchange(other.kept_, true)) {}

OutputFile::~OutputFile() {
  if (kept_) return;
  file_ = File();
  ::unlink(path_.c_str());
}

void OutputFile::reserve(uint64_t size) {
  size_ = size;
  if (size == 0) return;
  const NoFileSizeSignal guard;
  const auto length = static_cast<off_t>(size);
  int result = 0;
  do {
    // Not posix_fallocate: where the file system lacks the call, that writes every block.
    result = ::fallocate(file_.descriptor(), 0, 0, length);
  } while (result != 0 && errno == EINTR);
  if (result != 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
    result = ::ftruncate(file_.descriptor(), length);
  if (result != 0) fail("reserve space for", errno);
}

void OutputFile::write(std::span<const std::byte> bytes, uint64_t offset) const {
  while (!bytes.empty()) {
    const ssize_t done = ::pwrite(file_.descriptor(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0 && errno == EFAULT) {
      throw Error(ErrorCode::io, fmt::format("cannot write {}: a file that is copied into it became shorter",
                                             printable(path_.string())));
    }
    if (done <= 0) fail("write", done < 0 ? errno : EIO);
    // The disk begins now instead of at the end: writing and fsync together take about half as long.
    ::sync_file_range(file_.descriptor(), static_cast<off_t>(offset), done, SYNC_FILE_RANGE_WRITE);
    bytes = bytes.subspan(static_cast<size_t>(done));
    offset += static_cast<uint64_t>(done);
  }
}

void OutputFile::finish(bool sync) {
  if (sync && ::fsync(file_.descriptor()) != 0) fail("write", errno);
  if (::close(file_.release()) != 0) fail("close", errno);
}

void OutputFile::fail(const char* doing, int code) const {
  std::string text = fmt::format("cannot {} {}: {}", doing, printable(path_.string()), std::strerror(code));
  struct statvfs space {};
  const bool full = code == ENOSPC || code == EDQUOT || code == EFBIG;
  const auto folder = path_.has_parent_path() ? path_.parent_path() : std::filesystem::path(".");
  if (full && ::statvfs(folder.c_str(), &space) == 0) {
    const double free = static_cast<double>(space.f_bavail) * static_cast<double>(space.f_frsize);
    text += fmt::format(" ({} needed, {} free)", human_bytes(static_cast<double>(size_)), human_bytes(free));
  }
  throw Error(ErrorCode::io, text);
}

}  // namespace ferry::onnx
