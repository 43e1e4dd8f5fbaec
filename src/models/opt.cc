// OPT. Source: transformers 4.57.6, models/opt/modeling_opt.py.
#include "models/architectures.h"
#include "nn/decoder.h"

namespace ferry::models::opt {
using namespace nn;
namespace op = ir::op;

struct OPTConfig {
  explicit OPTConfig(ConfigReader& r) {
    r.read("vocab_size", vocab_size);
    r.read("hidden_size", hidden_size);
    r.read("num_hidden_layers", num_hidden_layers);
    r.read("num_attention_heads", num_attention_heads);
    r.read("ffn_dim", ffn_dim);
    r.read("max_position_embeddings", max_position_embeddings);
    r.read_choice("activation_function", activation_function, activation_names());
    r.read("do_layer_norm_before", do_layer_norm_before);
    r.read("_remove_final_layer_norm", remove_final_layer_norm);
    r.read("enable_bias", enable_bias);
    r.read("layer_norm_elementwise_affine", layer_norm_elementwise_affine);
    r.read("tie_word_embeddings", tie_word_embeddings);
    r.read("pad_token_id", pad_token_id, INT32_MIN);
    word_embed_proj_dim = hidden_size;
    r.read("word_embed_proj_dim", word_embed_proj_dim);
    for (const char* key : {"layerdrop", "init_std", "activation_dropout"}) r.ignore(key);
    num_labels = r.num_labels();
    if (hidden_size % num_attention_heads != 0) r.fail("hidden_size", "a multiple of num_attention_heads");
  }

  int64_t vocab_size = 50272;
  int64_t hidden_size = 768;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 12;
  int64_t ffn_dim = 3072;
  int64_t max_position_embeddings = 2048;
  std::string activation_function = "relu";
  bool do_layer_norm_before = true;
  bool remove_final_layer_norm = false;
  bool enable_bias = true;
  bool layer_norm_elementwise_affine = true;
  bool tie_word_embeddings = true;
  int64_t word_embed_proj_dim = 768;
  std::optional<int64_t> pad_token_id = 1;
  int64_t num_labels = 2;
};

// nn.LayerNorm, which need not have parameters.
struct OPTLayerNorm : Module<OPTConfig> {
  using Module::Module;
  static constexpr float kEpsilon = 1e-5f;
  std::optional<LayerNorm> affine = make();

  [[nodiscard]] std::optional<LayerNorm> make() const {
    if (!c.layer_norm_elementwise_affine) return std::nullopt;
    return LayerNorm(scope, c.hidden_size, kEpsilon);
  }

  Tensor operator()(const Tensor& x) const {
    if (affine) return (*affine)(x);
    const auto named = scope.named();
    const std::vector<float> ones(static_cast<size_t>(c.hidden_size), 1.0f);
    return op::layer_norm(
        x, scope.constant("weight", Weight::from_f32({c.hidden_size}, ones).cast(x.dtype())), {}, kEpsilon);
  }
};

struct OPTAttention : LayerModule<OPTConfig> {
  using LayerModule::LayerModule;
  Linear k_proj{at("k_proj"), c.hidden_size, c.hidden_size, c.enable_bias};
  Linear v_proj{at("v_proj"), c.hidden_size, c.hidden_size, c.enable_bias};
  Linear q_proj{at("q_proj"), c.hidden_size, c.hidden_size, c.enable_bias};
  Linear out_proj{at("out_proj"), c.hidden_size, c.hidden_size, c.enable_bias};

  Tensor operator()(const Tensor& x, Decoding& run) const {  // [B, S, H] -> [B, S, H]
    const auto named = scope.named();
    const auto heads = [&](const Tensor& t) { return split_heads(t, c.num_attention_heads); };
    return out_proj(run.attend(layer_idx, heads(q_proj(x)), heads(k_proj(x)), heads(v_proj(x)),
                               {.mask = run.additive_mask(x.dtype())}));
  }
};

struct OPTDecoderLayer : LayerModule<OPTConfig> {
  using LayerModule::LayerModule;
  OPTAttention self_attn{at("self_attn"), c, layer_idx};
  OPTLayerNorm self_attn_layer_norm{at("self_attn_layer_norm"), c};
  Linear fc1{at("fc1"), c.hidden_size, c.ffn_dim, c.enable_bias};
  Linear fc2{at("fc2"), c.ffn_dim, c.hidden_size, c.enable_bias};
  OPTLayerNorm final_layer_norm{at("final_layer_norm"), c};

