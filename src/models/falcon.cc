// Falcon. Source: transformers 4.57.6, models/falcon/modeling_falcon.py.
#include <cmath>

#include "base/error.h"
#include "models/architectures.h"
#include "nn/decoder.h"
#include "nn/rotary.h"

namespace ferry::models::falcon {
using namespace nn;
namespace op = ir::op;

struct FalconConfig {
  explicit FalconConfig(ConfigReader& r) {
    r.read("vocab_size", vocab_size);
    for (const char* key : {"hidden_size", "n_embed"}) r.read(key, hidden_size);
    r.read("num_hidden_layers", num_hidden_layers);
    r.read("num_attention_heads", num_attention_heads);
    r.read("layer_norm_epsilon", layer_norm_epsilon);
    r.read("alibi", alibi);
    r.read("new_decoder_architecture", new_decoder_architecture);
    r.read("multi_query", multi_query);
    r.read("parallel_attn", parallel_attn);
    r.read("bias", bias);
    r.read("max_position_embeddings", max_position_embeddings);
    r.read_choice("activation", activation, activation_names());
    r.read("tie_word_embeddings", tie_word_embeddings);
    kv_heads = num_attention_heads;
    r.read("num_kv_heads", kv_heads);
    if (!new_decoder_architecture) kv_heads = multi_query ? 1 : num_attention_heads;
    norms = new_decoder_architecture ? 2 : 1;
    r.read("num_ln_in_parallel_attn", norms, 1, 2);
    ffn_hidden_size = 4 * hidden_size;
    r.read("ffn_hidden_size", ffn_hidden_size);
    for (const char* key : {"hidden_dropout", "apply_residual_connection_post_layernorm"}) r.ignore(key);
    num_labels = r.num_labels();
    check(r);
    rope = read_rope(r, {.head_dim = head_dim(), .max_position_embeddings = max_position_embeddings});
  }

  int64_t vocab_size = 65024;
  int64_t hidden_size = 4544;
  int64_t num_hidden_layers = 32;
  int64_t num_attention_heads = 71;
  float layer_norm_epsilon = 1e-5f;
  bool alibi = false;
  bool new_decoder_architecture = false;
  bool multi_query = true;
  bool parallel_attn = true;
  bool bias = false;
  int64_t max_position_embeddings = 2048;
  std::string activation = "gelu";
  bool tie_word_embeddings = true;
  int64_t kv_heads = 1;
  int64_t norms =
      1;  // num_ln_in_parallel_attn: how many norms, where attention and feed-forward are parallel.
  int64_t ffn_hidden_size = 0;
  RopeConfig rope;
  int64_t num_labels = 2;

  [[nodiscard]] int64_t head_dim() const { return hidden_size / num_attention_heads; }

 private:
  void check(const ConfigReader& r) const {
    if (hidden_size % num_attention_heads != 0) r.fail("hidden_size", "a multiple of num_attention_heads");
    if (num_attention_heads % kv_heads != 0) r.fail("num_kv_heads", "a divisor of num_attention_heads");
    // No such model can run in transformers, either.
    if (new_decoder_architecture && !parallel_attn)
      r.fail("parallel_attn", "true with new_decoder_architecture");
    if (!new_decoder_architecture && parallel_attn && norms != 1)
      r.fail("num_ln_in_parallel_attn", "1 without new_decoder_architecture");
  }
};

// What attention needs of the positions: turned heads, or a mask that holds them.
struct Positions {
  std::optional<Rotary> rotary;
  Tensor mask;
};

struct FalconAttention : LayerModule<FalconConfig> {
  using LayerModule::LayerModule;
  int64_t groups = c.new_decoder_architecture || !c.multi_query ? c.kv_heads : 1;
  int64_t queries = c.num_attention_heads / groups;  // Of one group, followed by its key and its value.
  Linear query_key_value{at("query_key_value"), c.hidden_size, groups*(queries + 2) * c.head_dim(), c.bias};
  Linear dense{at("dense"), c.hidden_size, c.hidden_size, c.bias};

  Tensor operator()(const Tensor& x, Decoding& run, const Positions& positions) const {  // [B, S, H] -> same
    const auto named = scope.named();
    const int64_t d = c.head_dim();
    const Tensor fused = op::reshape(query_key_value(x), {0, 0, groups, (queries + 2) * d});
    const auto parts = op::split(fused, -1, {queries * d, d, d});
    const auto heads = [&](const Tensor& t, int64_t count) {
      return op::transpose(op::reshape(t, {0, 0, count, d}), {0, 2, 1, 3});
    };
    Tensor q = heads(parts[0], c.num_attention_heads), k = heads(parts[1], groups);
    if (positions.rotary) {
      q = (*positions.rotary)(q);
      k = (*positions.rotary)(k);
    }
    return dense(run.attend(layer_idx, q, k, heads(parts[2], groups), {.mask = positions.mask}));
  }
};

struct FalconMLP : Module<FalconConfig> {
  using Module::Module;
  Linear dense_h_to_4h{at("dense_h_to_4h"), c.hidden_size, c.ffn_hidden_size, c.bias};
  Linear dense_4h_to_h{at("dense_4h_to_h"), c.ffn_hidden_size, c.hidden_size, c.bias};

