// The text model of Gemma 3: normalized queries and keys, and frequencies of their own for layers with a
// window. Source: transformers 4.57.6, models/gemma3/modeling_gemma3.py.
#include "models/architectures.h"
#include "models/gemma2.h"

namespace ferry::models::gemma3_text {
using namespace nn;

struct Gemma3TextConfig : gemma2::GemmaBaseConfig {
  explicit Gemma3TextConfig(ConfigReader& r) {
    vocab_size = 262208;
    hidden_size = 2304;
    intermediate_size = 9216;
    num_hidden_layers = 26;
    num_attention_heads = 8;
    num_key_value_heads = 4;
    hidden_act = "gelu_pytorch_tanh";
    max_position_embeddings = 131072;
    sliding_window = 4096;
    rope_defaults.theta = 1e6;
    rope_defaults.layer_type = "full_attention";
    read(r);
    r.read_choice("hidden_activation", hidden_act, activation_names());
    r.read("query_pre_attn_scalar", query_pre_attn_scalar);
    r.read("sliding_window", sliding_window, 1);
    r.read("final_logit_softcapping", final_logit_softcapping);
    r.ignore("attn_logit_softcapping");  // Gemma 2's; the source reads it and caps nothing.
    r.read("use_bidirectional_attention", bidirectional);
    if (bidirectional) sliding_window = *sliding_window / 2 + 1;
    int64_t pattern = 6;
    for (const char* key : {"sliding_window_pattern", "_sliding_window_pattern"}) r.read(key, pattern);
    read_layer_types(r, [&](int64_t layer) { return (layer + 1) % pattern != 0; });
    read_local_rope(r);
  }

  RopeConfig local_rope;

 private:
  void read_local_rope(ConfigReader& r) {
    RopeDefaults local = rope_defaults;
    local.theta = 10000;
    local.theta_key = "rope_local_base_freq";
    local.layer_type = "sliding_attention";
    local.own_scaling = false;
    local_rope = read_rope(r, local);
  }
};

struct Gemma3Attention : LayerModule<Gemma3TextConfig> {
  using LayerModule::LayerModule;
  llama::LlamaAttention attention{scope, c, layer_idx};
  llama::LlamaRMSNorm q_norm{at("q_norm"), c, c.head_dim};
  llama::LlamaRMSNorm k_norm{at("k_norm"), c, c.head_dim};

  Tensor operator()(const Tensor& x, Decoding& run, const Rotary& rotary) const {
    const auto named = scope.named();
    const Tensor q = rotary(q_norm(attention.queries(x))), k = rotary(k_norm(attention.keys(x)));
    return attention.attend(q, k, x, run, {.scale = c.query_scale()});
  }
};

using Gemma3DecoderLayer = gemma2::Gemma2DecoderLayer<Gemma3Attention, Gemma3TextConfig>;

struct Gemma3TextModel : llama::LlamaModel<Gemma3DecoderLayer, Gemma3TextConfig> {
  using LlamaModel::LlamaModel;

  Tensor operator()(Decoding& run) const {  // -> [B, S, H]
    const Rotary global(at("rotary_emb"), c.rope, run.position_ids());
    const Rotary local(at("rotary_emb_local"), c.local_rope, run.position_ids());
    Tensor x = embed(run);
    for (const Gemma3DecoderLayer& layer : layers)
      x = layer(x, run, c.is_sliding(layer.layer_idx) ? local : global);
    return norm(x);
  }
};

Architecture arch() {
  return ArchBuilder<Gemma3TextConfig>("gemma3_text")
      .prefix("model")
      .may_be_unused({"lm_head", "score"})
      .decoder([](const Gemma3TextConfig& c) { return c.signature(); })
      .generation<DecoderBody<Gemma3TextModel>, gemma2::Gemma2ForCausalLM<Gemma3TextModel>>(
          "Gemma3TextModel", "Gemma3ForCausalLM");
}

}  // namespace ferry::models::gemma3_text
