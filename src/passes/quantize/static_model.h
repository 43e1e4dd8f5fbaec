#pragma once
// What both formats of static quantization share: the numbers that tensors are quantized with.
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "passes/quantize/emit.h"
#include "passes/quantize/static.h"
#include "tensor/quantize.h"

namespace ferry::passes {

/// The model before it is changed, its ranges, and what was asked for.
class StaticModel {
 public:
  StaticModel(const ir::Graph& graph, const TensorRanges& ranges, const StaticQuantization& options);

  const StaticQuantization& options;

  /// Whether the node was chosen, and has the inputs and results that its operator must have.
  [[nodiscard]] bool takes(const ir::Node& node) const;

  /// Whether a weight or a tensor with a range is f32 and can be quantized.
  [[nodiscard]] bool quantizable(const ir::Value* value) const;
  /// Whether the tensor has a range of its own.
  [[nodiscard]] bool has_range(const ir::Value* value) const { return ranges_.count(value) > 0; }
  /// Scale and zero point of an activation. Errors: Error{usage} without a range.
  [[nodiscard]] Quantization activation(const ir::Value& value) const;
  /// Whether the range is that of the Relu or Clip which alone uses the tensor: it clips nothing else.
  [[nodiscard]] bool clipped(const ir::Value* value) const { return clipped_.count(value) > 0; }
  /// How many inputs of nodes the tensor is.
  [[nodiscard]] size_t uses(const ir::Value* value) const;
  [[nodiscard]] bool is_input(const ir::Value* value) const { return inputs_.count(value) > 0; }
  [[nodiscard]] bool is_output(const ir::Value* value) const { return outputs_.count(value) > 0; }
  [[nodiscard]] int opset() const { return opset_; }

 private:
  void take_over_ranges(const ir::Graph& graph);
  Selected selected_;
  std::unordered_map<const ir::Value*, std::pair<float, float>> ranges_;
  std::unordered_set<const ir::Value*> unbounded_, clipped_, inputs_, outputs_;
  std::unordered_map<const ir::Value*, size_t> uses_;
  int opset_ = 0;
};

/// Raises the scales of a weight where the bias, in steps of `input_scale` times the weight's scale, does not
/// fit 32 bits. `bias` has one number a channel, or `with` one scale. Returns whether it changed any.
bool make_room_for_bias(Quantization& with, float input_scale, const std::vector<float>& bias);

/// A bias in steps of `input_scale` times the weight's scale (one a channel, or one).
struct QuantizedBias {
  std::vector<int32_t> integers;
  std::vector<float> scale;
};
QuantizedBias quantize_bias(const std::vector<float>& bias, float input_scale,
                            const std::vector<float>& weight_scale);
/// Whether that many scales fit a bias.
bool fits_bias(const Weight& bias, size_t scales);

ir::Value* add_bias(ir::Graph& graph, const std::string& name, const Dims& dims,
                    const std::vector<int32_t>& integers);

// The formats.
QuantizationResult write_qdq(ir::Graph& graph, const StaticModel& model);
QuantizationResult write_qoperator(ir::Graph& graph, const StaticModel& model);

/// For a report: the node, and its weight if `input` is one.
QuantizedNode quantized_node(const ir::Node& node, const ir::Value* input);

}  // namespace ferry::passes
