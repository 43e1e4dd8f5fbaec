#pragma once
// What a lowering sees of the node that it replaces, and helpers that several share.
#include <span>
#include <string_view>
#include <vector>

#include "ir/op.h"

namespace ferry::passes {

using ir::Tensor;
using Tensors = std::vector<Tensor>;

/// One node to be replaced. New nodes are made by the functions of ir::op and are named under it.
class Lowering {
 public:
  Lowering(ir::Graph& in_graph, ir::Node& old_node, int target)
      : graph(in_graph), node(old_node), opset(target) {}

  ir::Graph& graph;
  ir::Node& node;
  int opset;

  /// An input, or an empty Tensor if it is left out.
  [[nodiscard]] Tensor input(size_t index) const;
  /// An input whose rank is known. Errors: Error{unsupported} if it is missing or its rank is not known.
  [[nodiscard]] Tensor shaped(size_t index) const;
  [[nodiscard]] bool has_input(size_t index) const { return node.input(index) != nullptr; }
  /// True if the node has a result `index`.
  [[nodiscard]] bool wants(size_t index) const;
  /// The values of a constant integer input, or nothing if it is left out.
  /// Errors: Error{unsupported} if it is not constant.
  [[nodiscard]] std::optional<std::vector<int64_t>> constants(size_t index) const;
  /// Attribute `axis`, counted from the front.
  [[nodiscard]] size_t axis(int64_t otherwise, size_t rank) const;

  /// For a node that stays: removes an attribute, sets an input's place free, ...
  void drop(std::string_view attribute) const;
  void drop_input(size_t index) const;

  /// One dimension of a tensor as i64[1]: a constant, or read off a graph input that has it (so that equal
  /// requests of several layers become one node), or off the tensor itself.
  [[nodiscard]] Tensor dim(const Tensor& tensor, int axis) const;
  /// The same as a scalar.
  [[nodiscard]] Tensor dim_scalar(const Tensor& tensor, int axis) const;
  /// 0, 1, ..., dim - 1.
  [[nodiscard]] Tensor positions(const Tensor& tensor, int axis) const;
  /// Reshapes to the dimensions of `like`, without reading them at run time where 0, -1 and constants do.
  [[nodiscard]] Tensor reshape_like(const Tensor& tensor, const Tensor& like) const;
  /// Opset 18's form of a reduction; an older form is made of it later.
  [[nodiscard]] static Tensor reduce(std::string_view op_type, const Tensor& x, int64_t from_axis);

  [[noreturn]] void unsupported(std::string_view what) const;
};

/// Replaces the node. Returns its new results in order, one for each that it wants(); or nothing at all if
/// the node was changed in place and stays.
using LowerFunction = Tensors (*)(const Lowering&);
/// Whether this very node needs the lowering.
using Condition = bool (*)(const Lowering&);

/// One row of the table: nodes `op_type` that meet `when` (nullptr: all) are rewritten below opset `since`.
struct Rule {
  std::string_view op_type;
  int since;
  LowerFunction lower;
  Condition when = nullptr;
};

// The tables, one a family of operators.
std::span<const Rule> activation_rules();
std::span<const Rule> attention_rules();
std::span<const Rule> normalization_rules();
std::span<const Rule> rotary_rules();
std::span<const Rule> reduction_rules();
std::span<const Rule> shape_rules();
std::span<const Rule> resize_rules();
std::span<const Rule> attribute_rules();

}  // namespace ferry::passes
