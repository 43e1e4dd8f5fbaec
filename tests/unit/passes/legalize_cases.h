#pragma once
#include <functional>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace ferry::passes {

/// A small graph with one operator that some opset lacks.
struct LegalizeCase {
  std::string name;
  std::function<void(ir::Graph&)> build;
  int first_opset = 13;  ///< Below it, legalize() refuses.
};

std::vector<LegalizeCase> legalize_cases();

}  // namespace ferry::passes
