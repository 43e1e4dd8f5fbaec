#include "nn/decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"

namespace ferry::nn {
namespace op = ir::op;

namespace {

constexpr const char* kMaskScope = "/attention_mask";

Tensor zero(const Tensor& like) {
  return op::scalar(like.graph(), int64_t{0});
}

}  // namespace

Decoding::Decoding(const Inputs& in, Cache cache)
    : in_(in), cache_(cache), input_ids_(in["input_ids"]), attention_mask_(in.find("attention_mask")) {
  const ir::NameScope named(input_ids_.graph(), kMaskScope);
  const bool both = cache == Cache::tokens_and_encoder;
  const Tensor past = in.find(both ? "past_key_values.0.decoder.key" : "past_key_values.0.key");
  has_past_ = static_cast<bool>(past);
  past_length_ = past ? op::size_of(past, 2) : zero(input_ids_);
}

Tensor Decoding::total_length() const {
  if (attention_mask_) return op::size_of(attention_mask_, 1);
  const Tensor now = op::size_of(input_ids_, 1);
  return has_past_ ? past_length_ + now : now;
}

const Tensor& Decoding::position_ids() {
  if (!position_ids_) position_ids_ = in_.find("position_ids");
  if (!position_ids_) {
    const ir::NameScope named(input_ids_.graph(), "/position_ids");
    const Tensor row = op::range(past_length_, total_length());
    position_ids_ = op::expand(op::unsqueeze(row, {0}), op::shape_of(input_ids_, 0, 2));
  }
  return position_ids_;
}

Tensor Decoding::visible(const MaskOptions& options) const {
  const Tensor total = total_length();
  const Tensor key = op::range(zero(total), total);                         // [T]
  const Tensor query = op::unsqueeze(op::range(past_length_, total), {1});  // [S, 1]
  Tensor seen;
  const auto see = [&](const Tensor& more) { seen = seen ? op::emit("And", {seen, more}) : more; };
  if (!options.bidirectional) see(op::emit("LessOrEqual", {key, query}));
  if (options.window) {
    const auto window = static_cast<double>(*options.window);
    see(op::emit("Greater", {key, op::add(query, -window)}));
    if (options.bidirectional) see(op::emit("Less", {key, op::add(query, window)}));
  }
  if (!attention_mask_) {
    check_internal(static_cast<bool>(seen), "a mask that hides nothing");
    return seen;
  }
  const Tensor real = op::cast(op::unsqueeze(attention_mask_, {1, 2}), DType::boolean);  // [B, 1, 1, T]
  if (seen) return op::emit("And", {seen, real});
  const Tensor dims = op::concat(
      {op::integers(total.graph(), {1, 1}), op::shape_of(input_ids_, 1, 2), op::integers(total.graph(), {1})},
      0);
  return op::expand(real, dims);
}

Tensor Decoding::mask(MaskOptions options) {
  Tensor& known = masks_[options];
  if (!known) {
    const ir::NameScope named(input_ids_.graph(), kMaskScope);
    known = visible(options);
  }
  return known;
}

Tensor Decoding::additive_mask(DType dtype) {
  if (!additive_) {
    const ir::NameScope named(input_ids_.graph(), kMaskScope);
    const Tensor nothing = op::scalar(input_ids_.graph(), 0.0f, dtype);
    additive_ = op::where(mask(), nothing, op::scalar_like(nothing, lowest(dtype)));
  }
  return additive_;
}

Tensor Decoding::with_past(const std::string& which, const Tensor& now) {
  const Tensor past = in_.find("past_key_values." + which);
  const Tensor all = past ? op::concat({past, now}, 2) : now;
  present_.emplace_back("present." + which, all);
  return all;
}

Tensor Decoding::attend(int64_t layer, const Tensor& query, const Tensor& key, const Tensor& value,
                        op::AttentionOptions options) {
  const char* owner = cache_ == Cache::tokens_and_encoder ? "decoder." : "";
  const Tensor keys = with_past(fmt::format("{}.{}key", layer, owner), key);
  const Tensor values = with_past(fmt::format("{}.{}value", layer, owner), value);
  if (!options.mask) options.mask = mask();
  return merge_heads(op::attention(query, keys, values, options));
}

bool Decoding::attends_encoder() const {
  return in_.find("encoder_hidden_states") || in_.find("past_key_values.0.encoder.key");
}

void Decoding::project_encoder(const Projection& project) {
  if (const Tensor states = in_.find("encoder_hidden_states"))
    in_.set("encoder_hidden_states", project(states));
}

Tensor Decoding::encoder_mask(DType dtype) {
  const Tensor attend = in_.find("encoder_attention_mask");
  if (!encoder_mask_ && attend) {
    const ir::NameScope named(attend.graph(), "/encoder_attention_mask");
    encoder_mask_ = ferry::nn::additive_mask(attend, dtype);
  }
  return encoder_mask_;
}

Tensor Decoding::attend_encoder(int64_t layer, const Tensor& query, const Projection& key,
                                const Projection& value, op::AttentionOptions options) {
  const auto all = [&](const char* which, const Projection& project) {
    const std::string name = fmt::format("{}.encoder.{}", layer, which);
    if (const Tensor past = in_.find("past_key_values." + name)) return past;
    const Tensor made = project(encoder_hidden_states());
    if (cache_ == Cache::tokens_and_encoder) present_.emplace_back("present." + name, made);
    return made;
  };
  const Tensor keys = all("key", key), values = all("value", value);
  if (!options.mask) options.mask = encoder_mask(query.dtype());
  return merge_heads(op::attention(query, keys, values, options));
}

Outputs Decoding::outputs(std::string name, const Tensor& result) const {
  Outputs out = {{std::move(name), result}};
  out.insert(out.end(), present_.begin(), present_.end());
  return out;
}

std::vector<float> alibi_slopes(int64_t heads) {
  int64_t power = 1;
  while (power * 2 <= heads) power *= 2;
  const auto steps = [](int64_t count) { return std::pow(2.0f, -8.0f / static_cast<float>(count)); };
  std::vector<float> out;
  for (int64_t i = 1; i <= power; ++i) out.push_back(std::pow(steps(power), static_cast<float>(i)));
  for (int64_t i = 1; power + (i + 1) / 2 <= heads && static_cast<int64_t>(out.size()) < heads; i += 2)
    out.push_back(std::pow(steps(2 * power), static_cast<float>(i)));
  return out;
}

Tensor alibi_mask(Decoding& run, int64_t heads, DType dtype, float scale, bool rounded) {
  const Tensor mask = run.attention_mask();
  const Tensor additive = run.additive_mask(dtype);
  const ir::NameScope named(mask.graph(), "/alibi");
  const Tensor counted = op::emit("CumSum", {mask, op::scalar(mask.graph(), int64_t{1})});
  const Tensor place = op::unsqueeze(op::add(counted, -1.0) * mask, {1, 2});  // [B, 1, 1, T]
  const auto round = [&](const Tensor& x) {
    return rounded ? op::cast(op::cast(x, DType::bf16), DType::f32) : x;
  };
  Weight slopes = Weight::from_f32({heads, 1, 1}, alibi_slopes(heads));
  if (rounded) slopes = slopes.cast(DType::bf16).cast(DType::f32);
  const Tensor bias =
      round(round(op::cast(place, DType::f32)) * op::weight(mask.graph(), "/alibi/slopes", slopes));
  return op::cast(scale == 1 ? bias : bias * scale, dtype) + additive;
}

Tensor last_token(const Tensor& hidden, const Tensor& input_ids, std::optional<int64_t> pad_token_id) {
  if (!pad_token_id) {
    throw Error(ErrorCode::invalid_config,
                "config.json has no \"pad_token_id\": which token of a row is its last cannot be known")
        .with_hint("--pad_token_id names it");
  }
  const ir::NameScope named(input_ids.graph(), "/last_token");
  const Tensor positions = op::range(zero(input_ids), op::size_of(input_ids, 1));
  const Tensor padding = op::emit("Equal", {input_ids, op::scalar(input_ids.graph(), *pad_token_id)});
  const Tensor real = op::cast(op::unary("Not", padding), DType::i64);
  // Positions of padding count as 0, so the largest is that of the last token, wherever the padding lies.
  const Tensor last = op::reduce("ReduceMax", positions * real, {1}, true);  // [B, 1]
  return op::emit("GatherND", {hidden, last}, {{"batch_dims", int64_t{1}}});
}

Tensor language_head(const Scope& scope, const Embedding& embeddings, bool tied, const Tensor& hidden) {
  if (!tied)
    return Linear(scope, *hidden.dim(-1).constant(), *embeddings.weight().dim(0).constant(), false)(hidden);
  scope.ignore("weight");  // Some checkpoints hold the tied table twice.
  const auto named = scope.named();
  return embeddings.project(hidden);
}

std::vector<InputSpec> decoder_inputs(const DecoderSignature& signature, std::string_view task) {
  const bool generates = starts_with(task, "text-generation");
  const bool takes_cache = task == "text-generation-with-past";
  const bool takes_positions =
      signature.position_ids && (generates || starts_with(task, "feature-extraction"));
  const std::string all = takes_cache ? "past_sequence_length + sequence_length" : "sequence_length";
  std::map<std::string, int64_t> most;
  if (signature.max_length > 0) {
    const int64_t share = takes_cache ? std::max<int64_t>(1, signature.max_length / 2) : signature.max_length;
    most = {{"sequence_length", share}, {"past_sequence_length", share}};
  }
  // Positions of a short text, so that neither a table nor the precision of f32 ends before them.
  const int64_t positions = signature.max_length > 0 ? std::min<int64_t>(signature.max_length, 32) : 32;
  std::vector<InputSpec> out;
  const auto add = [&](const std::string& name, const std::string& length, Fill fill) {
    out.push_back({name, DType::i64, {"batch_size", length}, fill, most});
    if (!takes_cache || signature.cache_after != name) return;
    for (int64_t layer = 0; layer < signature.layers; ++layer) {
      for (const char* which : {"key", "value"}) {
        out.push_back({fmt::format("past_key_values.{}.{}", layer, which),
                       DType::f32,
                       {"batch_size", signature.kv_heads, "past_sequence_length", signature.head_dim},
                       {Fill::Kind::uniform, -1, 1},
                       most});
      }
    }
  };
  add("input_ids", "sequence_length", {Fill::Kind::ids, 0, static_cast<double>(signature.vocab_size)});
  add("attention_mask", all, {Fill::Kind::mask});
  if (takes_positions)
    add("position_ids", "sequence_length", {Fill::Kind::ids, 0, static_cast<double>(positions)});
  return out;
}

OutputAxes decoder_output_axes(const DecoderSignature& signature) {
  OutputAxes out;
  for (int64_t layer = 0; layer < signature.layers; ++layer) {
    for (const char* which : {"key", "value"})
      out[fmt::format("present.{}.{}", layer, which)] = {{2, "past_sequence_length + sequence_length"}};
  }
  return out;
}

}  // namespace ferry::nn