  Tensor operator()(const Tensor& x) const {
    const auto named = scope.named();
    const Scope function = at("act");
    return dense_4h_to_h(activation(c.activation, dense_h_to_4h(x), &function));
  }
};

struct FalconDecoderLayer : LayerModule<FalconConfig> {
  using LayerModule::LayerModule;
  FalconAttention self_attention{at("self_attention"), c, layer_idx};
  FalconMLP mlp{at("mlp"), c};

  Tensor operator()(const Tensor& x, Decoding& run, const Positions& positions) const {
    const auto named = scope.named();
    if (c.new_decoder_architecture && c.norms == 2)
      return mlp(norm("ln_mlp")(x)) + self_attention(norm("ln_attn")(x), run, positions) + x;
    const Tensor normed = norm("input_layernorm")(x);
    const Tensor attended = self_attention(normed, run, positions);
    if (c.parallel_attn) return mlp(normed) + attended + x;
    const Tensor y = attended + x;
    return mlp(norm("post_attention_layernorm")(y)) + y;
  }

  [[nodiscard]] LayerNorm norm(std::string_view name) const {
    return LayerNorm(at(name), c.hidden_size, c.layer_norm_epsilon);
  }
};

struct FalconModel : Module<FalconConfig> {
  using Module::Module;
  Embedding word_embeddings{at("word_embeddings"), c.vocab_size, c.hidden_size};
  List<FalconDecoderLayer> h{at("h"), c.num_hidden_layers, c};
  LayerNorm ln_f{at("ln_f"), c.hidden_size, c.layer_norm_epsilon};

  Tensor operator()(Decoding& run) const {  // -> [B, S, H]
    Tensor x = word_embeddings(run.input_ids());
    const Positions positions = positions_of(run, x.dtype());
    for (const FalconDecoderLayer& layer : h) x = layer(x, run, positions);
    return ln_f(x);
  }

  [[nodiscard]] Positions positions_of(Decoding& run, DType dtype) const {
    if (!c.alibi) return {Rotary(at("rotary_emb"), c.rope, run.position_ids()), run.additive_mask(dtype)};
    const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(c.head_dim())));
    return {std::nullopt, alibi_mask(run, c.num_attention_heads, dtype, scale, true)};
  }
};

struct FalconForCausalLM : Module<FalconConfig> {
  using Module::Module;
  FalconModel transformer{at("transformer"), c};

  Outputs operator()(const Inputs& in) const {  // -> [B, S, vocab]
    Decoding run(in);
    const Tensor x = transformer(run);
    return run.outputs("logits",
                       language_head(at("lm_head"), transformer.word_embeddings, c.tie_word_embeddings, x));
  }
};

struct FalconForTokenClassification : Module<FalconConfig> {
  using Module::Module;
  FalconModel transformer{at("transformer"), c};
  Linear classifier{at("classifier"), c.hidden_size, c.num_labels};

  Outputs operator()(const Inputs& in) const {  // -> [B, S, labels]
    Decoding run(in);
    return {{"logits", classifier(transformer(run))}};
  }
};

struct FalconForQuestionAnswering : Module<FalconConfig> {
  using Module::Module;
  FalconModel transformer{at("transformer"), c};
  Linear qa_outputs{at("qa_outputs"), c.hidden_size, 2};

  Outputs operator()(const Inputs& in) const {  // -> 2 x [B, S]
    Decoding run(in);
    return span_logits(qa_outputs(transformer(run)));
  }
};

Architecture arch() {
  const auto signature = [](const FalconConfig& c) {
    return DecoderSignature{.vocab_size = c.vocab_size,
                            .layers = c.num_hidden_layers,
                            .kv_heads = c.kv_heads,
                            .head_dim = c.head_dim(),
                            .position_ids = !c.alibi,
                            .cache_after = "input_ids"};
  };
  return ArchBuilder<FalconConfig>("falcon")
      .prefix("transformer")
      .may_be_unused({"lm_head", "score", "classifier", "qa_outputs", "*.rotary_emb.inv_freq"})
      .decoder(signature)
      .generation<DecoderBody<FalconModel>, FalconForCausalLM>("FalconModel", "FalconForCausalLM")
      .task<FalconForTokenClassification>("token-classification", "FalconForTokenClassification")
      .task<FalconForQuestionAnswering>("question-answering", "FalconForQuestionAnswering");
}

}  // namespace ferry::models::falcon
