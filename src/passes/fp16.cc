#include "passes/fp16.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "passes/rewrite.h"

namespace ferry::passes {
namespace {

using ir::Graph;
using ir::Node;
using ir::Value;

constexpr float kLargest = 65504.0f;       // Of f16.
constexpr float kSmallest = 5.960464e-8f;  // Above 0.

float largest_magnitude(const Weight& weight) {
  constexpr uint64_t kTile = 1 << 18;
  std::vector<float> tile(std::min(kTile, weight.count()));
  float largest = 0;
  for (uint64_t first = 0; first < weight.count(); first += kTile) {
    const uint64_t count = std::min(kTile, weight.count() - first);
    weight.read(first, count, reinterpret_cast<std::byte*>(tile.data()));
    for (uint64_t i = 0; i < count; ++i) {
      const float magnitude = std::abs(tile[i]);
      if (std::isfinite(magnitude)) largest = std::max(largest, magnitude);
    }
  }
  return largest;
}

float into_range(float value) {
  if (std::isfinite(value) && std::abs(value) > kLargest) return std::copysign(kLargest, value);
  if (value != 0 && std::abs(value) < kSmallest) return std::copysign(kSmallest, value);
  return value;
}

class Converter {
 public:
  Converter(Graph& root, const Fp16Options& options) : root_(root), options_(options) {}

  Fp16Report run() {
    std::vector<Value*> results;
    for (Value* output : root_.outputs) results.push_back(output->dtype == DType::f32 ? output : nullptr);
    narrow_inputs();
    convert(root_);
    if (options_.keep_io_types) widen_outputs(results);
    root_.remove_dead_nodes();
    return std::move(report_);
  }

 private:
  static ir::Attributes cast_to(DType dtype) { return {{"to", int64_t{onnx_number(dtype)}}}; }

  void narrow_inputs() {
    if (!options_.keep_io_types) {
      for (Value* input : root_.inputs) narrow(*input);
      return;
    }
    root_.set_insertion_point(0);
    for (Value* input : root_.inputs) {
      if (input->dtype != DType::f32) continue;
      Value* half = root_.add_node("Cast", {input}, cast_to(DType::f16)).outputs[0];
      root_.replace_uses(input, half);
      root_.nodes()[*root_.insertion_point() - 1]->inputs[0] = input;
    }
    boundary_ = *root_.insertion_point();
    root_.set_insertion_point(std::nullopt);
  }

  void widen_outputs(const std::vector<Value*>& results) {
    for (size_t i = 0; i < results.size(); ++i) {
      Value* half = root_.outputs[i];
      if (results[i] == nullptr || half->dtype != DType::f16) continue;
      if (results[i]->dtype == DType::f32) {  // Made by a node that computes in f32.
        root_.outputs[i] = results[i];
        continue;
      }
      Value* wide = root_.add_node("Cast", {half}, cast_to(DType::f32)).outputs[0];
      root_.outputs[i] = wide;
      std::swap(half->name, wide->name);
    }
  }

  static void narrow(Value& value) {
    if (value.dtype == DType::f32) value.dtype = DType::f16;
  }

  [[nodiscard]] bool is_kept(const Node& node) const {
    const bool known = node.domain.empty() || node.domain == ir::kMicrosoftDomain;
    if (!known || options_.keep_operators.count(node.op_type) > 0 || options_.keep_nodes.count(node.name) > 0)
      return true;
    return std::any_of(node.inputs.begin(), node.inputs.end(),
                       [&](const Value* input) { return input != nullptr && overflowing_.count(input) > 0; });
  }

  static bool holds_graphs(const Node& node) {
    return std::any_of(node.attributes.begin(), node.attributes.end(),
                       [](const auto& entry) { return std::holds_alternative<ir::GraphPtr>(entry.second); });
  }

  void convert(Graph& graph) {
    for (size_t place = &graph == &root_ ? boundary_ : 0; place < graph.nodes().size(); ++place) {
      Node& node = *graph.nodes()[place];
      for (Value*& input : node.inputs) input = narrowed_weight(input);
      if (holds_graphs(node)) {
        convert_inner(node);
      } else if (is_kept(node)) {
        graph.set_insertion_point(place);
        widen_inputs(graph, node);
        place = *graph.insertion_point();
        graph.set_insertion_point(place + 1);
        place += narrow_outputs(graph, node);
        graph.set_insertion_point(std::nullopt);
      } else {
        narrow_attributes(node);
        for (Value* output : node.outputs) {
          if (output != nullptr) narrow(*output);
        }
      }
    }
    for (Value*& output : graph.outputs) output = &graph == &root_ ? output : narrowed_weight(output);
  }

  void convert_inner(Node& node) {
    for (auto& [name, attribute] : node.attributes) {
      auto* inner = std::get_if<ir::GraphPtr>(&attribute);
      if (inner == nullptr) continue;
      for (Value* input : (*inner)->inputs) narrow(*input);
      convert(**inner);
    }
    for (Value* output : node.outputs) {
      if (output != nullptr) narrow(*output);
    }
  }

