#pragma once
// Inference of dtypes and shapes, one function an operator.
#include <span>
#include <string>
#include <string_view>

#include "ir/graph.h"

namespace ferry::ir {

/// What an operator's inference sees and sets.
class Inference {
 public:
  Inference(Node& node, bool strict) : node_(node), strict_(strict) {}

  [[nodiscard]] const Node& node() const { return node_; }
  [[nodiscard]] bool strict() const { return strict_; }
  /// A required input. Errors: Error{shape_mismatch} if it is left out.
  [[nodiscard]] const Value& input(size_t index) const;
  [[nodiscard]] bool has_input(size_t index) const { return node_.input(index) != nullptr; }
  /// True if the ranks of inputs 0 .. count - 1 are known; without them an inference of a read graph gives
  /// up.
  [[nodiscard]] bool ranks_known(size_t count) const;
  [[nodiscard]] const Shape& shape(size_t index) const { return *input(index).shape; }
  /// What an integer input of rank 0 or 1 holds: from a weight, or followed through shape arithmetic.
  [[nodiscard]] std::optional<std::vector<Dim>> content(size_t index) const;
  /// The same where all of it is constant.
  [[nodiscard]] std::optional<std::vector<int64_t>> constants(size_t index) const;

  void set(size_t output, DType dtype, std::optional<Shape> shape = std::nullopt);
  void set_content(size_t output, std::optional<std::vector<Dim>> content);
  [[nodiscard]] size_t output_count() const { return node_.outputs.size(); }

  /// `axis` counted from the end if negative. Errors: Error{shape_mismatch} if there is no such axis.
  size_t axis(int64_t axis, size_t rank) const;
  /// numpy's broadcasting of two shapes.
  Shape broadcast(const Shape& a, const Shape& b) const;
  /// Two dimensions that must be equal; the more definite of them. In a strict graph a difference throws.
  Dim same(const Dim& a, const Dim& b, std::string_view what) const;
  /// A dimension that nothing is known of. Only in graphs that are not strict.
  [[nodiscard]] Dim unknown(size_t output, size_t axis) const;
  /// A dimension that the data decides: a symbol of its own.
  [[nodiscard]] Dim counted(size_t output, size_t axis) const;
  void require(bool condition, std::string_view what) const;
  void require_same_dtype(size_t a, size_t b) const;
  [[noreturn]] void fail(std::string_view what, bool dtype = false) const;

 private:
  Node& node_;
  bool strict_;
};

using InferFunction = void (*)(Inference&);
struct OpDef {
  std::string_view op_type;
  InferFunction infer;
  std::string_view domain = "";
};

/// The inference of an operator, nullptr for one that ferry does not know.
InferFunction find_inference(std::string_view domain, std::string_view op_type);

/// Runs it. An unknown operator gives outputs of unknown dtype and shape in a graph that is not strict, and
/// throws Error{internal} in one that is.
void infer(Node& node, bool strict);

/// Whose dimensions a value gets where the file declares some and inference finds others.
enum class Trust : uint8_t { declared, inferred };

/// For a node of a graph that was read: what inference refuses or does not know stays as declared. Returns
/// what was refused, "" if nothing.
std::string infer_declared(Node& node, Trust trust);

// The tables, one a family of operators (src/ir/infer_*.cc).
std::span<const OpDef> elementwise_ops();
std::span<const OpDef> shape_ops();
std::span<const OpDef> matrix_ops();
std::span<const OpDef> reduction_ops();
std::span<const OpDef> neural_ops();
std::span<const OpDef> control_ops();
std::span<const OpDef> microsoft_ops();
std::span<const OpDef> quantization_ops();

}  // namespace ferry::ir
