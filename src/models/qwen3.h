#pragma once
// Qwen3's attention, which its mixture of experts shares.
#include "models/llama.h"

namespace ferry::models::qwen3 {

struct Qwen3Attention : llama::LlamaAttention {
  using LlamaAttention::LlamaAttention;
  llama::LlamaRMSNorm q_norm{at("q_norm"), c, c.head_dim};
  llama::LlamaRMSNorm k_norm{at("k_norm"), c, c.head_dim};

  nn::Tensor operator()(const nn::Tensor& x, nn::Decoding& run, const nn::Rotary& rotary) const {
    const auto named = scope.named();
    return attend(rotary(q_norm(queries(x))), rotary(k_norm(keys(x))), x, run);
  }
};

}  // namespace ferry::models::qwen3
