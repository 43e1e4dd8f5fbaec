#include "models/bart.h"

#include <cstring>
#include <nlohmann/json.hpp>

#include "models/seq2seq.h"

namespace ferry::models::bart {
namespace {

// A table [count, size] whose values `value` tells by row and column. Computed when it is asked for, and
// known by its name: graphs that have the same one share it.
template <typename Value>
Weight table_of(const std::string& name, int64_t count, int64_t size, const Value& value) {
  const auto read = [size, value](uint64_t first, uint64_t wanted, std::byte* out) {
    for (uint64_t i = 0; i < wanted; ++i) {
      const auto at = static_cast<int64_t>(first + i);
      const float number = value(at / size, at % size);
      std::memcpy(out + i * sizeof number, &number, sizeof number);
    }
  };
  return Weight::computed(DType::f32, {count, size}, name + std::to_string(size), read);
}

// sin and cos of positions in halves, as MarianSinusoidalPositionalEmbedding makes them in double precision.
Weight sinusoids(int64_t count, int64_t size) {
  return table_of("sinusoids/", count, size, [size](int64_t position, int64_t column) {
    const int64_t half = (size + 1) / 2;
    const bool is_sine = column < half;
    const int64_t pair = is_sine ? column : column - half;
    const double angle = static_cast<double>(position) /
                         std::pow(10000.0, 2 * static_cast<double>(pair) / static_cast<double>(size));
    return static_cast<float>(is_sine ? std::sin(angle) : std::cos(angle));
  });
}

// sin and then cos of positions, as fairseq makes them in single precision; padding's row is 0.
Weight fairseq_sinusoids(int64_t count, int64_t size, int64_t padding) {
  const std::string name = "fairseq_sinusoids/" + std::to_string(padding) + "/";
  return table_of(name, count, size, [size, padding](int64_t position, int64_t column) {
    const int64_t half = size / 2;
    if (position == padding) return 0.0f;
    const float step = static_cast<float>(std::log(10000.0) / static_cast<double>(half - 1));
    const float angle = static_cast<float>(position) * std::exp(static_cast<float>(column % half) * -step);
    return column < half ? std::sin(angle) : std::cos(angle);
  });
}

// Real tokens of a row counted from the padding's number on, which padding itself has.
Tensor counted_positions(const Tensor& ids, const Tensor& past, int64_t padding) {
  const Tensor is_padding = op::emit("Equal", {ids, op::scalar(ids.graph(), padding)});
  const Tensor real = op::cast(op::unary("Not", is_padding), DType::i64);
  const Tensor counted = op::emit("CumSum", {real, op::scalar(ids.graph(), int64_t{1})});
  return op::add((counted + past) * real, static_cast<double>(padding));
}

// Tokens with their positions from `first` on: [B, S, H].
Tensor embedded(const Scope& place, const BartConfig& c, const Embedding& tokens, const Tensor& ids,
                const Tensor& first, const Tensor& total) {
  const Scope positions = place / "embed_positions";
  Tensor x = tokens(ids);
  if (c.scale_embedding) x = x * static_cast<double>(c.embed_scale());
  Tensor places;
  {
    const auto named = positions.named();
    places = op::range(first, total);
  }
  if (c.form.counted_sinusoids) {
    positions.ignore("_float_tensor");
    const auto named = positions.named();
    const Weight table =
        fairseq_sinusoids(c.max_position_embeddings + c.pad_token_id + 1, c.d_model, c.pad_token_id);
    const Tensor at = counted_positions(ids, first, c.pad_token_id);
    x = x + op::emit("Gather", {positions.constant("sinusoids", table.cast(x.dtype())), at});
  } else if (c.form.sinusoidal) {
    positions.ignore("weight");
    const auto named = positions.named();
    const Weight table = sinusoids(c.max_position_embeddings, c.d_model);
    x = x + op::emit("Gather", {positions.constant("sinusoids", table.cast(x.dtype())), places});
  } else {
    const Embedding table(positions, c.max_position_embeddings + c.form.position_offset, c.d_model);
    if (c.form.position_offset != 0) {
      const auto named = positions.named();
      places = op::add(places, static_cast<double>(c.form.position_offset));
    }
    x = x + table(places);
  }
  return c.form.embedding_norm ? LayerNorm(place / "layernorm_embedding", c.d_model, 1e-5f)(x) : x;
}

// Adds what `part` makes of x, which is normalized before or after.
template <typename Part>
Tensor residual(const BartConfig& c, const Scope& norm_place, const Tensor& x, const Part& part) {
  const LayerNorm norm(norm_place, c.d_model, 1e-5f);
  return c.form.normalize_before ? x + part(norm(x)) : norm(x + part(x));
}

struct BartDecoderLayer : LayerModule<BartConfig> {
  using LayerModule::LayerModule;
  BartAttention self_attn{at("self_attn"), c, c.decoder_attention_heads};
  BartFeedForward feed_forward{scope, c, c.decoder_ffn_dim};

