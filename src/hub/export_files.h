#pragma once
// Which files of a repository an export needs. Everything else stays where it is: code above all, and weights
// of a format that is not the one chosen.
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "hub/model_info.h"

namespace ferry::hub {

struct ExportFilesOptions {
  std::string
      framework;  ///< "pt" or "tf": whose weights are preferred. Empty: PyTorch's, as from_pretrained does.
  std::string variant;    ///< "fp16" chooses model.fp16.safetensors, and never another variant.
  std::string subfolder;  ///< The folder of config.json and weights; the root's small files come along.
};

/// The names to download: configuration, tokenizer and processor files, and the weights in from_pretrained's
/// order (model.safetensors, sharded safetensors, pytorch_model.bin, sharded bin, tf_model.h5,
/// flax_model.msgpack, TensorFlow 1 checkpoints; with framework "tf" TensorFlow's come first), an adapter's,
/// and the modules of Sentence Transformers (folders like 1_Pooling). Never *.py. Of a sharded checkpoint all
/// shards are named, even those that `siblings` lacks: whoever fetches them finds out. Errors:
/// Error{not_found} if there are no weights that ferry could read, Error{usage} for options that contradict.
/// Source: transformers 4.57.6, modeling_utils.py:_get_resolved_checkpoint_files.
std::vector<std::string> export_files(const std::vector<RepoSibling>& siblings,
                                      const ExportFilesOptions& options = {});

/// The shards that the index `file` (relative to `folder`) names, relative to `folder`, sorted.
/// Errors: Error{invalid_file} for an index without "weight_map", or with a name that leaves the folder.
std::vector<std::string> index_shards(const std::filesystem::path& folder, std::string_view file);

/// True for "model.safetensors.index.json" and its like.
bool is_weights_index(std::string_view file);

/// True if `name` matches any of the shell patterns, of which '*' also matches '/'; a pattern that ends in
/// '/' means all below. Source: huggingface_hub 0.36.2, utils/_paths.py:filter_repo_objects.
bool matches_any(const std::string& name, const std::vector<std::string>& patterns);

}  // namespace ferry::hub
