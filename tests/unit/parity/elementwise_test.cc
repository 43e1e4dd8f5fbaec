#include "unit/parity/compare.h"

namespace ferry::test {
namespace {

class Elementwise : public testing::TestWithParam<OpCase> {};
TEST_P(Elementwise, AgreesWithOnnxRuntime) {
  expect_parity(GetParam());
}

std::vector<OpCase> unary_cases() {
  std::vector<OpCase> out;
  const auto everywhere = {"Abs",
                           "Atan",
                           "Ceil",
                           "Celu",
                           "Cos",
                           "Elu",
                           "Erf",
                           "Exp",
                           "Floor",
                           "HardSigmoid",
                           "HardSwish",
                           "LeakyRelu",
                           "Mish",
                           "Neg",
                           "Reciprocal",
                           "Relu",
                           "Round",
                           "Selu",
                           "Shrink",
                           "Sigmoid",
                           "Sign",
                           "Sin",
                           "Sinh",
                           "Cosh",
                           "Softplus",
                           "Softsign",
                           "Tan",
                           "Tanh",
                           "ThresholdedRelu",
                           "Asinh",
                           "IsNaN",
                           "IsInf",
                           "Identity",
                           "Swish",
                           "Gelu"};
  for (const char* op : everywhere) {
    out.push_back({op, {uniform({3, 5}, -3, 3)}});
    out.push_back({op, {uniform({2, 1, 70}, -1, 1)}});
  }
  for (const char* op : {"Log", "Sqrt"}) out.push_back({op, {uniform({4, 6}, 0, 9)}});
  for (const char* op : {"Acos", "Asin", "Atanh"}) out.push_back({op, {uniform({4, 6}, -0.9f, 0.9f)}});
  out.push_back({"Acosh", {uniform({4, 6}, 1, 9)}});
  out.push_back({"Round", {f32({6}, {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 1e9f})}});
  out.push_back({"Gelu", {uniform({40}, -4, 4)}, {{"approximate", std::string("tanh")}}});
  out.push_back({"Elu", {uniform({9})}, {{"alpha", 0.3f}}});
  out.push_back({"Celu", {uniform({9})}, {{"alpha", 2.5f}}});
  out.push_back({"LeakyRelu", {uniform({9})}, {{"alpha", 0.3f}}});
  out.push_back({"Selu", {uniform({9})}, {{"alpha", 0.3f}, {"gamma", 2.0f}}});
  out.push_back({"HardSigmoid", {uniform({9})}, {{"alpha", 0.3f}, {"beta", 0.1f}}});
  out.push_back({"Shrink", {uniform({9})}, {{"lambd", 0.7f}, {"bias", 0.2f}}});
  out.push_back({"ThresholdedRelu", {uniform({9})}, {{"alpha", 0.4f}}});
  out.push_back({"IsInf", {f32({3}, {INFINITY, -INFINITY, 1})}, {{"detect_negative", int64_t{0}}}});
  out.push_back({"IsNaN", {f32({3}, {NAN, -INFINITY, 1})}});
  for (const char* op : {"Abs", "Neg", "Sign"}) out.push_back({op, {uniform_ints({7}, -5, 5)}});
  out.push_back({"Not", {uniform_bools({2, 3})}});
  out.push_back({"BitwiseNot", {narrowed(DType::u8, uniform_ints({7}, 0, 255))}});
  out.push_back({"Clip", {uniform({3, 4}), constant(f32({}, {-0.5f})), constant(f32({}, {1}))}});
  out.push_back({"Clip", {uniform({3, 4}), absent(), constant(f32({}, {1}))}});
  out.push_back({"Clip", {uniform_ints({9}, -9, 9), i64({}, {-2}), i64({}, {4})}});
  out.push_back({"Clip", {uniform({3}), f32({}, {1}), f32({}, {-1})}, {}, 1, "", 0, true, "crossing"});
  return out;
}

std::vector<OpCase> binary_cases() {
  std::vector<OpCase> out;
  const std::vector<std::pair<Dims, Dims>> shapes = {
      {{2, 3, 4}, {2, 3, 4}}, {{2, 3, 4}, {4}}, {{2, 3, 4}, {3, 1}}, {{4}, {2, 3, 4}},
      {{2, 1, 4}, {5, 1}},    {{}, {3}},        {{1, 1}, {7}},       {{0, 3}, {1, 3}}};
  for (const auto& [a, b] : shapes) {
    for (const char* op : {"Add", "Sub", "Mul", "Div", "PRelu"}) {
      // ONNX lets PRelu's slope broadcast, not its input.
      if (std::string(op) == "PRelu" && a.size() < b.size()) continue;
      if (std::string(op) == "PRelu" && b == Dims{5, 1}) continue;
      if (std::string(op) == "PRelu" && b == Dims{7}) continue;
      out.push_back({op, {uniform(a), uniform(b, 0.5f, 3, 2)}});
    }
    for (const char* op : {"Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal"})
      out.push_back({op, {uniform_ints(a, -1, 1), uniform_ints(b, -1, 1, 2)}});
    for (const char* op : {"And", "Or", "Xor"}) out.push_back({op, {uniform_bools(a), uniform_bools(b, 2)}});
    for (const char* op : {"Max", "Min", "Sum", "Mean"})
      out.push_back({op, {uniform(a), uniform(b, -2, 2, 2)}});
    out.push_back({"Pow", {uniform(a, 0, 3), uniform(b, -2, 2, 2)}});
    out.push_back({"Mod", {uniform_ints(a, -9, 9), uniform_ints(b, 1, 5, 2)}});
    out.push_back({"Where", {uniform_bools(a, 3), uniform(b), uniform({1}, 5, 6)}});
  }
  for (const char* op : {"Add", "Sub", "Mul"}) {
    out.push_back({op, {uniform_ints({9}, -9, 9), uniform_ints({9}, -9, 9, 2)}});
    out.push_back({op,
                   {narrowed(DType::i32, uniform_ints({9}, -2000000000, 2000000000)),
                    narrowed(DType::i32, uniform_ints({9}, -2000000000, 2000000000, 2))}});
  }
  out.push_back({"Div", {i64({4}, {7, -7, 7, -7}), i64({4}, {2, 2, -2, -2})}});
  out.push_back({"Mod", {i64({4}, {7, -7, 7, -7}), i64({4}, {3, 3, -3, -3})}});
  out.push_back({"Mod", {i64({4}, {7, -7, 7, -7}), i64({4}, {3, 3, -3, -3})}, {{"fmod", int64_t{1}}}});
  out.push_back({"Mod", {uniform({9}, -5, 5), uniform({9}, 1, 2, 2)}, {{"fmod", int64_t{1}}}});
  out.push_back({"Pow", {i64({4}, {2, 3, -2, 0}), i64({4}, {10, 3, 3, 0})}});
  out.push_back({"Pow", {f32({3}, {2, 1.5f, -2}), i64({3}, {10, 3, 3})}});
  out.push_back({"Where", {uniform_bools({3, 1}), uniform_ints({3, 4}, 0, 9), i64({}, {-1})}});
  out.push_back({"Equal", {uniform_bools({9}), uniform_bools({9}, 2)}});
  out.push_back({"Equal", {f32({3}, {1, NAN, 0}), f32({3}, {1, NAN, -0.0f})}});
  out.push_back({"Max", {uniform_ints({4}, -9, 9), uniform_ints({1}, -9, 9, 2), i64({}, {0})}});
  for (const char* op : {"BitwiseAnd", "BitwiseOr", "BitwiseXor"})
    out.push_back({op, {uniform_ints({9}, -99, 99), uniform_ints({9}, -99, 99, 2)}});
  for (const char* way : {"LEFT", "RIGHT"}) {
    out.push_back(
        {"BitShift",
         {narrowed(DType::u8, uniform_ints({9}, 0, 255)), narrowed(DType::u8, uniform_ints({9}, 0, 7))},
         {{"direction", std::string(way)}}});
  }
  return out;
}

int64_t number_of(DType dtype) {
  return onnx_number(dtype);
}

std::vector<OpCase> cast_cases() {
  std::vector<OpCase> out;
  for (const DType to : {DType::i64, DType::i32, DType::f32, DType::boolean, DType::u8, DType::i8}) {
    out.push_back({"Cast", {f32({6}, {0, 0.9f, 1.5f, 100.7f, 2.0f, 0.1f})}, {{"to", number_of(to)}}});
    out.push_back({"Cast", {i64({4}, {0, 1, 127, 300})}, {{"to", number_of(to)}}});
    out.push_back({"Cast", {boolean({2}, {true, false})}, {{"to", number_of(to)}}});
  }
  out.push_back({"Cast", {f32({4}, {-1.7f, -0.5f, -100, 1e9f})}, {{"to", number_of(DType::i64)}}});
  out.push_back({"Cast", {as(DType::f16, uniform({5}))}, {{"to", number_of(DType::f32)}}});
  out.push_back({"Cast", {as(DType::bf16, uniform({5}))}, {{"to", number_of(DType::f32)}}});
  out.push_back({"CastLike", {uniform({5}, -9, 9), i64({}, {1})}});
  return out;
}

INSTANTIATE_TEST_SUITE_P(Unary, Elementwise, testing::ValuesIn(unary_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Binary, Elementwise, testing::ValuesIn(binary_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Cast, Elementwise, testing::ValuesIn(cast_cases()), name_of);

}  // namespace
}  // namespace ferry::test
