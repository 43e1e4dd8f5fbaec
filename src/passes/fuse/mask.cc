#include "passes/fuse/mask.h"

#include "passes/fuse/fusion.h"

namespace ferry::passes {
namespace {

using ir::Node;
using ir::Value;
using Axes = std::vector<int64_t>;

void conjuncts(const Value* value, std::vector<const Value*>& out) {
  const Node* both = made_by(value, "And");
  if (both == nullptr) return out.push_back(value);
  for (const Value* input : both->inputs) conjuncts(input, out);
}

const Node* unsqueezed(const Value* value, const Axes& axes) {
  const Node* node = made_by(value, "Unsqueeze");
  return node != nullptr && constant_integers(node->input(1)) == axes ? node : nullptr;
}

const Node* range(const Value* value) {
  const Node* node = made_by(value, "Range");
  return node != nullptr && constant_number(node->input(2)) == 1.0 ? node : nullptr;
}

// 0, 1, ..., T - 1
bool take_keys(const Value* value, CausalMask& mask) {
  const Node* counted = range(value);
  if (counted == nullptr || constant_number(counted->inputs[0]) != 0.0) return false;
  if (mask.limit == nullptr) mask.limit = counted->inputs[1];
  return mask.limit == counted->inputs[1];
}

// start, ..., T - 1 as a column. That the last is T - 1 makes them the last queries.
bool take_queries(const Value* value, CausalMask& mask) {
  const Node* column = unsqueezed(value, {1});
  const Node* counted = column != nullptr ? range(column->inputs[0]) : nullptr;
  if (counted == nullptr) return false;
  if (mask.limit == nullptr) mask.limit = counted->inputs[1];
  if (mask.start == nullptr) mask.start = counted->inputs[0];
  return mask.limit == counted->inputs[1] && mask.start == counted->inputs[0];
}

bool take_window(const Node& greater, CausalMask& mask) {
  const Node* bound = made_by(greater.inputs[1], "Add");
  if (bound == nullptr || !take_keys(greater.inputs[0], mask) || !take_queries(bound->inputs[0], mask))
    return false;
  const auto distance = constant_number(bound->inputs[1]);
  if (!distance || *distance >= 0 || mask.window != 0) return false;
  mask.window = -static_cast<int64_t>(*distance);
  return true;
}

bool is_row_mask(const Value* value) {
  return value->shape && value->rank() == 2 && is_integer(value->dtype);
}

bool take_padding(const Node& cast, CausalMask& mask) {
  const Node* wide = unsqueezed(cast.inputs[0], {1, 2});
  if (wide == nullptr || !is_row_mask(wide->inputs[0]) || mask.padding != nullptr) return false;
  mask.padding = wide->inputs[0];
  return true;
}

bool take(const Value* value, CausalMask& mask, bool& causal) {
  if (const Node* before = made_by(value, "LessOrEqual")) {
    causal = true;
    return take_keys(before->inputs[0], mask) && take_queries(before->inputs[1], mask);
  }
  if (const Node* near = made_by(value, "Greater")) return take_window(*near, mask);
  if (const Node* cast = made_by(value, "Cast")) return take_padding(*cast, mask);
  return false;
}

}  // namespace

std::optional<CausalMask> causal_mask(const Value* mask) {
  if (mask == nullptr || mask->dtype != DType::boolean) return std::nullopt;
  std::vector<const Value*> parts;
  conjuncts(mask, parts);
  CausalMask out;
  bool causal = false;
  for (const Value* part : parts) {
    if (!take(part, out, causal)) return std::nullopt;
  }
  if (!causal || out.padding == nullptr) return std::nullopt;
  return out;
}

Value* padding_mask(const Value* mask) {
  const Node* scaled = made_by(mask, "Mul");
  const auto lowest = scaled != nullptr ? constant_number(scaled->inputs[1]) : std::nullopt;
  const Node* inverted = scaled != nullptr ? made_by(scaled->inputs[0], "Sub") : nullptr;
  if (inverted == nullptr || !lowest || *lowest > -60000 || constant_number(inverted->inputs[0]) != 1.0)
    return nullptr;
  const Node* cast = made_by(inverted->inputs[1], "Cast");
  const Node* wide = cast != nullptr ? unsqueezed(cast->inputs[0], {1, 2}) : nullptr;
  return wide != nullptr && is_row_mask(wide->inputs[0]) ? wide->inputs[0] : nullptr;
}

bool are_counted(const Value* positions, const CausalMask& mask) {
  const Node* rows = made_by(positions, "Expand");
  const Node* row = rows != nullptr ? unsqueezed(rows->inputs[0], {0}) : nullptr;
  const Node* counted = row != nullptr ? range(row->inputs[0]) : nullptr;
  return counted != nullptr && counted->inputs[0] == mask.start && counted->inputs[1] == mask.limit;
}

}  // namespace ferry::passes
