#include "passes/batch_norm.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>

namespace ferry::passes {
namespace {

using ir::Node;
using ir::Value;

// The weight with row i, all that makes channel i, times factors[i].
Weight scale_rows(const Weight& weight, std::vector<float> factors, const std::string& made_from) {
  const Weight source = weight.cast(DType::f32);
  const uint64_t row = source.count() / factors.size();
  const std::string identity = fmt::format("rows of ({}) scaled by ({})", source.key(), made_from);
  const auto read = [source, row, factors = std::move(factors)](uint64_t first, uint64_t count,
                                                                std::byte* out) {
    source.read(first, count, out);
    for (uint64_t i = 0; i < count; ++i) {
      float value = 0;
      std::memcpy(&value, out + i * sizeof(float), sizeof(float));
      value *= factors[(first + i) / row];
      std::memcpy(out + i * sizeof(float), &value, sizeof(float));
    }
  };
  return Weight::computed(DType::f32, source.dims(), identity, read).cast(weight.dtype());
}

bool all_weights(const Node& node, size_t first) {
  return std::all_of(node.inputs.begin() + static_cast<std::ptrdiff_t>(first), node.inputs.end(),
                     [](const Value* input) { return input != nullptr && input->is_weight(); });
}

// y = (conv(x) + bias - mean) * scale / sqrt(variance + epsilon) + shift.
void fold(ir::Graph& graph, Node& conv, Node& norm) {
  const auto values = [&](size_t input) { return norm.inputs[input]->weight->as_f32(); };
  const auto scale = values(1), shift = values(2), mean = values(3), variance = values(4);
  const float epsilon = norm.get("epsilon", 1e-5f);
  const DType dtype = conv.inputs[1]->dtype;
  std::vector<float> factors(scale.size()), bias(scale.size(), 0.0f);
  if (conv.input(2) != nullptr) bias = conv.inputs[2]->weight->as_f32();
  for (size_t i = 0; i < factors.size(); ++i) {
    factors[i] = scale[i] / std::sqrt(variance[i] + epsilon);
    bias[i] = (bias[i] - mean[i]) * factors[i] + shift[i];
  }
  const std::string made_from = fmt::format("{} / sqrt({} + {})", norm.inputs[1]->weight->key(),
                                            norm.inputs[4]->weight->key(), epsilon);
  const auto channels = static_cast<int64_t>(bias.size());
  const Weight weight = scale_rows(*conv.inputs[1]->weight, std::move(factors), made_from);
  const std::string bias_name = norm.inputs[2]->name;
  conv.inputs.resize(3);
  conv.inputs[1] = graph.add_weight(conv.inputs[1]->name, weight);
  conv.inputs[2] = graph.add_weight(bias_name, Weight::from_f32({channels}, bias).cast(dtype));
  graph.replace_uses(norm.outputs[0], conv.outputs[0]);
}

std::map<const Value*, size_t> count_uses(const ir::Graph& graph) {
  std::map<const Value*, size_t> uses;
  for (const auto& node : graph.nodes()) {
    for (const Value* input : node->inputs) ++uses[input];
  }
  for (const Value* output : graph.outputs) ++uses[output];
  return uses;
}

}  // namespace

size_t fold_batch_norms(ir::Graph& graph) {
  const auto uses = count_uses(graph);
  for (const auto& node : graph.nodes()) {
    if (!node->is("BatchNormalization") || node->inputs.size() != 5 || !all_weights(*node, 1)) continue;
    if (node->outputs.size() != 1 || node->get("training_mode", int64_t{0}) != 0) continue;
    Node* conv = node->inputs[0] == nullptr ? nullptr : node->inputs[0]->producer;
    const bool folds = conv != nullptr && conv->is("Conv") && all_weights(*conv, 1) &&
                       uses.at(conv->outputs[0]) == 1 && node->inputs[1]->weight->count() > 0;
    if (folds) fold(graph, *conv, *node);
  }
  return graph.remove_dead_nodes();
}

}  // namespace ferry::passes
