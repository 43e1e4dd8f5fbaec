#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace ferry {
namespace {

[[noreturn]] void throw_errno(const std::filesystem::path& path, const char* doing) {
  const int code = errno;
  const bool absent = code == ENOENT || code == ENOTDIR;
  throw Error(absent ? ErrorCode::not_found : ErrorCode::io,
              fmt::format("cannot {} {}: {}", doing, printable(path.string()), std::strerror(code)));
}

}  // namespace

File& File::operator=(File&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

int File::release() {
  return std::exchange(descriptor_, -1);
}

File File::open(const std::filesystem::path& path) {
  File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file.is_open()) throw_errno(path, "open");
  struct stat status {};
  if (::fstat(file.descriptor_, &status) != 0) throw_errno(path, "open");
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::io,
                fmt::format("cannot open {}: {}", printable(path.string()),
                            S_ISDIR(status.st_mode) ? "it is a folder" : "not a regular file"));
  }
  return file;
}

uint64_t File::size() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) return 0;
  return static_cast<uint64_t>(status.st_size);
}

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path) {
  return map(File::open(path), path);
}

std::shared_ptr<const MappedFile> MappedFile::map(const File& file, const std::filesystem::path& path) {
  std::shared_ptr<MappedFile> mapped(new MappedFile);
  mapped->path_ = path;
  mapped->size_ = file.size();
  if (mapped->size_ > 0) {
    void* data = ::mmap(nullptr, mapped->size_, PROT_READ, MAP_PRIVATE, file.descriptor(), 0);
    if (data == MAP_FAILED) throw_errno(path, "map");
    mapped->data_ = static_cast<const std::byte*>(data);
  }
  return mapped;
}

void MappedFile::drop_pages(uint64_t offset, uint64_t length) const {
  if (offset >= size_ || length == 0) return;
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const uint64_t begin = offset / page * page;
  const uint64_t end = offset + std::min(length, size_ - offset);
  ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);  // Advice: errors do no harm.
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

std::string read_text(const std::filesystem::path& path, uint64_t max_bytes) {
  const File file = File::open(path);
  const uint64_t size = file.size();
  if (size > max_bytes) {
    throw Error(
        ErrorCode::invalid_file,
        fmt::format("{} has {}, more than the {} allowed", printable(path.string()),
                    human_bytes(static_cast<double>(size)), human_bytes(static_cast<double>(max_bytes))));
  }
  std::string text(size, '\0');
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t got =
        ::pread(file.descriptor(), text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno(path, "read");
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  text.resize(done);
  return text;
}

bool is_regular_file(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored);
}

std::vector<std::filesystem::path> files_with_extension(const std::filesystem::path& folder,
                                                        std::string_view extension) {
  std::vector<std::filesystem::path> out;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == extension) out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

void check_relative_name(std::string_view name, std::string_view what) {
  const auto refuse = [&](std::string_view why) {
    throw Error(ErrorCode::invalid_file,
                fmt::format("{}: the file name \"{}\" {}", what, printable(name, 120), why));
  };
  if (name.empty()) refuse("is empty");
  if (name.size() > 1024) refuse("is longer than 1024 bytes");
  if (name.find('\0') != std::string_view::npos) refuse("holds a NUL byte");
  if (name.front() == '/') refuse("is absolute");
  if (name.find('\\') != std::string_view::npos) refuse("holds a back-slash");
  if (name.find("://") != std::string_view::npos) refuse("is a URL");
  for (const auto& part : split(name, '/')) {
    if (part.empty() || part == "." || part == "..") refuse("is not a plain relative path");
  }
}

}  // namespace ferry
