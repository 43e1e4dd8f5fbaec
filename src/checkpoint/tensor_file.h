#pragma once
// What a reader of one file returns.
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/weight.h"

namespace ferry::checkpoint {

using TensorMap = std::map<std::string, Weight, std::less<>>;

struct TensorFile {
  std::string format;  ///< As CheckpointFile::format.
  TensorMap tensors;   ///< Under the names and in the layout that the file gives.
  std::map<std::string, std::string> metadata;
  /// TensorFlow: the names lack their first level, the model object's (see shard_key).
  bool first_level_dropped = false;
  std::vector<std::string> warnings;  ///< For the user; each a sentence.
};

/// The bytes of a file, mapped. The mapping lives as long as the source.
/// Errors: Error{not_found}, Error{io}, as MappedFile::open.
std::shared_ptr<const ByteSource> file_source(const std::filesystem::path& path);

/// Throws Error{invalid_file}, "<file>: <reason>"; the shorthand of every reader.
[[noreturn]] void throw_invalid(std::string_view file, std::string_view reason);

/// `name` as it appears in messages: quoted, escaped and cut.
std::string in_quotes(std::string_view name);

}  // namespace ferry::checkpoint
