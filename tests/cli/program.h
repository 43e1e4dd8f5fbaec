#pragma once
// Runs the built program as a user does, in a world of its own.
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace ferry::testing {

struct Ran {
  int code = -1;    ///< Of exit; -1 if a signal ended it.
  int signal = 0;   ///< That ended it, or 0.
  std::string out;  ///< Standard output.
  std::string err;  ///< Standard error.
};

struct RunOptions {
  std::map<std::string, std::string> environment;  ///< Beside PATH, HOME (empty) and FERRY_ONNXRUNTIME.
  std::optional<uint64_t> file_size_limit;         ///< RLIMIT_FSIZE, bytes: a disk that is full.
  std::optional<uint64_t> memory_limit;            ///< RLIMIT_AS, bytes.
  std::filesystem::path program;                   ///< Another name for ferry; empty: ferry itself.
  std::filesystem::path out;                       ///< Standard output goes there instead.
};

/// Starts the program; wait() or the destructor ends with it.
class Running {
 public:
  Running(const std::vector<std::string>& arguments, const RunOptions& options);
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  [[nodiscard]] bool is_running();
  void send(int signal) const;
  Ran wait();

 private:
  std::filesystem::path folder_;  // For what it prints.
  pid_t pid_ = -1;
  std::optional<int> status_;
};

Ran run_ferry(const std::vector<std::string>& arguments, const RunOptions& options = {});

/// A folder that is gone after the test.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// The folder of a golden case: a small checkpoint.
std::filesystem::path golden(const std::string& name);
/// A copy of a golden case's folder, to be spoilt.
std::filesystem::path copy_of_golden(const std::string& name, const std::filesystem::path& folder);

std::string read_file(const std::filesystem::path& file);
void write_file(const std::filesystem::path& file, const std::string& content);
/// The names in a folder, hidden ones too, sorted; empty if there is no such folder.
std::vector<std::string> names_in(const std::filesystem::path& folder);

}  // namespace ferry::testing
