// ModernBERT: rotary positions, windows in most layers, gated activations, norms before each part.
// Source: transformers 4.57.6, models/modernbert/modeling_modernbert.py. Axes as in bert.cc.
#include <nlohmann/json.hpp>

#include "models/text_encoders.h"
#include "nn/encoder.h"
#include "nn/rotary.h"

namespace ferry::models::modernbert {
using namespace nn;
namespace op = ir::op;

struct ModernBertConfig {
  explicit ModernBertConfig(ConfigReader& r) {
    r.read("vocab_size", vocab_size);
    r.read("hidden_size", hidden_size);
    r.read("intermediate_size", intermediate_size);
    r.read("num_hidden_layers", num_hidden_layers);
    r.read("num_attention_heads", num_attention_heads);
    if (hidden_size % num_attention_heads != 0) r.fail("hidden_size", "a multiple of num_attention_heads");
    r.read_choice("hidden_activation", hidden_activation, activation_names());
    r.read("max_position_embeddings", max_position_embeddings);
    r.read("norm_eps", norm_eps);
    r.read("norm_bias", norm_bias);
    r.read("attention_bias", attention_bias);
    r.read("mlp_bias", mlp_bias);
    r.read("decoder_bias", decoder_bias);
    r.read("local_attention", local_attention);
    r.read_choice("classifier_pooling", classifier_pooling, {"cls", "mean"});
    r.read("classifier_bias", classifier_bias);
    r.read_choice("classifier_activation", classifier_activation, activation_names());
    r.read("tie_word_embeddings", tie_word_embeddings);
    num_labels = r.num_labels();
    read_layer_types(r);
    read_ropes(r);
    // Of training, and of attention over texts without their padding, which gives the same for every token.
    for (const char* key :
         {"embedding_dropout", "mlp_dropout", "classifier_dropout", "initializer_cutoff_factor",
          "cls_token_id", "sep_token_id", "deterministic_flash_attn", "sparse_prediction",
          "sparse_pred_ignore_index", "reference_compile", "repad_logits_with_grad"})
      r.ignore(key);
  }
  int64_t vocab_size = 50368;
  int64_t hidden_size = 768;
  int64_t intermediate_size = 1152;
  int64_t num_hidden_layers = 22;
  int64_t num_attention_heads = 12;
  std::string hidden_activation = "gelu";
  int64_t max_position_embeddings = 8192;
  float norm_eps = 1e-5f;
  bool norm_bias = false, attention_bias = false, mlp_bias = false;
  bool decoder_bias = true;
  int64_t local_attention = 128;
  std::vector<bool> is_local;  // Of each layer.
  RopeConfig global_rope, local_rope;
  std::string classifier_pooling = "cls";
  bool classifier_bias = false;
  std::string classifier_activation = "gelu";
  bool tie_word_embeddings = true;
  int64_t num_labels = 2;

  [[nodiscard]] TextInputOptions text_inputs() const {
    return {vocab_size, std::nullopt, max_position_embeddings};
  }

 private:
  // 5.x says what each layer is, 4.x how often one sees the whole text.
  void read_layer_types(ConfigReader& r) {
    int64_t every = 3;
    r.read("global_attn_every_n_layers", every);
    std::vector<std::string> types;
    r.read("layer_types", types);
    if (types.empty()) {
      for (int64_t layer = 0; layer < num_hidden_layers; ++layer)
        types.emplace_back(layer % every == 0 ? "full_attention" : "sliding_attention");
    }
    for (const std::string& type : types) {
      if (type == "full_attention" || type == "sliding_attention") is_local.push_back(type[0] == 's');
    }
    const auto layers = static_cast<size_t>(num_hidden_layers);
    if (types.size() != layers || is_local.size() != layers)
      r.fail("layer_types", "\"full_attention\" or \"sliding_attention\" for each of the layers");
  }

