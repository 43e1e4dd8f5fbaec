// Operators with subgraphs.
#include "ir/infer.h"

namespace ferry::ir {
namespace {

void branch(Inference& in) {
  const auto* then_branch = in.node().find<GraphPtr>("then_branch");
  const auto* else_branch = in.node().find<GraphPtr>("else_branch");
  in.require(then_branch != nullptr && else_branch != nullptr, "If without its two branches");
  const auto& a = (*then_branch)->outputs;
  const auto& b = (*else_branch)->outputs;
  in.require(a.size() == in.output_count() && b.size() == in.output_count(),
             "the branches of If give another number of results");
  for (size_t i = 0; i < in.output_count(); ++i) {
    // A dimension on which the branches differ is known by the declared output alone.
    const bool same = a[i]->shape && b[i]->shape && *a[i]->shape == *b[i]->shape;
    const auto& declared = in.node().outputs[i]->shape;
    in.set(i, a[i]->dtype, same ? a[i]->shape : declared);
  }
}

constexpr OpDef kOps[] = {{"If", branch}};

}  // namespace

std::span<const OpDef> control_ops() {
  return kOps;
}

}  // namespace ferry::ir
