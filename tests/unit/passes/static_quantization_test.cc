// Ranges from histograms, and where static quantization does other than ONNX Runtime's quantizer, whose
// graphs are the golden cases of tests/unit/exporter/static_quantization_test.cc.
#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <limits>
#include <random>

#include "base/error.h"
#include "passes/quantize/calibration.h"
#include "passes/quantize/static.h"
#include "passes/quantize/static_model.h"

namespace ferry::passes {
namespace {

using ir::Dim;
using ir::Value;
using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST(Histogram, CountsEdgesUpwardsAndTheLastOneInside) {
  Histogram made = Histogram::between(-1, 1, 4);
  EXPECT_THAT(made.edges, ElementsAre(-1, -0.5f, 0, 0.5f, 1));
  made.count(std::vector<float>{-1, -0.5f, 0, 0.49f, 0.5f, 1, 1.01f, -2, NAN, INFINITY});
  EXPECT_THAT(made.counts, ElementsAre(1, 1, 2, 2));
  made.uniform = false;  // The same by search.
  made.count(std::vector<float>{-1, -0.5f, 0, 0.49f, 0.5f, 1, 1.01f, -2, NAN, INFINITY});
  EXPECT_THAT(made.counts, ElementsAre(2, 2, 4, 4));
  EXPECT_THAT(Histogram::between(3, 3, 2).edges, ElementsAre(2.5f, 3, 3.5f));
}

TEST(Histogram, EntropyCutsRareOutliersThatMinMaxKeeps) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> numbers(20000);
  for (float& number : numbers) number = normal(random);
  numbers[7] = 40;
  RangeOptions options{.method = RangeMethod::entropy, .num_bins = 2048};
  RangeCollector collector(options);
  collector.look(numbers);
  collector.end_looks();
  collector.count(numbers);
  const auto [low, high] = *collector.range();
  EXPECT_LT(high, 10);
  EXPECT_GT(high, 2);
  EXPECT_GE(low, -high - 1);
}

TEST(Ranges, AreExtremesMeansOrNothing) {
  const auto range = [](RangeOptions options, const std::vector<std::vector<float>>& samples) {
    RangeCollector out(options);
    for (const auto& sample : samples) out.look(sample);
    out.end_looks();
    return out.range();
  };
  const std::vector<std::vector<float>> samples = {{1, NAN, -2}, {}, {3, 0}};
  EXPECT_THAT(*range({}, samples), Pair(-2, 3));
  EXPECT_THAT(*range({.symmetric = true}, samples), Pair(-3, 3));
  EXPECT_THAT(*range({.moving_average = true}, samples), Pair(-1, 2));
  EXPECT_FALSE(range({}, {{}, {NAN}}).has_value());
  // Infinity has no histogram; what is made of it is the quantizer's affair.
  const auto infinite = range({.method = RangeMethod::percentile}, {{-INFINITY, 1}});
  EXPECT_EQ(infinite->first, -INFINITY);
}

TEST(Bias, IsInStepsOfBothScalesWhichAreRaisedIfItDoesNotFit) {
  EXPECT_THAT(quantize_bias({1, -0.5f, 0.25f}, 0.5f, {0.25f}).integers, ElementsAre(8, -4, 2));
  const QuantizedBias channels = quantize_bias({1, 1}, 0.5f, {0.25f, 0.5f});
  EXPECT_THAT(channels.integers, ElementsAre(8, 4));
  EXPECT_THAT(channels.scale, ElementsAre(0.125f, 0.25f));
  EXPECT_THAT(quantize_bias({1e30f, -1e30f}, 1e-3f, {1e-3f}).integers,
              ElementsAre(std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::min()));
  Quantization with{{1e-6f, 1e-6f}, {0, 0}};
  EXPECT_TRUE(make_room_for_bias(with, 1e-6f, {1e6f, 1e-6f}));
  EXPECT_THAT(with.scale,
              ElementsAre(::testing::FloatNear(1e12f * 1.0001f / 2147483647.0f, 1), FloatEq(1e-6f)));
  EXPECT_FALSE(make_room_for_bias(with, 1e-6f, {1, 1, 1}));
}

void expect_error(ErrorCode code, const std::string& text, const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(text));
    return;
  }
  ADD_FAILURE() << "no error";
}

