#include "exporter/graph_inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>

#include "base/error.h"
#include "base/text.h"

namespace ferry::exporter {
namespace {

// How large named dimensions are. `one_token`: a mask of "past_sequence_length + 1" leaves room for one.
struct Sizes {
  bool second = false;
  bool one_token = false;
  int64_t scale = 1;
  int64_t image = 64;
  int64_t channels = 3;
};

int64_t size_of(std::string_view name, const Sizes& sizes) {
  const auto has = [&](std::string_view part) { return name.find(part) != std::string_view::npos; };
  const bool second = sizes.second;
  if (sizes.one_token && (name == "sequence_length" || name == "decoder_sequence_length")) return 1;
  if (has("batch")) return second ? 3 : 2;
  if (has("past")) return second ? 3 : 5;
  if (has("height") || has("width")) return sizes.image;
  if (has("channel")) return sizes.channels;
  if (has("sequence") || has("seq") || has("length") || has("len")) return sizes.scale * (second ? 4 : 8);
  return sizes.scale * (second ? 3 : 2);
}

// "past_sequence_length + 1", "a + b", "8"
int64_t evaluate_name(const std::string& text, const Sizes& sizes) {
  int64_t total = 0;
  for (const auto& term : split(text, '+')) {
    const auto begin = term.find_first_not_of(' ');
    if (begin == std::string::npos) continue;
    const std::string name = term.substr(begin, term.find_last_not_of(' ') - begin + 1);
    const bool digits =
        name.size() < 8 && std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
    total += digits ? std::stoll(name) : size_of(name, sizes);
  }
  return std::max<int64_t>(1, total);
}

std::optional<int64_t> vocabulary(const nlohmann::ordered_json& config) {
  const auto of = [](const nlohmann::ordered_json& object) -> std::optional<int64_t> {
    if (!object.is_object()) return std::nullopt;
    const auto found = object.find("vocab_size");
    if (found == object.end() || !found->is_number_integer()) return std::nullopt;
    return found->get<int64_t>();
  };
  if (const auto own = of(config)) return own;
  for (const char* part : {"text_config", "decoder", "encoder"}) {
    if (!config.is_object() || !config.contains(part)) continue;
    if (const auto inner = of(config[part])) return inner;
  }
  return std::nullopt;
}

// A whole number of the configuration, or of its part about images.
int64_t image_number(const nlohmann::ordered_json& config, const char* key, int64_t otherwise) {
  if (!config.is_object()) return otherwise;
  const auto vision = config.find("vision_config");
  const auto& from = vision != config.end() && vision->is_object() ? *vision : config;
  const auto found = from.find(key);
  constexpr int64_t kMost = 4096;
  if (found == from.end() || !found->is_number_integer()) return otherwise;
  return std::clamp<int64_t>(found->get<int64_t>(), 1, kMost);
}

class Filler {
 public:
  Filler(const ir::Graph& graph, const nlohmann::ordered_json& config, int64_t scale, bool second)
      : graph_(graph), config_(config), second_(second), random_(second ? 7 : 3) {
    sizes_.second = second;
    sizes_.scale = scale;
    sizes_.image = image_number(config, "image_size", sizes_.image);
    sizes_.channels = image_number(config, "num_channels", sizes_.channels);
    for (const ir::Value* input : graph.inputs) {
      for (const ir::Dim& dim : input->shape.value_or(ir::Shape()))
        sizes_.one_token = sizes_.one_token || dim.str().starts_with("past_sequence_length + 1");
    }
  }

  TensorMap run() {
    TensorMap out;
    for (const ir::Value* input : graph_.inputs) out.emplace(input->name, filled(*input));
    return out;
  }

 private:
  // Of what has no name, the last dimension is a length, others count rows.
  [[nodiscard]] int64_t size(const ir::Dim& dim, const ir::Value& input, size_t axis) const {
    const std::string name = dim.str();
    if (!name.starts_with('?')) return evaluate_name(name, sizes_);
    return evaluate_name(axis > 0 && axis + 1 == input.rank() ? "length" : "batch", sizes_);
  }

  Dims dims_of(const ir::Value& input) const {
    if (!input.shape) {
      throw Error(ErrorCode::unsupported,
                  fmt::format("no example can be made for the input \"{}\": its rank is not declared",
                              printable(input.name, 120)));
    }
    Dims dims;
    for (const ir::Dim& dim : *input.shape)
      dims.push_back(dim.is_constant() ? *dim.constant() : size(dim, input, dims.size()));
    constexpr int64_t kMost = int64_t{1} << 28;
    int64_t count = 1;
    for (const int64_t dim : dims) {
      if (dim > kMost || (count *= std::max<int64_t>(1, dim)) > kMost) {
        throw Error(ErrorCode::unsupported,
                    fmt::format("the input \"{}\" is too large for an example", printable(input.name, 120)));
      }
    }
    return dims;
  }

  int64_t below(int64_t limit) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(limit)); }

  std::vector<int64_t> mask(const Dims& dims) {
    std::vector<int64_t> out(static_cast<size_t>(element_count(dims)), 1);
    const int64_t length = dims.empty() ? 1 : dims.back();
    for (size_t row = 1; length > 1 && (row + 1) * static_cast<size_t>(length) <= out.size(); ++row)
      out[row * static_cast<size_t>(length) + static_cast<size_t>(second_ ? 0 : length - 1)] = 0;
    return out;
  }

