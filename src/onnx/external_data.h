#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "base/file.h"
#include "tensor/weight.h"

namespace ferry::onnx {

/// A mapped file as a source of weights.
class FileSource final : public ByteSource {
 public:
  explicit FileSource(std::shared_ptr<const MappedFile> mapped) : mapped_(std::move(mapped)) {}
  [[nodiscard]] std::span<const std::byte> bytes() const override { return mapped_->bytes(); }
  [[nodiscard]] std::filesystem::path file() const override { return mapped_->path(); }
  void drop_pages(uint64_t offset, uint64_t length) const override { mapped_->drop_pages(offset, length); }

 private:
  std::shared_ptr<const MappedFile> mapped_;
};

/// The files beside a model that its tensors refer to, each opened once.
class ExternalFiles {
 public:
  explicit ExternalFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// Errors: Error{invalid_file} for a location that is not a plain name below the folder, Error{io} for one
  /// that leads through a symbolic link or is no regular file, Error{not_found}.
  std::shared_ptr<const ByteSource> open(const std::string& location);

 private:
  std::filesystem::path folder_;
  std::map<std::string, std::shared_ptr<const ByteSource>> opened_;
};

}  // namespace ferry::onnx
