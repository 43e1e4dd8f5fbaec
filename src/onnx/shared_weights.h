#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "onnx/output_file.h"
#include "tensor/weight.h"

namespace ferry::onnx {

/// Where a tensor of `size` bytes goes in a file that ends at `end`.
uint64_t aligned_offset(uint64_t end, uint64_t size);

/// One file of weights that several models refer to. A weight that several of them use lies in it once.
class SharedWeights {
 public:
  /// `path` is where the file is made, with the first weight; it must not exist. `name` is what the models
  /// call it, relative to their own folder.
  SharedWeights(std::filesystem::path path, std::string name)
      : path_(std::move(path)), name_(std::move(name)) {}

  struct Place {
    uint64_t offset = 0;
    bool is_new = false;  ///< Not in the file yet: it has to be written there.
  };
  /// Where the weight lies.
  Place place(const Weight& weight);
  /// The file, long enough for all that has a place. Errors: Error{io}.
  const OutputFile& file();
  /// Errors: Error{io}.
  void finish(bool sync);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] uint64_t bytes() const { return bytes_; }

 private:
  std::filesystem::path path_;
  std::string name_;
  std::optional<OutputFile> file_;
  std::map<std::string, uint64_t> offsets_;  // By Weight::key().
  uint64_t bytes_ = 0;
};

}  // namespace ferry::onnx
