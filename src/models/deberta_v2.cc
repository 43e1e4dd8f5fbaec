// DeBERTa v2 and v3: attention whose scores are those of contents and of relative positions, apart.
// Source: transformers 4.57.6, models/deberta_v2/modeling_deberta_v2.py. Axes as in bert.cc; P: rows of the
// table of relative positions, twice their span.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "models/bert.h"
#include "models/text_encoders.h"

namespace ferry::models::deberta_v2 {
using namespace nn;
namespace op = ir::op;

struct DebertaV2Config : bert::BertConfig {
  explicit DebertaV2Config(ConfigReader& r) {
    vocab_size = 128100;
    hidden_size = 1536;
    num_hidden_layers = 24;
    num_attention_heads = 24;
    intermediate_size = 6144;
    type_vocab_size = 0;
    layer_norm_eps = 1e-7f;
    read(r, 0);
    embedding_size = hidden_size;
    r.read("embedding_size", embedding_size);
    r.read("position_biased_input", position_biased_input);
    r.read("relative_attention", relative_attention);
    int64_t most_relative = -1;
    r.read("max_relative_positions", most_relative, -1);
    max_relative_positions = most_relative < 1 ? max_position_embeddings : most_relative;
    r.read("position_buckets", position_buckets, -1);
    if (position_buckets == 1) r.fail("position_buckets", "at least 2, or -1 for none");
    if (max_relative_positions - 1 <= position_buckets / 2) {
      r.fail("max_relative_positions", "a number above half of position_buckets and 1");
    }
    r.read("share_att_key", share_att_key);
    read_pos_att_type(r);
    r.read_choice("norm_rel_ebd", norm_rel_ebd, {"none", "layer_norm"});
    r.read("conv_kernel_size", conv_kernel_size, 0);
    if (conv_kernel_size > 0 && conv_kernel_size % 2 == 0) r.fail("conv_kernel_size", "an odd number");
    r.read("conv_groups", conv_groups);
    if (hidden_size % conv_groups != 0) r.fail("conv_groups", "a divisor of hidden_size");
    r.read_choice("conv_act", conv_act, activation_names());
    r.read_choice("pooler_hidden_act", pooler_hidden_act, activation_names());
    must_equal(r, "pooler_hidden_size", hidden_size, "hidden_size");
    must_equal(r, "attention_head_size", head_size(), "hidden_size / num_attention_heads");
    r.only("legacy", true);
    for (const char* key : {"pooler_dropout", "cls_dropout", "padding_idx"}) r.ignore(key);
  }
  int64_t embedding_size = 0;
  bool position_biased_input = true;
  bool relative_attention = false;
  int64_t max_relative_positions = 512;
  int64_t position_buckets = -1;  // Below 1: a row for each distance.
  bool share_att_key = false;
  bool c2p = false, p2c = false;  // pos_att_type.
  std::string norm_rel_ebd = "none";
  int64_t conv_kernel_size = 0;  // 0: no convolution.
  int64_t conv_groups = 1;
  std::string conv_act = "tanh";
  std::string pooler_hidden_act = "gelu";

  /// The distance from which on the table's last row is used.
  [[nodiscard]] int64_t span() const {
    return position_buckets > 0 ? position_buckets : max_relative_positions;
  }
  [[nodiscard]] double score_scale() const {
    return 1 / std::sqrt(static_cast<double>(head_size()) * (1 + (c2p ? 1 : 0) + (p2c ? 1 : 0)));
  }
  [[nodiscard]] TextInputOptions text_inputs() const {
    const std::optional<int64_t> types =
        type_vocab_size > 0 ? std::optional<int64_t>(type_vocab_size) : std::nullopt;
    return {vocab_size, types, position_biased_input ? max_position_embeddings : 0};
  }

 private:
  static void must_equal(ConfigReader& r, const char* key, int64_t only, const char* expected) {
    int64_t value = only;
    r.read(key, value);
    if (value != only) r.fail(key, expected);
  }