Weight ramp(Dims dims, float scale) {
  std::vector<float> numbers(static_cast<size_t>(element_count(dims)));
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = scale * (static_cast<float>(i % 7) - 3);
  return Weight::from_f32(std::move(dims), numbers);
}

// y = x * w + b, given a name.
Value* product(ir::Graph& graph, Value* x, Value* b, const std::string& name) {
  Value* w = graph.add_weight(name + ".weight", ramp({4, 4}, 0.1f));
  Value* y = graph.add_node("Gemm", {x, w, b}).outputs[0];
  y->name = graph.unique_name(name);
  return y;
}

StaticQuantization options_for(StaticFormat format) {
  StaticQuantization out;
  out.format = format;
  out.nodes.operators = static_operators(format);
  return out;
}

size_t count(const ir::Graph& graph, std::string_view op_type) {
  return static_cast<size_t>(std::count_if(graph.nodes().begin(), graph.nodes().end(),
                                           [&](const auto& node) { return node->op_type == op_type; }));
}

TEST(StaticQuantization, MaskThatStandsForInfinityStaysFloat) {
  ir::Graph graph;
  Value* scores = graph.add_input("scores", DType::f32, {Dim(2), Dim(4)});
  Value* mask = graph.add_input("mask", DType::f32, {Dim(2), Dim(4)});
  graph.add_output("y", graph.add_node("Add", {scores, mask}).outputs[0]);
  graph.add_output("z", graph.add_node("Add", {scores, scores}).outputs[0]);
  const float least = std::numeric_limits<float>::lowest();
  const TensorRanges ranges = {{"scores", {-1, 1}}, {"mask", {least, 0}}, {"y", {least, 1}}, {"z", {-2, 2}}};
  const auto result = quantize_static(graph, ranges, options_for(StaticFormat::qoperator));
  ir::verify(graph);
  EXPECT_EQ(result.quantized.size(), 1u);
  EXPECT_EQ(result.kept.size(), 1u);
  EXPECT_EQ(count(graph, "Add"), 1u);
  EXPECT_EQ(count(graph, "QLinearAdd"), 1u);
}

TEST(StaticQuantization, ReluGoesOnlyWhereTheIntegersCut) {
  for (const bool shared : {false, true}) {
    ir::Graph graph;
    Value* x = graph.add_input("x", DType::f32, {Dim(2), Dim(4)});
    Value* y = product(graph, x, nullptr, "y");
    graph.add_output("r", graph.add_node("Relu", {y}).outputs[0]);
    if (shared) graph.add_output("n", graph.add_node("Neg", {y}).outputs[0]);
    const TensorRanges ranges = {{"x", {-1, 1}}, {"y", {-2, 2}}, {"r", {0, 2}}};
    const auto result = quantize_static(graph, ranges, options_for(StaticFormat::qoperator));
    ir::verify(graph);
    EXPECT_EQ(count(graph, "Relu"), shared ? 1u : 0u);
    EXPECT_EQ(result.kept.size(), shared ? 1u : 0u);
  }
}

TEST(StaticQuantization, BiasOfTwoProductsIsQuantizedForEach) {
  ir::Graph graph;
  Value* x = graph.add_input("x", DType::f32, {Dim(2), Dim(4)});
  Value* b = graph.add_weight("b", ramp({4}, 0.5f));
  Value* y = product(graph, x, b, "y");
  graph.add_output("z", product(graph, y, b, "z0"));
  const TensorRanges ranges = {{"x", {-1, 1}}, {"y", {-4, 4}}, {"z", {-9, 9}}};
  quantize_static(graph, ranges, options_for(StaticFormat::qoperator));
  ir::verify(graph);
  std::vector<std::vector<int64_t>> found;
  for (const auto& node : graph.nodes()) {
    if (node->op_type == "QGemm") found.push_back(node->inputs[6]->weight->as_i64());
  }
  ASSERT_EQ(found.size(), 2u);
  EXPECT_NEAR(static_cast<double>(found[0][0]) / static_cast<double>(found[1][0]), 4, 1e-3);
}

