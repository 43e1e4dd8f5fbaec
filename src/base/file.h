#pragma once
// Files: read whole with a limit, mapped into memory, and names that stay below a folder.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// Owns a file descriptor.
class File {
 public:
  File() = default;
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(File&& other) noexcept : descriptor_(other.release()) {}
  File& operator=(File&& other) noexcept;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File();

  /// Opens a regular file for reading. A FIFO, device, socket or folder is refused and never waited for.
  /// Errors: Error{not_found} if it does not exist, Error{io} otherwise.
  static File open(const std::filesystem::path& path);

  [[nodiscard]] int descriptor() const { return descriptor_; }
  [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }
  [[nodiscard]] uint64_t size() const;
  int release();

 private:
  int descriptor_ = -1;
};

/// The bytes of a regular file, mapped read-only. The mapping lives as long as the object.
/// Nothing is read until it is touched; a page that was touched can be dropped by the system at any time.
class MappedFile {
 public:
  /// Errors: as File::open.
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path);
  /// Maps a file that is open already; `path` is what to call it. The mapping outlives `file`.
  static std::shared_ptr<const MappedFile> map(const File& file, const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
  [[nodiscard]] std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] uint64_t size() const { return size_; }
  /// Gives the memory of pages that were read back; they are read again when they are touched again.
  void drop_pages(uint64_t offset, uint64_t length) const;

 private:
  MappedFile() = default;
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// The whole of a regular file. Errors: as File::open, and Error{invalid_file} if it is longer than
/// `max_bytes`.
std::string read_text(const std::filesystem::path& path, uint64_t max_bytes);

/// True if `path` exists and is a regular file (links are followed). Never throws.
bool is_regular_file(const std::filesystem::path& path);

/// The entries of a folder whose names end in `extension` (".onnx"), sorted. None if it cannot be read.
std::vector<std::filesystem::path> files_with_extension(const std::filesystem::path& folder,
                                                        std::string_view extension);

/// Checks that `name`, which a file of the checkpoint gave, is a plain relative path below its folder: not
/// empty, not absolute, no "..", no NUL, no URL, no back-slash. The check is lexical: the Hub's cache is made
/// of links. Errors: Error{invalid_file} that starts with `what`.
void check_relative_name(std::string_view name, std::string_view what);

}  // namespace ferry
