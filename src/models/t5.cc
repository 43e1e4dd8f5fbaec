// T5 and mT5. Source: transformers 4.57.6, models/t5/modeling_t5.py; struct names are that file's, the
// strings in at("...") its checkpoint keys. Axes: B batch, S new tokens, T = cache + S, E tokens of the
// encoder, H d_model.
#include <cmath>

#include "models/seq2seq.h"
#include "nn/relative_positions.h"
#include "nn/seq2seq.h"

namespace ferry::models::t5 {
using namespace nn;
namespace op = ir::op;

struct T5Config {
  explicit T5Config(ConfigReader& r) { read(r); }

  int64_t vocab_size = 32128;
  int64_t d_model = 512;
  int64_t d_kv = 64;
  int64_t d_ff = 2048;
  int64_t num_layers = 6;
  int64_t num_decoder_layers = 0;  // 0: as many as num_layers.
  int64_t num_heads = 8;
  BucketOptions buckets;
  float layer_norm_epsilon = 1e-6f;
  std::string feed_forward_proj = "relu";
  std::string dense_act_fn;  // Of feed_forward_proj, if empty.
  bool is_gated_act = false;
  bool tie_word_embeddings = true;

  [[nodiscard]] Seq2SeqSignature signature() const {
    return {.encoder = encoder_text_inputs(vocab_size, 0),
            .encoder_size = d_model,
            .vocab_size = vocab_size,
            .layers = num_decoder_layers,
            .heads = num_heads,
            .head_dim = d_kv};
  }

 protected:
  T5Config() = default;
  void read(ConfigReader& r) {
    r.read("vocab_size", vocab_size);
    r.read("d_model", d_model);
    r.read("d_kv", d_kv);
    r.read("d_ff", d_ff);
    r.read("num_layers", num_layers);
    r.read("num_decoder_layers", num_decoder_layers);
    if (num_decoder_layers == 0) num_decoder_layers = num_layers;
    r.read("num_heads", num_heads);
    r.read("relative_attention_num_buckets", buckets.buckets, 4, 1 << 20);
    r.read("relative_attention_max_distance", buckets.max_distance, 1, 1 << 20);
    if (buckets.max_distance <= buckets.buckets / 2)
      r.fail("relative_attention_max_distance", "more than half of relative_attention_num_buckets");
    r.read("layer_norm_epsilon", layer_norm_epsilon);
    r.read("tie_word_embeddings", tie_word_embeddings);
    read_feed_forward(r);
    for (const char* key : {"dropout_rate", "n_positions", "output_past", "head_dim", "scalable_attention"})
      r.ignore(key);
  }
  // "relu", "gated-gelu": the latter with the tanh form, as older checkpoints were trained.
  void read_feed_forward(ConfigReader& r) {
    r.read("feed_forward_proj", feed_forward_proj);
    const size_t dash = feed_forward_proj.find('-');
    const bool gated = dash != std::string::npos;
    if (gated && feed_forward_proj.compare(0, dash, "gated") != 0)
      r.fail("feed_forward_proj", "an activation, or one after \"gated-\"");
    is_gated_act = gated;
    dense_act_fn =
        feed_forward_proj == "gated-gelu" ? "gelu_new" : feed_forward_proj.substr(gated ? dash + 1 : 0);
    r.read("is_gated_act", is_gated_act);
    r.read_choice("dense_act_fn", dense_act_fn, activation_names());
  }
};

struct MT5Config : T5Config {
  explicit MT5Config(ConfigReader& r) {
    vocab_size = 250112;
    d_ff = 1024;
    num_layers = 8;
    num_heads = 6;
    feed_forward_proj = "gated-gelu";
    tie_word_embeddings = false;
    read(r);
  }
};

// In half precision transformers keeps "wo" in f32 (_keep_in_fp32_modules), whose results leave the range of
// f16 in the largest T5s: from the first feed-forward on the sum that the layers add to is f32, and norms
// bring it back. Weights read while this lives are f32.
class Wide {
 public:
  explicit Wide(const Scope& scope) : build_(scope.build()), dtype_(build_.dtype) {
    if (dtype_ == DType::f16) build_.dtype = DType::f32;
  }
  ~Wide() { build_.dtype = dtype_; }
  Wide(const Wide&) = delete;
  Wide& operator=(const Wide&) = delete;

