#include "unit/reference/values.h"

namespace ferry::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const Arg kA = f32({2, 2}, {1, 2, 3, 4});

TEST(MatMul, MatricesVectorsAndBatches) {
  EXPECT_THAT(floats({"MatMul", {kA, f32({2, 1}, {10, 100})}}), ElementsAre(210, 430));
  EXPECT_THAT(floats({"MatMul", {f32({2}, {1, 10}), kA}}), ElementsAre(31, 42));
  EXPECT_THAT(floats({"MatMul", {kA, f32({2}, {1, 10})}}), ElementsAre(21, 43));
  EXPECT_THAT(floats({"MatMul", {f32({2}, {1, 2}), f32({2}, {3, 4})}}), ElementsAre(11));
  const auto y = evaluate({"MatMul", {f32({2, 1, 1, 2}, {1, 0, 0, 1}), f32({3, 2, 1}, {1, 2, 3, 4, 5, 6})}});
  EXPECT_EQ(y.dims, (Dims{2, 3, 1, 1}));
  EXPECT_THAT(y.as<float>(), ElementsAre(1, 3, 5, 2, 4, 6));
  EXPECT_EQ(evaluate({"MatMul", {f32({0, 2}, {}), kA}}).dims, (Dims{0, 2}));
  EXPECT_THAT(floats({"MatMul", {f32({1, 0}, {}), f32({0, 2}, {})}}), ElementsAre(0, 0));
}

TEST(MatMul, LargeOnesAgreeWithSums) {
  constexpr int64_t kRows = 130, kInner = 300, kColumns = 90;
  const Arg a = uniform({kRows, kInner}, -1, 1), b = uniform({kInner, kColumns}, -1, 1, 2);
  const auto x = a.tensor->as<float>(), y = b.tensor->as<float>();
  for (const Arg& right : {b, constant(b)}) {
    const auto z = evaluate({"MatMul", {a, right}});
    for (int64_t i = 0; i < kRows; i += 43) {
      for (int64_t j = 0; j < kColumns; j += 29) {
        double sum = 0;
        for (int64_t k = 0; k < kInner; ++k)
          sum += static_cast<double>(x[static_cast<size_t>(i * kInner + k)]) *
                 y[static_cast<size_t>(k * kColumns + j)];
        EXPECT_NEAR(z.as<float>()[static_cast<size_t>(i * kColumns + j)], sum, 1e-4);
      }
    }
  }
}

TEST(Gemm, TransposesScalesAndAdds) {
  EXPECT_THAT(floats({"Gemm", {kA, kA, f32({2}, {1, 2})}}), ElementsAre(8, 12, 16, 24));
  EXPECT_THAT(floats({"Gemm", {kA, constant(kA)}, {{"transB", int64_t{1}}}}), ElementsAre(5, 11, 11, 25));
  EXPECT_THAT(
      floats({"Gemm", {kA, kA, f32({}, {1})}, {{"transA", int64_t{1}}, {"alpha", 0.5f}, {"beta", 3.0f}}}),
      ElementsAre(8, 10, 10, 13));
}

TEST(MatMulInteger, TakesZeroPointsOff) {
  const Arg a = narrowed(DType::u8, i64({1, 2}, {130, 128})), b = narrowed(DType::i8, i64({2, 1}, {3, -4}));
  EXPECT_THAT(evaluate({"MatMulInteger", {a, b, narrowed(DType::u8, i64({}, {128}))}}).as<int32_t>(),
              ElementsAre(6));
  EXPECT_THAT(evaluate({"MatMulInteger", {a, b}}).as<int32_t>(), ElementsAre(-122));
}

std::vector<float> einsum(const char* equation, std::vector<Arg> args, bool strict = true) {
  return floats({"Einsum", std::move(args), {{"equation", std::string(equation)}}, 1, "", 0, strict});
}

TEST(Einsum, OneTwoAndThreeInputs) {
  EXPECT_THAT(einsum("ij->ji", {kA}), ElementsAre(1, 3, 2, 4));
  EXPECT_THAT(einsum("ij->", {kA}), ElementsAre(10));
  EXPECT_THAT(einsum("ii->i", {kA}), ElementsAre(1, 4));
  EXPECT_THAT(einsum("ij,jk->ik", {kA, kA}), ElementsAre(7, 10, 15, 22));
  EXPECT_THAT(einsum("ij,kj->ki", {kA, kA}), ElementsAre(5, 11, 11, 25));
  EXPECT_THAT(einsum("ij,ij->i", {kA, kA}), ElementsAre(5, 25));
  EXPECT_THAT(einsum("ij,k->i", {kA, f32({2}, {10, 100})}), ElementsAre(330, 770));
  EXPECT_THAT(einsum("i,ij,j->", {f32({2}, {1, 2}), kA, f32({2}, {1, 10})}), ElementsAre(107));
  EXPECT_THAT(einsum("ij, jk", {kA, kA}, false), ElementsAre(7, 10, 15, 22));
  EXPECT_THAT(einsum("...ij,...jk->...ik", {f32({2, 1, 2}, {1, 0, 0, 1}), f32({1, 2, 1}, {5, 6})}, false),
              ElementsAre(5, 6));
}

TEST(Rotary, TurnsHalvesOrNeighbours) {
  const Arg x = f32({1, 1, 1, 4}, {1, 2, 3, 4});
  const Arg cosines = f32({2, 2}, {1, 1, 0, 0}), sines = f32({2, 2}, {0, 0, 1, 1});
  const Arg first = i64({1, 1}, {0}), second = i64({1, 1}, {1});
  EXPECT_THAT(floats({"RotaryEmbedding", {x, cosines, sines, first}}), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(floats({"RotaryEmbedding", {x, cosines, sines, second}}), ElementsAre(-3, -4, 1, 2));
  EXPECT_THAT(floats({"RotaryEmbedding", {x, cosines, sines, second}, {{"interleaved", int64_t{1}}}}),
              ElementsAre(-2, 1, -4, 3));
  EXPECT_THAT(floats({"RotaryEmbedding",
                      {x, f32({2, 1}, {1, 0}), f32({2, 1}, {0, 1}), second},
                      {{"rotary_embedding_dim", int64_t{2}}}}),
              ElementsAre(-2, 1, 3, 4));
  EXPECT_THAT(floats({"RotaryEmbedding", {x, f32({1, 1, 2}, {0, 0}), f32({1, 1, 2}, {1, 1})}}),
              ElementsAre(-3, -4, 1, 2));
  EXPECT_THAT(floats({"RotaryEmbedding",
                      {f32({1, 1, 4}, {1, 2, 3, 4}), f32({2, 1}, {1, 0}), f32({2, 1}, {0, 1}), second},
                      {{"num_heads", int64_t{2}}}}),
              ElementsAre(-2, 1, -4, 3));
  EXPECT_THAT(error_of({"RotaryEmbedding", {x, cosines, sines, i64({1, 1}, {2})}}),
              HasSubstr("position is not in the cache"));
}

}  // namespace
}  // namespace ferry::test
