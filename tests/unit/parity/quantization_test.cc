#include "unit/parity/compare.h"

namespace ferry::test {
namespace {

class Quantization : public testing::TestWithParam<OpCase> {};
TEST_P(Quantization, AgreesWithOnnxRuntime) {
  expect_parity(GetParam());
}

constexpr const char* kMicrosoft = "com.microsoft";

Arg u8(Dims dims, unsigned seed = 1) {
  return narrowed(DType::u8, uniform_ints(std::move(dims), 0, 255, seed));
}
Arg i8(Dims dims, unsigned seed = 1) {
  return narrowed(DType::i8, uniform_ints(std::move(dims), -128, 127, seed));
}
Arg u8_of(const std::vector<int64_t>& values, Dims dims = {}) {
  return narrowed(DType::u8, i64(std::move(dims), values));
}
Arg i8_of(const std::vector<int64_t>& values, Dims dims = {}) {
  return narrowed(DType::i8, i64(std::move(dims), values));
}
Arg number(float value) {
  return f32({}, {value});
}
// Constant 4-bit integers, two a byte.
Arg nibbles(DType dtype, Dims dims, unsigned seed = 1) {
  HostTensor out;
  out.dtype = dtype;
  const Arg bytes = u8({(element_count(dims) + 1) / 2}, seed);
  out.dims = std::move(dims);
  out.bytes = bytes.tensor->bytes;
  if (out.count() % 2 != 0) out.bytes.back() &= std::byte{15};
  return {out, true};
}

std::vector<OpCase> linear_cases() {
  const ir::Attributes axis0 = {{"axis", int64_t{0}}},
                       blocked = {{"axis", int64_t{1}}, {"block_size", int64_t{4}}};
  return {
      {"QuantizeLinear", {uniform({3, 5}, -9, 9), number(0.05f), u8_of({100})}},
      {"QuantizeLinear", {uniform({3, 5}, -9, 9), number(0.05f)}},
      {"QuantizeLinear", {uniform({3, 5}, -9, 9), number(0.07f), i8_of({-3})}},
      {"QuantizeLinear", {uniform({3, 5}, -9, 9), uniform({3}, 0.01f, 0.1f), i8_of({1, -2, 0}, {3})}, axis0},
      {"QuantizeLinear", {f32({6}, {-2.5f, -1.5f, -0.5f, 0.5f, 1.5f, 2.5f}), number(1), i8_of({0})}},
      {"QuantizeLinear", {uniform({2, 8}, -9, 9), uniform({2, 2}, 0.01f, 0.1f), i8({2, 2})}, blocked},
      {"DequantizeLinear", {u8({3, 5}), number(0.05f), u8_of({100})}},
      {"DequantizeLinear", {i8({3, 5}), number(0.05f)}},
      {"DequantizeLinear", {i8({3, 5}), uniform({5}, 0.01f, 0.1f), i8({5})}},
      {"DequantizeLinear", {i8({3, 5}), uniform({3}, 0.01f, 0.1f), i8({3})}, axis0},
      {"DequantizeLinear", {narrowed(DType::i32, uniform_ints({4}, -9999, 9999)), number(0.001f)}},
      {"DequantizeLinear", {i8({3, 8}), uniform({3, 2}, 0.01f, 0.1f), i8({3, 2})}, blocked},
      {"DequantizeLinear",
       {i8({8, 3}), uniform({2, 3}, 0.01f, 0.1f)},
       {{"axis", int64_t{0}}, {"block_size", int64_t{4}}}},
      {"DequantizeLinear", {nibbles(DType::i4, {3, 5}), constant(number(0.5f))}},
      {"DequantizeLinear", {nibbles(DType::u4, {3, 5}), constant(number(0.5f)), nibbles(DType::u4, {}, 3)}},
      {"DequantizeLinear",
       {nibbles(DType::u4, {2, 8}), constant(uniform({2, 2}, 0.01f, 0.1f)), nibbles(DType::u4, {2, 2}, 3)},
       blocked},
      {"DynamicQuantizeLinear", {uniform({3, 5}, -3, 9)}, {}, 3},
      {"DynamicQuantizeLinear", {uniform({3, 5}, 2, 9)}, {}, 3},
      {"DynamicQuantizeLinear", {uniform({3, 5}, -9, -4)}, {}, 3},
      {"DynamicQuantizeLinear", {f32({2}, {0, 0})}, {}, 3},
  };
}

std::vector<OpCase> product_cases() {
  return {
      {"MatMulInteger", {u8({2, 3, 4}), i8({4, 5}), u8_of({7}), i8_of({-3})}},
      {"MatMulInteger", {u8({2, 3, 4}), constant(i8({4, 5})), u8_of({7}), constant(i8({5}))}},
      {"MatMulInteger", {u8({2, 3, 4}), u8({2, 4, 5}, 2), u8_of({7}), u8_of({131})}},
      {"MatMulInteger", {u8({3, 4}), u8({4, 5}, 2)}},
      {"QLinearMatMul",
       {u8({2, 3, 4}), number(0.02f), u8_of({120}), i8({4, 5}), number(0.01f), i8_of({0}), number(0.13f),
        u8_of({90})}},
      {"QLinearMatMul",
       {u8({3, 4}), number(0.02f), u8_of({120}), constant(i8({4, 5})), constant(uniform({5}, 0.005f, 0.02f)),
        constant(i8_of({0, 0, 0, 0, 0}, {5})), number(0.13f), u8_of({90})}},
      {"ConvInteger",
       {u8({2, 3, 7}), i8({4, 3, 3}), u8_of({9}), i8_of({0})},
       {{"pads", std::vector<int64_t>{1, 1}}}},
      {"ConvInteger",
       {u8({1, 4, 5, 6}), u8({6, 2, 3, 2}, 2), u8_of({9}), u8_of({128})},
       {{"group", int64_t{2}}, {"strides", std::vector<int64_t>{2, 1}}}},
      {"QLinearConv",
       {u8({1, 3, 5, 5}), number(0.02f), u8_of({120}), constant(i8({4, 3, 3, 3})),
        constant(uniform({4}, 0.005f, 0.02f)), constant(i8_of({0, 0, 0, 0}, {4})), number(0.4f), u8_of({90}),
        constant(narrowed(DType::i32, uniform_ints({4}, -999, 999)))},
       {{"pads", std::vector<int64_t>{1, 1, 1, 1}}}},
      {"QLinearConv",
       {u8({2, 3, 8}), number(0.02f), u8_of({120}), constant(i8({4, 3, 3})), constant(number(0.01f)),
        constant(i8_of({0})), number(0.3f), u8_of({90})}},
      {"DynamicQuantizeMatMul",
       {uniform({2, 3, 4}), constant(i8({4, 5})), constant(number(0.01f)), constant(i8_of({0})),
        constant(uniform({5}))},
       {},
       1,
       kMicrosoft},
      {"DynamicQuantizeMatMul",
       {uniform({2, 3, 4}), constant(i8({4, 5})), constant(uniform({5}, 0.01f, 0.02f))},
       {},
       1,
       kMicrosoft},
      {"MatMulIntegerToFloat",
       {u8({2, 3, 4}), constant(i8({4, 5})), number(0.05f), constant(uniform({5}, 0.01f, 0.02f)), u8_of({7}),
        constant(i8({5})), constant(uniform({5}))},
       {},
       1,
       kMicrosoft},
      {"QGemm",
       {u8({3, 4}), number(0.02f), u8_of({120}), constant(i8({5, 4})), constant(number(0.01f)),
        constant(i8_of({0})), constant(narrowed(DType::i32, uniform_ints({5}, -999, 999))), number(0.13f),
        u8_of({90})},
       {{"transB", int64_t{1}}},
       1,
       kMicrosoft},
      {"QGemm",
       {u8({3, 4}), number(0.02f), u8_of({120}), constant(i8({4, 5})), constant(uniform({5}, 0.005f, 0.02f)),
        constant(i8_of({0, 0, 0, 0, 0}, {5})), constant(narrowed(DType::i32, uniform_ints({5}, -999, 999))),
        number(0.13f), u8_of({90})},
       {},
       1,
       kMicrosoft},
      {"QGemm",
       {u8({3, 4}), number(0.02f), u8_of({120}), constant(i8({4, 5})), constant(number(0.01f)),
        constant(i8_of({0}))},
       {},
       1,
       kMicrosoft},
  };
}

// The tensor at the front with its scale and zero point.
std::vector<Arg> with_grid(Arg tensor, float scale, int64_t zero) {
  return {std::move(tensor), constant(number(scale)), constant(u8_of({zero}))};
}
std::vector<Arg> joined(std::vector<std::vector<Arg>> parts) {
  std::vector<Arg> out;
  for (auto& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}
std::vector<Arg> result_grid(float scale, int64_t zero) {
  return {constant(number(scale)), constant(u8_of({zero}))};
}

std::vector<OpCase> element_cases() {
  const auto a = with_grid(u8({2, 3, 4}), 0.021f, 120), b = with_grid(u8({3, 4}, 2), 0.017f, 77);
  return {
      {"QLinearAdd", joined({a, b, result_grid(0.031f, 99)}), {}, 1, kMicrosoft},
      {"QLinearMul", joined({a, b, result_grid(0.043f, 99)}), {}, 1, kMicrosoft},
      {"QLinearSigmoid", joined({a, result_grid(0.004f, 3)}), {}, 1, kMicrosoft},
      {"QLinearLeakyRelu", joined({a, result_grid(0.013f, 30)}), {{"alpha", 0.2f}}, 1, kMicrosoft},
      {"QLinearSoftmax",
       joined({a, result_grid(1 / 256.0f, 0)}),
       {{"axis", int64_t{-1}}, {"opset", int64_t{13}}},
       1,
       kMicrosoft},
      {"QLinearGlobalAveragePool",
       joined({with_grid(u8({2, 3, 4, 4}), 0.02f, 120), result_grid(0.01f, 99)}),
       {},
       1,
       kMicrosoft},
      {"QLinearConcat",
       joined({result_grid(0.02f, 110), a, with_grid(u8({2, 5, 4}, 3), 0.013f, 60)}),
       {{"axis", int64_t{1}}},
       1,
       kMicrosoft},
      {"QLinearWhere",
       joined({{uniform_bools({2, 3, 4})},
               a,
               with_grid(u8({2, 3, 4}, 3), 0.013f, 60),
               result_grid(0.023f, 110)}),
       {},
       1,
       kMicrosoft},
  };
}

INSTANTIATE_TEST_SUITE_P(Linear, Quantization, testing::ValuesIn(linear_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Products, Quantization, testing::ValuesIn(product_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Elements, Quantization, testing::ValuesIn(element_cases()), name_of);

}  // namespace
}  // namespace ferry::test