  [[nodiscard]] DType dtype() const { return build_.dtype; }
  [[nodiscard]] DType outside() const { return dtype_; }

 private:
  Build& build_;
  DType dtype_;
};

class T5LayerNorm {
 public:
  T5LayerNorm(const Scope& place, const T5Config& c) : T5LayerNorm(Wide(place), place, c) {}
  Tensor operator()(const Tensor& x) const { return op::cast(norm_(op::cast(x, inside_)), outside_); }

 private:
  T5LayerNorm(const Wide& wide, const Scope& place, const T5Config& c)
      : norm_(place, c.d_model, c.layer_norm_epsilon), inside_(wide.dtype()), outside_(wide.outside()) {}
  RMSNorm norm_;
  DType inside_, outside_;
};

// x + y, within what half precision holds.
Tensor residual(const Tensor& x, const Tensor& y) {
  constexpr double kMost = 64504;
  const Tensor sum = x.dtype() == y.dtype() ? x + y : op::cast(x, DType::f32) + op::cast(y, DType::f32);
  return sum.dtype() == DType::f16 ? op::clip(sum, -kMost, kMost) : sum;
}

struct T5Attention : Module<T5Config> {
  using Module::Module;
  int64_t inner_dim = c.num_heads * c.d_kv;
  Linear q{at("q"), c.d_model, inner_dim, false};
  Linear k{at("k"), c.d_model, inner_dim, false};
  Linear v{at("v"), c.d_model, inner_dim, false};
  Linear o{at("o"), inner_dim, c.d_model, false};

  [[nodiscard]] Decoding::Projection heads(const Linear& part) const {
    return [this, &part](const Tensor& x) { return split_heads(part(x), c.num_heads); };
  }
  // Scores are not scaled. [B, S, H] -> [B, S, H]
  [[nodiscard]] Tensor over_itself(const Tensor& x, const Tensor& mask) const {
    const auto named = scope.named();
    return o(
        merge_heads(op::attention(heads(q)(x), heads(k)(x), heads(v)(x), {.mask = mask, .scale = 1.0f})));
  }
  [[nodiscard]] Tensor over_cache(const Tensor& x, int64_t layer, const Tensor& mask, Decoding& run) const {
    const auto named = scope.named();
    return o(run.attend(layer, heads(q)(x), heads(k)(x), heads(v)(x), {.mask = mask, .scale = 1.0f}));
  }
  [[nodiscard]] Tensor over_encoder(const Tensor& x, int64_t layer, Decoding& run) const {
    const auto named = scope.named();
    return o(run.attend_encoder(layer, heads(q)(x), heads(k), heads(v), {.scale = 1.0f}));
  }
};

struct T5DenseActDense : Module<T5Config> {
  using Module::Module;
  Linear wi{at(c.is_gated_act ? "wi_0" : "wi"), c.d_model, c.d_ff, false};

  Tensor operator()(const Tensor& x) const {
    const auto named = scope.named();
    const Scope function = at("act");
    const Tensor y = activation(c.dense_act_fn, wi(x), &function);
    const Tensor inner = c.is_gated_act ? y * Linear(at("wi_1"), c.d_model, c.d_ff, false)(x) : y;
    const Wide wide(scope);
    return Linear(at("wo"), c.d_ff, c.d_model, false)(op::cast(inner, wide.dtype()));
  }
};

struct T5LayerFF : Module<T5Config> {
  using Module::Module;
  T5LayerNorm layer_norm{at("layer_norm"), c};
  T5DenseActDense dense{at("DenseReluDense"), c};

  Tensor operator()(const Tensor& x) const { return residual(x, dense(layer_norm(x))); }
};

struct T5EncoderBlock : Module<T5Config> {
  using Module::Module;
  T5LayerNorm layer_norm{at("layer.0.layer_norm"), c};
  T5Attention attention{at("layer.0.SelfAttention"), c};
  T5LayerFF feed_forward{at("layer.1"), c};

  Tensor operator()(const Tensor& x, const Tensor& mask) const {
    const auto named = scope.named();
    return feed_forward(residual(x, attention.over_itself(layer_norm(x), mask)));
  }
};

struct T5DecoderBlock : LayerModule<T5Config> {
  using LayerModule::LayerModule;
  T5LayerNorm layer_norm{at("layer.0.layer_norm"), c};
  T5Attention attention{at("layer.0.SelfAttention"), c};
  T5LayerNorm cross_norm{at("layer.1.layer_norm"), c};
  T5Attention cross{at("layer.1.EncDecAttention"), c};
  T5LayerFF feed_forward{at("layer.2"), c};

