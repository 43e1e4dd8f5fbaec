#include "passes/legalize/lowering.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace ferry::passes {

namespace op = ir::op;

Tensor Lowering::input(size_t index) const {
  return node.input(index) != nullptr ? Tensor(graph, node.input(index)) : Tensor();
}

Tensor Lowering::shaped(size_t index) const {
  const Tensor tensor = input(index);
  if (!tensor) unsupported(fmt::format("input {} is missing", index));
  if (!tensor.value()->shape) unsupported(fmt::format("the rank of input {} is not known", index));
  return tensor;
}

bool Lowering::wants(size_t index) const {
  return index < node.outputs.size() && node.outputs[index] != nullptr;
}

std::optional<std::vector<int64_t>> Lowering::constants(size_t index) const {
  const ir::Value* value = node.input(index);
  if (value == nullptr) return std::nullopt;
  if (value->is_weight()) return value->weight->as_i64();
  if (value->content) {
    std::vector<int64_t> out;
    for (const ir::Dim& dim : *value->content) {
      if (dim.is_constant()) out.push_back(*dim.constant());
    }
    if (out.size() == value->content->size()) return out;
  }
  unsupported(fmt::format("input {} is not constant", index));
}

size_t Lowering::axis(int64_t otherwise, size_t rank) const {
  const int64_t given = node.get("axis", otherwise);
  const int64_t counted = given < 0 ? given + static_cast<int64_t>(rank) : given;
  if (counted < 0 || counted > static_cast<int64_t>(rank)) unsupported("the axis is not one of the input's");
  return static_cast<size_t>(counted);
}

void Lowering::drop(std::string_view attribute) const {
  const auto found = node.attributes.find(attribute);
  if (found != node.attributes.end()) node.attributes.erase(found);
}

void Lowering::drop_input(size_t index) const {
  if (index < node.inputs.size()) node.inputs[index] = nullptr;
  while (!node.inputs.empty() && node.inputs.back() == nullptr) node.inputs.pop_back();
}

Tensor Lowering::dim(const Tensor& tensor, int axis) const {
  const ir::Dim& wanted = tensor.dim(axis);
  if (wanted.is_constant()) return op::integers(graph, {*wanted.constant()});
  for (ir::Value* value : graph.inputs) {
    for (size_t i = 0; i < value->rank(); ++i) {
      const auto at = static_cast<int64_t>(i);
      if ((*value->shape)[i] == wanted) return op::shape_of(Tensor(graph, value), at, at + 1);
    }
  }
  const int64_t at = axis < 0 ? axis + static_cast<int64_t>(tensor.rank()) : axis;
  return op::shape_of(tensor, at, at + 1);
}

Tensor Lowering::dim_scalar(const Tensor& tensor, int axis) const {
  return op::squeeze(dim(tensor, axis), {0});
}

Tensor Lowering::positions(const Tensor& tensor, int axis) const {
  return op::range(op::scalar(graph, int64_t{0}), dim_scalar(tensor, axis));
}

Tensor Lowering::reshape_like(const Tensor& tensor, const Tensor& like) const {
  std::vector<int64_t> dims;
  int open = 0;
  for (size_t i = 0; i < like.rank(); ++i) {
    const ir::Dim& wanted = like.shape()[i];
    if (wanted.is_constant() && *wanted.constant() != 0) {
      dims.push_back(*wanted.constant());
    } else if (i < tensor.rank() && tensor.shape()[i] == wanted) {
      dims.push_back(0);
    } else {
      dims.push_back(-1);
      ++open;
    }
  }
  if (open <= 1) return op::reshape(tensor, dims);
  return op::reshape(tensor, op::shape_of(like, 0, static_cast<int64_t>(like.rank())));
}

Tensor Lowering::reduce(std::string_view op_type, const Tensor& x, int64_t from_axis) {
  // Counted from the end, as people write it: -1.
  std::vector<int64_t> axes;
  const auto rank = static_cast<int64_t>(x.rank());
  for (int64_t i = from_axis; i < rank; ++i) axes.push_back(i - rank);
  return op::reduce(op_type, x, axes, true);
}

void Lowering::unsupported(std::string_view what) const {
  throw Error(ErrorCode::unsupported,
              fmt::format("{} ({}) cannot be written for opset {}: {}",
                          printable(node.name.empty() ? "a node" : node.name), node.op_type, opset, what));
}

}  // namespace ferry::passes
