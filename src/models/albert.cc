// ALBERT: layers that are groups used again and again, over embeddings of a width of their own.
// Source: transformers 4.57.6, models/albert/modeling_albert.py.
#include "models/bert.h"
#include "models/text_encoders.h"

namespace ferry::models::albert {
using namespace nn;
namespace op = ir::op;

struct AlbertConfig : bert::BertConfig {
  explicit AlbertConfig(ConfigReader& r) {
    vocab_size = 30000;
    hidden_size = 4096;
    num_attention_heads = 64;
    intermediate_size = 16384;
    hidden_act = "gelu_new";
    read(r);
    r.read("embedding_size", embedding_size);
    r.read("num_hidden_groups", num_hidden_groups);
    r.read("inner_group_num", inner_group_num);
    // transformers counts on it where it cuts the head mask to groups.
    if (inner_group_num > num_hidden_layers / num_hidden_groups) {
      r.fail("inner_group_num", "at most num_hidden_layers / num_hidden_groups");
    }
    // Read by older versions of transformers, of no effect in 4.57.
    r.ignore("gap_size");
    r.ignore("net_structure_type");
    r.ignore("num_memory_blocks");
    r.ignore("down_scale_factor");
  }
  int64_t embedding_size = 128;
  int64_t num_hidden_groups = 1;
  int64_t inner_group_num = 1;
};

struct AlbertAttention : Module<AlbertConfig> {
  using Module::Module;
  Linear query{at("query"), c.hidden_size, c.hidden_size};
  Linear key{at("key"), c.hidden_size, c.hidden_size};
  Linear value{at("value"), c.hidden_size, c.hidden_size};
  Linear dense{at("dense"), c.hidden_size, c.hidden_size};
  LayerNorm norm{at("LayerNorm"), c.hidden_size, c.layer_norm_eps};

  Tensor operator()(const Tensor& x, Tensor mask) const {  // [B, S, H] -> [B, S, H]
    const auto named = scope.named();
    const Tensor q = query(x), k = key(x);
    // Unlike BERT's these are not scaled.
    if (c.position_embedding_type != "absolute") mask = mask + bert::RelativeScores(scope, c)(q, k);
    return norm(x + dense(op::attention(q, k, value(x), {.mask = mask, .heads = c.num_attention_heads})));
  }
};

struct AlbertLayer : Module<AlbertConfig> {
  using Module::Module;
  AlbertAttention attention{at("attention"), c};
  Linear ffn{at("ffn"), c.hidden_size, c.intermediate_size};
  Linear ffn_output{at("ffn_output"), c.intermediate_size, c.hidden_size};
  LayerNorm full_layer_layer_norm{at("full_layer_layer_norm"), c.hidden_size, c.layer_norm_eps};

  Tensor operator()(const Tensor& x, const Tensor& mask) const {  // [B, S, H] -> [B, S, H]
    const Tensor y = attention(x, mask);
    const Scope function = at("activation");
    return full_layer_layer_norm(ffn_output(activation(c.hidden_act, ffn(y), &function)) + y);
  }
};

struct AlbertLayerGroup : Module<AlbertConfig> {
  using Module::Module;
  List<AlbertLayer> albert_layers{at("albert_layers"), c.inner_group_num, c};

  Tensor operator()(Tensor x, const Tensor& mask) const {
    for (const AlbertLayer& layer : albert_layers) x = layer(x, mask);
    return x;
  }
};

struct AlbertTransformer : Module<AlbertConfig> {
  using Module::Module;
  Linear embedding_hidden_mapping_in{at("embedding_hidden_mapping_in"), c.embedding_size, c.hidden_size};
  List<AlbertLayerGroup> groups{at("albert_layer_groups"), c.num_hidden_groups, c};

  Tensor operator()(const Tensor& embedded, const Tensor& mask) const {  // [B, S, E] -> [B, S, H]
    Tensor x = embedding_hidden_mapping_in(embedded);
    const double layers_per_group = static_cast<double>(c.num_hidden_layers) / c.num_hidden_groups;
    for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
      x = groups[static_cast<size_t>(static_cast<double>(i) / layers_per_group)](x, mask);
    }
    return x;
  }
};

struct AlbertModel : Module<AlbertConfig> {
  using Module::Module;
  static constexpr const char* base_model_prefix = "albert";
  bert::BertEmbeddings embeddings{at("embeddings"), c, c.embedding_size};
  AlbertTransformer encoder{at("encoder"), c};

  Tensor hidden(const Inputs& in) const {  // [B, S, H]
    const Tensor x = embeddings(in);
    return encoder(x, additive_mask(in["attention_mask"], x.dtype()));
  }
  Tensor pooled(const Inputs& in) const {  // [B, H]
    const Linear pooler(at("pooler"), c.hidden_size, c.hidden_size);
    return op::unary("Tanh", pooler(select(hidden(in), 1, 0)));
  }

  Outputs operator()(const Inputs& in) const { return {{"last_hidden_state", hidden(in)}}; }
};

struct AlbertForMaskedLM : OverBody<AlbertModel> {
  using OverBody::OverBody;
  Scope predictions{at("predictions")};
  Linear dense{predictions / "dense", c.hidden_size, c.embedding_size};
  LayerNorm norm{predictions / "LayerNorm", c.embedding_size, c.layer_norm_eps};

  Outputs operator()(const Inputs& in) const {  // -> [B, S, vocab]
    const Scope function = predictions / "activation";
    const Tensor x = norm(activation(c.hidden_act, dense(body.hidden(in)), &function));
    return {{"logits", vocabulary_logits(predictions, body.embeddings.word_embeddings, c.tie_word_embeddings,
                                         c.vocab_size, c.embedding_size, x)}};
  }
};

Architecture arch() {
  return encoder_arch<AlbertModel, AlbertForMaskedLM, PooledForSequenceClassification<AlbertModel>,
                      PooledForMultipleChoice<AlbertModel>>(
      "albert", "Albert",
      {"predictions", "sop_classifier", "qa_outputs", "classifier", "albert.pooler", "*.position_ids"});
}

}  // namespace ferry::models::albert
