#include "passes/quantize/static_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/text.h"

namespace ferry::passes {
namespace {

// Beyond it a number stands for infinity: the f32 minimum that masks hold.
constexpr float kUnbounded = 1e30f;

bool is_bounded(std::pair<float, float> range) {
  return std::abs(range.first) < kUnbounded && std::abs(range.second) < kUnbounded;  // Not for NaN.
}

size_t least_inputs(const ir::Node& node) {
  for (const char* name :
       {"Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Mul", "Gather", "GatherElements",
        "LayerNormalization", "InstanceNormalization", "BatchNormalization"}) {
    if (node.op_type == name) return 2;
  }
  return node.op_type == "Where" ? 3 : 1;
}

}  // namespace

StaticModel::StaticModel(const ir::Graph& graph, const TensorRanges& ranges, const StaticQuantization& wanted)
    : options(wanted),
      selected_(wanted.nodes, graph),
      inputs_(graph.inputs.begin(), graph.inputs.end()),
      outputs_(graph.outputs.begin(), graph.outputs.end()) {
  const auto opset = graph.opsets.find("");
  opset_ = opset == graph.opsets.end() ? ir::kNewestOpset : opset->second;
  const auto take = [&](const ir::Value* value) {
    const auto range = value == nullptr ? ranges.end() : ranges.find(value->name);
    if (range == ranges.end()) return;
    if (is_bounded(range->second))
      ranges_[value] = range->second;
    else
      unbounded_.insert(value);
  };
  for (const ir::Value* input : graph.inputs) take(input);
  for (const auto& node : graph.nodes()) {
    for (const ir::Value* output : node->outputs) take(output);
    for (const ir::Value* input : node->inputs) ++uses_[input];
  }
  take_over_ranges(graph);
}

// What Relu or Clip cuts off needs no integers; what Softmax gives lies between 0 and 1.
void StaticModel::take_over_ranges(const ir::Graph& graph) {
  for (const auto& node : graph.nodes()) {
    if (!takes(*node)) continue;
    if (node->is("Softmax") && has_range(node->outputs[0])) ranges_[node->outputs[0]] = {0.0f, 1.0f};
    if (!node->is("Relu") && !node->is("Clip")) continue;
    const ir::Value* input = node->inputs[0];
    if (uses(input) != 1 || is_output(input)) continue;
    if (!has_range(input) || !has_range(node->outputs[0])) continue;
    ranges_[input] = ranges_.at(node->outputs[0]);
    clipped_.insert(input);
  }
}

bool StaticModel::takes(const ir::Node& node) const {
  if (!selected_(node) || node.outputs.empty()) return false;
  for (size_t i = 0; i < least_inputs(node); ++i) {
    if (node.input(i) == nullptr) return false;
  }
  const size_t results = node.op_type == "Split" ? node.outputs.size() : 1;
  return std::all_of(node.outputs.begin(), node.outputs.begin() + static_cast<std::ptrdiff_t>(results),
                     [](const ir::Value* output) { return output != nullptr; });
}

bool StaticModel::quantizable(const ir::Value* value) const {
  if (value == nullptr || value->dtype != DType::f32) return false;
  if (value->is_weight()) return value->weight->count() > 0;
  return unbounded_.count(value) == 0;
}

Quantization StaticModel::activation(const ir::Value& value) const {
  const auto range = ranges_.find(&value);
  if (range == ranges_.end()) {
    throw Error(ErrorCode::usage,
                fmt::format("calibration gave no range for the tensor {}", printable(value.name, 200)))
        .with_hint("calibrate with the operators that are to be quantized");
  }
  const auto [low, high] = range->second;
  return choose_quantization({{low}, {high}}, {options.activations, options.activations_symmetric, false});
}

size_t StaticModel::uses(const ir::Value* value) const {
  const auto found = uses_.find(value);
  return found == uses_.end() ? 0 : found->second;
}

namespace {

// With a margin. ONNX Runtime computes it in f32 for channels, in f64 for a whole bias.
double doubled(float number) {
  return static_cast<double>(1.0001f * (2.0f * std::abs(number)));
}
double doubled_largest(const std::vector<float>& bias) {
  double largest = 0;
  for (const float number : bias) largest = std::max(largest, std::abs(static_cast<double>(number)));
  return 1.0001 * (2.0 * largest);
}

}  // namespace

bool make_room_for_bias(Quantization& with, float input_scale, const std::vector<float>& bias) {
  constexpr double kSteps = 2.0 * std::numeric_limits<int32_t>::max();
  const bool single = with.scale.size() == 1;
  if (bias.empty() || (!single && bias.size() != with.scale.size())) return false;
  bool changed = false;
  for (size_t i = 0; i < with.scale.size(); ++i) {
    const double least = (single ? doubled_largest(bias) : doubled(bias[i])) / kSteps;
    const double step = static_cast<double>(input_scale) * static_cast<double>(with.scale[i]);
    if (!(step < least) || !(step > 0)) continue;
    with.scale[i] = static_cast<float>(static_cast<double>(with.scale[i]) * (least / step));
    changed = true;
  }
  return changed;
}

QuantizedBias quantize_bias(const std::vector<float>& bias, float input_scale,
                            const std::vector<float>& weight_scale) {
  constexpr double kLeast = std::numeric_limits<int32_t>::min(), kMost = std::numeric_limits<int32_t>::max();
  QuantizedBias out;
  for (const float scale : weight_scale) out.scale.push_back(input_scale * scale);
  for (size_t i = 0; i < bias.size(); ++i) {
    const double step = static_cast<double>(out.scale[i % out.scale.size()]);
    const double steps = step > 0 ? std::nearbyint(static_cast<double>(bias[i]) / step) : 0.0;
    out.integers.push_back(static_cast<int32_t>(std::clamp(steps, kLeast, kMost)));
  }
  return out;
}

bool fits_bias(const Weight& bias, size_t scales) {
  if (scales == 1) return true;
  return !bias.dims().empty() && bias.dims().back() == static_cast<int64_t>(scales);
}

ir::Value* add_bias(ir::Graph& graph, const std::string& name, const Dims& dims,
                    const std::vector<int32_t>& integers) {
  std::vector<std::byte> bytes(integers.size() * sizeof(int32_t));
  std::memcpy(bytes.data(), integers.data(), bytes.size());
  return graph.add_weight(name, Weight::inline_bytes(DType::i32, dims, std::move(bytes)));
}

QuantizedNode quantized_node(const ir::Node& node, const ir::Value* input) {
  QuantizedNode out{node.name, node.op_type, "", 0, 0};
  if (input != nullptr && input->is_weight()) {
    out.weight = input->name;
    out.bytes_before = input->weight->size_bytes();
    out.bytes_after = input->weight->count();
  }
  return out;
}

}  // namespace ferry::passes
