#include "unit/reference/values.h"

namespace ferry::test {
namespace {

using testing::ElementsAre;

const Arg kX = f32({2, 3}, {1, 2, 3, 4, 5, -6});

TEST(Reduce, OverAxes) {
  EXPECT_THAT(floats({"ReduceSum", {kX, ints({1})}}), ElementsAre(6, 3));
  EXPECT_THAT(floats({"ReduceSum", {kX, ints({0})}, {{"keepdims", int64_t{0}}}}), ElementsAre(5, 7, -3));
  EXPECT_THAT(floats({"ReduceMean", {kX}}), ElementsAre(1.5f));
  EXPECT_THAT(floats({"ReduceMax", {kX, ints({-1})}}), ElementsAre(3, 5));
  EXPECT_THAT(floats({"ReduceMin", {kX, ints({-1})}}), ElementsAre(1, -6));
  EXPECT_THAT(floats({"ReduceProd", {kX, ints({-1})}}), ElementsAre(6, -120));
  EXPECT_THAT(floats({"ReduceL1", {kX, ints({-1})}}), ElementsAre(6, 15));
  EXPECT_THAT(floats({"ReduceL2", {f32({2}, {3, -4})}}), ElementsAre(5));
  EXPECT_THAT(floats({"ReduceSumSquare", {kX, ints({-1})}}), ElementsAre(14, 77));
  EXPECT_THAT(floats({"ReduceLogSum", {f32({2}, {1, 1.71828183f})}}), near({1}));
  EXPECT_THAT(floats({"ReduceLogSumExp", {f32({2}, {1000, 1000})}}), near({1000.69314718}, 1e-4));
  EXPECT_THAT(integers({"ReduceSum", {i64({3}, {1, 2, 3})}}), ElementsAre(6));
  EXPECT_THAT(integers({"ReduceMax", {i64({3}, {1, 7, 3})}}), ElementsAre(7));
}

TEST(Reduce, EmptyAxesAndEmptyRows) {
  EXPECT_EQ(evaluate({"ReduceSum", {kX}, {{"noop_with_empty_axes", int64_t{1}}}}).dims, (Dims{2, 3}));
  EXPECT_EQ(evaluate({"ReduceSum", {kX}}).dims, (Dims{1, 1}));
  EXPECT_THAT(floats({"ReduceSum", {f32({2, 0}, {}), ints({1})}}), ElementsAre(0, 0));
  EXPECT_THAT(floats({"ReduceMax", {f32({1, 0}, {}), ints({1})}}), ElementsAre(-INFINITY));
  EXPECT_THAT(floats({"ReduceMax", {f32({3}, {1, NAN, 2})}}), near({NAN}));
}

TEST(Reduce, SumsOfManyStayExact) {
  // In f32 the sum would stop at 2^24.
  constexpr int64_t kCount = 20000000;
  HostTensor ones = HostTensor::zeros(DType::f32, {kCount});
  for (float& x : ones.as<float>()) x = 1;
  EXPECT_THAT(floats({"ReduceSum", {Arg(std::move(ones))}}), ElementsAre(20000000));
}

TEST(Softmax, AlongAnyAxis) {
  EXPECT_THAT(floats({"Softmax", {f32({2}, {0, std::log(3.0f)})}}), near({0.25, 0.75}));
  EXPECT_THAT(floats({"Softmax", {f32({2, 1}, {1000, 1000})}, {{"axis", int64_t{0}}}}),
              ElementsAre(0.5f, 0.5f));
  EXPECT_THAT(floats({"LogSoftmax", {f32({2}, {0, std::log(3.0f)})}}), near({-1.38629436, -0.28768207}));
  EXPECT_THAT(floats({"Hardmax", {f32({3}, {1, 3, 3})}}), ElementsAre(0, 1, 0));
}

TEST(Softmax, MaskedElementsAndMaskedRows) {
  EXPECT_THAT(floats({"Softmax", {f32({2}, {-INFINITY, 5})}}), ElementsAre(0, 1));
  EXPECT_THAT(floats({"Softmax", {f32({2}, {-INFINITY, -INFINITY})}}), near({NAN, NAN}));
}

TEST(Normalization, LayerNorm) {
  const Arg x = f32({2, 2}, {1, 3, 10, 30});
  EXPECT_THAT(floats({"LayerNormalization", {x, f32({2}, {1, 2}), f32({2}, {0, 5})}, {{"epsilon", 0.0f}}}),
              near({-1, 7, -1, 7}, 1e-6));
  // The variance is the biased one, and epsilon stands under the root: (x - 2) / sqrt(1 + 3).
  const auto results =
      evaluate_all({"LayerNormalization", {f32({2}, {1, 3}), f32({2}, {1, 1})}, {{"epsilon", 3.0f}}, 3});
  EXPECT_THAT(results[0].as<float>(), ElementsAre(-0.5f, 0.5f));
  EXPECT_THAT(results[1].as<float>(), ElementsAre(2));
  EXPECT_THAT(results[2].as<float>(), ElementsAre(0.5f));
}

TEST(Normalization, RmsNormHasNoMean) {
  EXPECT_THAT(floats({"RMSNormalization", {f32({2}, {1, 7}), f32({2}, {1, 2})}, {{"epsilon", 0.0f}}}),
              near({0.2, 2.8}));
}

TEST(Normalization, ByChannel) {
  const Arg x = f32({1, 2, 2}, {1, 3, 10, 30}), scale = f32({2}, {1, 2}), bias = f32({2}, {0, 5});
  const ir::Attributes exact = {{"epsilon", 0.0f}};
  EXPECT_THAT(floats({"InstanceNormalization", {x, scale, bias}, exact}), near({-1, 1, 3, 7}, 1e-6));
  EXPECT_THAT(floats({"BatchNormalization", {x, scale, bias, f32({2}, {1, 10}), f32({2}, {4, 16})}, exact}),
              near({0, 1, 5, 15}, 1e-6));
  EXPECT_THAT(floats({"GroupNormalization",
                      {f32({1, 2, 1}, {1, 3}), scale, bias},
                      {{"epsilon", 0.0f}, {"num_groups", int64_t{1}}}}),
              near({-1, 7}, 1e-6));
  EXPECT_THAT(floats({"LpNormalization", {f32({2}, {3, 4})}}), near({0.6, 0.8}));
}

}  // namespace
}  // namespace ferry::test
