// GPT-NeoX. Source: transformers 4.57.6, models/gpt_neox/modeling_gpt_neox.py.
#include "models/architectures.h"
#include "nn/decoder.h"
#include "nn/rotary.h"

namespace ferry::models::gpt_neox {
using namespace nn;
namespace op = ir::op;

struct GPTNeoXConfig {
  explicit GPTNeoXConfig(ConfigReader& r) {
    r.read("vocab_size", vocab_size);
    r.read("hidden_size", hidden_size);
    r.read("num_hidden_layers", num_hidden_layers);
    r.read("num_attention_heads", num_attention_heads);
    r.read("intermediate_size", intermediate_size);
    r.read_choice("hidden_act", hidden_act, activation_names());
    r.read("max_position_embeddings", max_position_embeddings);
    r.read("layer_norm_eps", layer_norm_eps);
    r.read("tie_word_embeddings", tie_word_embeddings);
    r.read("use_parallel_residual", use_parallel_residual);
    r.read("attention_bias", attention_bias);
    r.read("pad_token_id", pad_token_id, INT32_MIN);
    for (const char* key : {"hidden_dropout", "partial_rotary_factor", "rope_theta"})
      r.ignore(key);  // The latter two repeat rotary_pct and rotary_emb_base.
    num_labels = r.num_labels();
    if (hidden_size % num_attention_heads != 0) r.fail("hidden_size", "a multiple of num_attention_heads");
    rope = read_rope(r, {.head_dim = head_dim(),
                         .max_position_embeddings = max_position_embeddings,
                         .partial_rotary_factor = 0.25,
                         .theta_key = "rotary_emb_base",
                         .partial_key = "rotary_pct"});
  }

  int64_t vocab_size = 50432;
  int64_t hidden_size = 6144;
  int64_t num_hidden_layers = 44;
  int64_t num_attention_heads = 64;
  int64_t intermediate_size = 24576;
  std::string hidden_act = "gelu";
  int64_t max_position_embeddings = 2048;
  float layer_norm_eps = 1e-5f;
  bool tie_word_embeddings = false;
  bool use_parallel_residual = true;
  bool attention_bias = true;
  RopeConfig rope;
  std::optional<int64_t> pad_token_id;
  int64_t num_labels = 2;

  [[nodiscard]] int64_t head_dim() const { return hidden_size / num_attention_heads; }
};

struct GPTNeoXAttention : LayerModule<GPTNeoXConfig> {
  using LayerModule::LayerModule;
  Linear query_key_value{at("query_key_value"), c.hidden_size, 3 * c.hidden_size, c.attention_bias};
  Linear dense{at("dense"), c.hidden_size, c.hidden_size, c.attention_bias};

  Tensor operator()(const Tensor& x, Decoding& run, const Rotary& rotary) const {  // [B, S, H] -> [B, S, H]
    const auto named = scope.named();
    const int64_t d = c.head_dim();
    const Tensor heads = split_heads(query_key_value(x), c.num_attention_heads);  // [B, h, S, 3 d]
    const auto qkv = op::split(heads, -1, {d, d, d});
    return dense(run.attend(layer_idx, rotary(qkv[0]), rotary(qkv[1]), qkv[2]));
  }
};

struct GPTNeoXMLP : Module<GPTNeoXConfig> {
  using Module::Module;
  Linear dense_h_to_4h{at("dense_h_to_4h"), c.hidden_size, c.intermediate_size};
  Linear dense_4h_to_h{at("dense_4h_to_h"), c.intermediate_size, c.hidden_size};

  Tensor operator()(const Tensor& x) const {
    const auto named = scope.named();
    const Scope function = at("act");
    return dense_4h_to_h(activation(c.hidden_act, dense_h_to_4h(x), &function));
  }
};

struct GPTNeoXLayer : LayerModule<GPTNeoXConfig> {
  using LayerModule::LayerModule;
  LayerNorm input_layernorm{at("input_layernorm"), c.hidden_size, c.layer_norm_eps};
  LayerNorm post_attention_layernorm{at("post_attention_layernorm"), c.hidden_size, c.layer_norm_eps};
  GPTNeoXAttention attention{at("attention"), c, layer_idx};
  GPTNeoXMLP mlp{at("mlp"), c};

  Tensor operator()(const Tensor& x, Decoding& run, const Rotary& rotary) const {
    const auto named = scope.named();
    const Tensor attended = attention(input_layernorm(x), run, rotary);
    if (c.use_parallel_residual) return mlp(post_attention_layernorm(x)) + attended + x;
    const Tensor y = attended + x;
    return mlp(post_attention_layernorm(y)) + y;
  }
};

struct GPTNeoXModel : Module<GPTNeoXConfig> {
  using Module::Module;
  static constexpr std::string_view base_model_prefix = "gpt_neox";
  Embedding embed_in{at("embed_in"), c.vocab_size, c.hidden_size};
  List<GPTNeoXLayer> layers{at("layers"), c.num_hidden_layers, c};
  LayerNorm final_layer_norm{at("final_layer_norm"), c.hidden_size, c.layer_norm_eps};

  Tensor operator()(Decoding& run) const {  // -> [B, S, H]
    const Rotary rotary(at("rotary_emb"), c.rope, run.position_ids());
    Tensor x = embed_in(run.input_ids());
    for (const GPTNeoXLayer& layer : layers) x = layer(x, run, rotary);
    return final_layer_norm(x);
  }
};

struct GPTNeoXForCausalLM : Module<GPTNeoXConfig> {
  using Module::Module;
  GPTNeoXModel gpt_neox{at("gpt_neox"), c};

  Outputs operator()(const Inputs& in) const {  // -> [B, S, vocab]
    Decoding run(in);
    const Tensor x = gpt_neox(run);
    return run.outputs("logits", language_head(at("embed_out"), gpt_neox.embed_in, c.tie_word_embeddings, x));
  }
};

Architecture arch() {
  const auto signature = [](const GPTNeoXConfig& c) {
    return DecoderSignature{.vocab_size = c.vocab_size,
                            .layers = c.num_hidden_layers,
                            .kv_heads = c.num_attention_heads,
                            .head_dim = c.head_dim()};
  };
  return ArchBuilder<GPTNeoXConfig>("gpt_neox")
      .prefix("gpt_neox")
      .may_be_unused({"embed_out", "score", "classifier", "qa_outputs", "*.attention.bias",
                      "*.attention.masked_bias", "*.rotary_emb.inv_freq"})
      .decoder(signature)
      .generation<DecoderBody<GPTNeoXModel>, GPTNeoXForCausalLM>("GPTNeoXModel", "GPTNeoXForCausalLM")
      .task<ForSequenceClassification<GPTNeoXModel>>("text-classification",
                                                     "GPTNeoXForSequenceClassification");
}

}  // namespace ferry::models::gpt_neox