  void read_pos_att_type(ConfigReader& r) {
    const char* key = "pos_att_type";
    std::vector<std::string> types;
    if (r.has(key) && r.json().at(key).is_string()) {
      std::string joined;
      r.read(key, joined);
      std::transform(joined.begin(), joined.end(), joined.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      std::string type;
      for (const char c : joined + "|") {
        if (c == '|') types.push_back(std::exchange(type, ""));
        if (c != '|' && c != ' ') type += c;
      }
    } else {
      r.read(key, types);
    }
    for (const std::string& type : types) {
      if (type == "c2p")
        c2p = true;
      else if (type == "p2c")
        p2c = true;
      else if (!type.empty())
        r.fail(key, "\"c2p\", \"p2c\" or both");
    }
  }
};

// Which rows of the table of relative positions the distances of a text stand for: query - key, from -reach
// to reach, farther ones as these.
struct PositionRows {
  explicit PositionRows(const DebertaV2Config& c) {
    const int64_t span = c.span();
    if (c.position_buckets > 0) {
      constexpr int64_t kFarthest = int64_t{1} << 17;
      while (reach < kFarthest && bucket(reach, c) < span) ++reach;
    } else {
      reach = span;
    }
    for (int64_t distance = -reach; distance <= reach; ++distance) {
      const int64_t place = c.position_buckets > 0 ? bucket(distance, c) : distance;
      rows.push_back(std::clamp<int64_t>(place + span, 0, 2 * span - 1));
    }
  }
  int64_t reach = 0;
  std::vector<int64_t> rows;

 private:
  // In the single precision of the source: rounding decides where a logarithm falls on a whole number.
  static int64_t bucket(int64_t distance, const DebertaV2Config& c) {
    const int64_t middle = c.position_buckets / 2, n = std::abs(distance);
    if (n <= middle) return distance;
    const float widest =
        std::log(static_cast<float>(static_cast<double>(c.max_relative_positions - 1) / middle));
    const float grown = std::log(static_cast<float>(n) / static_cast<float>(middle)) / widest;
    const int64_t place = static_cast<int64_t>(std::ceil(grown * static_cast<float>(middle - 1))) + middle;
    return distance < 0 ? -place : place;
  }
};

struct DebertaV2Embeddings : Module<DebertaV2Config> {
  using Module::Module;
  Embedding word_embeddings{at("word_embeddings"), c.vocab_size, c.embedding_size};
  LayerNorm norm{at("LayerNorm"), c.hidden_size, c.layer_norm_eps};

  Tensor operator()(const Inputs& in) const {  // ids i64[B, S] -> [B, S, H]
    const auto named = scope.named();
    const Tensor ids = in["input_ids"];
    Tensor x = word_embeddings(ids);
    scope.ignore("position_embeddings");  // In some checkpoints that do not use them.
    if (c.position_biased_input) {
      const Embedding table(at("position_embeddings"), c.max_position_embeddings, c.embedding_size);
      x = x + table.first_rows(op::shape_of(ids, 1, 2));
    }
    if (c.type_vocab_size > 0) {
      const Embedding table(at("token_type_embeddings"), c.type_vocab_size, c.embedding_size);
      const Tensor types = in.find("token_type_ids");
      x = x + (types ? table(types) : select(table.weight(), 0, 0));
    }
    if (c.embedding_size != c.hidden_size) {
      x = Linear(at("embed_proj"), c.embedding_size, c.hidden_size, false)(x);
    }
    x = norm(x);
    return x * op::cast(op::unsqueeze(in["attention_mask"], {2}), x.dtype());
  }
};

// What all layers share: the mask [B, 1, S, S], and with relative attention the table [P, H] and the rows
// i64[S, S] of query and key.
struct Shared {
  Tensor mask, table, rows;
};

struct DisentangledSelfAttention : Module<DebertaV2Config> {
  using Module::Module;
  Linear query_proj{at("query_proj"), c.hidden_size, c.hidden_size};
  Linear key_proj{at("key_proj"), c.hidden_size, c.hidden_size};
  Linear value_proj{at("value_proj"), c.hidden_size, c.hidden_size};

  Tensor operator()(const Tensor& x, const Shared& shared) const {  // [B, S, H] -> [B, S, H]
    const auto named = scope.named();
    const Tensor q = query_proj(x), k = key_proj(x);
    Tensor mask = shared.mask;
    if (c.relative_attention && c.c2p) mask = mask + content_to_position(q, shared) * c.score_scale();
    if (c.relative_attention && c.p2c) mask = mask + position_to_content(k, shared) * c.score_scale();
    return op::attention(
        q, k, value_proj(x),
        {.mask = mask, .heads = c.num_attention_heads, .scale = static_cast<float>(c.score_scale())});
  }