TEST(StaticQuantization, BetaIsMultipliedIntoTheBias) {
  for (const auto format : {StaticFormat::qdq, StaticFormat::qoperator}) {
    ir::Graph graph;
    Value* x = graph.add_input("x", DType::f32, {Dim(2), Dim(4)});
    Value* w = graph.add_weight("w", ramp({4, 4}, 1));  // A scale of 3 / 127.
    Value* b = graph.add_weight("b", ramp({4}, 1));
    graph.add_output("y", graph.add_node("Gemm", {x, w, b}, {{"beta", 2.0f}}).outputs[0]);
    quantize_static(graph, {{"x", {0, 255}}, {"y", {-9, 9}}}, options_for(format));
    ir::verify(graph);
    for (const Value* weight : graph.used_weights()) {
      if (weight->dtype != DType::i32 || weight->weight->count() != 4) continue;
      EXPECT_EQ(weight->weight->as_i64()[0], -254);  // 2 * -3 / (1 * 3 / 127)
    }
    for (const auto& node : graph.nodes()) EXPECT_EQ(node->get("beta", 1.0f), 1.0f);
  }
}

TEST(StaticQuantization, NodesThatLackWhatTheyMustHaveStay) {
  for (const auto format : {StaticFormat::qdq, StaticFormat::qoperator}) {
    ir::Graph graph;
    Value* x = graph.add_input("x", DType::f32, {Dim(2), Dim(4)});
    graph.add_output("y", product(graph, x, nullptr, "p"));
    for (const auto& op_type : static_operators(format)) {
      ir::Node bare;
      bare.op_type = op_type;
      graph.add_raw_node(bare);
      ir::Value result;
      result.name = graph.unique_name(op_type + "_result");
      result.dtype = DType::f32;
      bare.outputs = {graph.add_raw_value(result), nullptr};
      graph.add_raw_node(bare);
      bare.inputs = {nullptr, x};
      bare.outputs = {nullptr};
      graph.add_raw_node(bare);
    }
    const auto result = quantize_static(graph, {{"x", {-1, 1}}, {"y", {-2, 2}}}, options_for(format));
    EXPECT_EQ(result.quantized.size(), 1u);
    ir::verify(graph);
  }
}

TEST(StaticQuantization, ScalarsHaveNoChannels) {
  for (const char* op_type : {"Conv", "Gemm", "MatMul"}) {
    ir::Graph graph;
    graph.strict = false;
    Value* x = graph.add_input("x", DType::f32, {Dim(2), Dim(4)});
    ir::Value result;
    result.name = graph.unique_name("y");
    result.dtype = DType::f32;
    ir::Node node;
    node.op_type = op_type;
    node.inputs = {x, graph.add_weight("w", Weight::scalar(2.0f)), graph.add_weight("b", ramp({4}, 1))};
    node.outputs = {graph.add_raw_value(result)};
    graph.outputs = node.outputs;
    graph.add_raw_node(node);
    StaticQuantization options = options_for(StaticFormat::qdq);
    options.per_channel = true;
    EXPECT_EQ(quantize_static(graph, {{"x", {-1, 1}}, {"y", {-1, 1}}}, options).quantized.size(), 1u);
    ir::verify(graph);
    for (const Value* weight : graph.used_weights()) {
      EXPECT_TRUE(weight->name != "w_scale" || weight->weight->dims().empty());
    }
  }
}

TEST(StaticQuantization, RefusesWhatItCannotDo) {
  const auto make = [] {
    ir::Graph graph;
    Value* x = graph.add_input("x", DType::f32, {Dim(2), Dim(4)});
    graph.add_output("y", product(graph, x, nullptr, "p"));
    return graph;
  };
  const TensorRanges ranges = {{"x", {-1, 1}}, {"y", {-2, 2}}};
  StaticQuantization options = options_for(StaticFormat::qdq);
  ir::Graph graph = make();
  expect_error(ErrorCode::usage, "no range for the tensor y", [&] {
    quantize_static(graph, {{"x", {-1, 1}}}, options);
  });
  graph = make();
  graph.opsets[""] = 12;
  options.per_channel = true;
  expect_error(ErrorCode::unsupported, "opset 13", [&] { quantize_static(graph, ranges, options); });
  graph.opsets[""] = 9;
  expect_error(ErrorCode::unsupported, "opset 10", [&] { tensors_to_calibrate(graph, {}); });
  graph = make();
  graph.mutable_nodes()[0]->attributes["body"] = std::make_shared<ir::Graph>();
  expect_error(ErrorCode::unsupported, "subgraphs", [&] { tensors_to_calibrate(graph, {}); });
  graph = make();
  quantize_static(graph, ranges, options);
  expect_error(ErrorCode::usage, "quantized already", [&] { quantize_static(graph, ranges, options); });
}

}  // namespace
}  // namespace ferry::passes
