#include "unit/reference/values.h"

namespace ferry::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Ints = std::vector<int64_t>;

const Arg kSix = f32({2, 3}, {1, 2, 3, 4, 5, 6});

TEST(Shape, DescribesPartsOfAShape) {
  const Arg x = uniform({2, 3, 4});
  EXPECT_THAT(integers({"Shape", {x}}), ElementsAre(2, 3, 4));
  EXPECT_THAT(integers({"Shape", {x}, {{"start", int64_t{-2}}, {"end", int64_t{2}}}}), ElementsAre(3));
  EXPECT_THAT(integers({"Size", {x}}), ElementsAre(24));
  EXPECT_THAT(integers({"Shape", {constant(x)}}), ElementsAre(2, 3, 4));
}

TEST(Reshape, KeepsAndFills) {
  EXPECT_EQ(evaluate({"Reshape", {kSix, ints({0, -1, 1})}}).dims, (Dims{2, 3, 1}));
  EXPECT_EQ(evaluate({"Reshape", {f32({0, 3}, {}), ints({3, 0})}, {{"allowzero", int64_t{1}}}}).dims,
            (Dims{3, 0}));
  EXPECT_THAT(error_of({"Reshape", {kSix, i64({2}, {4, -1})}, {}, 1, "", 0, false}),
              HasSubstr("shape_mismatch"));
  EXPECT_EQ(evaluate({"Flatten", {uniform({2, 3, 4})}, {{"axis", int64_t{2}}}}).dims, (Dims{6, 4}));
  EXPECT_EQ(evaluate({"Squeeze", {uniform({1, 3, 1}), ints({-1})}}).dims, (Dims{1, 3}));
  EXPECT_EQ(evaluate({"Squeeze", {uniform({1, 3, 1})}}).dims, Dims{3});
  EXPECT_EQ(evaluate({"Unsqueeze", {kSix, ints({0, -1})}}).dims, (Dims{1, 2, 3, 1}));
}

TEST(Transpose, Permutes) {
  EXPECT_THAT(floats({"Transpose", {kSix}}), ElementsAre(1, 4, 2, 5, 3, 6));
  const auto y = evaluate({"Transpose", {uniform_ints({2, 3, 4}, 0, 9)}, {{"perm", Ints{2, 0, 1}}}});
  EXPECT_EQ(y.dims, (Dims{4, 2, 3}));
}

TEST(Concat, JoinsAlongAnAxis) {
  EXPECT_THAT(floats({"Concat", {kSix, f32({2, 1}, {8, 9})}, {{"axis", int64_t{-1}}}}),
              ElementsAre(1, 2, 3, 8, 4, 5, 6, 9));
  EXPECT_THAT(floats({"Concat", {kSix, f32({1, 3}, {7, 8, 9})}, {{"axis", int64_t{0}}}}),
              ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9));
}

TEST(Split, CutsIntoParts) {
  const auto parts = evaluate_all({"Split", {kSix, ints({1, 2})}, {{"axis", int64_t{1}}}, 2});
  EXPECT_THAT(parts[0].as<float>(), ElementsAre(1, 4));
  EXPECT_THAT(parts[1].as<float>(), ElementsAre(2, 3, 5, 6));
  const auto even = evaluate_all(
      {"Split", {f32({5}, {1, 2, 3, 4, 5})}, {{"axis", int64_t{0}}, {"num_outputs", int64_t{3}}}, 3});
  EXPECT_THAT(even[2].as<float>(), ElementsAre(5));
}

