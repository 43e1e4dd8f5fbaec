// GPT-2. Source: transformers 4.57.6, models/gpt2/modeling_gpt2.py; struct names are that file's, the strings
// in at("...") its checkpoint keys. Axes: B batch, S new tokens, H hidden size, h heads, d head size.
#include <cmath>

#include "models/architectures.h"
#include "nn/composite.h"

namespace ferry::models::gpt2 {
using namespace nn;
namespace op = ir::op;

struct GPT2Config {
  explicit GPT2Config(ConfigReader& r) {
    r.read("vocab_size", vocab_size);
    r.read("n_positions", max_position_embeddings);
    for (const char* key : {"n_embd", "hidden_size"}) r.read(key, hidden_size);
    for (const char* key : {"n_layer", "num_hidden_layers"}) r.read(key, num_hidden_layers);
    for (const char* key : {"n_head", "num_attention_heads"}) r.read(key, num_attention_heads);
    r.read("n_inner", n_inner);
    r.read_choice("activation_function", activation_function, activation_names());
    r.read("layer_norm_epsilon", layer_norm_epsilon);
    r.read("scale_attn_weights", scale_attn_weights);
    r.read("scale_attn_by_inverse_layer_idx", scale_attn_by_inverse_layer_idx);
    r.read("tie_word_embeddings", tie_word_embeddings);
    r.read("pad_token_id", pad_token_id, INT32_MIN);
    r.read("add_cross_attention", add_cross_attention);
    // The same products in another order and precision; the summary is the double head's; n_ctx repeats
    // n_positions.
    for (const char* key :
         {"is_decoder", "reorder_and_upcast_attn", "n_ctx", "summary_type", "summary_use_proj",
          "summary_activation", "summary_proj_to_labels", "summary_first_dropout"})
      r.ignore(key);
    num_labels = r.num_labels();
    if (hidden_size % num_attention_heads != 0) r.fail("n_embd", "a multiple of n_head");
  }

  int64_t vocab_size = 50257;
  int64_t max_position_embeddings = 1024;
  int64_t hidden_size = 768;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 12;
  std::optional<int64_t> n_inner;
  std::string activation_function = "gelu_new";
  float layer_norm_epsilon = 1e-5f;
  bool scale_attn_weights = true;
  bool scale_attn_by_inverse_layer_idx = false;
  bool tie_word_embeddings = true;
  std::optional<int64_t> pad_token_id;
  bool add_cross_attention = false;
  int64_t num_labels = 2;

  [[nodiscard]] int64_t head_dim() const { return hidden_size / num_attention_heads; }
  // transformers ignores both settings with scaled dot product attention and heeds them with eager attention,
  // as the model was trained.
  [[nodiscard]] float scale(int64_t layer) const {
    const double by_size = scale_attn_weights ? 1 / std::sqrt(static_cast<double>(head_dim())) : 1;
    return static_cast<float>(scale_attn_by_inverse_layer_idx ? by_size / static_cast<double>(layer + 1)
                                                              : by_size);
  }
  [[nodiscard]] Seq2SeqSignature decoder_side() const {
    require_cross_attention(add_cross_attention, "add_cross_attention");
    return {.encoder = {},
            .encoder_size = hidden_size,
            .vocab_size = vocab_size,
            .layers = num_hidden_layers,
            .heads = num_attention_heads,
            .head_dim = head_dim(),
            .max_length = max_position_embeddings,
            .cache = Cache::tokens};
  }
};

struct GPT2Attention : LayerModule<GPT2Config> {
  using LayerModule::LayerModule;
  Conv1D c_attn{at("c_attn"), c.hidden_size, 3 * c.hidden_size};
  Conv1D c_proj{at("c_proj"), c.hidden_size, c.hidden_size};

  Tensor operator()(const Tensor& x, Decoding& run) const {  // [B, S, H] -> [B, S, H]
    const auto named = scope.named();
    const auto qkv = op::split(c_attn(x), -1, {c.hidden_size, c.hidden_size, c.hidden_size});
    const auto heads = [&](const Tensor& t) { return split_heads(t, c.num_attention_heads); };
    return c_proj(
        run.attend(layer_idx, heads(qkv[0]), heads(qkv[1]), heads(qkv[2]), {.scale = c.scale(layer_idx)}));
  }
};

// GPT2Attention(is_cross_attention=True) in the source.
struct GPT2CrossAttention : LayerModule<GPT2Config> {
  using LayerModule::LayerModule;
  Conv1D c_attn{at("c_attn"), c.hidden_size, 2 * c.hidden_size};
  Conv1D q_attn{at("q_attn"), c.hidden_size, c.hidden_size};
  Conv1D c_proj{at("c_proj"), c.hidden_size, c.hidden_size};