  void read_ropes(ConfigReader& r) {
    RopeDefaults global{.head_dim = hidden_size / num_attention_heads,
                        .max_position_embeddings = max_position_embeddings,
                        .theta = 160000,
                        .theta_key = "global_rope_theta",
                        .layer_type = "full_attention"};
    global_rope = read_rope(r, global);
    RopeDefaults local = global;
    const char* key = "local_rope_theta";
    local.theta = r.json().contains(key) && !r.has(key) ? global_rope.theta : 10000;  // null: as the others.
    local.theta_key = key;
    local.layer_type = "sliding_attention";
    local_rope = read_rope(r, local);
  }
};

// What all layers share: masks and positions of layers that see the whole text, and of those with a window.
struct Shared {
  Tensor global_mask, local_mask;  // [B, 1, 1, S], [B, 1, S, S]
  const Rotary& global;
  const Rotary& local;
};

struct ModernBertNorm : LayerNorm {
  ModernBertNorm(const Scope& place, const ModernBertConfig& c)
      : LayerNorm(place, c.hidden_size, c.norm_eps, c.norm_bias) {}
};

struct ModernBertMLP : Module<ModernBertConfig> {
  using Module::Module;
  Linear wi{at("Wi"), c.hidden_size, 2 * c.intermediate_size, c.mlp_bias};
  Linear wo{at("Wo"), c.intermediate_size, c.hidden_size, c.mlp_bias};

  Tensor operator()(const Tensor& x) const {
    const auto named = scope.named();
    const auto parts = op::split(wi(x), -1, {c.intermediate_size, c.intermediate_size});
    const Scope function = at("act");
    return wo(activation(c.hidden_activation, parts[0], &function) * parts[1]);
  }
};

struct ModernBertAttention : LayerModule<ModernBertConfig> {
  using LayerModule::LayerModule;
  Linear wqkv{at("Wqkv"), c.hidden_size, 3 * c.hidden_size, c.attention_bias};
  Linear wo{at("Wo"), c.hidden_size, c.hidden_size, c.attention_bias};

  Tensor operator()(const Tensor& x, const Shared& shared) const {  // [B, S, H] -> [B, S, H]
    const auto named = scope.named();
    const bool local = c.is_local[static_cast<size_t>(layer_idx)];
    const Rotary& rotary = local ? shared.local : shared.global;
    const auto qkv = op::split(wqkv(x), -1, {c.hidden_size, c.hidden_size, c.hidden_size});
    const auto heads = [&](const Tensor& part) { return split_heads(part, c.num_attention_heads); };
    const Tensor mask = local ? shared.local_mask : shared.global_mask;
    return wo(merge_heads(
        op::attention(rotary(heads(qkv[0])), rotary(heads(qkv[1])), heads(qkv[2]), {.mask = mask})));
  }
};

struct ModernBertEncoderLayer : LayerModule<ModernBertConfig> {
  using LayerModule::LayerModule;
  ModernBertAttention attn{at("attn"), c, layer_idx};
  ModernBertNorm mlp_norm{at("mlp_norm"), c};
  ModernBertMLP mlp{at("mlp"), c};

  Tensor operator()(const Tensor& x, const Shared& shared) const {  // [B, S, H] -> [B, S, H]
    // The embeddings are normalized already.
    const Tensor y = x + attn(layer_idx == 0 ? x : ModernBertNorm(at("attn_norm"), c)(x), shared);
    return y + mlp(mlp_norm(y));
  }
};

struct ModernBertEmbeddings : Module<ModernBertConfig> {
  using Module::Module;
  Embedding tok_embeddings{at("tok_embeddings"), c.vocab_size, c.hidden_size};
  ModernBertNorm norm{at("norm"), c};

  Tensor operator()(const Tensor& ids) const { return norm(tok_embeddings(ids)); }  // [B, S] -> [B, S, H]
};

struct ModernBertModel : Module<ModernBertConfig> {
  using Module::Module;
  static constexpr const char* base_model_prefix = "model";
  ModernBertEmbeddings embeddings{at("embeddings"), c};
  List<ModernBertEncoderLayer> layers{at("layers"), c.num_hidden_layers, c};
  ModernBertNorm final_norm{at("final_norm"), c};

