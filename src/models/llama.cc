// Llama. Source: transformers 4.57.6, models/llama/modeling_llama.py.
#include "models/llama.h"

#include <algorithm>

namespace ferry::models::llama {
using namespace nn;
namespace op = ir::op;

LlamaConfig::LlamaConfig(ConfigReader& r) {
  read(r);
  read_attention_bias(r);
  r.read("mlp_bias", mlp_bias);
}

void LlamaConfig::read(ConfigReader& r) {
  r.read("vocab_size", vocab_size);
  r.read("hidden_size", hidden_size);
  r.read("intermediate_size", intermediate_size);
  r.read("num_hidden_layers", num_hidden_layers);
  r.read("num_attention_heads", num_attention_heads);
  r.read("num_key_value_heads", num_key_value_heads);
  r.read("head_dim", head_dim);
  r.read_choice("hidden_act", hidden_act, activation_names());
  r.read("max_position_embeddings", max_position_embeddings);
  r.read("rms_norm_eps", rms_norm_eps);
  r.read("tie_word_embeddings", tie_word_embeddings);
  r.read("pad_token_id", pad_token_id, INT32_MIN);
  num_labels = r.num_labels();
  if (num_key_value_heads == 0) num_key_value_heads = num_attention_heads;
  if (num_attention_heads % num_key_value_heads != 0)
    r.fail("num_key_value_heads", "a divisor of num_attention_heads");
  if (head_dim == 0) {
    if (hidden_size % num_attention_heads != 0) r.fail("hidden_size", "a multiple of num_attention_heads");
    head_dim = hidden_size / num_attention_heads;
  }
  rope_defaults.head_dim = head_dim;
  rope_defaults.max_position_embeddings = max_position_embeddings;
  rope = read_rope(r, rope_defaults);
}

void LlamaConfig::read_attention_bias(ConfigReader& r) {
  r.read("attention_bias", qkv_bias);
  out_bias = qkv_bias;
}

void LlamaConfig::read_layer_types(ConfigReader& r, const std::function<bool(int64_t)>& is_sliding) {
  r.read("layer_types", layer_types);
  if (layer_types.empty()) {
    for (int64_t layer = 0; layer < num_hidden_layers; ++layer)
      layer_types.emplace_back(is_sliding(layer) ? "sliding_attention" : "full_attention");
  }
  const bool valid = std::all_of(layer_types.begin(), layer_types.end(), [](const std::string& type) {
    return type == "full_attention" || type == "sliding_attention";
  });
  if (!valid || layer_types.size() != static_cast<size_t>(num_hidden_layers))
    r.fail("layer_types", "\"full_attention\" or \"sliding_attention\" for each of the layers");
}

void LlamaConfig::read_used_window(ConfigReader& r) {
  bool used = false;
  r.read("use_sliding_window", used);
  std::optional<int64_t> window = 4096;
  r.read_nullable("sliding_window", window, 1);
  if (used) sliding_window = window;
}

void LlamaConfig::read_qwen_windows(ConfigReader& r) {
  read_used_window(r);
  int64_t full_layers = 28;
  r.read("max_window_layers", full_layers, 0);
  read_layer_types(r, [&](int64_t layer) { return sliding_window && layer >= full_layers; });
}

bool LlamaConfig::is_sliding(int64_t layer) const {
  return layer_types.empty() || layer_types[static_cast<size_t>(layer)] == "sliding_attention";
}

std::optional<int64_t> LlamaConfig::window(int64_t layer) const {
  return is_sliding(layer) ? sliding_window : std::nullopt;
}

DecoderSignature LlamaConfig::signature() const {
  return {.vocab_size = vocab_size,
          .layers = num_hidden_layers,
          .kv_heads = num_key_value_heads,
          .head_dim = head_dim};
}

Tensor LlamaAttention::queries(const Tensor& x) const {
  return split_heads(q_proj(x), c.num_attention_heads);
}

Tensor LlamaAttention::keys(const Tensor& x) const {
  return split_heads(k_proj(x), c.num_key_value_heads);
}

Tensor LlamaAttention::attend(const Tensor& q, const Tensor& k, const Tensor& x, Decoding& run,
                              op::AttentionOptions options) const {
  const Tensor v = split_heads(v_proj(x), c.num_key_value_heads);
  options.mask = run.mask({c.window(layer_idx), c.bidirectional});
  return o_proj(run.attend(layer_idx, q, k, v, options));
}

Tensor LlamaAttention::operator()(const Tensor& x, Decoding& run, const Rotary& rotary) const {
  const auto named = scope.named();
  return attend(rotary(queries(x)), rotary(keys(x)), x, run);
}

Tensor LlamaMLP::operator()(const Tensor& x) const {
  const auto named = scope.named();
  const Scope function = at("act_fn");
  return down_proj(activation(c.hidden_act, gate_proj(x), &function) * up_proj(x));
}

Architecture arch() {
  return decoder_arch<LlamaModel<>>("llama", "Llama");
}

}  // namespace ferry::models::llama
