// Share, fold, simplify, in-place, and the pipeline of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "ir/op.h"
#include "passes/batch_norm.h"
#include "passes/fold.h"
#include "passes/in_place.h"
#include "passes/pipeline.h"
#include "passes/share.h"
#include "passes/simplify.h"

namespace ferry::passes {
namespace {

namespace op = ir::op;
using ir::Dim;
using ir::Graph;
using ir::Tensor;

Tensor input(Graph& graph, ir::Shape shape = {Dim::symbol("n"), 8}) {
  return {graph, graph.add_input("x", DType::f32, std::move(shape))};
}
Weight ramp(Dims dims) {
  std::vector<float> values(static_cast<size_t>(element_count(dims)));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  return Weight::from_f32(std::move(dims), values);
}

TEST(Share, TiedWeightsAndEqualConstantsBecomeOne) {
  Graph graph;
  const auto x = input(graph);
  const Weight large = ramp({8, 100});
  const auto y = op::matmul(x, op::weight(graph, "a", large)) + op::matmul(x, op::weight(graph, "b", large));
  graph.add_output("y", (op::mul(y, 2.0) + op::mul(op::unary("Abs", y), 2.0)).value());
  EXPECT_EQ(share(graph), 3u);  // The tied weight, the constant, and the product that is then the same.
  EXPECT_EQ(graph.used_weights().size(), 2u);
  EXPECT_NO_THROW(ir::verify(graph));
}

TEST(Share, EqualBytesOfAnotherTypeStayApart) {
  Graph graph;
  const auto x = input(graph);
  graph.add_output("y", op::mul(x, 0.0).value());
  graph.add_output(
      "z",
      op::add(op::cast(x, DType::i32), op::weight(graph, "zero", Weight::zeros(DType::i32, {}))).value());
  EXPECT_EQ(share(graph), 0u);
}

TEST(FoldBatchNorms, IntoTheConvolutionBefore) {
  Graph graph;
  const auto x = input(graph, {Dim::symbol("n"), 1, 4, 4});
  const auto of = [&](std::vector<float> values) {
    return op::weight(graph, "w", Weight::from_f32({static_cast<int64_t>(values.size())}, values));
  };
  const Tensor norm_weights[] = {of({2, 4}), of({1, 2}), of({3, 5}), of({3, 15})};
  const auto normalized = [&](const Tensor& y) {
    std::vector<Tensor> inputs = {y};
    inputs.insert(inputs.end(), std::begin(norm_weights), std::end(norm_weights));
    return op::emit("BatchNormalization", inputs, {{"epsilon", 1.0f}});
  };
  const auto conv = op::emit("Conv", {x, op::weight(graph, "kernel", ramp({2, 1, 1, 2})), of({10, 20})});
  graph.add_output("y", normalized(conv).value());
  // The result of the second is used twice: it stays as it is.
  const auto shared = op::emit("Conv", {x, op::weight(graph, "kernel", ramp({2, 1, 1, 2}))});
  graph.add_output("z", (normalized(shared) + shared).value());
  EXPECT_EQ(fold_batch_norms(graph), 1u);
  EXPECT_NO_THROW(ir::verify(graph));
  const auto& folded = *graph.outputs[0]->producer;
  EXPECT_EQ(folded.op_type, "Conv");
  EXPECT_THAT(folded.inputs[1]->weight->as_f32(), ::testing::ElementsAre(0, 1, 2, 3));  // Times 2 / 2, 4 / 4.
  EXPECT_THAT(folded.inputs[2]->weight->as_f32(), ::testing::ElementsAre(8, 17));
}

TEST(Share, OutputsAndRandomNodesStay) {
  Graph graph;
  const auto x = input(graph);
  graph.add_output("y", op::unary("Relu", x).value());
  graph.add_output("z", op::unary("Relu", x).value());
  graph.add_output("r", (op::emit("RandomNormalLike", {x}) + op::emit("RandomNormalLike", {x})).value());
  EXPECT_EQ(share(graph), 0u);
  EXPECT_EQ(graph.outputs.size(), 3u);
}

TEST(Fold, MovesOfWeightsAndKnownShapesGo) {
  Graph graph;
  const auto x = input(graph, {2, 8});
  ir::Value* w = graph.add_weight("w", ramp({100, 8}));
  ir::Value* turned = graph.add_node("Transpose", {w}).outputs[0];
  const auto y = op::matmul(x, Tensor(graph, turned));
  ir::Value* shape = graph.add_node("Shape", {y.value()}).outputs[0];
  graph.add_output("z", graph.add_node("Reshape", {y.value(), shape}).outputs[0]);
  EXPECT_EQ(fold_constants(graph), 2u);
  EXPECT_EQ(graph.nodes().size(), 2u);
  EXPECT_EQ(graph.nodes()[0]->inputs[1]->weight->bytes(), ramp({100, 8}).transpose().bytes());
}

TEST(Fold, AnEvaluatorSeesSmallConstantNodesOnly) {
  Graph graph;
  const auto x = input(graph);
  const Tensor small(graph, graph.add_node("Cos", {graph.add_weight("c", ramp({8}))}).outputs[0]);
  const Tensor large(graph, graph.add_node("Cos", {graph.add_weight("d", ramp({1, 100'000}))}).outputs[0]);
  graph.add_output("y", (x + small).value());
  graph.add_output("z", large.value());
  std::vector<std::string> seen;
  const auto evaluate = [&](const ir::Node& node) -> std::optional<std::vector<Weight>> {
    seen.push_back(node.op_type);
    return std::vector<Weight>{ramp({8})};
  };
  EXPECT_EQ(fold_constants(graph, evaluate), 1u);
  EXPECT_THAT(seen, ::testing::ElementsAre("Cos"));
}

TEST(Simplify, WhatMovesNothingGoes) {
  Graph graph;
  const auto x = input(graph);
  Tensor y = op::unary("Identity", x);
  y = Tensor(graph, graph.add_node("Cast", {y.value()}, {{"to", int64_t{1}}}).outputs[0]);
  y = op::reshape(op::reshape(y, {0, 2, 4}), {0, 8});
  y = op::transpose(op::transpose(op::reshape(y, {0, 2, 4}), {1, 2, 0}), {2, 0, 1});
  graph.add_output("y", op::unary("Relu", op::reshape(y, {0, 4, 2})).value());
  EXPECT_EQ(simplify(graph), 7u) << ir::to_string(graph);
  EXPECT_EQ(graph.nodes().size(), 2u) << ir::to_string(graph);
  EXPECT_EQ(ir::to_string(*graph.outputs[0]->shape), "[n, 4, 2]");
}

// Embeddings that a head transposes stay one weight; alone, the transposed one takes their place.
TEST(FoldConstants, NothingLargeIsStoredTwice) {
  for (const bool tied : {true, false}) {
    Graph graph;
    const Tensor table = op::weight(graph, "table", Weight::zeros(DType::f32, {200, 100}));
    const Tensor ids(graph, graph.add_input("ids", DType::i64, {Dim::symbol("n")}));
    const Tensor x(graph, graph.add_input("x", DType::f32, {Dim::symbol("n"), 100}));
    if (tied) graph.add_output("found", op::emit("Gather", {table, ids}).value());
    const Tensor turned = op::emit_n("Transpose", {table}, {{"perm", std::vector<int64_t>{1, 0}}}, 1)[0];
    graph.add_output("y", op::matmul(x, turned).value());
    run_pipeline(graph, {});
    uint64_t stored = 0;
    for (const ir::Value* value : graph.used_weights()) stored += value->weight->size_bytes();
    EXPECT_EQ(stored, 200u * 100 * 4) << tied;
    EXPECT_EQ(graph.nodes().size(), tied ? 3u : 1u);
  }
}

TEST(Pipeline, StepsAreNamedSkippedAndVerified) {
  std::vector<std::string> names;
  PipelineOptions options;
  options.after = [&](std::string_view name, const Graph&) { names.emplace_back(name); };
  options.skip = {"legalize"};
  Graph graph;
  graph.add_output("y", op::unary("Gelu", input(graph)).value());
  run_pipeline(graph, options);
  EXPECT_THAT(names, ::testing::ElementsAre("fold_constants", "fold_batch_norms", "share", "simplify",
                                            "share_lowered"));
  EXPECT_EQ(graph.nodes()[0]->op_type, "Gelu");
  run_pipeline(graph, {});
  EXPECT_EQ(graph.nodes().size(), 5u);
}

TEST(Pipeline, LayersShareTheirMasks) {
  Graph graph;
  const Dim n = Dim::symbol("n"), s = Dim::symbol("s");
  Tensor x(graph, graph.add_input("x", DType::f32, {n, s, 32}));
  const Tensor mask(graph, graph.add_input("mask", DType::boolean, {n, 1, 1, s}));
  for (int layer = 0; layer < 3; ++layer) x = op::attention(x, x, x, {.mask = mask, .heads = 4});
  graph.add_output("y", x.value());
  run_pipeline(graph, {});
  size_t selections = 0;
  for (const auto& node : graph.nodes()) selections += node->op_type == "Where" ? 1 : 0;
  EXPECT_EQ(selections, 4u);  // One of the mask, one a layer of its result.
}

}  // namespace
}  // namespace ferry::passes
