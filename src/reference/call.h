#pragma once
// What the implementation of an operator sees of its node and sets.
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "reference/tensor.h"

namespace ferry::reference {

class Execution;

class Call {
 public:
  Call(const ir::Node& node, const Execution& execution);

  [[nodiscard]] const ir::Node& node() const { return node_; }
  [[nodiscard]] bool is(std::string_view op_type) const { return node_.op_type == op_type; }

  [[nodiscard]] size_t input_count() const { return node_.inputs.size(); }
  [[nodiscard]] bool has(size_t index) const { return node_.input(index) != nullptr; }
  /// A required input; a weight is read whole. Errors: Error{shape_mismatch} if it is left out.
  const Tensor& input(size_t index);
  /// The input as it is stored, or nullptr if it is computed.
  [[nodiscard]] const Weight* weight(size_t index) const;
  /// All numbers of an integer input; `otherwise` if it is left out.
  std::vector<int64_t> integers(size_t index);
  std::vector<int64_t> integers(size_t index, std::vector<int64_t> otherwise);
  /// The only number of an input of any kind; `otherwise` if it is left out.
  double number(size_t index, double otherwise);
  int64_t integer(size_t index, int64_t otherwise);

  [[nodiscard]] int64_t attribute(std::string_view name, int64_t otherwise) const {
    return node_.get(name, otherwise);
  }
  [[nodiscard]] float attribute(std::string_view name, float otherwise) const {
    return node_.get(name, otherwise);
  }
  [[nodiscard]] std::string attribute(std::string_view name, const char* otherwise) const {
    return node_.get(name, std::string(otherwise));
  }
  [[nodiscard]] std::vector<int64_t> attribute(std::string_view name,
                                               const std::vector<int64_t>& otherwise) const {
    return node_.get(name, otherwise);
  }

  /// `axis` counted from the end if negative. Errors: Error{shape_mismatch} if there is none such.
  [[nodiscard]] size_t axis(int64_t axis, size_t rank) const;
  /// The attribute "axis".
  [[nodiscard]] size_t axis_attribute(int64_t otherwise, size_t rank) const {
    return axis(attribute("axis", otherwise), rank);
  }
  /// Both shapes broadcast. Errors: Error{shape_mismatch}.
  [[nodiscard]] Dims broadcast(const Dims& a, const Dims& b) const;

  /// Whether anything was declared to take this result.
  [[nodiscard]] bool wants(size_t output) const {
    return output < node_.outputs.size() && node_.outputs[output] != nullptr;
  }
  [[nodiscard]] DType output_dtype(size_t output) const {
    return wants(output) ? node_.outputs[output]->dtype : DType::undefined;
  }
  void set(size_t output, Tensor value);
  [[nodiscard]] std::vector<Tensor>& results() { return results_; }

  /// Runs a subgraph, which sees the values around the node.
  std::vector<Tensor> run(const ir::Graph& body, std::vector<Tensor> inputs) const;

  void require(bool condition, std::string_view what) const {
    if (!condition) fail(what);
  }
  /// Errors: Error{shape_mismatch} with the dims of the inputs; the run adds the node.
  [[noreturn]] void fail(std::string_view what) const;
  [[noreturn]] void unsupported(std::string_view what) const;

 private:
  const ir::Node& node_;
  const Execution& execution_;
  std::vector<Tensor> inputs_;
  std::vector<Tensor> results_;
};

using Function = void (*)(Call&);
struct Op {
  std::string_view op_type;
  Function function;
  std::string_view domain = "";
};

/// nullptr for an operator without an implementation.
Function find_function(std::string_view domain, std::string_view op_type);

// The tables, one a family of operators.
std::span<const Op> unary_ops();
std::span<const Op> binary_ops();
std::span<const Op> cast_ops();
std::span<const Op> shape_ops();
std::span<const Op> index_ops();
std::span<const Op> pad_ops();
std::span<const Op> matrix_ops();
std::span<const Op> einsum_ops();
std::span<const Op> attention_ops();
std::span<const Op> rotary_ops();
std::span<const Op> reduction_ops();
std::span<const Op> selection_ops();
std::span<const Op> normalization_ops();
std::span<const Op> convolution_ops();
std::span<const Op> pooling_ops();
std::span<const Op> resize_ops();
std::span<const Op> grid_sample_ops();
std::span<const Op> control_ops();
std::span<const Op> microsoft_ops();
std::span<const Op> quantization_ops();
std::span<const Op> integer_matrix_ops();
std::span<const Op> microsoft_attention_ops();

}  // namespace ferry::reference
