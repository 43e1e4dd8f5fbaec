#include "nn/rotary.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

#include "base/text.h"

namespace ferry::nn {
namespace op = ir::op;
namespace {

// The exponents 0, 2 / dim, 4 / dim, ... in f32, as torch computes them.
std::vector<float> exponents(int64_t dim) {
  std::vector<float> out;
  for (int64_t i = 0; i < dim; i += 2) out.push_back(static_cast<float>(i) / static_cast<float>(dim));
  return out;
}

// f(i, theta^(2 i / dim)) for every pair i, in f32.
template <typename F>
std::vector<float> frequencies(const RopeConfig& rope, const F& f) {
  std::vector<float> out;
  for (const float exponent : exponents(rope.dim))
    out.push_back(f(out.size(), std::pow(static_cast<float>(rope.theta), exponent)));
  return out;
}

std::vector<float> default_frequencies(const RopeConfig& rope) {
  return frequencies(rope, [](size_t, float wave) { return 1.0f / wave; });
}

double required(ConfigReader& r, std::string_view key) {
  std::optional<double> value;
  r.read(key, value);
  if (!value) r.fail(key, "a number");
  return *value;
}

void read_linear(ConfigReader& r, RopeConfig& rope) {
  const auto factor = static_cast<float>(required(r, "factor"));
  for (float& frequency : rope.inv_freq) frequency /= factor;
}

void read_dynamic(ConfigReader& r, RopeConfig& rope) {
  rope.kind = RopeConfig::Kind::dynamic;
  rope.factor = required(r, "factor");
}

double yarn_scale(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

// The first and last pair between frequencies that stay and frequencies that are divided by the factor.
std::pair<double, double> yarn_range(ConfigReader& r, const RopeConfig& rope) {
  double beta_fast = 32, beta_slow = 1;
  bool truncate = true;
  r.read("beta_fast", beta_fast);
  r.read("beta_slow", beta_slow);
  r.read("truncate", truncate);
  const auto pair = [&](double rotations) {
    const auto length = static_cast<double>(rope.original_max_position_embeddings);
    return static_cast<double>(rope.dim) * std::log(length / (rotations * 2 * std::numbers::pi)) /
           (2 * std::log(rope.theta));
  };
  double low = pair(beta_fast), high = pair(beta_slow);
  if (truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(rope.dim - 1));
  return {low, low == high ? high + 0.001 : high};
}

void read_yarn(ConfigReader& r, RopeConfig& rope) {
  rope.factor = required(r, "factor");
  std::optional<double> attention_factor, mscale, mscale_all_dim;
  r.read("attention_factor", attention_factor);
  r.read("mscale", mscale);
  r.read("mscale_all_dim", mscale_all_dim);
  if (attention_factor) {
    rope.attention_factor = *attention_factor;
  } else if (mscale.value_or(0) != 0 && mscale_all_dim.value_or(0) != 0) {
    rope.attention_factor = yarn_scale(rope.factor, *mscale) / yarn_scale(rope.factor, *mscale_all_dim);
  } else {
    rope.attention_factor = yarn_scale(rope.factor, 1);
  }
  const auto [low, high] = yarn_range(r, rope);
  const auto first = static_cast<float>(low), width = static_cast<float>(high - low);
  const auto factor = static_cast<float>(rope.factor);
  rope.inv_freq = frequencies(rope, [&, first = first, width = width](size_t i, float wave) {
    const float divided = std::clamp((static_cast<float>(i) - first) / width, 0.0f, 1.0f);
    return 1.0f / (factor * wave) * divided + 1.0f / wave * (1.0f - divided);
  });
}

// Where lengths are said: 4.x takes longrope's original length from the configuration itself, and then
// nothing else for the factor; yarn's from rope_scaling. 5.x has all in rope_parameters.
struct Lengths {
  int64_t own = 0, nested = 0;
  bool in_parameters = false;
};

void read_longrope(ConfigReader& r, const Lengths& lengths, RopeConfig& rope) {
  rope.kind = RopeConfig::Kind::switching;
  std::optional<double> factor, attention_factor;
  r.read("factor", factor);
  r.read("attention_factor", attention_factor);
  const int64_t said = lengths.in_parameters && lengths.nested > 0 ? lengths.nested : lengths.own;
  if (said > 0) rope.original_max_position_embeddings = said;
  const auto original = static_cast<double>(rope.original_max_position_embeddings);
  if (said > 0 && !(lengths.in_parameters && factor))
    factor = static_cast<double>(rope.max_position_embeddings) / original;
  if (attention_factor) {
    rope.attention_factor = *attention_factor;
  } else {
    if (!factor) r.fail("factor", "a number");
    rope.attention_factor = *factor <= 1 ? 1 : std::sqrt(1 + std::log(*factor) / std::log(original));
  }
  const auto scaled = [&](std::string_view key) {
    std::vector<float> factors;
    r.read(key, factors);
    const size_t pairs = rope.inv_freq.size();
    if (factors.size() != pairs) r.fail(key, "a list of " + std::to_string(pairs) + " numbers");
    return frequencies(rope, [&](size_t i, float wave) { return 1.0f / (factors[i] * wave); });
  };
  rope.long_inv_freq = scaled("long_factor");
  rope.inv_freq = scaled("short_factor");
}

void read_llama3(ConfigReader& r, RopeConfig& rope) {
  const auto factor = static_cast<float>(required(r, "factor"));
  const double low = required(r, "low_freq_factor");
  const double high = required(r, "high_freq_factor");
  const auto length = static_cast<float>(required(r, "original_max_position_embeddings"));
  for (float& frequency : rope.inv_freq) {
    const float wave = 2 * std::numbers::pi_v<float> / frequency;
    if (wave > length / static_cast<float>(low)) {
      frequency /= factor;
    } else if (wave >= length / static_cast<float>(high)) {
      const float smooth = (length / wave - static_cast<float>(low)) / static_cast<float>(high - low);
      frequency = (1 - smooth) * frequency / factor + smooth * frequency;
    }
  }
}

void read_scaling(ConfigReader& r, const RopeDefaults& defaults, const Lengths& lengths, RopeConfig& rope) {
  std::string type = "default";
  r.read("type", type);
  r.read("rope_type", type);
  const auto& longrope = defaults.longrope_names;
  if (std::find(longrope.begin(), longrope.end(), type) != longrope.end()) {
    read_longrope(r, lengths, rope);
  } else if (type == "linear") {
    read_linear(r, rope);
  } else if (type == "dynamic") {
    read_dynamic(r, rope);
  } else if (type == "yarn") {
    if (lengths.nested > 0) rope.original_max_position_embeddings = lengths.nested;
    read_yarn(r, rope);
  } else if (type == "llama3") {
    read_llama3(r, rope);
  } else if (type != "default") {
    r.fail(r.has("rope_type") ? "rope_type" : "type",
           "one of default, linear, dynamic, yarn, longrope, llama3");
  }
}

}  // namespace

RopeConfig read_rope(ConfigReader& reader, const RopeDefaults& defaults) {
  RopeConfig rope;
  rope.theta = defaults.theta;
  rope.max_position_embeddings = rope.original_max_position_embeddings = defaults.max_position_embeddings;
  double partial = defaults.partial_rotary_factor;
  Lengths lengths{defaults.original_max_position_embeddings, 0, false};
  reader.read(defaults.theta_key, rope.theta);
  reader.read(defaults.partial_key, partial);
  reader.read("original_max_position_embeddings", lengths.own);

  lengths.in_parameters = reader.has("rope_parameters");
  const char* key = lengths.in_parameters ? "rope_parameters" : "rope_scaling";
  auto scaling = reader.object(key);
  if (!lengths.in_parameters && !defaults.own_scaling) scaling.reset();
  if (scaling && lengths.in_parameters && !defaults.layer_type.empty())
    scaling = scaling->object(defaults.layer_type);
  if (scaling) {
    scaling->read("rope_theta", rope.theta);
    scaling->read("partial_rotary_factor", partial);
    scaling->read("original_max_position_embeddings", lengths.nested);
  }
  rope.dim = static_cast<int64_t>(static_cast<double>(defaults.head_dim) * partial);
  if (rope.dim < 2 || rope.dim % 2 != 0 || rope.dim > defaults.head_dim)
    reader.fail(defaults.partial_key, "a part of the head size that is an even number of elements");
  rope.inv_freq = default_frequencies(rope);
  if (scaling) {
    read_scaling(*scaling, defaults, lengths, rope);
    reader.adopt_unknown(key, *scaling);
  }
  return rope;
}

namespace {

// The number of tokens up to the last position, as f32.
Tensor length_of(const Tensor& position_ids) {
  return op::cast(op::reduce("ReduceMax", position_ids, {0, 1}, false), DType::f32) + 1.0;
}

// 1 / base^(2 i / dim), where the base grows with the length.
Tensor dynamic_frequencies(const Scope& scope, const RopeConfig& rope, const Tensor& position_ids) {
  const auto dim = static_cast<double>(rope.dim);
  const auto most = static_cast<double>(rope.max_position_embeddings);
  const Tensor length = op::clip(length_of(position_ids), most, std::nullopt);
  const Tensor growth = op::add(length * rope.factor / most, -(rope.factor - 1));
  const Tensor base = op::pow(growth, dim / (dim - 2)) * rope.theta;
  const Tensor powers = scope.constant("exponents", Weight::from_f32({rope.dim / 2}, exponents(rope.dim)));
  return op::unary("Reciprocal", op::emit("Pow", {base, powers}));
}

Tensor inverse_frequencies(const Scope& scope, const RopeConfig& rope, const Tensor& position_ids) {
  if (rope.kind == RopeConfig::Kind::dynamic) return dynamic_frequencies(scope, rope, position_ids);
  const Tensor fixed = scope.constant("inv_freq", Weight::from_f32({rope.dim / 2}, rope.inv_freq));
  if (rope.kind == RopeConfig::Kind::fixed) return fixed;
  const Tensor original =
      op::scalar(scope.graph(), static_cast<float>(rope.original_max_position_embeddings));
  const Tensor is_long = op::emit("Greater", {length_of(position_ids), original});
  return op::where(
      is_long, scope.constant("long_inv_freq", Weight::from_f32({rope.dim / 2}, rope.long_inv_freq)), fixed);
}

}  // namespace

Rotary::Rotary(const Scope& scope, const RopeConfig& rope, const Tensor& position_ids)
    : scope_(scope), dim_(rope.dim) {
  const auto named = scope.named();
  const Tensor positions = op::cast(op::unsqueeze(position_ids, {2}), DType::f32);  // [B, S, 1]
  const Tensor angles = positions * inverse_frequencies(scope, rope, position_ids);
  const auto finish = [&](const Tensor& x) {
    const Tensor scaled = rope.attention_factor == 1 ? x : x * rope.attention_factor;
    return op::cast(scaled, scope.build().dtype);
  };
  cos_ = finish(op::unary("Cos", angles));
  sin_ = finish(op::unary("Sin", angles));
}

Tensor Rotary::operator()(const Tensor& x) const {
  const bool whole = x.dim(-1) == ir::Dim(dim_);
  ir::Attributes attributes;
  if (!whole) attributes["rotary_embedding_dim"] = dim_;
  return op::emit("RotaryEmbedding", {x, cos_, sin_}, std::move(attributes));
}

}  // namespace ferry::nn
