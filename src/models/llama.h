#pragma once
// Llama's parts that other decoders share. Source: transformers 4.57.6, models/llama/modeling_llama.py;
// struct names are that file's, the strings in at("...") its checkpoint keys. Axes: B batch, S new tokens, H
// hidden size, h heads, d head size.
#include <optional>
#include <string>

#include "nn/decoder.h"
#include "nn/rotary.h"

namespace ferry::models::llama {

/// Llama's configuration, with its defaults. Others derive from it, set theirs, then read().
struct LlamaConfig {
  LlamaConfig() = default;
  explicit LlamaConfig(nn::ConfigReader& r);

  int64_t vocab_size = 32000;
  int64_t hidden_size = 4096;
  int64_t intermediate_size = 11008;
  int64_t num_hidden_layers = 32;
  int64_t num_attention_heads = 32;
  int64_t num_key_value_heads = 0;  // 0: as many as num_attention_heads.
  int64_t head_dim = 0;             // 0: hidden_size / num_attention_heads.
  std::string hidden_act = "silu";
  int64_t max_position_embeddings = 2048;
  float rms_norm_eps = 1e-6f;
  float rms_norm_offset = 0;   // What is added to the weights of norms.
  double embedding_scale = 1;  // What embeddings are multiplied by.
  bool tie_word_embeddings = false;
  bool qkv_bias = false;
  bool out_bias = false;
  bool mlp_bias = false;
  nn::RopeDefaults rope_defaults;
  nn::RopeConfig rope;
  std::optional<int64_t> sliding_window;
  bool bidirectional = false;            // Whether a query sees the keys after it, too.
  std::vector<std::string> layer_types;  // "full_attention" or "sliding_attention"; empty: all of one kind.
  std::optional<int64_t> pad_token_id;
  int64_t num_labels = 2;

  /// The keys that all have.
  void read(nn::ConfigReader& r);
  /// "attention_bias": of the query, key, value and output projections.
  void read_attention_bias(nn::ConfigReader& r);
  /// "layer_types", else what the layers are by older keys.
  void read_layer_types(nn::ConfigReader& r, const std::function<bool(int64_t layer)>& is_sliding);
  /// "sliding_window", if "use_sliding_window" says so.
  void read_used_window(nn::ConfigReader& r);
  /// Qwen's: a window in the layers from "max_window_layers" on, or as "layer_types" has it.
  void read_qwen_windows(nn::ConfigReader& r);
  [[nodiscard]] bool is_sliding(int64_t layer) const;
  /// How many keys up to its own a query of the layer sees; nothing: all.
  [[nodiscard]] std::optional<int64_t> window(int64_t layer) const;
  [[nodiscard]] nn::DecoderSignature signature() const;
};

struct LlamaAttention : nn::LayerModule<LlamaConfig> {
  using LayerModule::LayerModule;
  nn::Linear q_proj{at("q_proj"), c.hidden_size, c.num_attention_heads* c.head_dim, c.qkv_bias};
  nn::Linear k_proj{at("k_proj"), c.hidden_size, c.num_key_value_heads* c.head_dim, c.qkv_bias};
  nn::Linear v_proj{at("v_proj"), c.hidden_size, c.num_key_value_heads* c.head_dim, c.qkv_bias};
  nn::Linear o_proj{at("o_proj"), c.num_attention_heads* c.head_dim, c.hidden_size, c.out_bias};

  /// [B, S, H] -> [B, S, H]
  nn::Tensor operator()(const nn::Tensor& x, nn::Decoding& run, const nn::Rotary& rotary) const;

  [[nodiscard]] nn::Tensor queries(const nn::Tensor& x) const;  // [B, h, S, d]
  [[nodiscard]] nn::Tensor keys(const nn::Tensor& x) const;
  /// Attention of turned queries and keys in the layer's window, over the values of x.
  [[nodiscard]] nn::Tensor attend(const nn::Tensor& q, const nn::Tensor& k, const nn::Tensor& x,
                                  nn::Decoding& run, ir::op::AttentionOptions options = {}) const;
};

/// down(act(gate(x)) * up(x))
struct LlamaMLP : nn::Module<LlamaConfig> {
  using Module::Module;
  nn::Linear gate_proj{at("gate_proj"), c.hidden_size, c.intermediate_size, c.mlp_bias};
  nn::Linear up_proj{at("up_proj"), c.hidden_size, c.intermediate_size, c.mlp_bias};
  nn::Linear down_proj{at("down_proj"), c.intermediate_size, c.hidden_size, c.mlp_bias};

