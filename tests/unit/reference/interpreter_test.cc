#include "reference/interpreter.h"

#include <gmock/gmock.h>

#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <thread>

#include "base/error.h"
#include "ir/op.h"
#include "reference/gemm.h"
#include "reference/kernels.h"
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

TEST(Interpreter, WeightsThatANodeTransposesAreReadWhereTheyLie) {
  const Weight stored = Weight::from_f32({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
  const auto x = HostTensor::f32({1, 3}, {1, 10, 100});
  for (const DType dtype : {DType::f32, DType::bf16}) {
    ir::Graph graph;
    const ir::Tensor in(graph, graph.add_input("x", dtype, {1, 3}));
    const Weight weight =
        dtype == DType::f32 ? stored : Weight::inline_bytes(dtype, {2, 3}, stored.cast(dtype).bytes());
    ir::Value* turned = graph.add_node("Transpose", {graph.add_weight("w", weight)}).outputs[0];
    ir::Value* kept = graph.add_node("Transpose", {graph.add_weight("k", weight)}).outputs[0];
    graph.add_output("y", graph.add_node("MatMul", {in.value(), turned}).outputs[0]);
    graph.add_output("sum", graph.add_node("Add", {turned, kept}).outputs[0]);
    graph.add_output("kept", kept);
    const auto out = Interpreter(graph).run({{"x", x}});
    EXPECT_THAT(out.at("y").as<float>(), ElementsAre(321, 654));
    EXPECT_THAT(out.at("sum").as<float>(), ElementsAre(2, 8, 4, 10, 6, 12));
    EXPECT_THAT(out.at("kept").as<float>(), ElementsAre(1, 4, 2, 5, 3, 6));
  }
}

// Every instruction set that this machine has, vectors and what is left over at their ends.
TEST(Kernels, AgreeWithTheCLibrary) {
  constexpr size_t kCount = 67;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<float> x(kCount), y(kCount);
  for (size_t i = 0; i < kCount; ++i) x[i] = static_cast<float>(i) * 0.31f - 9;
  const auto expect = [&](const char* what, const std::function<double(double)>& f) {
    for (size_t i = 0; i < kCount; ++i) {
      const double wanted = f(static_cast<double>(x[i]));
      EXPECT_NEAR(y[i], wanted, 1.2e-7 * std::abs(wanted)) << what << " of " << x[i];
    }
  };
  for (const Kernels* k : all_kernels()) {
    k->exp(x.data(), y.data(), kCount);
    expect("exp", [](double v) { return std::exp(v); });
    k->erf(x.data(), y.data(), kCount);
    expect("erf", [](double v) { return std::erf(v); });
    k->tanh(x.data(), y.data(), kCount);
    expect("tanh", [](double v) { return std::tanh(v); });
    k->gelu(x.data(), y.data(), kCount);
    for (size_t i = 0; i < kCount; ++i)
      EXPECT_NEAR(y[i], 0.5 * x[i] * std::erfc(-x[i] * M_SQRT1_2), 1e-7 * std::abs(x[i])) << x[i];
    k->sigmoid(x.data(), y.data(), kCount);
    expect("sigmoid", [](double v) { return 1 / (1 + std::exp(-v)); });
    k->swish(x.data(), y.data(), kCount, 1.5);
    expect("swish", [](double v) { return v / (1 + std::exp(-1.5 * v)); });
    y = x;
    y[3] = -kInfinity;
    k->softmax(y.data(), kCount);
    double sum = 0, total = 0;
    for (size_t i = 0; i < kCount; ++i) sum += i == 3 ? 0 : std::exp(static_cast<double>(x[i]));
    for (const float v : y) total += v;
    EXPECT_NEAR(total, 1, 1e-6);
    EXPECT_EQ(y[3], 0);
    EXPECT_NEAR(y[60], std::exp(static_cast<double>(x[60])) / sum, 1e-8);
    std::fill(y.begin(), y.end(), -kInfinity);
    k->softmax(y.data(), kCount);
    EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[66]));
    double mean = 0, variance = 0;
    k->moments(x.data(), kCount, mean, variance);
    EXPECT_NEAR(mean, 0.31 * 33 - 9, 1e-6);
    EXPECT_NEAR(variance, 0.31 * 0.31 * (67 * 67 - 1) / 12, 1e-4);
    k->normalize(x.data(), y.data(), kCount, 1, 2, x.data(), nullptr);
    expect("(x - 1) * 2 * x", [](double v) { return (v - 1) * 2 * v; });
  }
}

TEST(Kernels, MultiplyMatricesOfEitherOrder) {
  constexpr int64_t kRows = 37, kInner = 29, kColumns = 53;
  std::vector<float> a(kRows * kInner), b(kInner * kColumns);
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 7) - 3;
  for (size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i % 5) - 2;
  const Matrix rows_a{a.data(), kRows, kInner, kInner, 1}, rows_b{b.data(), kInner, kColumns, kColumns, 1};
  const Matrix columns_a = Matrix{a.data(), kInner, kRows, kRows, 1}.transposed();
  const Matrix columns_b = Matrix{b.data(), kColumns, kInner, kInner, 1}.transposed();
  std::vector<float> out(kRows * kColumns);
  for (const Kernels* k : all_kernels()) {
    for (const Matrix& left : {rows_a, columns_a}) {
      for (const Matrix& right : {rows_b, columns_b}) {
        k->multiply(left, right, out.data(), kColumns);
        for (int64_t i = 0; i < kRows; i += 12) {
          for (int64_t j = 0; j < kColumns; j += 13) {
            float sum = 0;
            for (int64_t n = 0; n < kInner; ++n)
              sum += left.data[i * left.row_stride + n * left.column_stride] *
                     right.data[n * right.row_stride + j * right.column_stride];
            EXPECT_EQ(out[static_cast<size_t>(i * kColumns + j)], sum);
          }
        }
      }
    }
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
