#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "base/file.h"

namespace ferry::onnx {

/// A new file that is written at once by several threads, and removed again unless keep() is called.
class OutputFile {
 public:
  /// Creates `path`, which must not exist; a link there is refused, never followed.
  /// Errors: Error{io}.
  explicit OutputFile(std::filesystem::path path);
  ~OutputFile();
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  /// Makes the file `size` bytes long, with disk space for all of them where the file system can promise it.
  /// Errors: Error{io} that names the bytes needed and those free.
  void reserve(uint64_t size);
  /// Thread-safe for ranges that do not overlap. Errors: Error{io}.
  void write(std::span<const std::byte> bytes, uint64_t offset) const;
  /// Closes the file, after having it on disk if `sync`. Errors: Error{io}.
  void finish(bool sync);
  void keep() { kept_ = true; }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  [[noreturn]] void fail(const char* doing, int code) const;

  std::filesystem::path path_;
  File file_;
  uint64_t size_ = 0;
  bool kept_ = false;
};

}  // namespace ferry::onnx
