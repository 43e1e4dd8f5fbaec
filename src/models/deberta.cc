// DeBERTa: attention whose scores are those of contents and of relative positions, apart.
// Source: transformers 4.57.6, models/deberta/modeling_deberta.py.
#include "models/deberta.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>

#include "models/text_encoders.h"

namespace ferry::models::deberta {
using namespace nn;
namespace op = ir::op;

DebertaConfig::DebertaConfig() {
  vocab_size = 50265;
  type_vocab_size = 0;
  layer_norm_eps = 1e-7f;
}

void DebertaConfig::read(ConfigReader& r) {
  BertConfig::read(r, 0);
  embedding_size = hidden_size;
  r.read("embedding_size", embedding_size);
  r.read("position_biased_input", position_biased_input);
  r.read("relative_attention", relative_attention);
  int64_t most = -1;
  r.read("max_relative_positions", most, -1);
  max_relative_positions = most < 1 ? max_position_embeddings : most;
  read_pos_att_type(r);
  r.read_choice("pooler_hidden_act", pooler_hidden_act, activation_names());
  int64_t pooler_hidden_size = hidden_size;
  r.read("pooler_hidden_size", pooler_hidden_size);
  if (pooler_hidden_size != hidden_size) r.fail("pooler_hidden_size", "hidden_size");
  r.read("legacy", legacy);
  for (const char* key : {"pooler_dropout", "cls_dropout", "padding_idx"}) r.ignore(key);
}

// A list, or names with bars between them. The scores are scaled for all names that are said.
void DebertaConfig::read_pos_att_type(ConfigReader& r) {
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
  score_kinds = 1 + static_cast<int64_t>(types.size());
  for (const std::string& type : types) {
    if (type == "c2p")
      c2p = true;
    else if (type == "p2c")
      p2c = true;
    else if (!type.empty())
      r.fail(key, "\"c2p\", \"p2c\" or both");
  }
}

double DebertaConfig::score_scale() const {
  return 1 / std::sqrt(static_cast<double>(head_size()) * static_cast<double>(score_kinds));
}

TextInputOptions DebertaConfig::text_inputs() const {
  const std::optional<int64_t> types =
      type_vocab_size > 0 ? std::optional<int64_t>(type_vocab_size) : std::nullopt;
  return {vocab_size, types, position_biased_input ? max_position_embeddings : 0};
}

Tensor DebertaEmbeddings::operator()(const Inputs& in) const {
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

Tensor pairs_mask(const Tensor& attention_mask, DType dtype) {
  const Tensor both =
      op::cast(op::unsqueeze(attention_mask, {1, 2}) * op::unsqueeze(attention_mask, {1, 3}), DType::boolean);
  const Tensor zero = op::scalar(attention_mask.graph(), 0.0f, dtype);
  return op::where(both, zero, op::scalar_like(zero, lowest(dtype)));
}

Tensor rows_of_pairs(const Tensor& x, const std::vector<int64_t>& rows) {
  const auto reach = static_cast<double>(rows.size() / 2);
  const Tensor positions = op::range(op::scalar(x.graph(), int64_t{0}), op::size_of(x, 1));
  const Tensor distance = op::unsqueeze(positions, {1}) - op::unsqueeze(positions, {0});  // [query, key]
  return op::gather(op::integers(x.graph(), rows), op::add(op::clip(distance, -reach, reach), reach));
}

namespace {

// Each of x [B, S, H] times those of positions [P, H] that rows i64[S, S] names: [B, h, S, S].
Tensor at_rows(const DebertaConfig& c, const Tensor& x, const Tensor& positions, const Tensor& rows) {
  const int64_t heads = c.num_attention_heads;
  const Tensor split = op::reshape(positions, {-1, heads, c.head_size()});
  const Tensor all = op::matmul(split_heads(x, heads), op::transpose(split, {1, 2, 0}));  // [B, h, S, P]
  const Tensor length = op::shape_of(x, 1, 2);
  const Tensor dims =
      op::concat({op::shape_of(x, 0, 1), op::integers(x.graph(), {heads}), length, length}, 0);
  return op::emit("GatherElements", {all, op::expand(rows, dims)}, {{"axis", int64_t{3}}});
}

}  // namespace

Tensor position_scores(const DebertaConfig& c, const Tensor& q, const Tensor& k, const Tensor& keys,
                       const Tensor& queries, const Tensor& rows) {
  Tensor out;
  if (keys) out = at_rows(c, q, keys, rows) * c.score_scale();
  if (!queries) return out;
  const Tensor turned = at_rows(c, k, queries, op::transpose(rows, {1, 0}));
  const Tensor p2c = op::transpose(turned, {0, 1, 3, 2}) * c.score_scale();
  return out ? out + p2c : p2c;
}

// One matrix holds queries, keys and values, side by side for each head; the keys have no bias.
struct DisentangledSelfAttention : Module<DebertaConfig> {
  using Module::Module;
  Weight in_proj{at("in_proj").weight("weight", {3 * c.hidden_size, c.hidden_size})};
  Tensor q_bias{scope.parameter("q_bias", {c.hidden_size})};
  Tensor v_bias{scope.parameter("v_bias", {c.hidden_size})};

  Tensor operator()(const Tensor& x, const Shared& shared) const {  // [B, S, H] -> [B, S, H]
    const auto named = scope.named();
    const Tensor q = project(x, 0, "query") + q_bias, k = project(x, 1, "key");
    const Tensor v = project(x, 2, "value") + v_bias;
    const Tensor positions = c.relative_attention ? scores_of_positions(q, k, shared) : Tensor();
    if (c.talking_head) return talking(q, k, v, positions, shared.mask);
    return op::attention(q, k, v,
                         {.mask = positions ? shared.mask + positions : shared.mask,
                          .heads = c.num_attention_heads,
                          .scale = static_cast<float>(c.score_scale())});
  }

 private:
  [[nodiscard]] Tensor project(const Tensor& x, int64_t which, const char* name) const {
    const int64_t heads = c.num_attention_heads, size = c.head_size();
    const Weight part = in_proj.reshape({heads, 3, size, c.hidden_size})
                            .slice(1, which, which + 1)
                            .reshape({c.hidden_size, c.hidden_size})
                            .transpose();
    return op::matmul(x, at("in_proj").constant(name, part));
  }
  [[nodiscard]] Tensor scores_of_positions(const Tensor& q, const Tensor& k, const Shared& shared) const {
    Tensor keys, queries;
    if (c.c2p) keys = Linear(at("pos_proj"), c.hidden_size, c.hidden_size, false)(shared.table);
    if (c.p2c) queries = Linear(at("pos_q_proj"), c.hidden_size, c.hidden_size)(shared.table);
    return position_scores(c, q, k, keys, queries, shared.rows);
  }
  // Heads that hear each other, before and after the softmax.
  [[nodiscard]] Tensor talking(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& positions,
                               const Tensor& mask) const {
    const int64_t heads = c.num_attention_heads;
    const auto mix = [&](const char* name, const Tensor& scores) {
      const Linear over_heads(at(name), heads, heads, false);
      return op::transpose(over_heads(op::transpose(scores, {0, 2, 3, 1})), {0, 3, 1, 2});
    };
    Tensor scores = op::matmul(split_heads(q, heads), op::transpose(split_heads(k, heads), {0, 1, 3, 2}));
    scores = scores * c.score_scale();
    if (positions) scores = scores + positions;
    const Tensor probabilities = op::softmax(mix("head_logits_proj", scores) + mask);
    return merge_heads(op::matmul(mix("head_weights_proj", probabilities), split_heads(v, heads)));
  }
};

struct DebertaEncoder : Module<DebertaConfig> {
  using Module::Module;
  List<DebertaLayer<DisentangledSelfAttention, DebertaConfig>> layer{at("layer"), c.num_hidden_layers, c};

  Tensor operator()(Tensor x, const Tensor& attention_mask) const {  // [B, S, H] -> [B, S, H]
    const Shared shared = share(x, attention_mask);
    for (const auto& one : layer) x = one(x, shared);
    return x;
  }

 private:
  [[nodiscard]] Shared share(const Tensor& x, const Tensor& attention_mask) const {
    const auto named = scope.named();
    Shared out;
    out.mask = pairs_mask(attention_mask, x.dtype());
    if (!c.relative_attention) return out;
    const int64_t span = c.max_relative_positions;
    out.table = Embedding(at("rel_embeddings"), 2 * span, c.hidden_size).weight();
    std::vector<int64_t> rows;
    for (int64_t distance = -span; distance <= span; ++distance)
      rows.push_back(std::min(distance + span, 2 * span - 1));
    out.rows = rows_of_pairs(x, rows);
    return out;
  }
};

Tensor vocabulary_scores(const Scope& root, const DebertaConfig& c, const Embedding& embeddings,
                         const Tensor& x) {
  const Scope place = root / (c.legacy ? "cls.predictions" : "lm_predictions.lm_head");
  const Scope transform = c.legacy ? place / "transform" : place;
  const int64_t width = c.legacy ? c.embedding_size : c.hidden_size;
  const Linear dense(transform / "dense", c.hidden_size, width);
  const LayerNorm norm(transform / "LayerNorm", width, c.layer_norm_eps);
  const Scope function = transform / "transform_act_fn";
  return vocabulary_logits(place, embeddings, !c.legacy || c.tie_word_embeddings, c.vocab_size, width,
                           norm(activation(c.hidden_act, dense(x), &function)));
}

Tensor context_pooled(const Scope& root, const DebertaConfig& c, const Tensor& hidden) {
  const Linear dense(root / "pooler.dense", c.hidden_size, c.hidden_size);
  const Scope function = root / "pooler.activation";
  return activation(c.pooler_hidden_act, dense(select(hidden, 1, 0)), &function);
}

Architecture arch() {
  using Model = DebertaModel<DebertaEncoder, DebertaConfig>;
  return text_tasks<Model, DebertaForMaskedLM<Model>, DebertaForSequenceClassification<Model>>(
      "deberta", "Deberta", kHeads);
}

}  // namespace ferry::models::deberta
