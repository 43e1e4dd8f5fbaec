#pragma once
// A checkpoint in several files, with the JSON index that says which tensor lies where.
// Source: transformers 4.57.6, utils/hub.py:get_checkpoint_shard_files
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/tensor_file.h"

namespace ferry::checkpoint {

/// The "weight_map" of an index: tensor name to shard name.
using WeightMap = std::map<std::string, std::string, std::less<>>;

/// Parses the text of an index. Every shard name is checked to be a plain relative name below the folder.
/// Errors: Error{invalid_file}, naming `file`.
WeightMap parse_shard_index(std::string_view text, std::string_view file);

/// The name under which a shard of `format` holds what its index calls `name`. TensorFlow's shards drop the
/// first level, the model object's name, unless the name holds "model." or has one level only.
/// Source: transformers 4.57.6, modeling_tf_utils.py:strip_model_name_and_prefix
std::string shard_key(const std::string& name, std::string_view format);

struct Shards {
  TensorFile file;  ///< All tensors, under the shards' names; the rest is the first shard's.
  std::vector<std::filesystem::path> paths;  ///< Sorted.
};

/// Reads the shards that the index `index_file` names, each once, with `read`. A tensor that lies in two
/// shards is taken from the one that the index names; one that the index does not name is left out with a
/// warning.
/// Errors: Error{invalid_file}, Error{missing_tensor}, Error{not_found} for an absent shard, those of `read`.
Shards read_shards(const std::filesystem::path& index_file,
                   const std::function<TensorFile(const std::filesystem::path&)>& read);

}  // namespace ferry::checkpoint
