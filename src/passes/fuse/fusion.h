#pragma once
// What a fusion sees of the graph, and helpers that several share.
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ir/op.h"
#include "passes/fuse.h"
#include "passes/raise/matcher.h"

namespace ferry::passes {

/// The state of one walk over the graph by one rule.
class Fusion {
 public:
  Fusion(ir::Graph& in_graph, const FuseOptions& given);

  ir::Graph& graph;
  const FuseOptions& options;

  /// How many nodes' inputs and graph outputs a value is, at the start of the walk.
  [[nodiscard]] size_t uses(const ir::Value* value) const;
  [[nodiscard]] bool used_once(const ir::Value* value) const { return uses(value) == 1; }
  [[nodiscard]] bool is_output(const ir::Value* value) const;

  /// New nodes come right before `node` and are named beside it.
  void place_before(const ir::Node& node);
  /// Every user of `old` takes `made` instead, which gets the name of `old` if that is a result of the graph.
  void replace(ir::Value* old, const ir::Tensor& made);
  [[nodiscard]] ir::Tensor tensor(ir::Value* value) {
    return value ? ir::Tensor(graph, value) : ir::Tensor();
  }

 private:
  std::unordered_map<const ir::Value*, size_t> uses_;
};

/// Whether the value is a weight of one dimension, that of the last dimension of `like`.
bool is_vector_for(const ir::Value* value, const ir::Value* like);
/// Both floating, of the same type and shape.
bool alike(const ir::Value* a, const ir::Value* b);
/// The only number of an integer or floating weight.
std::optional<double> constant_number(const ir::Value* value);
/// The numbers of a constant integer input.
std::optional<std::vector<int64_t>> constant_integers(const ir::Value* value);

/// x + bias, where bias is a vector over the last dimension.
struct Biased {
  ir::Value* x = nullptr;
  ir::Value* bias = nullptr;  ///< Null if there is none.
};
/// Takes `value` apart if nothing else uses it; else it is x, without a bias.
Biased without_bias(const Fusion& at, ir::Value* value);

/// Fuses `node`, if it fits. Returns whether it did; the nodes that nothing uses any more are removed later.
using FuseFunction = bool (*)(Fusion& at, ir::Node& node);
/// One row of the table: nodes `op_type` of ONNX's own domain, if `wanted` says so.
struct FuseRule {
  std::string_view op_type;
  FuseFunction apply;
  bool FuseOptions::*wanted;
};

// The tables, in the order in which they are applied.
std::span<const FuseRule> attention_fusions();
std::span<const FuseRule> rotary_fusions();
std::span<const FuseRule> normalization_fusions();
std::span<const FuseRule> activation_fusions();

}  // namespace ferry::passes