  Tensor operator()(const Tensor& x, Decoding& run) const {
    const auto named = scope.named();
    Tensor y = residual(c, at("self_attn_layer_norm"), x,
                        [&](const Tensor& t) { return self_attn.over_cache(t, layer_idx, run); });
    if (!run.attends_encoder()) {
      for (const char* name : {"encoder_attn", "encoder_attn_layer_norm"}) scope.ignore(name);
    } else {
      const BartAttention encoder_attn(at("encoder_attn"), c, c.decoder_attention_heads,
                                       c.cross_attention_hidden_size);
      y = residual(c, at("encoder_attn_layer_norm"), y,
                   [&](const Tensor& t) { return encoder_attn.over_encoder(t, layer_idx, run); });
    }
    return residual(c, at("final_layer_norm"), y, feed_forward);
  }
};

Tensor zero_beside(const Tensor& x) {
  return op::scalar(x.graph(), int64_t{0});
}

}  // namespace

void BartConfig::read(ConfigReader& r) {
  r.read("vocab_size", vocab_size);
  r.read("decoder_vocab_size", decoder_vocab_size, 1);
  r.read("max_position_embeddings", max_position_embeddings);
  r.read("d_model", d_model);
  r.read("encoder_layers", encoder_layers);
  r.read("encoder_attention_heads", encoder_attention_heads);
  r.read("encoder_ffn_dim", encoder_ffn_dim);
  r.read("decoder_layers", decoder_layers);
  r.read("decoder_attention_heads", decoder_attention_heads);
  r.read("decoder_ffn_dim", decoder_ffn_dim);
  r.read_choice("activation_function", activation_function, activation_names());
  r.read("scale_embedding", scale_embedding);
  r.read("share_encoder_decoder_embeddings", share_encoder_decoder_embeddings);
  r.read("tie_word_embeddings", tie_word_embeddings);
  r.read("eos_token_id", eos_token_id, 0);
  r.read("pad_token_id", pad_token_id, 0);
  r.read("decoder_start_token_id", decoder_start_token_id, 0);
  if (r.json().contains("id2label") || r.json().contains("num_labels")) num_labels = r.num_labels();
  // Training, and what files of fairseq's time said of the model's form, which transformers does not read.
  for (const char* key :
       {"activation_dropout", "encoder_layerdrop", "decoder_layerdrop", "init_std", "classif_dropout",
        "num_hidden_layers", "add_bias_logits", "add_final_layer_norm", "normalize_before",
        "normalize_embedding", "static_position_embeddings", "extra_pos_embeddings",
        "force_bos_token_to_be_generated", "hidden_size", "num_attention_heads", "is_decoder",
        "add_cross_attention", "output_past", "save_step"})
    r.ignore(key);
  for (const auto& [key, heads] : {std::pair{"encoder_attention_heads", encoder_attention_heads},
                                   std::pair{"decoder_attention_heads", decoder_attention_heads}}) {
    if (d_model % heads != 0) r.fail(key, "a divisor of d_model");
  }
}

Seq2SeqSignature BartConfig::signature() const {
  return {.encoder = encoder_text_inputs(vocab_size, max_position_embeddings),
          .encoder_size = d_model,
          .vocab_size = decoder_vocab(),
          .layers = decoder_layers,
          .heads = decoder_attention_heads,
          .head_dim = d_model / decoder_attention_heads,
          .max_length = max_position_embeddings};
}

Seq2SeqSignature BartConfig::decoder_side() const {
  Seq2SeqSignature out = signature();
  out.encoder.clear();
  out.encoder_size = cross_attention_hidden_size.value_or(d_model);
  out.max_encoder_length = 0;
  return out;
}

DecoderSignature BartConfig::decoder_signature() const {
  return {.vocab_size = decoder_vocab(),
          .layers = decoder_layers,
          .kv_heads = decoder_attention_heads,
          .head_dim = d_model / decoder_attention_heads,
          .max_length = max_position_embeddings,
          .position_ids = false,
          .cache_after = "attention_mask"};
}

Decoding::Projection BartAttention::split(const Linear& part) const {
  return [this, &part](const Tensor& x) { return split_heads(part(x), heads); };
}

Tensor BartAttention::over_itself(const Tensor& x, const Tensor& mask) const {
  const auto named = scope.named();
  return out_proj(
      merge_heads(op::attention(split(q_proj)(x), split(k_proj)(x), split(v_proj)(x), {.mask = mask})));
}

Tensor BartAttention::over_cache(const Tensor& x, int64_t layer, Decoding& run) const {
  const auto named = scope.named();
  return out_proj(run.attend(layer, split(q_proj)(x), split(k_proj)(x), split(v_proj)(x)));
}

Tensor BartAttention::over_encoder(const Tensor& x, int64_t layer, Decoding& run) const {
  const auto named = scope.named();
  return out_proj(run.attend_encoder(layer, split(q_proj)(x), split(k_proj), split(v_proj)));
}

Tensor BartFeedForward::operator()(const Tensor& x) const {
  const Scope function = at("activation_fn");
  return fc2(activation(c.activation_function, fc1(x), &function));
}

Tensor BartEncoderLayer::operator()(const Tensor& x, const Tensor& mask) const {
  const auto named = scope.named();
  const Tensor y = residual(c, at("self_attn_layer_norm"), x,
                            [&](const Tensor& t) { return self_attn.over_itself(t, mask); });
  return residual(c, at("final_layer_norm"), y, feed_forward);
}

Tensor BartEncoder::operator()(const Embedding& embed_tokens, const Tensor& ids,
                               const Tensor& attention_mask) const {
  Tensor x = embedded(scope, c, embed_tokens, ids, zero_beside(ids), op::size_of(ids, 1));
  const Tensor mask = additive_mask(attention_mask, x.dtype());
  for (const auto& layer : List<BartEncoderLayer>(at("layers"), c.encoder_layers, c)) x = layer(x, mask);
  return c.form.final_norm ? LayerNorm(at("layer_norm"), c.d_model, 1e-5f)(x) : x;
}

Tensor BartDecoder::operator()(const Embedding& embed_tokens, Decoding& run) const {
  Tensor x = embedded(scope, c, embed_tokens, run.input_ids(), run.past_length(), run.total_length());
  for (const auto& layer : List<BartDecoderLayer>(at("layers"), c.decoder_layers, c)) x = layer(x, run);
  return c.form.final_norm ? LayerNorm(at("layer_norm"), c.d_model, 1e-5f)(x) : x;
}

// The shared table, or where nothing is tied each side's own.
Embedding BartModel::tokens(const std::string& own, int64_t count) const {
  const bool tied = c.share_encoder_decoder_embeddings && (c.tie_word_embeddings || !at(own).has("weight"));
  return {tied && scope.has("shared.weight") ? at("shared") : at(own), count, c.d_model};
}

Tensor BartModel::encode(const Inputs& in) const {
  for (const char* name : {"shared", "encoder.embed_tokens", "decoder.embed_tokens"})
    at(name).ignore("weight");
  return BartEncoder(at("encoder"), c)(encoder_tokens(), in["input_ids"], in["attention_mask"]);
}

Tensor BartModel::decode(Decoding& run) const {
  return BartDecoder(at("decoder"), c)(decoder_tokens(), run);
}

Tensor BartModel::shifted_right(const Tensor& ids) const {
  const ir::NameScope named(ids.graph(), "/shift_tokens_right");
  Tensor start;
  if (c.form.starts_with_last) {
    const Tensor padding = op::emit("Equal", {ids, op::scalar(ids.graph(), c.pad_token_id)});
    const Tensor real = op::cast(op::unary("Not", padding), DType::i64);
    const Tensor last = op::add(op::reduce("ReduceSum", real, {1}, true), -1.0);  // [B, 1]
    start = op::emit("GatherElements", {ids, last}, {{"axis", int64_t{1}}});
  } else {
    const Tensor rows = op::concat({op::shape_of(ids, 0, 1), op::integers(ids.graph(), {1})}, 0);
    start = op::expand(op::scalar(ids.graph(), c.decoder_start_token_id), rows);
  }
  const Tensor all_but_last =
      op::slice(ids, 1, op::integers(ids.graph(), {0}), op::integers(ids.graph(), {-1}));
  return op::concat({start, all_but_last}, 1);
}

Tensor BartModel::read_twice(const Inputs& in) const {
  Inputs decoder;
  decoder.add("input_ids", shifted_right(in["input_ids"]));
  decoder.add("encoder_hidden_states", encode(in));
  decoder.add("encoder_attention_mask", in["attention_mask"]);
  Decoding run(decoder, Cache::tokens_and_encoder);
  return decode(run);
}

Tensor BartForConditionalGeneration::decode(Decoding& run) const {
  const Tensor x =
      language_head(at("lm_head"), model.decoder_tokens(), c.tie_word_embeddings, model.decode(run));
  return x + scope.parameter("final_logits_bias", {1, c.decoder_vocab()});
}

Tensor BartForCausalLM::logits(Decoding& run) const {
  const Scope decoder = at("model.decoder");
  // A checkpoint of the whole model keeps the embeddings once.
  const bool own = decoder.has("embed_tokens.weight");
  const Embedding tokens(own ? decoder / "embed_tokens" : at("model.shared"), c.decoder_vocab(), c.d_model);
  for (const char* name : {"encoder", "shared"}) at("model").ignore(name);
  scope.ignore("final_logits_bias");
  const Tensor x = BartDecoder(decoder, c)(tokens, run);
  return language_head(at("lm_head"), tokens, c.tie_word_embeddings, x);
}

Outputs BartForSequenceClassification::operator()(const Inputs& in) const {
  const Tensor x = BartModel(at("model"), c).read_twice(in);
  const Scope head = at("classification_head");
  const Linear dense(head / "dense", c.d_model, c.d_model),
      out_proj(head / "out_proj", c.d_model, c.num_labels);
  const auto named = head.named();
  const Tensor& ids = in["input_ids"];
  const Tensor ends = op::cast(op::emit("Equal", {ids, op::scalar(ids.graph(), c.eos_token_id)}), DType::i32);
  const Tensor last =
      op::emit("ArgMax", {ends}, {{"axis", int64_t{1}}, {"select_last_index", int64_t{1}}});  // [B, 1]
  const Tensor pooled = op::emit("GatherND", {x, last}, {{"batch_dims", int64_t{1}}});
  return {{"logits", out_proj(op::unary("Tanh", dense(pooled)))}};
}

Outputs BartForQuestionAnswering::operator()(const Inputs& in) const {
  return span_logits(Linear(at("qa_outputs"), c.d_model, 2)(BartModel(at("model"), c).read_twice(in)));
}

Architecture arch() {
  return make<BartConfig>("bart", "Bart", true);
}

}  // namespace ferry::models::bart

namespace ferry::models::mbart {

// BART with its norms before the parts, and one after the last layer.
struct MBartConfig : bart::BartConfig {
  explicit MBartConfig(nn::ConfigReader& r) {
    form = {.normalize_before = true, .final_norm = true, .starts_with_last = true};
    read(r);
  }
};

nn::Architecture arch() {
  return bart::make<MBartConfig>("mbart", "MBart", true);
}

}  // namespace ferry::models::mbart

namespace ferry::models::marian {

struct MarianConfig : bart::BartConfig {
  explicit MarianConfig(nn::ConfigReader& r) {
    form = {.embedding_norm = false, .sinusoidal = true};
    vocab_size = 58101;
    decoder_start_token_id = 58100;
    read(r);
    if (share_encoder_decoder_embeddings && decoder_vocab() != vocab_size)
      r.fail("decoder_vocab_size", "vocab_size, as the embeddings are shared");
  }
};

nn::Architecture arch() {
  auto made = bart::make<MarianConfig>("marian", "Marian", false);
  for (auto& task : made.tasks) {
    if (task.hf_class == "MarianForConditionalGeneration") task.hf_class = "MarianMTModel";
  }
  return made;
}

}  // namespace ferry::models::marian
