// Mixtral: Mistral with a mixture of experts in every layer. Source: transformers 4.57.6,
// models/mixtral/modeling_mixtral.py.
#include "models/architectures.h"
#include "models/llama.h"
#include "nn/experts.h"

namespace ferry::models::mixtral {
using namespace nn;

struct MixtralConfig : llama::LlamaConfig {
  explicit MixtralConfig(ConfigReader& r) {
    intermediate_size = 14336;
    num_key_value_heads = 8;
    max_position_embeddings = 131072;
    rms_norm_eps = 1e-5f;
    rope_defaults.theta = 1e6;
    read(r);
    r.read("sliding_window", sliding_window, 1);
    r.read("num_experts_per_tok", num_experts_per_tok);
    r.read("num_local_experts", num_local_experts);
    if (num_experts_per_tok > num_local_experts) r.fail("num_experts_per_tok", "at most num_local_experts");
    for (const char* key : {"output_router_logits", "router_aux_loss_coef", "router_jitter_noise"})
      r.ignore(key);
  }

  int64_t num_experts_per_tok = 2;
  int64_t num_local_experts = 8;
};

struct MixtralDecoderLayer : LayerModule<MixtralConfig> {
  using LayerModule::LayerModule;
  llama::LlamaAttention self_attn{at("self_attn"), c, layer_idx};
  llama::LlamaRMSNorm input_layernorm{at("input_layernorm"), c};
  llama::LlamaRMSNorm post_attention_layernorm{at("post_attention_layernorm"), c};
  Experts block_sparse_moe{at(scope.has("mlp.gate.weight") ? "mlp" : "block_sparse_moe"),  // 5.x: mlp
                           {.hidden_size = c.hidden_size,
                            .intermediate_size = c.intermediate_size,
                            .count = c.num_local_experts,
                            .per_token = c.num_experts_per_tok,
                            .activation = c.hidden_act,
                            .gate = "w1",
                            .up = "w3",
                            .down = "w2"}};

  Tensor operator()(const Tensor& x, Decoding& run, const Rotary& rotary) const {
    const auto named = scope.named();
    const Tensor y = x + self_attn(input_layernorm(x), run, rotary);
    return y + block_sparse_moe(post_attention_layernorm(y));
  }
};

Architecture arch() {
  return llama::decoder_arch<llama::LlamaModel<MixtralDecoderLayer, MixtralConfig>>("mixtral", "Mixtral");
}

}  // namespace ferry::models::mixtral
