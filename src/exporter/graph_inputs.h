#pragma once
// Example inputs for a model of which nothing is known but its file.
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <vector>

#include "exporter/example_inputs.h"
#include "ir/graph.h"

namespace ferry::exporter {

/// Values for every input of `graph`, in two shapes (one if nothing is symbolic): ids within the tables that
/// they index and the vocabulary that `config` (null: none) tells, masks with padding, numbers in [-1, 1).
/// Dimensions that are sums of names agree with those names. `scale` makes lengths longer: a model may refuse
/// short ones.
/// Errors: Error{unsupported} for an input that is no tensor of numbers or of unknown rank.
std::vector<TensorMap> graph_inputs(const ir::Graph& graph, const nlohmann::ordered_json& config,
                                    int64_t scale = 1);

/// The number of rows of the smallest table that the values index, directly or through shape-keeping nodes;
/// nothing where no table is found. `depth` is how many such nodes were passed already.
std::optional<int64_t> table_rows(const ir::Graph& graph, const ir::Value* indices, int depth = 0);

/// Whether the same inputs may give other results: the graph draws random numbers.
bool is_random(const ir::Graph& graph);

}  // namespace ferry::exporter