 private:
  // q . K[row]: [B, h, S, S]
  [[nodiscard]] Tensor content_to_position(const Tensor& q, const Shared& shared) const {
    const Tensor keys = c.share_att_key
                            ? key_proj(shared.table)
                            : Linear(at("pos_key_proj"), c.hidden_size, c.hidden_size)(shared.table);
    return at_rows(q, keys, shared.rows);
  }
  // k . Q[row]: [B, h, S, S]
  [[nodiscard]] Tensor position_to_content(const Tensor& k, const Shared& shared) const {
    const Tensor queries = c.share_att_key
                               ? query_proj(shared.table)
                               : Linear(at("pos_query_proj"), c.hidden_size, c.hidden_size)(shared.table);
    return op::transpose(at_rows(k, queries, op::transpose(shared.rows, {1, 0})), {0, 1, 3, 2});
  }
  // Each of x [B, S, H] times those of positions [P, H] that rows i64[S, S] names: [B, h, S, S].
  [[nodiscard]] Tensor at_rows(const Tensor& x, const Tensor& positions, const Tensor& rows) const {
    const int64_t heads = c.num_attention_heads;
    const Tensor split = op::reshape(positions, {-1, heads, c.head_size()});
    const Tensor all = op::matmul(split_heads(x, heads), op::transpose(split, {1, 2, 0}));  // [B, h, S, P]
    const Tensor length = op::shape_of(x, 1, 2);
    const Tensor dims =
        op::concat({op::shape_of(x, 0, 1), op::integers(x.graph(), {heads}), length, length}, 0);
    return op::emit("GatherElements", {all, op::expand(rows, dims)}, {{"axis", int64_t{3}}});
  }
};

struct DebertaV2Layer : Module<DebertaV2Config> {
  using Module::Module;
  DisentangledSelfAttention self{at("attention.self"), c};
  bert::BertOutput attention_output{at("attention.output"), c, c.hidden_size};
  bert::BertIntermediate intermediate{at("intermediate"), c};
  bert::BertOutput output{at("output"), c, c.intermediate_size};

  Tensor operator()(const Tensor& x, const Shared& shared) const {  // [B, S, H] -> [B, S, H]
    const Tensor y = attention_output(self(x, shared), x);
    return output(intermediate(y), y);
  }
};

// A convolution of the embeddings along the text, added to the first layer's result.
struct ConvLayer : Module<DebertaV2Config> {
  using Module::Module;
  LayerNorm norm{at("LayerNorm"), c.hidden_size, c.layer_norm_eps};

  Tensor operator()(const Tensor& embedded, const Tensor& residual, const Tensor& attention_mask) const {
    const auto named = scope.named();
    const int64_t kernel = c.conv_kernel_size, border = (kernel - 1) / 2;
    const Tensor weight =
        at("conv").parameter("weight", {c.hidden_size, c.hidden_size / c.conv_groups, kernel});
    const Tensor bias = at("conv").parameter("bias", {c.hidden_size});
    const Tensor out = op::transpose(op::emit("Conv", {op::transpose(embedded, {0, 2, 1}), weight, bias},
                                              {{"kernel_shape", std::vector<int64_t>{kernel}},
                                               {"pads", std::vector<int64_t>{border, border}},
                                               {"group", c.conv_groups}}),
                                     {0, 2, 1});
    const Tensor mask = op::cast(op::unsqueeze(attention_mask, {2}), out.dtype());
    const Scope function = at("activation");
    return norm(residual + activation(c.conv_act, out * mask, &function)) * mask;
  }
};

struct DebertaV2Encoder : Module<DebertaV2Config> {
  using Module::Module;
  List<DebertaV2Layer> layer{at("layer"), c.num_hidden_layers, c};

  Tensor operator()(const Tensor& embedded, const Tensor& attention_mask) const {  // [B, S, H] -> [B, S, H]
    const Shared shared = share(embedded, attention_mask);
    Tensor x = embedded;
    for (size_t i = 0; i < layer.size(); ++i) {
      x = layer[i](x, shared);
      if (i == 0 && c.conv_kernel_size > 0) x = ConvLayer(at("conv"), c)(embedded, x, attention_mask);
    }
    return x;
  }

