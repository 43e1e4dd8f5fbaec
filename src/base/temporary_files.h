#pragma once
// Output that appears whole or not at all: files are made in a hidden folder inside the output folder and
// renamed when all of them are right.
#include <filesystem>
#include <string>
#include <vector>

namespace ferry {

/// Removes every temporary file and folder that this process has registered. Async-signal-safe.
void remove_all_temporaries() noexcept;

/// A hidden folder inside an output folder. Until commit() the output folder is as it was; if commit() is not
/// reached, everything is removed, also by remove_all_temporaries() from a signal handler.
class StagingFolder {
 public:
  /// Creates `output` with its parents, and the hidden folder in it. Errors: Error{io}.
  explicit StagingFolder(std::filesystem::path output);
  ~StagingFolder();
  StagingFolder(const StagingFolder&) = delete;
  StagingFolder& operator=(const StagingFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return staging_; }
  [[nodiscard]] const std::filesystem::path& output() const { return output_; }
  /// Where to make the file that will be `output / name`. `name` is a plain file name.
  std::filesystem::path file(const std::string& name);
  /// Copies a regular file; clones it where the file system can. The copy is what is committed as `name`.
  void copy(const std::filesystem::path& from, const std::string& name);
  void write(const std::string& name, std::string_view content);

  /// Renames the files into the output folder, those named in `last` after all others, and syncs. An existing
  /// file of a name in `last` is removed before the others are replaced: an old model must not meet new
  /// weights.
  void commit(const std::vector<std::string>& last);

 private:
  void discard() noexcept;
  std::filesystem::path output_, staging_;
  std::vector<std::filesystem::path> created_;  // Folders that did not exist before, outermost first.
  std::vector<std::string> files_;
  std::vector<size_t> slots_;
  bool committed_ = false;
};

}  // namespace ferry
