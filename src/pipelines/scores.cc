#include "pipelines/scores.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

namespace ferry::pipelines {

std::vector<float> softmax(std::span<const float> logits) {
  const float most = *std::max_element(logits.begin(), logits.end());
  std::vector<float> out(logits.size());
  double sum = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    out[i] = std::exp(logits[i] - most);
    sum += out[i];
  }
  for (float& value : out) value = static_cast<float>(value / sum);
  return out;
}

std::vector<float> sigmoid(std::span<const float> logits) {
  std::vector<float> out;
  for (const float x : logits) out.push_back(1.0f / (1.0f + std::exp(-x)));
  return out;
}

std::vector<float> apply_function(std::string_view function, std::span<const float> logits) {
  if (function == "sigmoid") return sigmoid(logits);
  if (function == "softmax") return softmax(logits);
  if (function == "none") return {logits.begin(), logits.end()};
  throw Error(ErrorCode::usage, fmt::format("function_to_apply \"{}\" is not one of sigmoid, softmax, none",
                                            printable(function)));
}

std::vector<size_t> largest(std::span<const float> values, size_t count) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  count = std::min(count, order.size());
  std::partial_sort(
      order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
      [&](size_t a, size_t b) { return values[a] > values[b] || (values[a] == values[b] && a < b); });
  order.resize(count);
  return order;
}

std::string_view code_points(std::string_view text, uint32_t begin, uint32_t end) {
  const auto byte_of = [&](uint32_t wanted) {
    size_t at = 0;
    for (uint32_t seen = 0; at < text.size(); ++at) {
      if ((static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) continue;
      if (seen++ == wanted) break;
    }
    return at;
  };
  if (begin >= end) return {};
  const size_t from = byte_of(begin);
  return text.substr(from, byte_of(end) - from);
}

void check_length(const ORTModel& model, size_t length) {
  const auto config = parse_json(model.config_json(), "config.json");
  const auto most = config.find("max_position_embeddings");
  if (most == config.end() || !most->is_number_unsigned() || length <= most->get<uint64_t>()) return;
  throw Error(ErrorCode::usage, fmt::format("the text has {} tokens, the model takes at most {}", length,
                                            most->get<uint64_t>()))
      .with_hint("pass truncation, or split the text");
}

ModelInputs single(const BatchEncoding& batch, size_t index) {
  BatchEncoding one;
  one.encodings = {batch.encodings.at(index)};
  one.has_token_type_ids = batch.has_token_type_ids;
  one.has_attention_mask = batch.has_attention_mask;
  return one;
}

std::vector<float> logits_of(const ORTModelForSequenceClassification& model, const ModelInputs& inputs) {
  const HostTensor logits = model(inputs).logits.to_f32();
  const auto values = logits.as<float>();
  return {values.begin(), values.end()};
}

}  // namespace ferry::pipelines
