#include "runtime/compare/agreement.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

namespace ferry::runtime {
namespace {

constexpr size_t kMaxAnswerTokens = 15;  // max_answer_len of transformers' pipeline.

// Which of [rows, tokens] count.
std::vector<bool> attended(const Sample& inputs, size_t rows, size_t tokens) {
  std::vector<bool> out(rows * tokens, true);
  const auto mask = inputs.find("attention_mask");
  if (mask == inputs.end() || !is_integer(mask->second.dtype) || mask->second.count() != out.size())
    return out;
  const HostTensor wide = mask->second.to_i64();
  for (size_t i = 0; i < out.size(); ++i) out[i] = wide.as<int64_t>()[i] != 0;
  return out;
}

size_t argmax(std::span<const float> values) {
  return static_cast<size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

// First and last token of the answer with the largest sum of logits.
std::pair<size_t, size_t> best_span(std::span<const float> start, std::span<const float> end,
                                    const std::vector<bool>& allowed, size_t offset) {
  std::pair<size_t, size_t> best{0, 0};
  float most = -std::numeric_limits<float>::infinity();
  for (size_t s = 0; s < start.size(); ++s) {
    if (!allowed[offset + s]) continue;
    for (size_t e = s; e < std::min(start.size(), s + kMaxAnswerTokens); ++e) {
      const float sum = start[s] + end[e];
      if (!allowed[offset + e] || sum <= most) continue;
      most = sum;
      best = {s, e};
    }
  }
  return best;
}

void add_spans(const Sample& inputs, const Outputs& a, const Outputs& b, TaskAgreement& result) {
  const HostTensor a_start = a.at("start_logits").to_f32(), a_end = a.at("end_logits").to_f32();
  const HostTensor b_start = b.at("start_logits").to_f32(), b_end = b.at("end_logits").to_f32();
  if (a_start.dims.size() != 2 || a_start.dims != a_end.dims || a_start.dims != b_start.dims ||
      a_start.dims != b_end.dims)
    return;
  const auto rows = static_cast<size_t>(a_start.dims[0]), tokens = static_cast<size_t>(a_start.dims[1]);
  const auto allowed = attended(inputs, rows, tokens);
  for (size_t row = 0; row < rows; ++row) {
    const auto of = [&](const HostTensor& tensor) {
      return tensor.as<float>().subspan(row * tokens, tokens);
    };
    const auto ours = best_span(of(a_start), of(a_end), allowed, row * tokens);
    result.same += ours == best_span(of(b_start), of(b_end), allowed, row * tokens) ? 1 : 0;
    ++result.total;
  }
}

// The best along the last axis, wherever the mask (if it is of that size) says so.
void add_best(const Sample& inputs, const HostTensor& a, const HostTensor& b, TaskAgreement& result) {
  const auto columns = static_cast<size_t>(a.dims.back());
  if (columns == 0) return;
  const size_t rows = a.count() / columns;
  const auto counts = a.dims.size() == 3
                          ? attended(inputs, static_cast<size_t>(a.dims[0]), static_cast<size_t>(a.dims[1]))
                          : std::vector<bool>(rows, true);
  for (size_t row = 0; row < rows; ++row) {
    if (!counts[row]) continue;
    const auto of = [&](const HostTensor& tensor) {
      return tensor.as<float>().subspan(row * columns, columns);
    };
    result.same += argmax(of(a)) == argmax(of(b)) ? 1 : 0;
    ++result.total;
  }
}

// The set of labels that are likelier than not.
void add_sets(const HostTensor& a, const HostTensor& b, TaskAgreement& result) {
  const auto columns = static_cast<size_t>(a.dims.back());
  const auto x = a.as<float>(), y = b.as<float>();
  for (size_t row = 0; columns > 0 && row < x.size(); row += columns) {
    bool same = true;
    for (size_t i = row; i < row + columns; ++i) same = same && (x[i] > 0) == (y[i] > 0);
    result.same += same ? 1 : 0;
    ++result.total;
  }
}

// The best label of each pixel: f32[B, labels, H, W].
void add_planes(const HostTensor& a, const HostTensor& b, TaskAgreement& result) {
  const auto labels = static_cast<size_t>(a.dims[1]), pixels = static_cast<size_t>(a.dims[2] * a.dims[3]);
  const auto best = [&](std::span<const float> image, size_t pixel) {
    size_t out = 0;
    for (size_t i = 1; i < labels; ++i) {
      if (image[i * pixels + pixel] > image[out * pixels + pixel]) out = i;
    }
    return out;
  };
  for (size_t first = 0; labels > 0 && first < a.count(); first += labels * pixels) {
    const auto x = a.as<float>().subspan(first), y = b.as<float>().subspan(first);
    for (size_t pixel = 0; pixel < pixels; ++pixel) result.same += best(x, pixel) == best(y, pixel) ? 1 : 0;
    result.total += pixels;
  }
}

struct Config {
  explicit Config(const std::string& text) {
    const auto json = parse_json(text, "config.json");
    if (!json.is_object()) return;
    if (const auto found = json.find("architectures"); found != json.end() && found->is_array()) {
      for (const auto& name : *found)
        if (name.is_string()) architectures += name.get<std::string>() + " ";
    }
    if (const auto found = json.find("problem_type"); found != json.end() && found->is_string())
      problem = found->get<std::string>();
  }
  [[nodiscard]] bool has(const char* part) const { return architectures.find(part) != std::string::npos; }
  std::string architectures, problem;
};

// What the best along the last axis of logits [B, n, classes] is called.
std::string name_of_best(const Config& config, bool has_cache) {
  if (has_cache || config.has("CausalLM") || config.has("LMHead") || config.has("ConditionalGeneration"))
    return "next token";
  if (config.has("TokenClassification")) return "token label";
  if (config.has("CTC") || config.has("FrameClassification")) return "frame";
  if (config.has("ObjectDetection")) return "query";
  return "token";
}

}  // namespace

std::optional<AgreementCounter> AgreementCounter::for_model(std::span<const ort::ValueInfo> outputs,
                                                            const std::string& config) {
  const auto find = [&](std::string_view name) -> const ort::ValueInfo* {
    const auto found =
        std::find_if(outputs.begin(), outputs.end(), [&](const auto& output) { return output.name == name; });
    return found == outputs.end() ? nullptr : &*found;
  };
  if (find("start_logits") != nullptr && find("end_logits") != nullptr)
    return AgreementCounter(Kind::span, "answer span");
  const ort::ValueInfo* logits = find("logits");
  if (logits == nullptr) return std::nullopt;
  const Config known(config);
  const size_t rank = logits->axes.size();
  if (rank == 4) return AgreementCounter(Kind::planes, "pixel");
  if (rank == 3) {
    const bool cache = std::any_of(outputs.begin(), outputs.end(),
                                   [](const auto& output) { return starts_with(output.name, "present"); });
    return AgreementCounter(Kind::one, name_of_best(known, cache));
  }
  if (rank != 2 || logits->axes[1].size == 1 || known.problem == "regression") return std::nullopt;
  if (known.problem == "multi_label_classification") return AgreementCounter(Kind::several, "labels");
  return AgreementCounter(Kind::one, "label");
}

void AgreementCounter::add(const Sample& inputs, const Outputs& a, const Outputs& b) {
  if (kind_ == Kind::span) return add_spans(inputs, a, b, result_);
  const HostTensor x = a.at("logits").to_f32(), y = b.at("logits").to_f32();
  if (x.dims != y.dims || x.dims.size() < 2) return;
  switch (kind_) {
    case Kind::one:
      return add_best(inputs, x, y, result_);
    case Kind::several:
      return add_sets(x, y, result_);
    default:
      if (x.dims.size() == 4) add_planes(x, y, result_);
  }
}

}  // namespace ferry::runtime
