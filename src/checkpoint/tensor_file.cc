#include "checkpoint/tensor_file.h"

#include <fmt/format.h>

#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace ferry::checkpoint {
namespace {

class FileSource final : public ByteSource {
 public:
  explicit FileSource(std::shared_ptr<const MappedFile> mapped) : mapped_(std::move(mapped)) {}
  [[nodiscard]] std::span<const std::byte> bytes() const override { return mapped_->bytes(); }
  [[nodiscard]] std::filesystem::path file() const override { return mapped_->path(); }
  void drop_pages(uint64_t offset, uint64_t length) const override { mapped_->drop_pages(offset, length); }

 private:
  std::shared_ptr<const MappedFile> mapped_;
};

}  // namespace

std::shared_ptr<const ByteSource> file_source(const std::filesystem::path& path) {
  return std::make_shared<FileSource>(MappedFile::open(path));
}

void throw_invalid(std::string_view file, std::string_view reason) {
  throw Error(ErrorCode::invalid_file, fmt::format("{}: {}", printable(file, 300), reason));
}

std::string in_quotes(std::string_view name) {
  return fmt::format("\"{}\"", printable(name, 120));
}

}  // namespace ferry::checkpoint