  // The weight in f16, made once; the weight itself if f16 does not hold it.
  Value* narrowed_weight(Value* value) {
    if (value == nullptr || !value->is_weight() || value->dtype != DType::f32) return value;
    const auto known = halves_.find(value);
    if (known != halves_.end()) return known->second;
    Value* half = narrow_weight(*value);
    halves_.emplace(value, half);
    return half;
  }

  Value* narrow_weight(Value& value) {
    const Weight& weight = *value.weight;
    ++report_.converted;
    if (weight.count() == 1) {
      const float number = into_range(weight.as_f32()[0]);
      return root_.add_weight(value.name,
                              Weight::from_f32(weight.dims(), std::vector{number}).cast(DType::f16));
    }
    if (largest_magnitude(weight) <= kLargest) return root_.add_weight(value.name, weight.cast(DType::f16));
    --report_.converted;
    report_.overflowing.push_back(value.name);
    overflowing_.insert(&value);
    return &value;
  }

  // Kept nodes see f32: weights as they were, other values cast.
  void widen_inputs(Graph& graph, Node& node) {
    for (Value*& input : node.inputs) {
      if (input == nullptr || input->dtype != DType::f16) continue;
      const auto original = std::find_if(halves_.begin(), halves_.end(),
                                         [&](const auto& entry) { return entry.second == input; });
      if (input->is_weight() && original != halves_.end()) {
        input = original->first;
      } else {
        input = graph.add_node("Cast", {input}, cast_to(DType::f32)).outputs[0];
      }
    }
  }

  size_t narrow_outputs(Graph& graph, Node& node) {
    size_t casts = 0;
    for (Value* output : node.outputs) {
      if (output == nullptr || output->dtype != DType::f32) continue;
      Node& cast = graph.add_node("Cast", {output}, cast_to(DType::f16));
      graph.replace_uses(output, cast.outputs[0]);
      cast.inputs[0] = output;
      ++casts;
    }
    return casts;
  }

  // Attributes that say the type of the result.
  static void narrow_attributes(Node& node) {
    for (const char* name : {"to", "dtype", "output_dtype"}) {
      auto found = node.attributes.find(name);
      if (found == node.attributes.end()) continue;
      auto* number = std::get_if<int64_t>(&found->second);
      if (number != nullptr && *number == onnx_number(DType::f32)) *number = onnx_number(DType::f16);
    }
    const bool fills = node.is("ConstantOfShape") || node.is("Constant");
    for (auto& [name, attribute] : node.attributes) {
      auto* weight = std::get_if<Weight>(&attribute);
      if (!fills || weight == nullptr || weight->dtype() != DType::f32) continue;
      std::vector<float> values = weight->as_f32();
      for (float& value : values) value = into_range(value);
      *weight = Weight::from_f32(weight->dims(), values).cast(DType::f16);
    }
    if (node.is("ConstantOfShape") && node.attributes.count("value") == 0)
      node.attributes["value"] = Weight::zeros(DType::f16, {1});
  }

  Graph& root_;
  const Fp16Options& options_;
  Fp16Report report_;
  size_t boundary_ = 0;  // Casts of inputs come before it.
  std::unordered_map<Value*, Value*> halves_;
  std::unordered_set<const Value*> overflowing_;
};

}  // namespace

const std::set<std::string, std::less<>>& fp16_kept_operators() {
  static const std::set<std::string, std::less<>> kept = {
      "ArrayFeatureExtractor", "Binarizer", "CastMap", "CategoryMapper", "DictVectorizer",
      "FeatureVectorizer", "Imputer", "LabelEncoder", "LinearClassifier", "LinearRegressor", "Normalizer",
      "OneHotEncoder", "RandomUniformLike", "SVMClassifier", "SVMRegressor", "Scaler",
      "TreeEnsembleClassifier", "TreeEnsembleRegressor", "ZipMap", "NonMaxSuppression", "TopK", "RoiAlign",
      "Range", "CumSum", "Min", "Max", "Upsample", "Resize",
      // Beyond ONNX Runtime's list: squares and sums of them, and what takes f32 alone.
      "Pow", "ReduceSumSquare", "ReduceL2", "ReduceLogSumExp", "RandomNormal", "RandomUniform",
      "RandomNormalLike", "Multinomial", "EyeLike", "DynamicQuantizeLinear", "QuantizeLinear",
      "DequantizeLinear", "DFT", "STFT", "MelWeightMatrix", "GridSample"};
  return kept;
}

void clamp_numbers(Graph& graph) {
  for (Value* value : graph.used_weights()) {
    if (value->dtype != DType::f32 || value->weight->count() != 1) continue;
    const float number = value->weight->as_f32()[0];
    if (into_range(number) != number)
      value->weight = Weight::from_f32(value->weight->dims(), std::vector{into_range(number)});
  }
}

Fp16Report to_fp16(Graph& graph, const Fp16Options& options) {
  return Converter(graph, options).run();
}

}  // namespace ferry::passes
