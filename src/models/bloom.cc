// BLOOM. Source: transformers 4.57.6, models/bloom/modeling_bloom.py.
#include "models/architectures.h"
#include "nn/decoder.h"

namespace ferry::models::bloom {
using namespace nn;
namespace op = ir::op;

struct BloomConfig {
  explicit BloomConfig(ConfigReader& r) {
    r.read("vocab_size", vocab_size);
    for (const char* key : {"hidden_size", "n_embed"}) r.read(key, hidden_size);
    for (const char* key : {"n_layer", "num_hidden_layers"}) r.read(key, num_hidden_layers);
    for (const char* key : {"n_head", "num_attention_heads"}) r.read(key, num_attention_heads);
    r.read("layer_norm_epsilon", layer_norm_epsilon);
    r.read("apply_residual_connection_post_layernorm", apply_residual_connection_post_layernorm);
    r.read("tie_word_embeddings", tie_word_embeddings);
    r.read("pad_token_id", pad_token_id, INT32_MIN);
    // Ways to compute the same, and settings of the training.
    for (const char* key : {"slow_but_exact", "hidden_dropout", "attention_softmax_in_fp32",
                            "masked_softmax_fusion", "bias_dropout_fusion", "offset_alibi", "seq_length",
                            "skip_bias_add", "skip_bias_add_qkv", "n_inner"})
      r.ignore(key);
    num_labels = r.num_labels();
    if (hidden_size % num_attention_heads != 0) r.fail("hidden_size", "a multiple of n_head");
  }

  int64_t vocab_size = 250880;
  int64_t hidden_size = 64;
  int64_t num_hidden_layers = 2;
  int64_t num_attention_heads = 8;
  float layer_norm_epsilon = 1e-5f;
  bool apply_residual_connection_post_layernorm = false;
  bool tie_word_embeddings = true;
  std::optional<int64_t> pad_token_id;
  int64_t num_labels = 2;
};

struct BloomAttention : LayerModule<BloomConfig> {
  using LayerModule::LayerModule;
  Linear query_key_value{at("query_key_value"), c.hidden_size, 3 * c.hidden_size};
  Linear dense{at("dense"), c.hidden_size, c.hidden_size};

  Tensor operator()(const Tensor& x, Decoding& run, const Tensor& mask) const {  // [B, S, H] -> [B, S, H]
    const auto named = scope.named();
    const int64_t d = c.hidden_size / c.num_attention_heads;
    const Tensor heads = split_heads(query_key_value(x), c.num_attention_heads);  // [B, h, S, 3 d]
    const auto qkv = op::split(heads, -1, {d, d, d});
    return dense(run.attend(layer_idx, qkv[0], qkv[1], qkv[2], {.mask = mask}));
  }
};

struct BloomMLP : Module<BloomConfig> {
  using Module::Module;
  Linear dense_h_to_4h{at("dense_h_to_4h"), c.hidden_size, 4 * c.hidden_size};
  Linear dense_4h_to_h{at("dense_4h_to_h"), 4 * c.hidden_size, c.hidden_size};

  Tensor operator()(const Tensor& x) const {  // BloomGelu is the tanh form.
    const auto named = scope.named();
    return dense_4h_to_h(activation("gelu_pytorch_tanh", dense_h_to_4h(x)));
  }
};

struct BloomBlock : LayerModule<BloomConfig> {
  using LayerModule::LayerModule;
  LayerNorm input_layernorm{at("input_layernorm"), c.hidden_size, c.layer_norm_epsilon};
  BloomAttention self_attention{at("self_attention"), c, layer_idx};
  LayerNorm post_attention_layernorm{at("post_attention_layernorm"), c.hidden_size, c.layer_norm_epsilon};
  BloomMLP mlp{at("mlp"), c};

  Tensor operator()(const Tensor& x, Decoding& run, const Tensor& mask) const {
    const auto named = scope.named();
    const bool from_norm = c.apply_residual_connection_post_layernorm;
    const Tensor normed = input_layernorm(x);
    const Tensor y = self_attention(normed, run, mask) + (from_norm ? normed : x);
    const Tensor z = post_attention_layernorm(y);
    return mlp(z) + (from_norm ? z : y);
  }
};

struct BloomModel : Module<BloomConfig> {
  using Module::Module;
  static constexpr std::string_view base_model_prefix = "transformer";
  Embedding word_embeddings{at("word_embeddings"), c.vocab_size, c.hidden_size};
  LayerNorm word_embeddings_layernorm{at("word_embeddings_layernorm"), c.hidden_size, c.layer_norm_epsilon};
  List<BloomBlock> h{at("h"), c.num_hidden_layers, c};
  LayerNorm ln_f{at("ln_f"), c.hidden_size, c.layer_norm_epsilon};

  Tensor operator()(Decoding& run) const {  // -> [B, S, H]
    const Tensor mask = alibi_mask(run, c.num_attention_heads, word_embeddings.weight().dtype());
    Tensor x = word_embeddings_layernorm(word_embeddings(run.input_ids()));
    for (const BloomBlock& block : h) x = block(x, run, mask);
    return ln_f(x);
  }
};

struct BloomForCausalLM : Module<BloomConfig> {
  using Module::Module;
  BloomModel transformer{at("transformer"), c};

  Outputs operator()(const Inputs& in) const {  // -> [B, S, vocab]
    Decoding run(in);
    const Tensor x = transformer(run);
    return run.outputs("logits",
                       language_head(at("lm_head"), transformer.word_embeddings, c.tie_word_embeddings, x));
  }
};

struct BloomForTokenClassification : Module<BloomConfig> {
  using Module::Module;
  BloomModel transformer{at("transformer"), c};
  Linear classifier{at("classifier"), c.hidden_size, c.num_labels};

  Outputs operator()(const Inputs& in) const {  // -> [B, S, labels]
    Decoding run(in);
    return {{"logits", classifier(transformer(run))}};
  }
};

Architecture arch() {
  const auto signature = [](const BloomConfig& c) {
    return DecoderSignature{.vocab_size = c.vocab_size,
                            .layers = c.num_hidden_layers,
                            .kv_heads = c.num_attention_heads,
                            .head_dim = c.hidden_size / c.num_attention_heads,
                            .position_ids = false,
                            .cache_after = "input_ids"};
  };
  return ArchBuilder<BloomConfig>("bloom")
      .prefix("transformer")
      .may_be_unused({"lm_head", "score", "classifier", "qa_outputs"})
      .decoder(signature)
      .generation<DecoderBody<BloomModel>, BloomForCausalLM>("BloomModel", "BloomForCausalLM")
      .task<ForSequenceClassification<BloomModel>>("text-classification", "BloomForSequenceClassification")
      .task<BloomForTokenClassification>("token-classification", "BloomForTokenClassification");
}

}  // namespace ferry::models::bloom