 private:
  [[nodiscard]] Shared share(const Tensor& x, const Tensor& attention_mask) const {
    const auto named = scope.named();
    Shared out;
    // Padding sees nothing: its scores are all the lowest number.
    const Tensor both = op::cast(
        op::unsqueeze(attention_mask, {1, 2}) * op::unsqueeze(attention_mask, {1, 3}), DType::boolean);
    const Tensor zero = op::scalar(x.graph(), 0.0f, x.dtype());
    out.mask = op::where(both, zero, op::scalar_like(zero, lowest(x.dtype())));
    scope.ignore("LayerNorm");  // Of the table; there without relative attention, too.
    if (!c.relative_attention) return out;
    out.table = Embedding(at("rel_embeddings"), 2 * c.span(), c.hidden_size).weight();
    if (c.norm_rel_ebd == "layer_norm") {
      out.table = LayerNorm(at("LayerNorm"), c.hidden_size, c.layer_norm_eps)(out.table);
    }
    const PositionRows places(c);
    const auto reach = static_cast<double>(places.reach);
    const Tensor positions = op::range(op::scalar(x.graph(), int64_t{0}), op::size_of(x, 1));
    const Tensor distance = op::unsqueeze(positions, {1}) - op::unsqueeze(positions, {0});  // [query, key]
    out.rows =
        op::gather(op::integers(x.graph(), places.rows), op::add(op::clip(distance, -reach, reach), reach));
    return out;
  }
};

struct DebertaV2Model : Module<DebertaV2Config> {
  using Module::Module;
  static constexpr const char* base_model_prefix = "deberta";
  DebertaV2Embeddings embeddings{at("embeddings"), c};
  DebertaV2Encoder encoder{at("encoder"), c};

  Tensor hidden(const Inputs& in) const { return encoder(embeddings(in), in["attention_mask"]); }

  Outputs operator()(const Inputs& in) const { return {{"last_hidden_state", hidden(in)}}; }
};

struct DebertaV2ForMaskedLM : OverBody<DebertaV2Model> {
  using OverBody::OverBody;
  Scope predictions{at("cls.predictions")};
  Linear dense{predictions / "transform.dense", c.hidden_size, c.embedding_size};
  LayerNorm norm{predictions / "transform.LayerNorm", c.embedding_size, c.layer_norm_eps};

  Outputs operator()(const Inputs& in) const {  // -> [B, S, vocab]
    const Scope function = predictions / "transform.transform_act_fn";
    const Tensor x = norm(activation(c.hidden_act, dense(body.hidden(in)), &function));
    return {{"logits", vocabulary_logits(predictions, body.embeddings.word_embeddings, c.tie_word_embeddings,
                                         c.vocab_size, c.embedding_size, x)}};
  }
};

// ContextPooler and a classifier over the first token: [B, S, H] -> [B, labels].
struct ContextClassifier : OverBody<DebertaV2Model> {
  ContextClassifier(Scope place, const DebertaV2Config& config, int64_t labels)
      : OverBody(std::move(place), config), classifier(at("classifier"), c.hidden_size, labels) {}
  Linear pooler{at("pooler.dense"), c.hidden_size, c.hidden_size};
  Linear classifier;

  Tensor logits(const Inputs& in) const {
    const Scope function = at("pooler.activation");
    return classifier(activation(c.pooler_hidden_act, pooler(select(body.hidden(in), 1, 0)), &function));
  }
};

struct DebertaV2ForSequenceClassification : ContextClassifier {
  DebertaV2ForSequenceClassification(Scope place, const DebertaV2Config& config)
      : ContextClassifier(std::move(place), config, config.num_labels) {}
  Outputs operator()(const Inputs& in) const { return {{"logits", logits(in)}}; }
};

struct DebertaV2ForMultipleChoice : ContextClassifier {
  DebertaV2ForMultipleChoice(Scope place, const DebertaV2Config& config)
      : ContextClassifier(std::move(place), config, 1) {}
  Outputs operator()(const Inputs& in) const {  // [B, choices, S] -> [B, choices]
    return {{"logits", unflatten_choices(logits(flatten_choices(in)), in)}};
  }
};

Architecture arch() {
  return encoder_arch<DebertaV2Model, DebertaV2ForMaskedLM, DebertaV2ForSequenceClassification,
                      DebertaV2ForMultipleChoice>(
      "deberta-v2", "DebertaV2",
      {"cls", "lm_predictions", "mask_predictions", "qa_outputs", "classifier", "pooler", "*.position_ids"});
}

}  // namespace ferry::models::deberta_v2