  nn::Tensor operator()(const nn::Tensor& x) const;
};

/// RMSNorm as the configuration has it.
struct LlamaRMSNorm : nn::RMSNorm {
  LlamaRMSNorm(const nn::Scope& place, const LlamaConfig& c, int64_t size)
      : RMSNorm(place, size, c.rms_norm_eps, c.rms_norm_offset) {}
  LlamaRMSNorm(const nn::Scope& place, const LlamaConfig& c) : LlamaRMSNorm(place, c, c.hidden_size) {}
};

template <typename Attention = LlamaAttention, typename Mlp = LlamaMLP, typename Config = LlamaConfig>
struct LlamaDecoderLayer : nn::LayerModule<Config> {
  using nn::LayerModule<Config>::LayerModule;
  Attention self_attn{this->at("self_attn"), this->c, this->layer_idx};
  Mlp mlp = nn::make_part<Mlp>(this->at("mlp"), this->layer_idx, this->c);
  LlamaRMSNorm input_layernorm{this->at("input_layernorm"), this->c};
  LlamaRMSNorm post_attention_layernorm{this->at("post_attention_layernorm"), this->c};

  nn::Tensor operator()(const nn::Tensor& x, nn::Decoding& run, const nn::Rotary& rotary) const {
    const auto named = this->scope.named();
    const nn::Tensor y = x + self_attn(input_layernorm(x), run, rotary);
    return y + mlp(post_attention_layernorm(y));
  }
};

template <typename Layer = LlamaDecoderLayer<>, typename Config = LlamaConfig>
struct LlamaModel : nn::Module<Config> {
  using nn::Module<Config>::Module;
  static constexpr std::string_view base_model_prefix = "model";
  nn::Embedding embed_tokens{this->at("embed_tokens"), this->c.vocab_size, this->c.hidden_size};
  nn::List<Layer> layers{this->at("layers"), this->c.num_hidden_layers, this->c};
  LlamaRMSNorm norm{this->at("norm"), this->c};

  [[nodiscard]] nn::Tensor embed(const nn::Decoding& run) const {
    const nn::Tensor x = embed_tokens(run.input_ids());
    return this->c.embedding_scale == 1 ? x : x * this->c.embedding_scale;
  }

  nn::Tensor operator()(nn::Decoding& run) const {  // -> [B, S, H]
    const nn::Rotary rotary(this->at("rotary_emb"), this->c.rope, run.position_ids());
    nn::Tensor x = embed(run);
    for (const Layer& layer : layers) x = layer(x, run, rotary);
    return norm(x);
  }
};

template <typename Model>
struct LlamaForCausalLM : nn::Module<typename Model::ConfigType> {
  using nn::Module<typename Model::ConfigType>::Module;
  Model model{this->at("model"), this->c};

  nn::Outputs operator()(const nn::Inputs& in) const {  // -> [B, S, vocab]
    nn::Decoding run(in);
    const nn::Tensor x = model(run);
    return run.outputs(
        "logits", nn::language_head(this->at("lm_head"), model.embed_tokens, this->c.tie_word_embeddings, x));
  }
};

/// The row of an architecture whose tasks are those of Llama. `name`: "Llama", as in LlamaForCausalLM.
template <typename Model, typename CausalLM = LlamaForCausalLM<Model>>
nn::ArchBuilder<typename Model::ConfigType> decoder_arch(const std::string& model_type,
                                                         const std::string& name) {
  nn::ArchBuilder<typename Model::ConfigType> arch(model_type);
  arch.prefix("model")
      .may_be_unused({"lm_head", "score", "classifier", "qa_outputs", "*.rotary_emb.inv_freq"})
      .decoder([](const auto& c) { return c.signature(); })
      .template generation<nn::DecoderBody<Model>, CausalLM>(name + "Model", name + "ForCausalLM")
      .template task<nn::ForSequenceClassification<Model>>("text-classification",
                                                           name + "ForSequenceClassification");
  return arch;
}

nn::Architecture arch();

}  // namespace ferry::models::llama
