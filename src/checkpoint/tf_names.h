#pragma once
// From TensorFlow's and Flax's names and layouts to PyTorch's.
// Source: transformers 4.57.6, modeling_tf_pytorch_utils.py:convert_tf_weight_name_to_pt_weight_name,
// modeling_flax_pytorch_utils.py, models/bert/convert_bert_original_tf_checkpoint_to_pytorch.py.
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/tensor_file.h"

namespace ferry::checkpoint {

/// How the dimensions move on the way to PyTorch.
enum class Layout : uint8_t {
  same,
  reversed,  ///< All dimensions: dense kernels [in, out] -> [out, in].
  conv1d,    ///< [k, in, out] -> [out, in, k]
  conv2d,    ///< [h, w, in, out] -> [out, in, h, w]
};

struct TorchName {
  std::string name;
  Layout layout = Layout::same;
};

/// The generic rules for a variable of Keras: `variable` as the file names it, with or without its first
/// level (the model object's name), and its number of dimensions.
TorchName name_of_keras(std::string_view variable, size_t rank, bool has_first_level);
/// The same for a variable of one of Google's TF1 checkpoints ("bert/encoder/layer_0/output/dense/kernel").
TorchName name_of_tf1(std::string_view variable, size_t rank);
/// The same for a leaf of a Flax tree, its path joined by "/".
TorchName name_of_flax(std::string_view path, size_t rank);

/// `weight` in PyTorch's layout.
Weight to_torch_layout(const Weight& weight, Layout layout);

/// What the rules that differ between architectures need to know of config.json.
struct ModelFacts {
  std::string model_type;
  std::string architecture;  ///< The first of "architectures"; "" if there is none.
  bool rotary = false;       ///< position_embedding_type is "rotary".
};
/// Reads them from config.json in `folder`; all empty if there is none.
/// Errors: Error{invalid_file}, as read_json.
ModelFacts read_model_facts(const std::filesystem::path& folder);

/// The state dict of a TensorFlow or Flax file under PyTorch's names, with the exceptions of the
/// architecture. Errors: Error{invalid_file} if two variables get one name.
TensorMap to_torch_names(const TensorFile& file, const ModelFacts& facts, std::string_view origin);

}  // namespace ferry::checkpoint
