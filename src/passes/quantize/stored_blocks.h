#pragma once
#include <string>
#include <vector>

#include "ir/graph.h"

namespace ferry::passes {

struct StoredBlocksResult {
  size_t products = 0;
  /// Names of products whose integers lie in no blocks that MatMulNBits has: they stay products with floats.
  std::vector<std::string> kept;
};

/// Products with a matrix that the checkpoint stores as integers (tensor/grouped.h) become MatMulNBits with
/// these integers, in subgraphs, too. Where groups are not one after the other, the inputs are gathered in
/// the groups' order first, once for all products that share input and order.
StoredBlocksResult take_stored_blocks(ir::Graph& graph, int64_t accuracy_level);

}  // namespace ferry::passes
