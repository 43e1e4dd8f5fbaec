#include "passes/legalize.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "passes/legalize/lowering.h"

namespace ferry::passes {
namespace {

using ir::Graph;
using ir::Node;
using ir::Value;

// The first opset of each operator that is younger than kOldestOpset, for those that no rule removes.
// Source: onnx 1.23.2, onnx.defs.get_all_schemas_with_history().
struct Birth {
  std::string_view op_type;
  int opset;
};
constexpr Birth kBirths[] = {
    {"AffineGrid", 20},
    {"Attention", 23},
    {"Bernoulli", 15},
    {"BitwiseAnd", 18},
    {"BitwiseNot", 18},
    {"BitwiseOr", 18},
    {"BitwiseXor", 18},
    {"BlackmanWindow", 17},
    {"CastLike", 15},
    {"CenterCropPad", 18},
    {"Col2Im", 18},
    {"DFT", 17},
    {"DeformConv", 19},
    {"Gelu", 20},
    {"GridSample", 16},
    {"HammingWindow", 17},
    {"HannWindow", 17},
    {"HardSwish", 14},
    {"ImageDecoder", 20},
    {"LayerNormalization", 17},
    {"MelWeightMatrix", 17},
    {"Mish", 18},
    {"Optional", 15},
    {"OptionalGetElement", 15},
    {"OptionalHasElement", 15},
    {"RMSNormalization", 23},
    {"RegexFullMatch", 20},
    {"RotaryEmbedding", 23},
    {"STFT", 17},
    {"SequenceMap", 17},
    {"StringConcat", 20},
    {"StringSplit", 20},
    {"Swish", 24},
    {"TensorScatter", 24},
    {"Trilu", 14},
};

const Rule* find_rule(const Lowering& lowering) {
  static const auto table = [] {
    std::unordered_map<std::string_view, std::vector<const Rule*>> out;
    for (const auto rules : {activation_rules(), attention_rules(), normalization_rules(), rotary_rules(),
                             reduction_rules(), shape_rules(), resize_rules(), attribute_rules()}) {
      for (const Rule& rule : rules) out[rule.op_type].push_back(&rule);
    }
    return out;
  }();
  const auto found = table.find(lowering.node.op_type);
  if (found == table.end()) return nullptr;
  for (const Rule* rule : found->second) {
    if (lowering.opset < rule->since && (rule->when == nullptr || rule->when(lowering))) return rule;
  }
  return nullptr;
}

void check_exists(const Lowering& lowering) {
  const auto found = std::find_if(std::begin(kBirths), std::end(kBirths),
                                  [&](const Birth& birth) { return birth.op_type == lowering.node.op_type; });
  if (found != std::end(kBirths) && found->opset > lowering.opset)
    lowering.unsupported(fmt::format("the operator is new in opset {}", found->opset));
}

// The new tensor takes the place of the old value: the value object stays, so that its name and its users do,
// and only its producer changes. What is no fresh result (an input, a weight) gets an Identity if it must
// keep a name, else replaces the old value everywhere.
void take_over(Graph& graph, Value* old, const Tensor& made, size_t first_new) {
  const bool fresh =
      made.value()->producer != nullptr &&
      std::any_of(graph.nodes().begin() + static_cast<std::ptrdiff_t>(first_new), graph.nodes().end(),
                  [&](const auto& node) { return node.get() == made.value()->producer; });
  const bool output = std::find(graph.outputs.begin(), graph.outputs.end(), old) != graph.outputs.end();
  if (!fresh && !output) {
    // Later nodes are not in the graph yet: they are visited by the caller's list.
    graph.replace_uses(old, made.value());
    return;
  }
  Value* value = fresh ? made.value() : graph.add_node("Identity", {made.value()}).outputs[0];
  for (size_t i = first_new; i < graph.nodes().size(); ++i) {
    Node& node = *graph.nodes()[i];
    std::replace(node.inputs.begin(), node.inputs.end(), value, old);
    std::replace(node.outputs.begin(), node.outputs.end(), value, old);
  }
  check_internal(old->dtype == value->dtype || old->dtype == DType::undefined,
                 fmt::format("lowering changed the type of {}", old->name));
  check_internal(!old->shape || !value->shape || old->shape->size() == value->shape->size(),
                 fmt::format("lowering changed the rank of {}", old->name));
  old->producer = value->producer;
}

class Legalizer {
 public:
  Legalizer(Graph& graph, int opset) : graph_(graph), opset_(opset) {}

  // One walk over all nodes. True if something changed: what a lowering makes may need lowering itself.
  bool sweep() {
    bool changed = false;
    auto nodes = std::exchange(graph_.mutable_nodes(), {});
    pending_ = &nodes;
    for (next_ = 0; next_ < nodes.size(); ++next_) {
      Node& node = *nodes[next_];
      for (auto& [name, attribute] : node.attributes) {
        if (auto* inner = std::get_if<ir::GraphPtr>(&attribute)) legalize(**inner, opset_);
      }
      const Lowering lowering(graph_, node, opset_);
      const Rule* rule = node.domain.empty() ? find_rule(lowering) : nullptr;
      if (rule == nullptr) {
        if (node.domain.empty()) check_exists(lowering);
        graph_.mutable_nodes().push_back(std::move(nodes[next_]));
      } else {
        changed = true;
        apply(*rule, lowering);
      }
    }
    return changed;
  }

 private:
  void apply(const Rule& rule, const Lowering& lowering) {
    const size_t first_new = graph_.nodes().size();
    const ir::NameScope scope(graph_, lowering.node.name);
    const Tensors results = rule.lower(lowering);
    if (results.empty()) {
      graph_.mutable_nodes().push_back(std::move((*pending_)[next_]));
      return;
    }
    for (size_t i = 0; i < results.size() && i < lowering.node.outputs.size(); ++i) {
      Value* old = lowering.node.outputs[i];
      if (old == nullptr || !results[i]) continue;
      take_over(graph_, old, results[i], first_new);
      for (size_t later = next_ + 1; old->producer == &lowering.node && later < pending_->size(); ++later)
        replace_inputs(*(*pending_)[later], old, results[i].value());
    }
  }

  static void replace_inputs(Node& node, Value* from, Value* to) {
    std::replace(node.inputs.begin(), node.inputs.end(), from, to);
    for (auto& [name, attribute] : node.attributes) {
      if (auto* inner = std::get_if<ir::GraphPtr>(&attribute)) (*inner)->replace_uses(from, to);
    }
  }

  Graph& graph_;
  int opset_;
  std::vector<std::unique_ptr<Node>>* pending_ = nullptr;
  size_t next_ = 0;
};

}  // namespace

void legalize(Graph& graph, int opset) {
  if (opset < kOldestOpset || opset > ir::kNewestOpset) {
    throw Error(ErrorCode::usage, fmt::format("opset {} is not among those ferry writes, {} to {}", opset,
                                              kOldestOpset, ir::kNewestOpset));
  }
  const auto declared = graph.opsets.find("");
  if (declared != graph.opsets.end() && declared->second < opset) return;
  constexpr int kMostSweeps = 10;
  int sweeps = 0;
  while (Legalizer(graph, opset).sweep())
    check_internal(++sweeps < kMostSweeps, "legalize does not come to an end");
  graph.remove_dead_nodes();
  graph.opsets[""] = opset;
}

}  // namespace ferry::passes
