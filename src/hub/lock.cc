#include "hub/lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/error.h"
#include "base/text.h"

namespace ferry::hub {

FileLock::FileLock(const std::filesystem::path& path, const Log& log, const std::function<bool()>& stop) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::seconds kInterval{10};
  auto next_message = Clock::now() + std::chrono::seconds(1);
  while (!try_lock(path)) {
    if (stop && stop()) throw Error(ErrorCode::cancelled, "the download was cancelled");
    if (Clock::now() >= next_message) {
      log.info(fmt::format("waiting for another process that downloads the same file ({})",
                           printable(path.string())));
      next_message = Clock::now() + kInterval;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

bool FileLock::try_lock(const std::filesystem::path& path) {
  File file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666));
  if (!file.is_open()) {
    throw Error(ErrorCode::io, fmt::format("cannot make the lock file {}: {}", printable(path.string()),
                                           std::strerror(errno)));
  }
  if (::flock(file.descriptor(), LOCK_EX | LOCK_NB) != 0) return errno != EWOULDBLOCK && errno != EINTR;
  // The holder before may have removed the file: then the lock is on nothing that anybody else would see.
  struct stat held {};
  struct stat named {};
  if (::fstat(file.descriptor(), &held) != 0 || ::stat(path.c_str(), &named) != 0) return false;
  if (held.st_ino != named.st_ino || held.st_dev != named.st_dev) return false;
  file_ = std::move(file);
  return true;
}

}  // namespace ferry::hub
