#include "ir/infer.h"

#include <fmt/format.h>

#include <array>
#include <stdexcept>
#include <unordered_map>

#include "base/error.h"
#include "base/text.h"

namespace ferry::ir {
namespace {

constexpr size_t kMostContent = 64;  // Shapes, axes, pads: anything longer is data.

std::string describe(const Value* value) {
  if (value == nullptr) return "-";
  return fmt::format("{}: {}{}", printable(value->name, 80), to_string(value->dtype),
                     value->shape ? to_string(*value->shape) : "?");
}

using Table = std::unordered_map<std::string, InferFunction>;

Table make_table() {
  Table table;
  for (const auto ops : {elementwise_ops(), shape_ops(), matrix_ops(), reduction_ops(), neural_ops(),
                         control_ops(), microsoft_ops(), quantization_ops()}) {
    for (const OpDef& op : ops) table.emplace(fmt::format("{}:{}", op.domain, op.op_type), op.infer);
  }
  return table;
}

std::string unknown_name(const Value& value, size_t axis) {
  return fmt::format("{}_dim_{}", value.name, axis);
}

// The dimensions that are trusted, and the others where those say nothing.
Shape merged(const Value& value, const Shape& declared, const Shape& inferred, Trust trust) {
  if (inferred.size() != declared.size()) return declared;
  Shape out = trust == Trust::declared ? declared : inferred;
  for (size_t i = 0; i < out.size(); ++i) {
    const auto name = out[i].symbol_name();
    const bool open =
        name && (trust == Trust::declared ? name->starts_with('?') : *name == unknown_name(value, i));
    if (open) out[i] = trust == Trust::declared ? inferred[i] : declared[i];
  }
  return out;
}

}  // namespace

const Value& Inference::input(size_t index) const {
  const Value* value = node_.input(index);
  if (value == nullptr) fail(fmt::format("input {} is missing", index));
  return *value;
}

bool Inference::ranks_known(size_t count) const {
  for (size_t i = 0; i < count; ++i) {
    if (!input(i).shape) return false;
  }
  return true;
}

std::optional<std::vector<Dim>> Inference::content(size_t index) const {
  const Value* value = node_.input(index);
  if (value == nullptr) return std::nullopt;
  if (value->content) return value->content;
  if (!value->is_weight() || !is_integer(value->dtype) || value->weight->count() > kMostContent)
    return std::nullopt;
  const auto numbers = value->weight->as_i64();
  return std::vector<Dim>(numbers.begin(), numbers.end());
}

std::optional<std::vector<int64_t>> Inference::constants(size_t index) const {
  const auto dims = content(index);
  if (!dims) return std::nullopt;
  std::vector<int64_t> out;
  for (const Dim& dim : *dims) {
    if (!dim.is_constant()) return std::nullopt;
    out.push_back(*dim.constant());
  }
  return out;
}

void Inference::set(size_t output, DType dtype, std::optional<Shape> shape) {
  if (output >= node_.outputs.size() || node_.outputs[output] == nullptr) return;
  Value& value = *node_.outputs[output];
  value.dtype = dtype;
  // A read graph may declare more than we can infer; keep that.
  if (shape || strict_ || !value.shape) value.shape = std::move(shape);
  value.content.reset();
}

void Inference::set_content(size_t output, std::optional<std::vector<Dim>> content) {
  if (output >= node_.outputs.size() || node_.outputs[output] == nullptr) return;
  if (content && content->size() > kMostContent) content.reset();
  node_.outputs[output]->content = std::move(content);
}

size_t Inference::axis(int64_t axis, size_t rank) const {
  const int64_t counted = axis < 0 ? axis + static_cast<int64_t>(rank) : axis;
  if (counted < 0 || counted >= static_cast<int64_t>(rank))
    fail(fmt::format("there is no axis {} in a tensor of rank {}", axis, rank));
  return static_cast<size_t>(counted);
}

Shape Inference::broadcast(const Shape& a, const Shape& b) const {
  const size_t rank = std::max(a.size(), b.size());
  Shape out(rank);
  for (size_t i = 0; i < rank; ++i) {
    const Dim x = i + a.size() < rank ? Dim(1) : a[i + a.size() - rank];
    const Dim y = i + b.size() < rank ? Dim(1) : b[i + b.size() - rank];
    if (x == Dim(1)) {
      out[i] = y;
    } else if (y == Dim(1)) {
      out[i] = x;
    } else {
      out[i] = same(x, y, "shapes do not broadcast");
    }
  }
  return out;
}

Dim Inference::same(const Dim& a, const Dim& b, std::string_view what) const {
  if (a == b) return a;
  const bool undecided = !strict_ && !(a.is_constant() && b.is_constant());
  if (!undecided) fail(fmt::format("{} ({} != {})", what, a.str(), b.str()));
  return a.is_constant() ? a : b;
}

Dim Inference::unknown(size_t output, size_t axis) const {
  require(!strict_, "a dimension cannot be inferred");
  return counted(output, axis);
}

Dim Inference::counted(size_t output, size_t axis) const {
  // A file's node may leave a result out: nothing can refer to its dimensions.
  const bool is_there = output < node_.outputs.size() && node_.outputs[output] != nullptr;
  return Dim::symbol(is_there ? unknown_name(*node_.outputs[output], axis) : "?");
}

void Inference::require(bool condition, std::string_view what) const {
  if (!condition) fail(what);
}

void Inference::require_same_dtype(size_t a, size_t b) const {
  const DType x = input(a).dtype;
  const DType y = input(b).dtype;
  const bool open = !strict_ && (x == DType::undefined || y == DType::undefined);
  if (x != y && !open) fail(fmt::format("element types differ ({} != {})", to_string(x), to_string(y)), true);
}

void Inference::fail(std::string_view what, bool dtype) const {
  std::string inputs;
  for (const Value* value : node_.inputs) inputs += (inputs.empty() ? "" : ", ") + describe(value);
  throw Error(dtype ? ErrorCode::dtype_mismatch : ErrorCode::shape_mismatch,
              fmt::format("{}: {}: inputs ({})", printable(node_.name.empty() ? node_.op_type : node_.name),
                          what, inputs));
}

InferFunction find_inference(std::string_view domain, std::string_view op_type) {
  static const Table table = make_table();
  const auto found = table.find(fmt::format("{}:{}", domain, op_type));
  return found == table.end() ? nullptr : found->second;
}

void infer(Node& node, bool strict) {
  Inference inference(node, strict);
  const InferFunction function = find_inference(node.domain, node.op_type);
  if (function == nullptr) {
    if (strict)
      throw Error(ErrorCode::internal,
                  fmt::format("no inference for the operator {} {}", node.domain, node.op_type));
    return;
  }
  try {
    function(inference);
  } catch (const std::out_of_range&) {
    inference.fail("an input or attribute is shorter than the operator asks for");
  }
}

std::string infer_declared(Node& node, Trust trust) {
  std::vector<std::optional<Shape>> declared;
  for (const Value* output : node.outputs)
    declared.push_back(output != nullptr ? output->shape : std::nullopt);
  std::string refused;
  try {
    infer(node, false);
  } catch (const Error& error) {
    refused = error.what();
  }
  for (size_t i = 0; i < declared.size(); ++i) {
    Value* output = node.outputs[i];
    if (declared[i])
      output->shape = output->shape ? merged(*output, *declared[i], *output->shape, trust) : declared[i];
  }
  return refused;
}

}  // namespace ferry::ir
