#pragma once
// Making nodes and values of given names: quantized graphs are named as ONNX Runtime's quantizer names them.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "tensor/quantize.h"

namespace ferry::passes {

/// A tensor as integers.
struct QuantizedTensor {
  ir::Value* integers = nullptr;
  ir::Value* scale = nullptr;
  ir::Value* zero_point = nullptr;
  std::optional<size_t> axis;  ///< Of the channels, if there is one scale each.
};

/// Appends nodes to a graph. Shapes are inferred at once; a name that is taken gets a number.
class Emitter {
 public:
  explicit Emitter(ir::Graph& graph) : graph_(graph) {}

  /// A node with one new result.
  ir::Value* make(std::string_view op_type, std::string name, std::vector<ir::Value*> inputs,
                  std::string output, ir::Attributes attributes = {}, std::string_view domain = "");
  /// With several.
  std::vector<ir::Value*> make_n(std::string_view op_type, std::string name, std::vector<ir::Value*> inputs,
                                 const std::vector<std::string>& outputs, ir::Attributes attributes = {},
                                 std::string_view domain = "");
  /// A node whose result is a value that exists: its users stay.
  void make_into(ir::Value* result, std::string_view op_type, std::string name,
                 std::vector<ir::Value*> inputs, ir::Attributes attributes = {},
                 std::string_view domain = "");

  [[nodiscard]] ir::Graph& graph() const { return graph_; }

 private:
  ir::Node& append(std::string_view op_type, std::string name, std::vector<ir::Value*> inputs,
                   std::vector<ir::Value*> outputs, ir::Attributes attributes, std::string_view domain);
  ir::Graph& graph_;
};

/// Whether it is a weight of floats that a quantizer takes.
bool is_float_weight(const ir::Value* value);

/// Scale and zero point for a weight, whose range is read now. Errors: Error{invalid_file} for NaN.
Quantization quantization_of(const ir::Value& weight, const IntegerFormat& format,
                             std::optional<size_t> axis);

/// Adds name_scale and name_zero_point: scalars, or one a channel if there is an axis. `stored` is the dtype
/// of the scale. The integers are not set.
QuantizedTensor add_parameters(ir::Graph& graph, const std::string& name, const Quantization& with,
                               std::optional<size_t> axis, DType integers, DType stored = DType::f32);

/// Adds the integers of a weight (name_quantized), its scale and zero point. The integers are made when they
/// are written.
QuantizedTensor add_quantized_weight(ir::Graph& graph, const ir::Value& weight, const Quantization& with,
                                     DType integers, std::optional<size_t> axis);
/// With the scale and zero point that its range asks for.
QuantizedTensor add_quantized_weight(ir::Graph& graph, const ir::Value& weight, const IntegerFormat& format,
                                     std::optional<size_t> axis);

}  // namespace ferry::passes
