#pragma once
// Google's checkpoints: bert_model.ckpt.index, a sorted table of variables, and bert_model.ckpt.data-*, their
// bytes.
// Source: tensorflow 2.19, core/util/tensor_bundle/tensor_bundle.h and core/lib/io/table_format.txt;
// core/protobuf/tensor_bundle.proto.
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/tensor_file.h"

namespace ferry::checkpoint {

/// One variable as the index describes it.
struct Tf1Entry {
  DType dtype = DType::undefined;
  Dims dims;
  uint64_t shard = 0;
  uint64_t offset = 0;
  uint64_t size = 0;
};

struct Tf1Index {
  uint64_t shards = 0;  ///< Number of .data files.
  std::map<std::string, Tf1Entry, std::less<>> entries;
};

/// Parses an index. Optimizer state and step counters are left out.
/// Errors: Error{invalid_file}; Error{unsupported} for compressed tables, sliced variables, element types
/// that ferry lacks, and the object-based checkpoints of TensorFlow 2, which do not name their variables.
Tf1Index parse_tf1_index(std::string_view text, std::string_view file);

/// Reads the index and maps its .data files, which lie beside it. TensorFile::format is "tf1".
TensorFile read_tf1(const std::filesystem::path& index_file);

}  // namespace ferry::checkpoint
