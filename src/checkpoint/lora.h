#pragma once
// PEFT adapters: low-rank updates that are added to the weights they were trained on.
// Source: peft 0.17, tuners/lora/layer.py (get_delta_weight), tuners/lora/model.py, utils/save_and_load.py.
#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/tensor_file.h"

namespace ferry::checkpoint {

/// What adapter_config.json says of a LoRA adapter.
struct LoraConfig {
  std::string base;  ///< base_model_name_or_path
  int64_t rank = 8;
  double alpha = 8;
  bool rank_stabilized = false;  ///< use_rslora: alpha / sqrt(rank) instead of alpha / rank.
  bool fan_in_fan_out = false;   ///< The base's weights are [in, out]. Used where the shapes do not tell.
  /// Modules whose rank or alpha differs, by the end of their name.
  std::vector<std::pair<std::string, int64_t>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;
};

/// True if the folder holds adapter_config.json.
bool is_adapter(const std::filesystem::path& folder);

/// Reads adapter_config.json. Errors: Error{unsupported} for another peft_type and for the options of LoRA
/// that ferry lacks (DoRA, trained tokens, ...), by name; Error{invalid_config}.
LoraConfig read_lora_config(const std::filesystem::path& folder);

/// Adds the adapter in `folder` to `base`: every W with a pair A, B becomes W + scale * B A, computed block
/// by block when it is read; whole tensors that the adapter holds (modules_to_save, trained biases) replace
/// the base's. Returns the adapter's weight file.
/// Errors: Error{missing_tensor} if the base lacks a weight that the adapter changes; Error{shape_mismatch};
/// Error{unsupported} and Error{invalid_file} as the readers.
std::filesystem::path merge_lora(TensorMap& base, const std::filesystem::path& folder);

}  // namespace ferry::checkpoint
