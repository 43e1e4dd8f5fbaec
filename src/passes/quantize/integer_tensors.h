#pragma once
// Tensors of a graph that becomes one of operators on integers.
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "passes/quantize/static_model.h"

namespace ferry::passes {

/// A tensor as integers, and the numbers of its scale and zero point.
struct Integers {
  QuantizedTensor tensor;
  Quantization with;
  const ir::Value* source = nullptr;  ///< Whose range the scale comes from.
};

class IntegerTensors {
 public:
  IntegerTensors(ir::Graph& graph, const StaticModel& model) : graph_(graph), model_(model), emit_(graph) {}

  [[nodiscard]] Emitter& emit() { return emit_; }

  /// The integers that a tensor is already, or nullptr.
  [[nodiscard]] const Integers* known(const ir::Value* value) const;
  /// Whether integers() has an answer.
  [[nodiscard]] bool can(const ir::Value* value) const;
  /// Whether the result of a node can be integers with a scale of its own.
  [[nodiscard]] bool can_give(const ir::Value* output) const;
  /// Whether a constant can be added to products with `factor`, whose channels lie along `axis`. Null can.
  [[nodiscard]] bool is_bias(const ir::Value* value, const ir::Value* factor, size_t axis) const;

  /// An activation: what it is already, or quantized here. Constants are quantized alike.
  Integers integers(ir::Value* value);
  /// What a right side is besides a tensor.
  struct Factor {
    std::optional<size_t> axis;       ///< Of its channels.
    const ir::Value* bias = nullptr;  ///< Of the sums, which must have room for it.
    float beta = 1.0f;                ///< Times which the bias counts.
    bool one_zero_point = false;      ///< For all channels, which are i8 then.
  };
  /// The right side of a product with `input`: a constant in the format of weights, or an activation.
  Integers right_side(ir::Value* value, const Integers& input, Factor how);
  ir::Value* bias(const ir::Value& value, float beta, const Integers& input, const Integers& factor);

  /// Scale and zero point for a result. The integers are not set.
  Integers parameters(const ir::Value* value, const Quantization& with);
  Integers parameters(const ir::Value* value) { return parameters(value, model_.activation(*value)); }
  /// From now on the tensor is integers only, until as_float() asks for it.
  void set(const ir::Value* value, const Integers& made);
  /// The value for a user that wants floats.
  ir::Value* as_float(ir::Value* value);

 private:
  Integers weight(const ir::Value& value, const Integers& input, const Factor& how);

  ir::Graph& graph_;
  const StaticModel& model_;
  Emitter emit_;
  std::unordered_map<const ir::Value*, Integers> known_;
  std::unordered_map<const ir::Value*, std::vector<Integers>> weights_;
  std::unordered_set<const ir::Value*> float_gone_;  // Those of known_ that nothing makes as floats.
};

}  // namespace ferry::passes