  Tensor operator()(const Tensor& x, Decoding& run) const {
    const auto named = scope.named();
    const Scope function = at("activation_fn");
    const auto feed_forward = [&](const Tensor& t) {
      return fc2(activation(c.activation_function, fc1(t), &function));
    };
    if (c.do_layer_norm_before) {
      const Tensor y = x + self_attn(self_attn_layer_norm(x), run);
      return y + feed_forward(final_layer_norm(y));
    }
    const Tensor y = self_attn_layer_norm(x + self_attn(x, run));
    return final_layer_norm(y + feed_forward(y));
  }
};

struct OPTDecoder : Module<OPTConfig> {
  using Module::Module;
  static constexpr int64_t kOffset = 2;  // Of positions in their table.
  Embedding embed_tokens{at("embed_tokens"), c.vocab_size, c.word_embed_proj_dim};
  Embedding embed_positions{at("embed_positions"), c.max_position_embeddings + kOffset, c.hidden_size};
  List<OPTDecoderLayer> layers{at("layers"), c.num_hidden_layers, c};

  Tensor operator()(Decoding& run) const {  // -> [B, S, word_embed_proj_dim]
    Tensor x = embed_tokens(run.input_ids());
    const bool projects = c.word_embed_proj_dim != c.hidden_size;
    if (projects) x = Linear(at("project_in"), c.word_embed_proj_dim, c.hidden_size, false)(x);
    x = x + embed_positions(op::add(positions(run), static_cast<double>(kOffset)));
    for (const OPTDecoderLayer& layer : layers) x = layer(x, run);
    if (c.do_layer_norm_before && !c.remove_final_layer_norm) x = OPTLayerNorm(at("final_layer_norm"), c)(x);
    if (projects) x = Linear(at("project_out"), c.hidden_size, c.word_embed_proj_dim, false)(x);
    return x;
  }

  // Where they are no input: the tokens of a row counted without padding, which gets -1.
  [[nodiscard]] Tensor positions(Decoding& run) const {
    if (run.has_position_ids()) return run.position_ids();
    const auto named = at("embed_positions").named();
    const Tensor mask = run.attention_mask();
    const Tensor counted = op::emit("CumSum", {mask, op::scalar(mask.graph(), int64_t{1})});
    const Tensor all = op::add(counted * mask, -1.0);
    return op::slice(all, 1, op::unsqueeze(run.past_length(), {0}), op::shape_of(mask, 1, 2));
  }
};

struct OPTModel : Module<OPTConfig> {
  using Module::Module;
  OPTDecoder decoder{at("decoder"), c};

  Tensor operator()(Decoding& run) const { return decoder(run); }
};

struct OPTForCausalLM : Module<OPTConfig> {
  using Module::Module;
  OPTModel model{at("model"), c};

  Outputs operator()(const Inputs& in) const {  // -> [B, S, vocab]
    Decoding run(in);
    const Tensor x = model(run);
    return run.outputs("logits",
                       language_head(at("lm_head"), model.decoder.embed_tokens, c.tie_word_embeddings, x));
  }
};

struct OPTForSequenceClassification : Module<OPTConfig> {
  using Module::Module;
  OPTModel model{at("model"), c};
  Linear score{at("score"), c.word_embed_proj_dim, c.num_labels, false};

  Outputs operator()(const Inputs& in) const {  // -> [B, labels]
    Decoding run(in);
    return {{"logits", score(last_token(model(run), run.input_ids(), c.pad_token_id))}};
  }
};

struct OPTForQuestionAnswering : Module<OPTConfig> {
  using Module::Module;
  OPTModel model{at("model"), c};
  Linear qa_outputs{at("qa_outputs"), c.word_embed_proj_dim, 2};

  Outputs operator()(const Inputs& in) const {  // -> 2 x [B, S]
    Decoding run(in);
    return span_logits(qa_outputs(model(run)));
  }
};

Architecture arch() {
  const auto signature = [](const OPTConfig& c) {
    return DecoderSignature{.vocab_size = c.vocab_size,
                            .layers = c.num_hidden_layers,
                            .kv_heads = c.num_attention_heads,
                            .head_dim = c.hidden_size / c.num_attention_heads,
                            .max_length = c.max_position_embeddings,
                            .cache_after = "attention_mask"};
  };
  return ArchBuilder<OPTConfig>("opt")
      .prefix("model")
      .may_be_unused({"lm_head", "score", "qa_outputs"})
      .decoder(signature)
      .generation<DecoderBody<OPTModel>, OPTForCausalLM>("OPTModel", "OPTForCausalLM")
      .task<OPTForSequenceClassification>("text-classification", "OPTForSequenceClassification")
      .task<OPTForQuestionAnswering>("question-answering", "OPTForQuestionAnswering");
}

}  // namespace ferry::models::opt
