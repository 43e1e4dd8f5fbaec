#pragma once
// What passes that replace values share.
#include <functional>

#include "ir/graph.h"

namespace ferry::passes {

/// Makes every user of `old` use `made`, a new value of the same dtype and rank, which takes over the name.
void take_place(ir::Graph& graph, ir::Value* old, ir::Value* made);

/// Calls `visit` for the graphs in attributes, inner ones first, and for `graph`.
void for_each_graph(ir::Graph& graph, const std::function<void(ir::Graph&)>& visit);

}  // namespace ferry::passes
