#pragma once
// The weights of a model folder, whatever framework saved them, under PyTorch's names and in PyTorch's
// layout. Nothing but headers is read; nothing in a checkpoint is executed.
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tensor/state_dict.h"

namespace ferry {

struct CheckpointOptions {
  std::string variant;    ///< "fp16" asks for model.fp16.safetensors, as from_pretrained(variant=...) does.
  std::string framework;  ///< "pt", "tf", "flax": whose weights to take. "": the order of from_pretrained.
  std::string subfolder;  ///< A folder below the model folder that holds the weights. "": the folder itself.
  /// A PEFT adapter folder to merge into the weights. A folder that holds nothing but an adapter names its
  /// base itself (adapter_config.json).
  std::filesystem::path adapter;
};

/// A file that was opened.
struct CheckpointFile {
  std::filesystem::path path;
  /// "safetensors", "pytorch", "pytorch (legacy)", "tf h5", "tf safetensors", "flax", "flax safetensors",
  /// "tf1"; "adapter" for a LoRA adapter that was merged.
  std::string format;
};

struct Checkpoint {
  StateDict state;
  std::vector<CheckpointFile> files;            ///< Sorted by path.
  std::string format;                           ///< Of the files; as CheckpointFile::format.
  std::map<std::string, std::string> metadata;  ///< What the format's own metadata says, if it has any.
  /// True if the names and layouts were translated from another framework's. Dimensions of size 1 may then
  /// differ from PyTorch's: see adapt_shape.
  bool foreign = false;
  std::vector<std::string> warnings;  ///< For the user; each a sentence.
};

/// Opens the weights of a checkpoint folder, or a single weights file.
///
/// Choice  model.safetensors, its shards, pytorch_model.bin, its shards, tf_model.h5, its shards,
///         flax_model.msgpack, its shards, *.ckpt.index: the first that exists. A file that exists and is
///         broken is an error; the next in the order is never tried in its place.
/// Errors  Error{not_found}       no weights there, or a shard of the index is missing
///         Error{invalid_file}    the file is not what its format asks for
///         Error{missing_tensor}  the index puts a tensor into a shard that lacks it
///         Error{unsupported}     a format, element type or pickled object that ferry does not read, by name
///         Error{io}              the operating system refused
/// Lifetime  Weights keep their files mapped; the files must not be truncated while they are in use.
/// Source  transformers 4.57.6, modeling_utils.py:_get_resolved_checkpoint_files
Checkpoint open_checkpoint(const std::filesystem::path& folder, const CheckpointOptions& options = {});

/// The folder of the base model, if `folder` holds a PEFT adapter and no weights of its own: its
/// configuration is the base's, too. Nothing if it is not such a folder.
/// Errors: Error{not_found} if adapter_config.json names a base that is not a local folder, with a hint on
/// --adapter; Error{unsupported}, Error{invalid_config}.
std::optional<std::filesystem::path> adapter_base(const std::filesystem::path& folder);

/// `weight` under the dimensions `wanted`: the same elements in the same order. For weights of a foreign
/// checkpoint, whose frameworks add or drop dimensions (a Conv1D bias [1, n] is [n] in PyTorch).
/// Errors: Error{shape_mismatch} if the numbers of elements differ, or if more than dimensions of size 1
/// would move.
Weight adapt_shape(const Weight& weight, const Dims& wanted);

}  // namespace ferry
