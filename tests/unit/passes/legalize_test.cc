#include "passes/legalize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "ir/op.h"
#include "unit/passes/legalize_cases.h"

namespace ferry::passes {
namespace {

namespace op = ir::op;
using ::testing::HasSubstr;

// Operator and the opsets from 13 on that gave it a new form.
// Source: onnx 1.23.2, onnx.defs.get_all_schemas_with_history().
const std::map<std::string, int>& births() {
  static const std::map<std::string, int> table = {{"Attention", 23},
                                                   {"BitwiseAnd", 18},
                                                   {"CastLike", 15},
                                                   {"DFT", 17},
                                                   {"Gelu", 20},
                                                   {"GridSample", 16},
                                                   {"GroupNormalization", 21},
                                                   {"HardSwish", 14},
                                                   {"LayerNormalization", 17},
                                                   {"Mish", 18},
                                                   {"RMSNormalization", 23},
                                                   {"RotaryEmbedding", 23},
                                                   {"Swish", 24},
                                                   {"Trilu", 14}};
  return table;
}
// Attributes and inputs (by place) that an opset brought.
struct Form {
  std::string op_type, attribute;
  size_t input;
  int since;
};
const std::vector<Form>& forms() {
  static const std::vector<Form> table = {{"Shape", "start", 0, 15},
                                          {"Shape", "end", 0, 15},
                                          {"Split", "num_outputs", 0, 18},
                                          {"Pad", "", 3, 18},
                                          {"Reshape", "allowzero", 0, 14},
                                          {"Resize", "axes", 0, 18},
                                          {"Resize", "antialias", 0, 18},
                                          {"ScatterElements", "reduction", 0, 16},
                                          {"ScatterND", "reduction", 0, 16},
                                          {"Cast", "saturate", 0, 19},
                                          {"BatchNormalization", "training_mode", 0, 14},
                                          {"Attention", "", 6, 24},
                                          {"DFT", "", 2, 20},
                                          {"ReduceMean", "", 1, 18},
                                          {"ReduceMax", "", 1, 18},
                                          {"ReduceMin", "", 1, 18},
                                          {"ReduceProd", "", 1, 18},
                                          {"ReduceL1", "", 1, 18},
                                          {"ReduceL2", "", 1, 18},
                                          {"ReduceSumSquare", "", 1, 18},
                                          {"ReduceLogSum", "", 1, 18},
                                          {"ReduceLogSumExp", "", 1, 18}};
  return table;
}

void expect_exists(const ir::Graph& graph, int opset) {
  for (const auto& node : graph.nodes()) {
    const auto birth = births().find(node->op_type);
    if (birth != births().end()) {
      EXPECT_LE(birth->second, opset) << node->name;
    }
    for (const Form& form : forms()) {
      if (node->op_type != form.op_type || form.since <= opset) continue;
      const bool has_attribute = !form.attribute.empty() && node->attributes.count(form.attribute) > 0;
      const bool has_input = form.input > 0 && node->input(form.input) != nullptr;
      EXPECT_FALSE(has_attribute || has_input) << node->name;
    }
  }
}

std::string interface(const ir::Graph& graph) {
  std::string out;
  for (const auto* list : {&graph.inputs, &graph.outputs}) {
    for (const ir::Value* value : *list)
      out += value->name + " " + std::string(to_string(value->dtype)) + ir::to_string(*value->shape) + "\n";
  }
  return out;
}

class Legalize : public ::testing::TestWithParam<int> {};

TEST_P(Legalize, NothingNewerThanTheOpsetRemains) {
  for (const auto& sample : legalize_cases()) {
    SCOPED_TRACE(sample.name);
    ir::Graph graph;
    sample.build(graph);
    const std::string before = interface(graph);
    if (GetParam() < sample.first_opset) {
      EXPECT_THROW(legalize(graph, GetParam()), Error);
      continue;
    }
    legalize(graph, GetParam());
    expect_exists(graph, GetParam());
    EXPECT_EQ(interface(graph), before);
    EXPECT_EQ(graph.opsets.at(""), GetParam());
    EXPECT_NO_THROW(ir::verify(graph));
    // What was made infers as it stands.
    EXPECT_NO_THROW(graph.infer_shapes()) << ir::to_string(graph);
    EXPECT_EQ(interface(graph), before);
    const std::string once = ir::to_string(graph);
    legalize(graph, GetParam());
    EXPECT_EQ(ir::to_string(graph), once);
  }
}
INSTANTIATE_TEST_SUITE_P(Opsets, Legalize, ::testing::Range(kOldestOpset, ir::kNewestOpset + 1));

TEST(LegalizeErrors, OpsetsOutsideTheRange) {
  ir::Graph graph;
  for (const int opset : {12, 25, -1}) {
    try {
      legalize(graph, opset);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::usage);
      EXPECT_THAT(error.what(), HasSubstr("is not among those ferry writes, 13 to 24"));
    }
  }
}

TEST(LegalizeErrors, WhatCannotBeLoweredIsNamed) {
  ir::Graph graph;
  const ir::Tensor x(graph, graph.add_input("x", DType::i32, {2}));
  graph.add_output("y", op::emit("BitwiseAnd", {x, x}).value());
  try {
    legalize(graph, 17);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
    EXPECT_THAT(
        error.what(),
        HasSubstr(
            "/BitwiseAnd (BitwiseAnd) cannot be written for opset 17: the operator is new in opset 18"));
  }
}

size_t count(const ir::Graph& graph, std::string_view op_type) {
  size_t out = 0;
  for (const auto& node : graph.nodes()) out += node->op_type == op_type ? 1 : 0;
  return out;
}

TEST(LegalizeAttention, IsThirteenNodesAndReadsNoShape) {
  ir::Graph graph;
  const ir::Dim batch = ir::Dim::symbol("batch"), length = ir::Dim::symbol("length");
  const auto in = [&](const char* name) {
    return ir::Tensor(graph, graph.add_input(name, DType::f32, {batch, length, 32}));
  };
  const ir::Tensor mask(graph, graph.add_input("mask", DType::f32, {batch, 1, 1, length}));
  const auto q = in("q"), k = in("k"), v = in("v");
  graph.add_output("y", op::attention(q, k, v, {.mask = mask, .heads = 4}).value());
  legalize(graph, 18);
  EXPECT_EQ(graph.nodes().size(), 13u) << ir::to_string(graph);
  EXPECT_EQ(count(graph, "Shape"), 0u);
  EXPECT_EQ(count(graph, "Transpose"), 4u);
}

TEST(LegalizeAttention, IsLoweredAtEveryOpset) {
  for (const int opset : {13, 18, 23, 24}) {
    ir::Graph graph;
    const ir::Dim length = ir::Dim::symbol("length");
    const ir::Tensor x(graph, graph.add_input("x", DType::f32, {2, length, 32}));
    const ir::Tensor mask(graph, graph.add_input("mask", DType::f32, {2, 1, length, length}));
    graph.add_output("y", op::attention(x, x, x, {.mask = mask, .heads = 4}).value());
    legalize(graph, opset);
    EXPECT_EQ(count(graph, "Attention"), 0u);
  }
}

TEST(LegalizeSubgraphs, AreLoweredToo) {
  ir::Graph graph;
  ir::Value* flag = graph.add_input("flag", DType::boolean, ir::Shape{});
  ir::Value* x = graph.add_input("x", DType::f32, {2, 3});
  const auto branch = [&] {
    auto inner = std::make_shared<ir::Graph>();
    inner->outputs = {inner->add_node("Gelu", {x}).outputs[0]};
    return inner;
  };
  const auto inside = branch();
  graph.add_output(
      "y", graph
               .add_node("If", {flag},
                         {{"then_branch", ir::GraphPtr(inside)}, {"else_branch", ir::GraphPtr(branch())}})
               .outputs[0]);
  legalize(graph, 18);
  EXPECT_EQ(count(*inside, "Gelu"), 0u);
  EXPECT_EQ(count(*inside, "Erf"), 1u);
}

TEST(LegalizeNames, AResultThatIsAnOutputKeepsItsName) {
  ir::Graph graph;
  ir::Value* x = graph.add_input("x", DType::f32, {2, 3});
  // ReduceMax over no axes is its input.
  graph.add_output("y", graph.add_node("ReduceMax", {x}, {{"noop_with_empty_axes", int64_t{1}}}).outputs[0]);
  legalize(graph, 13);
  EXPECT_EQ(graph.outputs[0]->name, "y");
  EXPECT_EQ(graph.outputs[0]->producer->op_type, "Identity");
}

}  // namespace
}  // namespace ferry::passes
