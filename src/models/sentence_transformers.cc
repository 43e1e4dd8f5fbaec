#include "models/sentence_transformers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "nn/layers.h"

namespace ferry::models {
using namespace nn;
namespace op = ir::op;
namespace {

struct Mode {
  const char* name;
  const char* key;  // Of the older configurations, in the order in which they concatenate.
};
constexpr std::array<Mode, 6> kModes = {{{"cls", "pooling_mode_cls_token"},
                                         {"max", "pooling_mode_max_tokens"},
                                         {"mean", "pooling_mode_mean_tokens"},
                                         {"mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens"},
                                         {"weightedmean", "pooling_mode_weightedmean_tokens"},
                                         {"lasttoken", "pooling_mode_lasttoken"}}};

Pooling read_pooling(ConfigReader& reader) {
  Pooling out;
  const nlohmann::ordered_json& json = reader.json();
  if (const auto mode = json.find("pooling_mode"); mode != json.end() && !mode->is_null()) {
    if (mode->is_string()) {
      out.modes = {mode->get<std::string>()};
    } else {
      reader.read("pooling_mode", out.modes);
    }
  } else {
    for (const Mode& known : kModes) {
      bool on = false;
      reader.read(known.key, on);
      if (on) out.modes.emplace_back(known.name);
    }
  }
  for (const auto& mode : out.modes) {
    const bool known =
        std::any_of(kModes.begin(), kModes.end(), [&](const Mode& row) { return mode == row.name; });
    if (!known)
      reader.fail("pooling_mode", "cls, max, mean, mean_sqrt_len_tokens, weightedmean or lasttoken");
  }
  if (out.modes.empty()) out.modes = {"mean"};
  reader.read("include_prompt", out.include_prompt);
  if (!out.include_prompt) {
    throw Error(ErrorCode::unsupported, reader.origin() +
                                            ": \"include_prompt\": false needs the length of the prompt, "
                                            "which is not an input of the exported model");
  }
  return out;
}

Dense read_dense(ConfigReader& reader) {
  Dense out;
  reader.read("in_features", out.in_features);
  reader.read("out_features", out.out_features);
  if (out.in_features == 0) reader.fail("in_features", "a whole number");
  if (out.out_features == 0) reader.fail("out_features", "a whole number");
  reader.read("bias", out.bias);
  std::string function = "torch.nn.modules.activation.Tanh";
  reader.read("activation_function", function);
  for (const char* key : {"module_input_name", "module_output_name"}) {
    std::string name = "sentence_embedding";
    reader.read_choice(key, name, {"sentence_embedding"});
  }
  out.activation_function = function.substr(function.rfind('.') + 1);
  return out;
}

Tensor dense_activation(const std::string& name, const Tensor& x) {
  static const std::map<std::string, std::string, std::less<>> kNames = {
      {"Identity", "linear"},      {"Tanh", "tanh"},          {"ReLU", "relu"}, {"GELU", "gelu"},
      {"Sigmoid", "sigmoid"},      {"SiLU", "silu"},          {"Mish", "mish"}, {"ReLU6", "relu6"},
      {"LeakyReLU", "leaky_relu"}, {"Hardswish", "hardswish"}};
  const auto found = kNames.find(name);
  if (found == kNames.end()) {
    throw Error(ErrorCode::unsupported,
                fmt::format("the activation \"{}\" of a Dense module is not implemented", printable(name)));
  }
  return activation(found->second, x);
}

// What the pooling modes need of the mask, each made once.
struct MaskedTokens {
  Tensor tokens;    // [B, S, H]
  Tensor ids_mask;  // i64[B, S]
  Tensor mask;      // [B, S, 1], floating