  Tensor hidden(const Inputs& in) const {  // [B, S, H]
    const Tensor ids = in["input_ids"];
    const Tensor row = op::range(op::scalar(ids.graph(), int64_t{0}), op::size_of(ids, 1));
    const Tensor position_ids = op::expand(op::unsqueeze(row, {0}), op::shape_of(ids, 0, 2));
    const Rotary global(at("rotary_emb"), c.global_rope, position_ids);
    const Rotary local(at("rotary_emb_local"), c.local_rope, position_ids);
    Tensor x = embeddings(ids);
    const Tensor mask = additive_mask(in["attention_mask"], x.dtype());
    const Shared shared{mask, within_window(mask, row), global, local};
    for (const ModernBertEncoderLayer& layer : layers) x = layer(x, shared);
    return final_norm(x);
  }

  Outputs operator()(const Inputs& in) const { return {{"last_hidden_state", hidden(in)}}; }

 private:
  // The mask, and the lowest number for keys that are farther away than half of the window.
  [[nodiscard]] Tensor within_window(const Tensor& mask, const Tensor& row) const {
    const Tensor distance = op::unary("Abs", op::unsqueeze(row, {1}) - op::unsqueeze(row, {0}));
    const Tensor half = op::scalar(mask.graph(), c.local_attention / 2);
    return op::where(op::emit("LessOrEqual", {distance, half}), mask,
                     op::scalar_like(mask, lowest(mask.dtype())));
  }
};

// "head": dense, activation and norm, before the last layer of every task.
struct ModernBertHead : OverBody<ModernBertModel> {
  using OverBody::OverBody;
  Linear dense{at("head.dense"), c.hidden_size, c.hidden_size, c.classifier_bias};
  ModernBertNorm norm{at("head.norm"), c};

  [[nodiscard]] Tensor head(const Tensor& x) const {
    const Scope function = at("head.act");
    return norm(activation(c.classifier_activation, dense(x), &function));
  }
};

struct ModernBertForMaskedLM : ModernBertHead {
  using ModernBertHead::ModernBertHead;

  Outputs operator()(const Inputs& in) const {  // -> [B, S, vocab]
    const Tensor x = head(body.hidden(in));
    const Scope decoder = at("decoder");
    const auto named = decoder.named();
    decoder.ignore("weight");
    const Tensor logits = c.tie_word_embeddings ? body.embeddings.tok_embeddings.project(x)
                                                : Linear(decoder, c.hidden_size, c.vocab_size, false)(x);
    return {{"logits", c.decoder_bias ? logits + decoder.parameter("bias", {c.vocab_size}) : logits}};
  }
};

struct ModernBertForSequenceClassification : ModernBertHead {
  using ModernBertHead::ModernBertHead;
  Linear classifier{at("classifier"), c.hidden_size, c.num_labels};

  Outputs operator()(const Inputs& in) const {  // -> [B, labels]
    return {{"logits", classifier(head(pooled(body.hidden(in), in["attention_mask"])))}};
  }

 private:
  [[nodiscard]] Tensor pooled(const Tensor& hidden, const Tensor& attention_mask) const {
    if (c.classifier_pooling == "cls") return select(hidden, 1, 0);
    const Tensor mask = op::cast(op::unsqueeze(attention_mask, {2}), hidden.dtype());
    return op::reduce("ReduceSum", hidden * mask, {1}, false) / op::reduce("ReduceSum", mask, {1}, false);
  }
};

struct ModernBertForTokenClassification : ModernBertHead {
  using ModernBertHead::ModernBertHead;
  Linear classifier{at("classifier"), c.hidden_size, c.num_labels};

  Outputs operator()(const Inputs& in) const {  // -> [B, S, labels]
    return {{"logits", classifier(head(body.hidden(in)))}};
  }
};

struct ModernBertForQuestionAnswering : ModernBertHead {
  using ModernBertHead::ModernBertHead;
  Linear classifier{at("classifier"), c.hidden_size, 2};

  Outputs operator()(const Inputs& in) const {  // -> 2 x [B, S]
    return span_logits(classifier(head(body.hidden(in))));
  }
};

Architecture arch() {
  return text_tasks<ModernBertModel, ModernBertForMaskedLM, ModernBertForSequenceClassification,
                    ModernBertForTokenClassification, ModernBertForQuestionAnswering>(
      "modernbert", "ModernBert", {"head", "decoder", "classifier"});
}

}  // namespace ferry::models::modernbert
