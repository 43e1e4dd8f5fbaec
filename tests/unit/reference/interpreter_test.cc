#include "reference/interpreter.h"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "base/error.h"
#include "ir/op.h"
#include "unit/reference/op_case.h"

namespace ferry::reference {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

#define EXPECT_ERROR(statement, expected, text)        \
  try {                                                \
    statement;                                         \
    ADD_FAILURE() << "nothing was thrown";             \
  } catch (const Error& error) {                       \
    EXPECT_EQ(error.code(), expected) << error.what(); \
    EXPECT_THAT(error.what(), HasSubstr(text));        \
  }

using Inputs = std::map<std::string, HostTensor>;

// y = x * 2 + 1 over [batch, 3].
struct Line {
  ir::Graph graph;
  Line() {
    const ir::Tensor x(graph, graph.add_input("x", DType::f32, {ir::Dim::symbol("batch"), 3}));
    graph.add_output("y", (x * 2.0 + 1.0).value());
  }
};

TEST(Interpreter, RunsAGraphAtAnyBatch) {
  const Line line;
  const Interpreter interpreter(line.graph);
  for (const int64_t batch : {1, 2, 0}) {
    const auto x = HostTensor::f32({batch, 3}, std::vector<float>(static_cast<size_t>(3 * batch), 5));
    const auto y = interpreter.run({{"x", x}}).at("y");
    EXPECT_EQ(y.dims, (Dims{batch, 3}));
    for (const float value : y.as<float>()) EXPECT_EQ(value, 11);
  }
}

TEST(Interpreter, NamesInputsThatAreMissingOrOdd) {
  const Line line;
  const Interpreter interpreter(line.graph);
  const auto x = HostTensor::f32({1, 3}, {1, 2, 3});
  EXPECT_ERROR((void)interpreter.run({}), ErrorCode::not_found, "input x was not given");
  EXPECT_ERROR((void)interpreter.run({{"x", x}, {"z", x}}), ErrorCode::not_found, "no input z; it has x");
  EXPECT_ERROR((void)interpreter.run({{"x", HostTensor::i64({1, 3}, {1, 2, 3})}}), ErrorCode::dtype_mismatch,
               "input x is i64[1, 3], declared f32[batch, 3]");
  EXPECT_ERROR((void)interpreter.run({{"x", HostTensor::f32({3}, {1, 2, 3})}}), ErrorCode::shape_mismatch,
               "input x is f32[3]");
  EXPECT_ERROR((void)interpreter.run({{"x", HostTensor::f32({1, 2}, {1, 2})}}), ErrorCode::shape_mismatch,
               "axis 1 should be 3");
}

TEST(Interpreter, OneSymbolIsOneSize) {
  ir::Graph graph;
  const ir::Dim n = ir::Dim::symbol("n");
  const ir::Tensor a(graph, graph.add_input("a", DType::f32, {n}));
  const ir::Tensor b(graph, graph.add_input("b", DType::f32, {n + ir::Dim(1)}));
  graph.add_output("c", ir::op::concat({a, b}, 0).value());
  const Interpreter interpreter(graph);
  EXPECT_EQ(
      interpreter.run({{"a", HostTensor::f32({1}, {1})}, {"b", HostTensor::f32({2}, {2, 3})}}).at("c").dims,
      Dims{3});
  EXPECT_ERROR((void)interpreter.run({{"a", HostTensor::f32({1}, {1})}, {"b", HostTensor::f32({1}, {2})}}),
               ErrorCode::shape_mismatch, "input b");
}

TEST(Interpreter, UnknownOperatorsAreNamed) {
  ir::Graph graph;
  graph.strict = false;
  ir::Value* x = graph.add_input("x", DType::f32, {3});
  graph.add_output("y", graph.add_node("NoSuchOperator", {x}).outputs[0]);
  EXPECT_ERROR((void)Interpreter(graph).run({{"x", HostTensor::f32({3}, {1, 2, 3})}}), ErrorCode::unsupported,
               "no operator NoSuchOperator, which node /NoSuchOperator");
  EXPECT_TRUE(is_implemented("", "Attention"));
  EXPECT_TRUE(is_implemented("com.microsoft", "BiasGelu"));
  EXPECT_FALSE(is_implemented("", "BiasGelu"));
  EXPECT_FALSE(is_implemented("", "RandomNormalLike"));
}

TEST(Interpreter, ErrorsNameTheNodeAndItsInputs) {
  ir::Graph graph;
  graph.strict = false;
  const ir::Dim unknown = ir::Dim::symbol("n");
  ir::Value* a = graph.add_input("a", DType::f32, {unknown});
  ir::Value* b = graph.add_input("b", DType::f32, {ir::Dim::symbol("m")});
  graph.add_output("y", graph.add_node("Add", {a, b}).outputs[0]);
  EXPECT_ERROR((void)Interpreter(graph).run(
                   {{"a", HostTensor::f32({2}, {1, 2})}, {"b", HostTensor::f32({3}, {1, 2, 3})}}),
               ErrorCode::shape_mismatch,
               "shapes [2] and [3] do not broadcast: inputs ([2], [3]) (computing /Add (Add))");
}

TEST(Interpreter, SizesThatNoMemoryHoldsAreErrors) {
  for (const std::vector<int64_t>& dims :
       {std::vector<int64_t>{int64_t{1} << 45}, std::vector<int64_t>{int64_t{1} << 40, int64_t{1} << 40}}) {
    EXPECT_ERROR((void)test::evaluate({"ConstantOfShape", {test::ints(dims)}}), ErrorCode::runtime, "memory");
  }
}

TEST(Interpreter, ChecksWhatInferenceSaid) {
  Line line;
  line.graph.outputs[0]->shape = ir::Shape{ir::Dim(1), ir::Dim(4)};
  const Inputs inputs = {{"x", HostTensor::f32({1, 3}, {1, 2, 3})}};
  EXPECT_ERROR((void)Interpreter(line.graph).run(inputs), ErrorCode::internal,
               "inference says [1, 4], the result is [1, 3]");
  EXPECT_NO_THROW((void)Interpreter(line.graph, {.check_shapes = false}).run(inputs));
}

TEST(Interpreter, ShowsEveryResult) {
  const Line line;
  std::vector<std::string> seen;
  InterpreterOptions options;
  options.observe = [&](const ir::Value& value, const HostTensor& tensor) {
    seen.push_back(value.name + " " + tensor.describe());
  };
  (void)Interpreter(line.graph, options).run({{"x", HostTensor::f32({1, 3}, {1, 2, 3})}});
  EXPECT_THAT(seen, ElementsAre("/Mul_output_0 f32[1, 3]", "y f32[1, 3]"));
}

TEST(Interpreter, HalfPrecisionIsHeldAsF32UnlessAsked) {
  ir::Graph graph;
  const ir::Tensor x(graph, graph.add_input("x", DType::f16, {1}));
  graph.add_output("y", (x + 1.0).value());
  const Inputs inputs = {{"x", HostTensor::f32({1}, {0.0001f}).to_floating(DType::f16)}};
  EXPECT_NEAR(Interpreter(graph).run(inputs).at("y").as<float>()[0], 1.0001, 1e-6);
  EXPECT_EQ(Interpreter(graph, {.round_to_declared = true}).run(inputs).at("y").as<float>()[0], 1);
}

TEST(Interpreter, IntegersWrapAtTheirDeclaredWidth) {
  const auto y = test::evaluate({"Add", {HostTensor::i32({1}, {2147483647}), HostTensor::i32({1}, {1})}});
  EXPECT_EQ(y.dtype, DType::i32);
  EXPECT_EQ(y.as<int32_t>()[0], -2147483648);
}

TEST(Interpreter, WeightsOfAnyKindAreMultiplied) {
  const Weight stored = Weight::from_f32({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
  const auto x = HostTensor::f32({1, 3}, {1, 10, 100});
  const std::vector<Weight> forms = {
      stored.transpose(),
      stored.cast(DType::f16).transpose(),
      stored.cast(DType::bf16).transpose().cast(DType::f32),
      stored.transpose().scale(1),
      Weight::inline_bytes(DType::f32, {3, 2}, stored.transpose().bytes()),
      Weight::inline_bytes(DType::bf16, {3, 2}, stored.transpose().cast(DType::bf16).bytes()),
  };
  for (const Weight& weight : forms) {
    ir::Graph graph;
    const ir::Tensor in(graph, graph.add_input("x", weight.dtype(), {1, 3}));
    graph.add_output("y", ir::op::matmul(in, ir::op::weight(graph, "w", weight)).value());
    EXPECT_THAT(Interpreter(graph).run({{"x", x}}).at("y").as<float>(), ElementsAre(321, 654));
  }
}

TEST(Interpreter, WeightsMayBeOutputs) {
  ir::Graph graph;
  const ir::Tensor w = ir::op::weight(graph, "w", Weight::from_i64({2}, std::vector<int64_t>{3, 4}));
  graph.add_output("y", w.value());
  EXPECT_THAT(Interpreter(graph).run({}).at("y").as<int64_t>(), ElementsAre(3, 4));
}

TEST(Interpreter, ServesSeveralThreads) {
  const Line line;
  const Interpreter interpreter(line.graph);
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        const auto start = static_cast<float>(t);
        for (int i = 0; i < 50; ++i) {
          const auto y = interpreter.run({{"x", HostTensor::f32({1, 3}, {start, start, start})}}).at("y");
          if (y.as<float>()[2] != 2 * start + 1) ++wrong;
        }
      });
    }
  }
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace ferry::reference