  Tensor operator()(const Tensor& x, const Tensor& mask, Decoding& run) const {
    const auto named = scope.named();
    at("layer.1.EncDecAttention").ignore("relative_attention_bias");  // Of early checkpoints.
    const Tensor y = residual(x, attention.over_cache(layer_norm(x), layer_idx, mask, run));
    return feed_forward(residual(y, cross.over_encoder(cross_norm(y), layer_idx, run)));
  }
};

template <typename Block>
struct T5Stack : Module<T5Config> {
  T5Stack(Scope place, const T5Config& config, int64_t layers)
      : Module(std::move(place), config), block(at("block"), layers, c) {}
  List<Block> block;
  Embedding relative_attention_bias{at("block.0.layer.0.SelfAttention.relative_attention_bias"),
                                    c.buckets.buckets, c.num_heads};
  T5LayerNorm final_layer_norm{at("final_layer_norm"), c};

  // For queries from `first` on and keys from 0 on, both up to `total`: [1, h, S, T]
  [[nodiscard]] Tensor position_bias(const Tensor& first, const Tensor& total, bool bidirectional) const {
    const auto named = at("relative_attention_bias").named();
    const Tensor keys = op::range(op::scalar(total.graph(), int64_t{0}), total);
    const Tensor distance = keys - op::unsqueeze(op::range(first, total), {1});
    BucketOptions options = c.buckets;
    options.bidirectional = bidirectional;
    return bucketed_bias(relative_attention_bias, distance, options);
  }
};

struct T5Model : Module<T5Config> {
  using Module::Module;
  Embedding shared{scope.has("shared.weight") ? at("shared") : at("encoder.embed_tokens"), c.vocab_size,
                   c.d_model};
  T5Stack<T5EncoderBlock> encoder{at("encoder"), c, c.num_layers};
  T5Stack<T5DecoderBlock> decoder{at("decoder"), c, c.num_decoder_layers};

  [[nodiscard]] Tensor encode(const Inputs& in) const {  // -> [B, E, H]
    for (const char* name : {"encoder.embed_tokens", "decoder.embed_tokens"}) at(name).ignore("weight");
    Tensor x = shared(in["input_ids"]);
    const Tensor zero = op::scalar(x.graph(), int64_t{0});
    const Tensor mask = additive_mask(in["attention_mask"], x.dtype()) +
                        encoder.position_bias(zero, op::size_of(in["input_ids"], 1), true);
    for (const T5EncoderBlock& block : encoder.block) x = block(x, mask);
    return encoder.final_layer_norm(x);
  }
  [[nodiscard]] Tensor decode(Decoding& run) const {  // -> [B, S, H]
    Tensor x = shared(run.input_ids());
    const Tensor mask =
        run.additive_mask(x.dtype()) + decoder.position_bias(run.past_length(), run.total_length(), false);
    for (const T5DecoderBlock& block : decoder.block) x = block(x, mask, run);
    return decoder.final_layer_norm(x);
  }
};

struct T5ForConditionalGeneration : T5Model {
  using T5Model::T5Model;

  [[nodiscard]] Tensor decode(Decoding& run) const {  // -> [B, S, vocab]
    const Tensor x = T5Model::decode(run);
    const double scale = 1 / std::sqrt(static_cast<double>(c.d_model));
    return language_head(at("lm_head"), shared, c.tie_word_embeddings, c.tie_word_embeddings ? x * scale : x);
  }
};

template <typename Config>
Architecture make(const std::string& model_type, const std::string& name) {
  ArchBuilder<Config> builder(model_type);
  builder.may_be_unused({"lm_head"});
  add_seq2seq_tasks<T5Model, T5ForConditionalGeneration>(
      builder, "", name + "Model", name + "ForConditionalGeneration", "text2text-generation");
  return builder;
}

Architecture arch() {
  return make<T5Config>("t5", "T5");
}

}  // namespace ferry::models::t5

namespace ferry::models::mt5 {

nn::Architecture arch() {
  return t5::make<t5::MT5Config>("mt5", "MT5");
}

}  // namespace ferry::models::mt5
