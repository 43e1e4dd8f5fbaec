#include "passes/merge_decoders.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "passes/share.h"

namespace ferry::passes {
namespace {

ir::Value* named(const std::vector<ir::Value*>& values, std::string_view name) {
  const auto found =
      std::find_if(values.begin(), values.end(), [&](const ir::Value* value) { return value->name == name; });
  return found == values.end() ? nullptr : *found;
}

// No element, of the dtype and rank of `like`.
Weight nothing(const ir::Value& like) {
  Dims dims;
  bool is_first = true;
  for (const ir::Dim& dim : *like.shape) {
    dims.push_back(dim.constant().value_or(is_first ? 0 : 1));
    is_first = is_first && dim.is_constant();
  }
  check_internal(!is_first, "a result of fixed size that only the decoder without a cache has");
  return Weight::from_f32(std::move(dims), {}).cast(like.dtype);
}

// Gives the branch the decoder's results, in its order and with its axes.
void unify_outputs(const ir::Graph& decoder, ir::Graph& branch) {
  std::vector<ir::Value*> results;
  for (const ir::Value* wanted : decoder.outputs) {
    ir::Value* result = named(branch.outputs, wanted->name);
    if (result == nullptr) {
      result = branch.add_node("Constant", {}, {{"value", nothing(*wanted)}}).outputs[0];
      result->name = wanted->name;
    }
    result->shape = wanted->shape;
    results.push_back(result);
  }
  const bool all = std::all_of(branch.outputs.begin(), branch.outputs.end(), [&](const ir::Value* output) {
    return std::find(results.begin(), results.end(), output) != results.end();
  });
  check_internal(all, "the decoder with a cache has a result that the one without lacks");
  branch.outputs = std::move(results);
}

class Merger {
 public:
  Merger() { merged_.name = "merged"; }

  // Moves the inputs and weights of a branch into the outer graph.
  void hoist(ir::Graph& branch) {
    for (ir::Value* input : branch.inputs) {
      ir::Value* outer = named(merged_.inputs, input->name);
      if (outer == nullptr) outer = merged_.add_input(input->name, input->dtype, *input->shape);
      branch.replace_uses(input, outer);
    }
    branch.inputs.clear();
    for (ir::Value* weight : branch.used_weights()) {
      ir::Value*& outer = weights_[content_key(*weight->weight)];
      if (outer == nullptr) outer = merged_.add_weight(weight->name, *weight->weight);
      branch.replace_uses(weight, outer);
    }
    for (const auto& [domain, version] : branch.opsets) merged_.opsets[domain] = version;
    merged_.metadata.insert(branch.metadata.begin(), branch.metadata.end());
  }

  // A name inside a branch must not be that of a weight around it.
  void reserve_names(const ir::Graph& branch) {
    for (const auto& node : branch.nodes()) {
      for (const ir::Value* made : node->outputs) {
        if (made != nullptr && named(branch.outputs, made->name) == nullptr) merged_.unique_name(made->name);
      }
    }
  }

  ir::Graph finish(ir::Graph decoder, ir::Graph with_past) {
    ir::Value* condition = merged_.add_input("use_cache_branch", DType::boolean, {1});
    std::vector<ir::Value> results;
    for (const ir::Value* output : decoder.outputs) results.push_back(*output);
    decoder.name = "no_past";
    with_past.name = "with_past";
    ir::Node& branch = merged_.add_node("If", {condition},
                                        {{"then_branch", std::make_shared<ir::Graph>(std::move(with_past))},
                                         {"else_branch", std::make_shared<ir::Graph>(std::move(decoder))}},
                                        results.size());
    branch.name = "optimum::if";
    for (size_t i = 0; i < results.size(); ++i) merged_.add_output(results[i].name, branch.outputs[i]);
    ir::verify(merged_);
    return std::move(merged_);
  }

 private:
  ir::Graph merged_;
  std::unordered_map<std::string, ir::Value*> weights_;  // By content.
};

}  // namespace

ir::Graph merge_decoders(ir::Graph decoder, ir::Graph with_past) {
  unify_outputs(decoder, with_past);
  Merger merger;
  merger.reserve_names(decoder);
  merger.reserve_names(with_past);
  merger.hoist(decoder);
  merger.hoist(with_past);
  return merger.finish(std::move(decoder), std::move(with_past));
}

}  // namespace ferry::passes
