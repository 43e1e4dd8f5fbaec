// DeBERTa v2 and v3: DeBERTa with distances in buckets, projections of contents for positions, too, and a
// convolution. Source: transformers 4.57.6, models/deberta_v2/modeling_deberta_v2.py.
#include <algorithm>
#include <cmath>
#include <utility>

#include "models/deberta.h"
#include "models/text_encoders.h"

namespace ferry::models::deberta_v2 {
using namespace nn;
using namespace deberta;
namespace op = ir::op;

struct DebertaV2Config : DebertaConfig {
  explicit DebertaV2Config(ConfigReader& r) {
    vocab_size = 128100;
    hidden_size = 1536;
    num_hidden_layers = 24;
    num_attention_heads = 24;
    intermediate_size = 6144;
    read(r);
    score_kinds = 1 + (c2p ? 1 : 0) + (p2c ? 1 : 0);
    r.read("position_buckets", position_buckets, -1);
    if (position_buckets == 1) r.fail("position_buckets", "at least 2, or -1 for none");
    if (max_relative_positions - 1 <= position_buckets / 2) {
      r.fail("max_relative_positions", "a number above half of position_buckets and 1");
    }
    r.read("share_att_key", share_att_key);
    r.read_choice("norm_rel_ebd", norm_rel_ebd, {"none", "layer_norm"});
    r.read("conv_kernel_size", conv_kernel_size, 0);
    if (conv_kernel_size > 0 && conv_kernel_size % 2 == 0) r.fail("conv_kernel_size", "an odd number");
    r.read("conv_groups", conv_groups);
    if (hidden_size % conv_groups != 0) r.fail("conv_groups", "a divisor of hidden_size");
    r.read_choice("conv_act", conv_act, activation_names());
    int64_t attention_head_size = head_size();
    r.read("attention_head_size", attention_head_size);
    if (attention_head_size != head_size())
      r.fail("attention_head_size", "hidden_size / num_attention_heads");
  }
  int64_t position_buckets = -1;  // Below 1: a row for each distance.
  bool share_att_key = false;
  std::string norm_rel_ebd = "none";
  int64_t conv_kernel_size = 0;  // 0: no convolution.
  int64_t conv_groups = 1;
  std::string conv_act = "tanh";

  /// The distance from which on the table's last row is used.
  [[nodiscard]] int64_t span() const {
    return position_buckets > 0 ? position_buckets : max_relative_positions;
  }
};

// The bucket of a distance, in the single precision of the source: rounding decides where a logarithm falls
// on a whole number.
int64_t bucket(int64_t distance, const DebertaV2Config& c) {
  const int64_t middle = c.position_buckets / 2, n = std::abs(distance);
  if (n <= middle) return distance;
  const float widest =
      std::log(static_cast<float>(static_cast<double>(c.max_relative_positions - 1) / middle));
  const float grown = std::log(static_cast<float>(n) / static_cast<float>(middle)) / widest;
  const int64_t place = static_cast<int64_t>(std::ceil(grown * static_cast<float>(middle - 1))) + middle;
  return distance < 0 ? -place : place;
}

// Which rows of the table of relative positions the distances of a text stand for: query - key, from those to
// those from which on nothing changes.
std::vector<int64_t> rows_of_distances(const DebertaV2Config& c) {
  const int64_t span = c.span();
  int64_t reach = span;
  if (c.position_buckets > 0) {
    constexpr int64_t kFarthest = int64_t{1} << 17;
    reach = 0;
    while (reach < kFarthest && bucket(reach, c) < span) ++reach;
  }
  std::vector<int64_t> rows;
  for (int64_t distance = -reach; distance <= reach; ++distance) {
    const int64_t place = c.position_buckets > 0 ? bucket(distance, c) : distance;
    rows.push_back(std::clamp<int64_t>(place + span, 0, 2 * span - 1));
  }
  return rows;
}

struct DisentangledSelfAttention : Module<DebertaV2Config> {
  using Module::Module;
  Linear query_proj{at("query_proj"), c.hidden_size, c.hidden_size};
  Linear key_proj{at("key_proj"), c.hidden_size, c.hidden_size};
  Linear value_proj{at("value_proj"), c.hidden_size, c.hidden_size};

  Tensor operator()(const Tensor& x, const Shared& shared) const {  // [B, S, H] -> [B, S, H]
    const auto named = scope.named();
    const Tensor q = query_proj(x), k = key_proj(x);
    const Tensor positions = c.relative_attention ? scores_of_positions(q, k, shared) : Tensor();
    return op::attention(q, k, value_proj(x),
                         {.mask = positions ? shared.mask + positions : shared.mask,
                          .heads = c.num_attention_heads,
                          .scale = static_cast<float>(c.score_scale())});
  }

 private:
  [[nodiscard]] Tensor scores_of_positions(const Tensor& q, const Tensor& k, const Shared& shared) const {
    const auto own = [&](const char* name) { return Linear(at(name), c.hidden_size, c.hidden_size); };
    Tensor keys, queries;
    if (c.c2p) keys = (c.share_att_key ? key_proj : own("pos_key_proj"))(shared.table);
    if (c.p2c) queries = (c.share_att_key ? query_proj : own("pos_query_proj"))(shared.table);
    return position_scores(c, q, k, keys, queries, shared.rows);
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
  List<DebertaLayer<DisentangledSelfAttention, DebertaV2Config>> layer{at("layer"), c.num_hidden_layers, c};

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
    out.mask = pairs_mask(attention_mask, x.dtype());
    scope.ignore("LayerNorm");  // Of the table; there without relative attention, too.
    if (!c.relative_attention) return out;
    out.table = Embedding(at("rel_embeddings"), 2 * c.span(), c.hidden_size).weight();
    if (c.norm_rel_ebd == "layer_norm") {
      out.table = LayerNorm(at("LayerNorm"), c.hidden_size, c.layer_norm_eps)(out.table);
    }
    out.rows = rows_of_pairs(x, rows_of_distances(c));
    return out;
  }
};

using DebertaV2Model = DebertaModel<DebertaV2Encoder, DebertaV2Config>;

struct DebertaV2ForMultipleChoice : ContextClassifier<DebertaV2Model> {
  DebertaV2ForMultipleChoice(Scope place, const DebertaV2Config& config)
      : ContextClassifier(std::move(place), config, 1) {}
  Outputs operator()(const Inputs& in) const {  // [B, choices, S] -> [B, choices]
    return {{"logits", unflatten_choices(logits(flatten_choices(in)), in)}};
  }
};

Architecture arch() {
  return encoder_arch<DebertaV2Model, DebertaForMaskedLM<DebertaV2Model>,
                      DebertaForSequenceClassification<DebertaV2Model>, DebertaV2ForMultipleChoice>(
      "deberta-v2", "DebertaV2", kHeads);
}

}  // namespace ferry::models::deberta_v2