  Tensor operator()(const Tensor& x, Decoding& run) const {  // [B, S, H] -> [B, S, H]
    const auto named = scope.named();
    const auto kv = op::split(c_attn(run.encoder_hidden_states()), -1, {c.hidden_size, c.hidden_size});
    const auto heads = [&](const Tensor& t) { return split_heads(t, c.num_attention_heads); };
    return c_proj(run.attend_encoder(
        layer_idx, heads(q_attn(x)), [&](const Tensor&) { return heads(kv[0]); },
        [&](const Tensor&) { return heads(kv[1]); }, {.scale = c.scale(layer_idx)}));
  }
};

struct GPT2MLP : Module<GPT2Config> {
  using Module::Module;
  int64_t inner = c.n_inner.value_or(4 * c.hidden_size);
  Conv1D c_fc{at("c_fc"), c.hidden_size, inner};
  Conv1D c_proj{at("c_proj"), inner, c.hidden_size};

  Tensor operator()(const Tensor& x) const {
    const auto named = scope.named();
    const Scope function = at("act");
    return c_proj(activation(c.activation_function, c_fc(x), &function));
  }
};

struct GPT2Block : LayerModule<GPT2Config> {
  using LayerModule::LayerModule;
  LayerNorm ln_1{at("ln_1"), c.hidden_size, c.layer_norm_epsilon};
  GPT2Attention attn{at("attn"), c, layer_idx};
  LayerNorm ln_2{at("ln_2"), c.hidden_size, c.layer_norm_epsilon};
  GPT2MLP mlp{at("mlp"), c};

  Tensor operator()(const Tensor& x, Decoding& run) const {
    const auto named = scope.named();
    Tensor y = attn(ln_1(x), run) + x;
    if (run.attends_encoder()) {
      const LayerNorm ln_cross_attn(at("ln_cross_attn"), c.hidden_size, c.layer_norm_epsilon);
      y = y + GPT2CrossAttention(at("crossattention"), c, layer_idx)(ln_cross_attn(y), run);
    } else if (c.add_cross_attention) {
      for (const char* name : {"ln_cross_attn", "crossattention"}) scope.ignore(name);
    }
    return y + mlp(ln_2(y));
  }
};

struct GPT2Model : Module<GPT2Config> {
  using Module::Module;
  static constexpr std::string_view base_model_prefix = "transformer";
  Embedding wte{at("wte"), c.vocab_size, c.hidden_size};
  Embedding wpe{at("wpe"), c.max_position_embeddings, c.hidden_size};
  List<GPT2Block> h{at("h"), c.num_hidden_layers, c};
  LayerNorm ln_f{at("ln_f"), c.hidden_size, c.layer_norm_epsilon};

  Tensor operator()(Decoding& run) const {  // -> [B, S, H]
    Tensor x = wte(run.input_ids()) + wpe(run.position_ids());
    for (const GPT2Block& block : h) x = block(x, run);
    return ln_f(x);
  }
};

struct GPT2LMHeadModel : Module<GPT2Config> {
  using Module::Module;
  GPT2Model transformer{at("transformer"), c};

  Outputs operator()(const Inputs& in) const {
    Decoding run(in);
    const Tensor scores = logits(run);
    return run.outputs("logits", scores);
  }
  Tensor logits(Decoding& run) const {  // -> [B, S, vocab]
    const Tensor x = transformer(run);
    return language_head(at("lm_head"), transformer.wte, c.tie_word_embeddings, x);
  }
};

struct GPT2ForTokenClassification : Module<GPT2Config> {
  using Module::Module;
  GPT2Model transformer{at("transformer"), c};
  Linear classifier{at("classifier"), c.hidden_size, c.num_labels};

  Outputs operator()(const Inputs& in) const {  // -> [B, S, labels]
    Decoding run(in);
    return {{"logits", classifier(transformer(run))}};
  }
};

Architecture arch() {
  const auto signature = [](const GPT2Config& c) {
    return DecoderSignature{.vocab_size = c.vocab_size,
                            .layers = c.num_hidden_layers,
                            .kv_heads = c.num_attention_heads,
                            .head_dim = c.head_dim(),
                            .max_length = c.max_position_embeddings,
                            .cache_after = "input_ids"};
  };
  return ArchBuilder<GPT2Config>("gpt2")
      .prefix("transformer")
      .may_be_unused({"lm_head", "score", "classifier", "multiple_choice_head", "*.attn.bias",
                      "*.attn.masked_bias", "*.crossattention.bias", "*.crossattention.masked_bias"})
      .decodes(decoder_side<GPT2LMHeadModel>())
      .decoder(signature)
      .generation<DecoderBody<GPT2Model>, GPT2LMHeadModel>("GPT2Model", "GPT2LMHeadModel")
      .task<ForSequenceClassification<GPT2Model>>("text-classification", "GPT2ForSequenceClassification")
      .task<GPT2ForTokenClassification>("token-classification", "GPT2ForTokenClassification");
}

}  // namespace ferry::models::gpt2
