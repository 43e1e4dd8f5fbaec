#pragma once
// Rotary position embeddings: which frequencies a configuration asks for, and their cosines and sines.
#include <string>
#include <string_view>
#include <vector>

#include "nn/config.h"
#include "nn/module.h"

namespace ferry::nn {

/// The frequencies by which the pairs of a head's first `dim` elements are turned.
struct RopeConfig {
  enum class Kind {
    fixed,      ///< inv_freq, whatever the length: default, linear, yarn, llama3.
    dynamic,    ///< From a base that grows with the length, once that exceeds max_position_embeddings.
    switching,  ///< long_inv_freq, once the length exceeds original_max_position_embeddings: longrope.
  } kind = Kind::fixed;
  int64_t dim = 0;
  double theta = 10000;
  double factor = 1;
  double attention_factor = 1;  ///< Cosines and sines are multiplied by it.
  int64_t max_position_embeddings = 0;
  int64_t original_max_position_embeddings = 0;
  std::vector<float> inv_freq;
  std::vector<float> long_inv_freq;
};

/// What a configuration need not say.
struct RopeDefaults {
  int64_t head_dim = 0;
  int64_t max_position_embeddings = 0;
  double theta = 10000;
  double partial_rotary_factor = 1;  ///< The part of a head that is turned.
  std::string_view theta_key = "rope_theta";
  std::string_view partial_key = "partial_rotary_factor";
  /// The kind of layers, where "rope_parameters" has an entry for each: "sliding_attention".
  std::string_view layer_type = "";
  /// Whether "rope_scaling" of 4.x is for these layers, too.
  bool own_scaling = true;
  /// The length before scaling, for longrope, if the configuration does not say; 0: max_position_embeddings.
  int64_t original_max_position_embeddings = 0;
  /// Names of rope_type that mean longrope ("su").
  std::vector<std::string> longrope_names = {"longrope"};
};

/// Reads "rope_theta" and "rope_scaling" (transformers 4.x) or "rope_parameters" (5.x).
/// Errors: Error{invalid_config} that names the key; a rope_type that there is no implementation of is one.
/// Source: transformers 4.57.6 modeling_rope_utils.py.
RopeConfig read_rope(ConfigReader& reader, const RopeDefaults& defaults);

/// Cosines and sines of the positions of one run, computed in f32, then of the dtype of the build.
class Rotary {
 public:
  /// position_ids i64[B, S]
  Rotary(const Scope& scope, const RopeConfig& rope, const Tensor& position_ids);
  /// x [B, heads, S, size], of which the first `dim` elements are turned: element i with i + dim / 2.
  Tensor operator()(const Tensor& x) const;

 private:
  Scope scope_;
  int64_t dim_;
  Tensor cos_, sin_;  // [B, S, dim / 2]
};

}  // namespace ferry::nn