  [[nodiscard]] Tensor sum() const { return op::reduce("ReduceSum", tokens * mask, {1}, false); }  // [B, H]
  [[nodiscard]] Tensor count() const {
    return op::clip(op::reduce("ReduceSum", mask, {1}, false), 1e-9, {});
  }  // [B, 1]
  // The tokens at positions i64[B]: [B, H]
  [[nodiscard]] Tensor at(const Tensor& position) const {
    const Tensor index =
        op::expand(op::unsqueeze(position, {1, 2}),
                   op::concat({op::integers(tokens.graph(), {1, 1}), op::shape_of(tokens, 2, 3)}, 0));
    return op::squeeze(op::emit("GatherElements", {tokens, index}, {{"axis", int64_t{1}}}), {1});
  }
};

Tensor position_of(const Tensor& mask, bool last) {
  return op::emit(
      "ArgMax", {mask},
      {{"axis", int64_t{1}}, {"keepdims", int64_t{0}}, {"select_last_index", static_cast<int64_t>(last)}});
}

// Weights grow with the position in the row: (1, 2, ..., S), padded ones dropped.
Tensor weighted_mean(const MaskedTokens& m) {
  const Tensor length = op::size_of(m.tokens, 1);
  const Tensor one = op::scalar(m.tokens.graph(), int64_t{1});
  const Tensor weights =
      op::unsqueeze(op::cast(op::range(one, length + one), m.tokens.dtype()), {1}) * m.mask;  // [B, S, 1]
  const Tensor total = op::clip(op::reduce("ReduceSum", weights, {1}, false), 1e-9, {});
  return op::reduce("ReduceSum", m.tokens * weights, {1}, false) / total;
}

Tensor pooled(const std::string& mode, const MaskedTokens& m) {
  if (mode == "cls") return m.at(position_of(m.ids_mask, false));
  if (mode == "max") {
    const Tensor minus_infinity = op::scalar_like(m.tokens, -std::numeric_limits<double>::infinity());
    const Tensor attend = op::cast(op::unsqueeze(m.ids_mask, {2}), DType::boolean);
    return op::reduce("ReduceMax", op::where(attend, m.tokens, minus_infinity), {1}, false);
  }
  if (mode == "mean") return m.sum() / m.count();
  if (mode == "mean_sqrt_len_tokens") return m.sum() / op::unary("Sqrt", m.count());
  if (mode == "weightedmean") return weighted_mean(m);
  // lasttoken: of a row without any token, a zero vector.
  MaskedTokens masked = m;
  masked.tokens = m.tokens * m.mask;
  return masked.at(position_of(m.ids_mask, true));
}

}  // namespace

SentenceModule read_sentence_module(const std::string& type, const nlohmann::ordered_json& config,
                                    const std::string& origin) {
  ConfigReader reader(config, origin);
  if (type == "Pooling") return {read_pooling(reader), {}};
  if (type == "Dense") return {read_dense(reader), {}};
  if (type == "Normalize") return {Normalize{}, {}};
  if (type == "LayerNorm") {
    SentenceLayerNorm out;
    reader.read("dimension", out.dimension);
    return {out, {}};
  }
  throw Error(
      ErrorCode::unsupported,
      fmt::format("{}: the sentence-transformers module \"{}\" is not implemented", origin, printable(type)))
      .with_hint("implemented: Transformer, Pooling, Dense, Normalize, LayerNorm, Dropout");
}

Outputs sentence_outputs(Build& build, const std::vector<SentenceModule>& modules,
                         const Tensor& token_embeddings, const Tensor& attention_mask) {
  Tensor sentence;
  for (size_t i = 0; i < modules.size(); ++i) {
    Build own{build.graph, modules[i].state, build.dtype, {}, {}};
    const Scope scope(own);
    const ir::NameScope named(build.graph, fmt::format("/{}", i + 1));
    if (const auto* pooling = std::get_if<Pooling>(&modules[i].kind)) {
      const MaskedTokens masked{token_embeddings, attention_mask,
                                op::cast(op::unsqueeze(attention_mask, {2}), token_embeddings.dtype())};
      std::vector<Tensor> parts;
      for (const auto& mode : pooling->modes) parts.push_back(pooled(mode, masked));
      sentence = op::concat(parts, 1);
      continue;
    }
    if (!sentence)
      throw Error(ErrorCode::unsupported, "a sentence-transformers module before Pooling is not implemented");
    if (const auto* dense = std::get_if<Dense>(&modules[i].kind)) {
      sentence = dense_activation(
          dense->activation_function,
          Linear(scope / "linear", dense->in_features, dense->out_features, dense->bias)(sentence));
    } else if (const auto* norm = std::get_if<SentenceLayerNorm>(&modules[i].kind)) {
      sentence = LayerNorm(scope / "norm", norm->dimension, 1e-5f)(sentence);
    } else {
      const Tensor length = op::clip(op::reduce("ReduceL2", sentence, {1}, true), 1e-12, {});
      sentence = sentence / length;
    }
  }
  if (!sentence)
    throw Error(ErrorCode::unsupported,
                "a sentence-transformers folder without a Pooling module is not implemented");
  return {{"token_embeddings", token_embeddings}, {"sentence_embedding", sentence}};
}

}  // namespace ferry::models
