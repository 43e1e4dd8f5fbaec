#pragma once
// What a feature extractor does, as preprocessor_config.json says it.
#include <string>
#include <string_view>

#include "ferry/feature_extractor.h"
#include "processors/fbank.h"
#include "processors/log_mel.h"

namespace ferry {

struct FeatureExtractor::Recipe {
  std::string type;
  uint32_t sampling_rate = 16000;
  float padding_value = 0;
  bool pad_left = false;
  bool do_normalize = true;
  bool return_attention_mask = false;
  size_t n_samples = 0;  ///< Whisper's.
  processors::LogMel log_mel;
  processors::Fbank fbank;  ///< AST's and SeamlessM4T's.
  size_t max_length = 0;    ///< Frames of AST.
  double mean = 0, std = 1;
  size_t stride = 1;  ///< Frames that SeamlessM4T puts side by side.
};

namespace processors {

/// Errors: as AutoFeatureExtractor::from_json.
FeatureExtractor::Recipe read_feature_recipe(std::string_view preprocessor_config, std::string_view config);

}  // namespace processors
}  // namespace ferry