TEST(Slice, CountsFromBothEndsAndBackwards) {
  const Arg x = f32({5}, {0, 1, 2, 3, 4});
  const auto slice = [&](int64_t begin, int64_t end, int64_t step) {
    return floats({"Slice", {x, ints({begin}), ints({end}), ints({0}), ints({step})}, {}, 1, "", 0, false});
  };
  EXPECT_THAT(slice(1, 3, 1), ElementsAre(1, 2));
  EXPECT_THAT(slice(-2, 100, 1), ElementsAre(3, 4));
  EXPECT_THAT(slice(0, 5, 2), ElementsAre(0, 2, 4));
  EXPECT_THAT(slice(1, 5, 3), ElementsAre(1, 4));
  EXPECT_THAT(slice(-1, std::numeric_limits<int64_t>::min(), -1), ElementsAre(4, 3, 2, 1, 0));
  EXPECT_THAT(slice(3, 0, -2), ElementsAre(3, 1));
  EXPECT_THAT(slice(100, -100, -2), ElementsAre(4, 2, 0));
  EXPECT_THAT(slice(3, 1, 1), ElementsAre());
  EXPECT_THAT(floats({"Slice", {kSix, ints({0, 1}), ints({1, 3})}}), ElementsAre(2, 3));
}

TEST(Expand, RepeatsOnes) {
  EXPECT_THAT(floats({"Expand", {f32({2, 1}, {1, 2}), ints({2, 2})}}), ElementsAre(1, 1, 2, 2));
  EXPECT_EQ(evaluate({"Expand", {f32({2, 1}, {1, 2}), ints({3, 1, 1})}}).dims, (Dims{3, 2, 1}));
  EXPECT_THAT(floats({"Tile", {f32({1, 2}, {1, 2}), ints({2, 2})}}), ElementsAre(1, 2, 1, 2, 1, 2, 1, 2));
}

TEST(Making, RangesAndConstants) {
  EXPECT_THAT(integers({"Range", {i64({}, {2}), i64({}, {9}), i64({}, {3})}, {}, 1, "", 0, false}),
              ElementsAre(2, 5, 8));
  EXPECT_THAT(integers({"Range", {i64({}, {2}), i64({}, {-1}), i64({}, {-1})}, {}, 1, "", 0, false}),
              ElementsAre(2, 1, 0));
  EXPECT_THAT(integers({"Range", {i64({}, {2}), i64({}, {2}), i64({}, {1})}, {}, 1, "", 0, false}),
              ElementsAre());
  const Weight seven = Weight::from_i64({1}, Ints{7});
  EXPECT_THAT(integers({"ConstantOfShape", {ints({2})}, {{"value", seven}}}), ElementsAre(7, 7));
  EXPECT_THAT(floats({"ConstantOfShape", {ints({2})}}), ElementsAre(0, 0));
  EXPECT_THAT(integers({"Constant", {}, {{"value", seven}}}), ElementsAre(7));
}

TEST(DepthToSpace, MovesChannelsIntoBlocks) {
  const Arg x = f32({1, 4, 1, 2}, {0, 1, 10, 11, 20, 21, 30, 31});
  EXPECT_THAT(floats({"DepthToSpace", {x}, {{"blocksize", int64_t{2}}}}),
              ElementsAre(0, 10, 1, 11, 20, 30, 21, 31));
  const HostTensor there = evaluate({"DepthToSpace", {x}, {{"blocksize", int64_t{2}}}});
  EXPECT_THAT(floats({"SpaceToDepth", {there}, {{"blocksize", int64_t{2}}}}),
              ElementsAre(0, 1, 10, 11, 20, 21, 30, 31));
}

TEST(Pad, InEveryMode) {
  const Arg x = f32({4}, {1, 2, 3, 4});
  const auto pad = [&](const char* mode) {
    return floats({"Pad", {x, ints({2, 3}), constant(f32({}, {9}))}, {{"mode", std::string(mode)}}});
  };
  EXPECT_THAT(pad("constant"), ElementsAre(9, 9, 1, 2, 3, 4, 9, 9, 9));
  EXPECT_THAT(pad("reflect"), ElementsAre(3, 2, 1, 2, 3, 4, 3, 2, 1));
  EXPECT_THAT(pad("edge"), ElementsAre(1, 1, 1, 2, 3, 4, 4, 4, 4));
  EXPECT_THAT(pad("wrap"), ElementsAre(3, 4, 1, 2, 3, 4, 1, 2, 3));
  EXPECT_THAT(floats({"Pad", {kSix, ints({-1, 1}), absent(), ints({-1})}}), ElementsAre(2, 3, 0, 5, 6, 0));
}

}  // namespace
}  // namespace ferry::test