  std::vector<int64_t> integers(const ir::Value& input, const Dims& dims) {
    const auto has = [&](std::string_view part) { return input.name.find(part) != std::string::npos; };
    if (has("mask")) return mask(dims);
    constexpr int64_t kSamplingRate = 16000;
    if (dims.empty() && (input.name == "sr" || has("sampling_rate") || has("sample_rate")))
      return {kSamplingRate};
    std::vector<int64_t> out(static_cast<size_t>(element_count(dims)));
    const auto rows = table_rows(graph_, &input);
    if (has("position")) {
      const int64_t length = dims.empty() ? 1 : std::max<int64_t>(1, dims.back());
      for (size_t i = 0; i < out.size(); ++i)
        out[i] = std::min<int64_t>(static_cast<int64_t>(i) % length, rows.value_or(length) - 1);
      return out;
    }
    int64_t limit = rows.value_or(2);
    if (has("input_ids") || has("labels")) {
      const auto known = vocabulary(config_);
      limit = std::min(rows.value_or(known.value_or(2)), known.value_or(rows.value_or(2)));
    }
    for (auto& value : out) value = below(std::max<int64_t>(1, limit));
    return out;
  }

  HostTensor filled(const ir::Value& input) {
    const Dims dims = dims_of(input);
    const auto count = static_cast<size_t>(element_count(dims));
    if (is_floating(input.dtype)) {
      std::vector<float> values(count);
      for (auto& value : values)
        value = static_cast<float>(static_cast<double>(random_()) / 2147483648.0 - 1);
      const HostTensor made = HostTensor::f32(dims, values);
      return input.dtype == DType::f32 ? made : made.to_floating(input.dtype);
    }
    if (input.dtype == DType::boolean) {
      const bool value =
          input.name.find("mask") != std::string::npos || input.name.find("use_cache") != std::string::npos;
      return HostTensor::boolean(dims, std::vector<bool>(count, value));
    }
    const std::vector<int64_t> values = integers(input, dims);
    if (input.dtype == DType::i64) return HostTensor::i64(dims, values);
    if (input.dtype == DType::i32) return HostTensor::i32(dims, {values.begin(), values.end()});
    if (bits_of(input.dtype) != 8) {
      throw Error(ErrorCode::unsupported, fmt::format("no example can be made for the input \"{}\" of {}",
                                                      printable(input.name, 120), to_string(input.dtype)));
    }
    HostTensor out = HostTensor::zeros(input.dtype, dims);
    for (auto& byte : out.bytes) byte = static_cast<std::byte>(below(100));
    return out;
  }

  const ir::Graph& graph_;
  const nlohmann::ordered_json& config_;
  bool second_;
  Sizes sizes_;
  std::mt19937 random_;
};

}  // namespace

bool is_random(const ir::Graph& graph) {
  return std::any_of(graph.nodes().begin(), graph.nodes().end(), [](const auto& node) {
    const bool inner = std::any_of(node->attributes.begin(), node->attributes.end(), [](const auto& entry) {
      const auto* body = std::get_if<ir::GraphPtr>(&entry.second);
      return body != nullptr && is_random(**body);
    });
    return inner || node->op_type.starts_with("Random") || node->is("Bernoulli") || node->is("Multinomial");
  });
}

std::optional<int64_t> table_rows(const ir::Graph& graph, const ir::Value* indices, int depth) {
  constexpr int kDeepest = 6;
  std::optional<int64_t> least;
  const auto take = [&](std::optional<int64_t> rows) {
    if (rows && (!least || *rows < *least)) least = rows;
  };
  if (depth > kDeepest) return least;
  for (const auto& node : graph.nodes()) {
    for (const auto& [name, attribute] : node->attributes) {
      if (const auto* inner = std::get_if<ir::GraphPtr>(&attribute))
        take(table_rows(**inner, indices, depth + 1));
    }
    if (node->is("Gather") && node->input(1) == indices && node->input(0) != nullptr &&
        node->inputs[0]->shape && node->get("axis", int64_t{0}) == 0 && node->inputs[0]->rank() == 2)
      take((*node->inputs[0]->shape)[0].constant());
    const bool keeps = node->is("Cast") || node->is("Reshape") || node->is("Identity") ||
                       node->is("Squeeze") || node->is("Unsqueeze");
    if (keeps && node->input(0) == indices) take(table_rows(graph, node->outputs[0], depth + 1));
  }
  return least;
}

std::vector<TensorMap> graph_inputs(const ir::Graph& graph, const nlohmann::ordered_json& config,
                                    int64_t scale) {
  std::vector<TensorMap> out = {Filler(graph, config, scale, false).run()};
  const bool symbolic = std::any_of(graph.inputs.begin(), graph.inputs.end(), [](const ir::Value* input) {
    return std::any_of(input->shape->begin(), input->shape->end(),
                       [](const ir::Dim& dim) { return !dim.is_constant(); });
  });
  if (symbolic) out.push_back(Filler(graph, config, scale, true).run());
  return out;
}

}  // namespace ferry::exporter
