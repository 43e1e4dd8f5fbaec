#pragma once
// Making nodes and values of given names: quantized graphs are named as ONNX Runtime's quantizer names them.
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

/// Adds the integers of a weight (name_quantized), its scale (name_scale) and zero point (name_zero_point).
/// The integers are made when they are written; the range is read now.
QuantizedTensor add_quantized_weight(ir::Graph& graph, const ir::Value& weight, const IntegerFormat& format,
                                     std::optional<size_t> axis);

}  // namespace ferry::passes
