#pragma once
#include <filesystem>
#include <functional>

#include "base/file.h"
#include "base/log.h"

namespace ferry::hub {

/// An exclusive lock on a file, as the Python package filelock takes it: flock, so that a dead holder never
/// blocks. A courtesy, not the guarantee: on a file system without locks the constructor returns unlocked.
class FileLock {
 public:
  /// Waits for the lock; says so through `log` every ten seconds. Errors: Error{cancelled}, Error{io} if the
  /// lock file cannot be made.
  FileLock(const std::filesystem::path& path, const Log& log, const std::function<bool()>& stop);

 private:
  bool try_lock(const std::filesystem::path& path);

  File file_;  // Closing it releases the lock.
};

}  // namespace ferry::hub
