#include "unit/parity/compare.h"

namespace ferry::test {
namespace {

class Matrices : public testing::TestWithParam<OpCase> {};
TEST_P(Matrices, AgreesWithOnnxRuntime) {
  expect_parity(GetParam());
}

std::vector<OpCase> product_cases() {
  std::vector<OpCase> out = {
      {"MatMul", {uniform({3, 4}), uniform({4, 5})}},
      {"MatMul", {uniform({2, 3, 4}), uniform({4, 5})}},
      {"MatMul", {uniform({2, 3, 4}), constant(uniform({4, 5}))}},
      {"MatMul", {uniform({2, 3, 4}), constant(as(DType::f32, uniform({4, 70})))}},
      {"MatMul", {uniform({2, 1, 3, 4}), uniform({5, 4, 2})}},
      {"MatMul", {uniform({7, 3, 4}), uniform({7, 4, 2})}},
      {"MatMul", {uniform({4}), uniform({4, 5})}},
      {"MatMul", {uniform({3, 4}), uniform({4})}},
      {"MatMul", {uniform({2, 3, 4}), uniform({4})}},
      {"MatMul", {uniform({4}), uniform({4})}},
      {"MatMul", {uniform({130, 200}, -1, 1), constant(uniform({200, 150}, -1, 1))}, {}, 1, "", 2e-5},
      {"Gemm", {uniform({3, 4}), uniform({4, 5}), uniform({5})}},
      {"Gemm",
       {uniform({4, 3}), constant(uniform({5, 4})), uniform({3, 1})},
       {{"transA", int64_t{1}}, {"transB", int64_t{1}}, {"alpha", 0.5f}, {"beta", -2.0f}}},
      {"Gemm", {uniform({3, 4}), uniform({5, 4})}, {{"transB", int64_t{1}}}},
  };
  const auto einsum = [&](const char* equation, std::vector<Arg> args, bool strict = true) {
    out.push_back({"Einsum", std::move(args), {{"equation", std::string(equation)}}, 1, "", 1e-5, strict});
  };
  einsum("bid,bjd->bij", {uniform({2, 3, 4}), uniform({2, 5, 4})});
  einsum("bhid,jd->bhij", {uniform({2, 3, 4, 5}), uniform({6, 5})});
  einsum("ij->ji", {uniform({2, 3})});
  einsum("ij->i", {uniform({2, 3})});
  einsum("ii->i", {uniform({3, 3})});
  einsum("i,j->ij", {uniform({2}), uniform({3})});
  einsum("bhwc,hkc->bhwk", {uniform({2, 3, 4, 5}), uniform({3, 6, 5})});
  einsum("ij,jk,kl->il", {uniform({2, 3}), uniform({3, 4}), uniform({4, 5})});
  einsum("...ij,...jk->...ik", {uniform({2, 3, 4}), uniform({2, 4, 5})}, false);
  einsum("ij,jk", {uniform({2, 3}), uniform({3, 4})}, false);
  return out;
}

OpCase attention(std::vector<Arg> args, ir::Attributes attributes = {}, size_t outputs = 1) {
  return {"Attention", std::move(args), std::move(attributes), outputs, "", 1e-5};
}

const ir::Attributes kHeads = {{"q_num_heads", int64_t{4}}, {"kv_num_heads", int64_t{4}}};
const ir::Attributes kGrouped = {{"q_num_heads", int64_t{4}}, {"kv_num_heads", int64_t{2}}};

ir::Attributes with(ir::Attributes attributes,
                    std::initializer_list<std::pair<std::string, ir::Attribute>> more) {
  for (const auto& [name, value] : more) attributes[name] = value;
  return attributes;
}

// A mask in which every query may attend to something.
Arg some_mask(Dims dims) {
  Arg out = uniform_bools(std::move(dims));
  const auto length = static_cast<size_t>(out.tensor->dims.back());
  for (size_t i = 0; i < out.tensor->count(); i += length) out.tensor->as<bool>()[i] = true;
  return out;
}

std::vector<OpCase> attention_cases() {
  const Arg q = uniform({2, 5, 24}), k = uniform({2, 7, 24}, -2, 2, 2), v = uniform({2, 7, 24}, -2, 2, 3);
  const Arg q4 = uniform({2, 4, 5, 6}), k4 = uniform({2, 4, 7, 6}, -2, 2, 2),
            v4 = uniform({2, 4, 7, 3}, -2, 2, 3);
  const Arg gk = uniform({2, 7, 12}, -2, 2, 2), gv = uniform({2, 7, 12}, -2, 2, 3);
  const Arg past_k = uniform({2, 4, 3, 6}, -2, 2, 4), past_v = uniform({2, 4, 3, 3}, -2, 2, 5);
  // ONNX Runtime 1.32 wants masks with as many rows as there are queries; one that broadcasts over them is
  // tested in tests/unit/reference/attention_test.cc.
  const ir::Attributes causal = {{"is_causal", int64_t{1}}};
  return {
      attention({q, k, v}, kHeads),
      attention({q4, k4, v4}),
      attention({q4, k4, v4}, {{"scale", 0.3f}}),
      attention({q4, k4, v4}, {{"softcap", 1.5f}}),
      attention({q, gk, gv}, kGrouped),
      attention({q, k, v, uniform({5, 7})}, kHeads),
      attention({q, k, v, uniform({2, 1, 5, 7})}, kHeads),
      attention({q, k, v, uniform({2, 4, 5, 7})}, kHeads),
      attention({q, k, v, some_mask({5, 7})}, kHeads),
      attention({q, k, v, some_mask({2, 1, 5, 7})}, kHeads),
      attention({q4, k4, v4}, causal),
      attention({q, q, q}, with(kHeads, {{"is_causal", int64_t{1}}})),
      attention({q4, k4, v4, absent(), past_k, past_v}, {}, 3),
      attention({q4, k4, v4, absent(), past_k, past_v}, causal, 3),
      attention({q4, k4, v4, uniform({5, 10}), past_k, past_v}, {}, 3),
      attention({q4, k4, v4, uniform({5, 7}), absent(), absent()}, {{"softcap", 2.0f}}),
      attention({q4, k4, v4, some_mask({5, 7}), absent(), absent(), i64({2}, {3, 7})}),
      attention({q4, k4, v4, absent(), absent(), absent(), i64({2}, {6, 7})}, causal),
      attention(
          {uniform({1, 2, 300, 8}), uniform({1, 2, 300, 8}, -2, 2, 2), uniform({1, 2, 300, 8}, -2, 2, 3)},
          causal),
  };
}

// The scores themselves, after each step.
std::vector<OpCase> score_cases() {
  const Arg q = uniform({2, 4, 5, 6}), k = uniform({2, 4, 7, 6}, -2, 2, 2),
            v = uniform({2, 4, 7, 3}, -2, 2, 3);
  std::vector<OpCase> out;
  for (int64_t mode = 0; mode < 4; ++mode) {
    out.push_back(attention({q, k, v, uniform({5, 7})}, {{"qk_matmul_output_mode", mode}}, 4));
    out.push_back(
        attention({q, k, v, uniform({5, 7})}, {{"qk_matmul_output_mode", mode}, {"softcap", 1.0f}}, 4));
  }
  return out;
}

std::vector<OpCase> rotary_cases() {
  const Arg x3 = uniform({2, 3, 24}), x4 = uniform({2, 4, 3, 6});
  const Arg cache = uniform({9, 3}), cache2 = uniform({9, 3}, -2, 2, 2);
  const Arg positions = uniform_ints({2, 3}, 0, 8);
  const ir::Attributes heads = {{"num_heads", int64_t{4}}};
  return {
      {"RotaryEmbedding", {x3, cache, cache2, positions}, heads},
      {"RotaryEmbedding", {x4, cache, cache2, positions}},
      {"RotaryEmbedding", {x4, cache, cache2, positions}, {{"interleaved", int64_t{1}}}},
      {"RotaryEmbedding",
       {x4, uniform({9, 2}), uniform({9, 2}, -2, 2, 2), positions},
       {{"rotary_embedding_dim", int64_t{4}}}},
      {"RotaryEmbedding",
       {x3, uniform({9, 2}), uniform({9, 2}, -2, 2, 2), positions},
       with(heads, {{"rotary_embedding_dim", int64_t{4}}, {"interleaved", int64_t{1}}})},
      {"RotaryEmbedding", {x4, uniform({2, 3, 3}), uniform({2, 3, 3}, -2, 2, 2)}},
  };
}

INSTANTIATE_TEST_SUITE_P(Product, Matrices, testing::ValuesIn(product_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Attention, Matrices, testing::ValuesIn(attention_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Scores, Matrices, testing::ValuesIn(score_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Rotary, Matrices, testing::ValuesIn(rotary_cases()), name_of);

}  // namespace
}  // namespace ferry::test
