// The rules of passes::raise: each form is recognized, and the interpreter computes the same before and
// after.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>

#include "golden_case.h"
#include "ir/op.h"
#include "passes/fp16.h"
#include "passes/raise.h"
#include "passes/share.h"
#include "reference/interpreter.h"

namespace ferry::passes {
namespace {

namespace op = ir::op;
using ir::Dim;
using ir::Graph;
using ir::Tensor;

std::mt19937& engine() {
  static std::mt19937 made(1);
  return made;
}
std::vector<float> numbers(size_t count) {
  std::uniform_real_distribution<float> range(-2, 2);
  std::vector<float> out(count);
  for (float& value : out) value = range(engine());
  return out;
}

constexpr int64_t kWidth = 8;
Tensor parameter(Graph& graph, Dims dims) {
  const auto count = static_cast<size_t>(element_count(dims));
  return op::weight(graph, "parameter", Weight::from_f32(std::move(dims), numbers(count)));
}

// x: [batch, 5, 8], y: [batch, 2, 5, 4], mask: bool [batch, 1, 5, 5]
struct Given {
  Graph& graph;
  Tensor x, y, mask;
};
using Build = Tensor (*)(const Given&);
struct Form {
  const char* name;
  const char* op_type;  // "": no rule may match.
  Build build;
};

// Sum of what every form is made of and of its rest, so that constants and order differ between forms.
Tensor erf_of(const Tensor& scaled) {
  return op::unary("Erf", scaled);
}
double root_two() {
  return std::numbers::sqrt2;
}

const Form kActivations[] = {
    {"erf_half_last", "Gelu",
     [](const Given& at) { return op::mul(at.x * op::add(erf_of(at.x / root_two()), 1.0), 0.5); }},
    {"erf_half_first", "Gelu",
     [](const Given& at) { return op::mul(at.x, 0.5) * op::add(erf_of(at.x * (1 / root_two())), 1.0); }},
    {"erf_half_inside", "Gelu",
     [](const Given& at) { return at.x * op::mul(op::add(erf_of(at.x / root_two()), 1.0), 0.5); }},
    {"erf_of_product", "Gelu",
     [](const Given& at) {
       const Tensor z = at.x * op::unary("Tanh", at.x);
       return op::mul(z * op::add(erf_of(z / root_two()), 1.0), 0.5);
     }},
    {"erf_wrong_constant", "",
     [](const Given& at) { return op::mul(at.x * op::add(erf_of(at.x / 1.5), 1.0), 0.5); }},
    {"erf_wrong_factor", "",
     [](const Given& at) { return op::mul(at.x * op::add(erf_of(at.x / root_two()), 1.0), 0.7); }},
    {"tanh_pow", "Gelu",
     [](const Given& at) {
       const Tensor inner =
           op::mul(at.x + op::mul(op::pow(at.x, 3.0), 0.044715), std::sqrt(2 / std::numbers::pi));
       return op::mul(at.x, 0.5) * op::add(op::unary("Tanh", inner), 1.0);
     }},
    {"tanh_products", "Gelu",
     [](const Given& at) {
       const Tensor inner = op::mul(at.x, 0.7978845608) * op::add(op::mul(at.x, 0.044715) * at.x, 1.0);
       return op::mul(op::mul(at.x, 0.5), op::add(op::unary("Tanh", inner), 1.0));
     }},
    {"tanh_wrong", "",
     [](const Given& at) {
       return op::mul(at.x, 0.5) * op::add(op::unary("Tanh", op::mul(at.x, 0.8)), 1.0);
     }},
    {"swish", "Swish", [](const Given& at) { return at.x * op::unary("Sigmoid", at.x); }},
    {"quick_gelu", "Swish",
     [](const Given& at) { return op::unary("Sigmoid", op::mul(at.x, 1.702)) * at.x; }},
    {"gate_of_another", "",
     [](const Given& at) { return at.x * op::unary("Sigmoid", op::unary("Tanh", at.x)); }},
    {"mish", "Mish", [](const Given& at) { return at.x * op::unary("Tanh", op::unary("Softplus", at.x)); }},
};

Tensor mean(const Tensor& x, int64_t axis = -1) {
  return op::reduce("ReduceMean", x, {axis}, true);
}
Tensor deviation(const Tensor& centered) {
  return op::unary("Sqrt", op::add(mean(op::pow(centered, 2.0)), 1e-5));
}

const Form kNormalizations[] = {
    {"layer_norm", "LayerNormalization",
     [](const Given& at) {
       const Tensor centered = op::sub(at.x, mean(at.x));
       return centered / deviation(centered) * parameter(at.graph, {kWidth}) + parameter(at.graph, {kWidth});
     }},
    {"layer_norm_without_bias", "LayerNormalization",
     [](const Given& at) {
       const Tensor centered = op::sub(at.x, mean(at.x));
       const Tensor root = op::unary("Sqrt", op::add(mean(centered * centered), 1e-5));
       return parameter(at.graph, {kWidth}) * (centered * op::unary("Reciprocal", root));
     }},
    {"layer_norm_tensorflow", "LayerNormalization",
     [](const Given& at) {
       const Tensor middle = mean(at.x);
       const Tensor centered = op::sub(at.x, middle);
       const Tensor variance = mean(centered * centered);
       const Tensor inverse = op::unary("Reciprocal", op::unary("Sqrt", op::add(variance, 1e-6))) *
                              parameter(at.graph, {kWidth});
       return at.x * inverse + op::sub(parameter(at.graph, {kWidth}), middle * inverse);
     }},
    {"layer_norm_other_axis", "",
     [](const Given& at) {
       const Tensor centered = op::sub(at.x, mean(at.x, 1));
       const Tensor root = op::unary("Sqrt", op::add(mean(op::pow(centered, 2.0), 1), 1e-5));
       return centered / root * parameter(at.graph, {kWidth}) + parameter(at.graph, {kWidth});
     }},
    {"layer_norm_of_another", "",
     [](const Given& at) {
       const Tensor centered = op::sub(at.x, mean(op::unary("Abs", at.x)));
       const Tensor other = op::sub(at.x, mean(at.x));
       return centered / deviation(other) * parameter(at.graph, {kWidth});
     }},
    {"rms_reciprocal", "RMSNormalization",
     [](const Given& at) {
       const Tensor root = op::unary("Sqrt", op::add(mean(op::pow(at.x, 2.0)), 1e-6));
       return parameter(at.graph, {kWidth}) * (at.x * op::unary("Reciprocal", root));
     }},
    {"rms_one_over", "RMSNormalization",
     [](const Given& at) {
       const Tensor root = op::unary("Sqrt", op::add(mean(op::pow(at.x, 2.0)), 1e-6));
       return at.x * op::div(op::scalar(at.graph, 1.0f), root) * parameter(at.graph, {kWidth});
     }},
    {"rms_scale_of_another_width", "",
     [](const Given& at) {
       const Tensor root = op::unary("Sqrt", op::add(mean(op::pow(at.x, 2.0)), 1e-6));
       return at.x / root * parameter(at.graph, {5, 1});
     }},
};

Tensor turned(const Tensor& x) {
  return op::transpose(x, {0, 1, 3, 2});
}
Tensor lowest_where_not(const Given& at) {
  return op::where(at.mask, op::scalar(at.graph, 0.0f), op::scalar(at.graph, -3.4e38f));
}

const Form kAttentions[] = {
    {"scores_scaled", "Attention",
     [](const Given& at) {
       const Tensor scores = op::matmul(at.y, turned(at.y)) / 2.0 + lowest_where_not(at);
       return op::matmul(op::softmax(scores), at.y);
     }},
    {"both_sides_scaled", "Attention",
     [](const Given& at) {
       const Tensor scores =
           op::matmul(op::mul(at.y, 0.5), op::mul(turned(at.y), 0.7)) + lowest_where_not(at);
       return op::matmul(op::softmax(scores), at.y);
     }},
    {"two_biases", "Attention",
     [](const Given& at) {
       const Tensor scores = op::matmul(at.y, turned(at.y)) + parameter(at.graph, {1, 2, 5, 5});
       return op::matmul(op::softmax(lowest_where_not(at) + scores), at.y);
     }},
    {"masked_fill", "Attention",
     [](const Given& at) {
       const Tensor filled = op::where(op::unary("Not", at.mask), op::scalar(at.graph, -3.4e38f),
                                       op::matmul(at.y, turned(at.y)));
       return op::matmul(op::softmax(filled), at.y);
     }},
    {"softcap", "Attention",
     [](const Given& at) {
       const Tensor capped = op::mul(op::unary("Tanh", op::matmul(at.y, turned(at.y)) / 3.0), 3.0);
       return op::matmul(op::softmax(capped + lowest_where_not(at)), at.y);
     }},
    {"guarded", "Attention",
     [](const Given& at) {
       const Tensor p = op::softmax(op::matmul(at.y, turned(at.y)) / 2.0);
       return op::matmul(op::where(op::unary("IsNaN", p), op::scalar(at.graph, 0.0f), p), at.y);
     }},
    {"grouped", "Attention",
     [](const Given& at) {
       const Tensor keys = op::slice(at.y, 1, 0, 1);
       const auto repeat = [&](const Tensor& x) {
         const Tensor wide = op::expand(op::unsqueeze(x, {2}), op::integers(at.graph, {1, 1, 2, 1, 1}));
         return op::reshape(wide, {0, 2, -1, 4});
       };
       return op::matmul(op::softmax(op::matmul(at.y, turned(repeat(keys)))), repeat(keys));
     }},
    {"whole", "Attention",
     [](const Given& at) {
       const auto heads = [&](const Tensor& x) {
         return op::transpose(op::reshape(x, {0, 0, 2, 4}), {0, 2, 1, 3});
       };
       const Tensor q = heads(at.x), k = heads(op::unary("Tanh", at.x)), v = heads(op::unary("Sin", at.x));
       const Tensor scores = op::matmul(q, turned(k)) / 2.0 + lowest_where_not(at);
       return op::reshape(op::transpose(op::matmul(op::softmax(scores), v), {0, 2, 1, 3}), {0, 0, kWidth});
     }},
    {"other_axis", "",
     [](const Given& at) { return op::matmul(op::softmax(op::matmul(at.y, turned(at.y)), 2), at.y); }},
    {"small_filling", "",
     [](const Given& at) {
       const Tensor filled = op::where(at.mask, op::matmul(at.y, turned(at.y)), op::scalar(at.graph, -3.0f));
       return op::matmul(op::softmax(filled), at.y);
     }},
};

// Angles of 5 positions; both halves of the last axis are equal.
Tensor table(const Given& at, const char* function, int64_t width, int64_t half) {
  const Tensor angles =
      op::expand(parameter(at.graph, {1, 5, half}), op::shape_of(op::slice(at.x, 2, 0, half), 0, 3));
  (void)width;
  return op::unsqueeze(op::mul(op::unary(function, op::concat({angles, angles}, -1)), 1.5), {1});
}
Tensor rotated(const Given& at, const Tensor& x, int64_t width) {
  const Tensor across =
      op::concat({op::unary("Neg", op::slice(x, 3, width / 2, width)), op::slice(x, 3, 0, width / 2)}, -1);
  return x * table(at, "Cos", width, width / 2) + across * table(at, "Sin", width, width / 2);
}

const Form kRotaries[] = {
    {"whole", "RotaryEmbedding", [](const Given& at) { return rotated(at, at.y, 4); }},
    {"partial", "RotaryEmbedding",
     [](const Given& at) {
       return op::concat({rotated(at, op::slice(at.y, 3, 0, 2), 2), op::slice(at.y, 3, 2, 4)}, -1);
     }},
    {"not_turned", "",
     [](const Given& at) {
       const Tensor across =
           op::concat({op::unary("Neg", op::slice(at.y, 3, 0, 2)), op::slice(at.y, 3, 2, 4)}, -1);
       return at.y * table(at, "Cos", 4, 2) + across * table(at, "Sin", 4, 2);
     }},
};

std::map<std::string, HostTensor> example(int64_t batch) {
  std::vector<bool> mask(static_cast<size_t>(batch * 25));
  for (size_t i = 0; i < mask.size(); ++i) mask[i] = i % 5 == 0 || engine()() % 2 == 0;
  return {{"x", HostTensor::f32({batch, 5, kWidth}, numbers(static_cast<size_t>(batch * 5 * kWidth)))},
          {"y", HostTensor::f32({batch, 2, 5, 4}, numbers(static_cast<size_t>(batch * 40)))},
          {"mask", HostTensor::boolean({batch, 1, 5, 5}, mask)}};
}

void check(const Form& form) {
  SCOPED_TRACE(form.name);
  const Dim batch = Dim::symbol("batch");
  Graph graph;
  const Given given{graph,
                    {graph, graph.add_input("x", DType::f32, {batch, 5, kWidth})},
                    {graph, graph.add_input("y", DType::f32, {batch, 2, 5, 4})},
                    {graph, graph.add_input("mask", DType::boolean, {batch, 1, 5, 5})}};
  const Tensor result = form.build(given);
  graph.add_output("result", op::add(result, 1.0).value());
  share(graph);
  const auto small = example(1), large = example(3);
  const auto before = reference::Interpreter(graph).run(small),
             before_large = reference::Interpreter(graph).run(large);
  const auto found = raise(graph);
  ir::verify(graph);
  const bool wanted = *form.op_type != '\0';
  EXPECT_EQ(found.size(), wanted ? 1u : 0u);
  EXPECT_EQ(found.count(form.op_type), wanted ? 1u : 0u);
  const auto after = reference::Interpreter(graph).run(small),
             after_large = reference::Interpreter(graph).run(large);
  EXPECT_EQ(testing::mismatch(before.at("result"), after.at("result"), 2e-5), "");
  EXPECT_EQ(testing::mismatch(before_large.at("result"), after_large.at("result"), 2e-5), "");
}

TEST(Raise, Activations) {
  for (const Form& form : kActivations) check(form);
}
TEST(Raise, Normalizations) {
  for (const Form& form : kNormalizations) check(form);
}
TEST(Raise, Attentions) {
  for (const Form& form : kAttentions) check(form);
}
TEST(Raise, RotaryEmbeddings) {
  for (const Form& form : kRotaries) check(form);
}

TEST(Raise, WhatLiesBetweenStaysForOthers) {
  Graph graph;
  const Tensor x(graph, graph.add_input("x", DType::f32, {Dim::symbol("n"), kWidth}));
  const Tensor gate = op::unary("Sigmoid", x);
  graph.add_output("y", (x * gate).value());
  graph.add_output("z", op::add(gate, 1.0).value());
  EXPECT_EQ(raise(graph), (std::map<std::string, size_t>{{"Swish", 1}}));
  EXPECT_EQ(graph.outputs[0]->name, "y");
  EXPECT_EQ(graph.outputs[0]->producer->op_type, "Swish");
  EXPECT_EQ(graph.nodes().size(), 3u);
}

TEST(Raise, OptionsLeaveFamiliesOut) {
  Graph graph;
  const Tensor x(graph, graph.add_input("x", DType::f32, {Dim::symbol("n"), kWidth}));
  graph.add_output("y", (x * op::unary("Sigmoid", x)).value());
  RaiseOptions options;
  options.activation = false;
  EXPECT_TRUE(raise(graph, options).empty());
}

TEST(Fp16, WeightsBeyondItStayWithTheNodesOnThem) {
  Graph graph;
  const Tensor x(graph, graph.add_input("x", DType::f32, {Dim::symbol("n"), 2}));
  const Tensor large =
      op::weight(graph, "large", Weight::from_f32({2, 2}, std::vector{1e5f, 1.0f, 2.0f, 3.0f}));
  const Tensor small =
      op::weight(graph, "small", Weight::from_f32({2, 2}, std::vector{0.5f, 1.0f, 2.0f, 3.0f}));
  graph.add_output("y", op::matmul(op::mul(op::matmul(x, large), 1e-3), small).value());
  const auto inputs = std::map<std::string, HostTensor>{{"x", HostTensor::f32({1, 2}, {0.5f, 0.25f})}};
  const auto before = reference::Interpreter(graph).run(inputs);
  const Fp16Report report = to_fp16(graph, {});
  ir::verify(graph);
  EXPECT_EQ(report.overflowing, std::vector<std::string>{"large"});
  EXPECT_EQ(graph.outputs[0]->name, "y");
  EXPECT_EQ(graph.outputs[0]->dtype, DType::f32);
  std::vector<DType> products;
  for (const auto& node : graph.nodes()) {
    if (node->is("MatMul")) products.push_back(node->outputs[0]->dtype);
  }
  EXPECT_EQ(products, (std::vector{DType::f32, DType::f16}));
  EXPECT_EQ(testing::mismatch(before.at("y"), reference::Interpreter(graph).run(inputs).at("y"), 0.1), "");
}

TEST(Fp16, NumbersStayFiniteAndAboveNothing) {
  Graph graph;
  const Tensor x(graph, graph.add_input("x", DType::f32, {Dim::symbol("n")}));
  graph.add_output("y", op::add(op::mul(x, 1e-12), -3.4e38).value());
  to_fp16(graph, {});
  std::vector<float> numbers;
  for (const ir::Value* weight : graph.used_weights()) numbers.push_back(weight->weight->as_f32()[0]);
  ASSERT_EQ(numbers.size(), 2u);
  EXPECT_GT(numbers[0], 0.0f);
  EXPECT_EQ(numbers[1], -65504.0f);
}

TEST(Fp16, KeptOperatorsComputeInF32BetweenCasts) {
  Graph graph;
  const Tensor x(graph, graph.add_input("x", DType::f32, {Dim::symbol("n"), 4}));
  graph.add_output("y", op::pow(op::unary("Relu", x), 2.0).value());
  Fp16Options options;
  options.keep_operators = fp16_kept_operators();
  to_fp16(graph, options);
  ir::verify(graph);
  EXPECT_EQ(graph.outputs[0]->name, "y");
  EXPECT_EQ(graph.outputs[0]->producer->op_type, "Pow");
  for (const ir::Value* input : graph.outputs[0]->producer->inputs) EXPECT_EQ(input->dtype, DType::f32);
}

}  // namespace
}  // namespace ferry::passes
