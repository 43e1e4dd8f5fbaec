// Phi-3: Llama with fused projections, longrope and a window. Source: transformers 4.57.6,
// models/phi3/modeling_phi3.py.
#include "models/architectures.h"
#include "models/llama.h"

namespace ferry::models::phi3 {
using namespace nn;
namespace op = ir::op;

struct Phi3Config : llama::LlamaConfig {
  explicit Phi3Config(ConfigReader& r) {
    vocab_size = 32064;
    hidden_size = 3072;
    intermediate_size = 8192;
    max_position_embeddings = 4096;
    rms_norm_eps = 1e-5f;
    pad_token_id = 32000;
    rope_defaults.original_max_position_embeddings = 4096;
    rope_defaults.longrope_names = {"longrope", "su", "yarn"};  // Earlier names of it in this model.
    read(r);
    r.read("sliding_window", sliding_window, 1);
  }
};

struct Phi3Attention : LayerModule<Phi3Config> {
  using LayerModule::LayerModule;
  int64_t q_size = c.num_attention_heads * c.head_dim;
  int64_t kv_size = c.num_key_value_heads * c.head_dim;
  Linear qkv_proj{at("qkv_proj"), c.hidden_size, q_size + 2 * kv_size, false};
  Linear o_proj{at("o_proj"), q_size, c.hidden_size, false};

  Tensor operator()(const Tensor& x, Decoding& run, const Rotary& rotary) const {  // [B, S, H] -> [B, S, H]
    const auto named = scope.named();
    const auto qkv = op::split(qkv_proj(x), -1, {q_size, kv_size, kv_size});
    const Tensor q = split_heads(qkv[0], c.num_attention_heads);
    const Tensor k = split_heads(qkv[1], c.num_key_value_heads);
    const Tensor v = split_heads(qkv[2], c.num_key_value_heads);
    return o_proj(run.attend(layer_idx, rotary(q), rotary(k), v, {.mask = run.mask({c.sliding_window})}));
  }
};

struct Phi3MLP : Module<Phi3Config> {
  using Module::Module;
  Linear gate_up_proj{at("gate_up_proj"), c.hidden_size, 2 * c.intermediate_size, false};
  Linear down_proj{at("down_proj"), c.intermediate_size, c.hidden_size, false};

  Tensor operator()(const Tensor& x) const {
    const auto named = scope.named();
    const auto parts = op::split(gate_up_proj(x), -1, {c.intermediate_size, c.intermediate_size});
    const Scope function = at("activation_fn");
    return down_proj(parts[1] * activation(c.hidden_act, parts[0], &function));
  }
};

Architecture arch() {
  using Layer = llama::LlamaDecoderLayer<Phi3Attention, Phi3MLP, Phi3Config>;
  return llama::decoder_arch<llama::LlamaModel<Layer, Phi3Config>>("phi3", "Phi3");
}

}  // namespace ferry::models::phi3
