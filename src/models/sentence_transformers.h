#pragma once
// The modules that a sentence-transformers folder puts after its transformer.
// Source: sentence-transformers 5.7, models/{Pooling,Dense,Normalize,LayerNorm}.py, as Optimum traces them.
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <variant>
#include <vector>

#include "nn/architecture.h"

namespace ferry::models {

/// One vector a sentence from one a token; several modes are concatenated in this order.
struct Pooling {
  std::vector<std::string> modes;  ///< cls, max, mean, mean_sqrt_len_tokens, weightedmean, lasttoken
  bool include_prompt = true;
};
struct Dense {
  int64_t in_features = 0, out_features = 0;
  bool bias = true;
  std::string activation_function;  ///< Last part of torch's class name: "Tanh", "Identity".
};
struct Normalize {};
struct SentenceLayerNorm {
  int64_t dimension = 0;
};

struct SentenceModule {
  std::variant<Pooling, Dense, Normalize, SentenceLayerNorm> kind;
  StateDict state;  ///< Of the module's own weights.
};

/// Reads a module's config.json. `type` is the last part of its class ("Pooling").
/// Errors: Error{invalid_config}, Error{unsupported} for a module or mode that is not implemented.
SentenceModule read_sentence_module(const std::string& type, const nlohmann::ordered_json& config,
                                    const std::string& origin);

/// token_embeddings [B, S, H] and attention_mask i64[B, S] -> token_embeddings, sentence_embedding [B, D].
nn::Outputs sentence_outputs(nn::Build& build, const std::vector<SentenceModule>& modules,
                             const nn::Tensor& token_embeddings, const nn::Tensor& attention_mask);

}  // namespace ferry::models
