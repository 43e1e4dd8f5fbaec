// Phi: attention and feed-forward side by side, partly turned heads, biases everywhere.
// Source: transformers 4.57.6, models/phi/modeling_phi.py.
#include "models/architectures.h"
#include "models/llama.h"

namespace ferry::models::phi {
using namespace nn;

struct PhiConfig : llama::LlamaConfig {
  explicit PhiConfig(ConfigReader& r) {
    vocab_size = 51200;
    hidden_size = 2048;
    intermediate_size = 8192;
    num_hidden_layers = 24;
    hidden_act = "gelu_new";
    rope_defaults.partial_rotary_factor = 0.5;
    read(r);
    r.read("layer_norm_eps", layer_norm_eps);
    r.read("qk_layernorm", qk_layernorm);
  }

  float layer_norm_eps = 1e-5f;
  bool qk_layernorm = false;
};

struct PhiAttention : LayerModule<PhiConfig> {
  using LayerModule::LayerModule;
  Linear q_proj{at("q_proj"), c.hidden_size, c.num_attention_heads* c.head_dim};
  Linear k_proj{at("k_proj"), c.hidden_size, c.num_key_value_heads* c.head_dim};
  Linear v_proj{at("v_proj"), c.hidden_size, c.num_key_value_heads* c.head_dim};
  Linear dense{at("dense"), c.num_attention_heads* c.head_dim, c.hidden_size};

  Tensor operator()(const Tensor& x, Decoding& run, const Rotary& rotary) const {  // [B, S, H] -> [B, S, H]
    const auto named = scope.named();
    const Tensor q = normalized("q_layernorm", split_heads(q_proj(x), c.num_attention_heads));
    const Tensor k = normalized("k_layernorm", split_heads(k_proj(x), c.num_key_value_heads));
    const Tensor v = split_heads(v_proj(x), c.num_key_value_heads);
    return dense(run.attend(layer_idx, rotary(q), rotary(k), v));
  }

  [[nodiscard]] Tensor normalized(std::string_view name, const Tensor& heads) const {
    return c.qk_layernorm ? LayerNorm(at(name), c.head_dim, c.layer_norm_eps)(heads) : heads;
  }
};

struct PhiMLP : Module<PhiConfig> {
  using Module::Module;
  Linear fc1{at("fc1"), c.hidden_size, c.intermediate_size};
  Linear fc2{at("fc2"), c.intermediate_size, c.hidden_size};

  Tensor operator()(const Tensor& x) const {
    const auto named = scope.named();
    const Scope function = at("activation_fn");
    return fc2(activation(c.hidden_act, fc1(x), &function));
  }
};

struct PhiDecoderLayer : LayerModule<PhiConfig> {
  using LayerModule::LayerModule;
  PhiAttention self_attn{at("self_attn"), c, layer_idx};
  PhiMLP mlp{at("mlp"), c};
  LayerNorm input_layernorm{at("input_layernorm"), c.hidden_size, c.layer_norm_eps};

  Tensor operator()(const Tensor& x, Decoding& run, const Rotary& rotary) const {
    const auto named = scope.named();
    const Tensor y = input_layernorm(x);
    return self_attn(y, run, rotary) + mlp(y) + x;
  }
};

struct PhiModel : Module<PhiConfig> {
  using Module::Module;
  static constexpr std::string_view base_model_prefix = "model";
  Embedding embed_tokens{at("embed_tokens"), c.vocab_size, c.hidden_size};
  List<PhiDecoderLayer> layers{at("layers"), c.num_hidden_layers, c};
  LayerNorm final_layernorm{at("final_layernorm"), c.hidden_size, c.layer_norm_eps};

  Tensor operator()(Decoding& run) const {  // -> [B, S, H]
    const Rotary rotary(at("rotary_emb"), c.rope, run.position_ids());
    Tensor x = embed_tokens(run.input_ids());
    for (const PhiDecoderLayer& layer : layers) x = layer(x, run, rotary);
    return final_layernorm(x);
  }
};

struct PhiForCausalLM : Module<PhiConfig> {
  using Module::Module;
  PhiModel model{at("model"), c};
  Tensor lm_head_bias = at("lm_head").parameter("bias", {c.vocab_size});

  Outputs operator()(const Inputs& in) const {  // -> [B, S, vocab]
    Decoding run(in);
    const Tensor x = model(run);
    const Tensor logits = language_head(at("lm_head"), model.embed_tokens, c.tie_word_embeddings, x);
    return run.outputs("logits", logits + lm_head_bias);
  }
};

Architecture arch() {
  return llama::decoder_arch<PhiModel, PhiForCausalLM>("phi", "Phi");
}

}  // namespace ferry::models::phi
