#include "unit/reference/values.h"

namespace ferry::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const Arg kTable = f32({3, 2}, {0, 1, 10, 11, 20, 21});

TEST(Gather, AlongAnyAxis) {
  EXPECT_THAT(floats({"Gather", {kTable, i64({2}, {2, -3})}}), ElementsAre(20, 21, 0, 1));
  EXPECT_THAT(floats({"Gather", {kTable, i64({}, {1})}, {{"axis", int64_t{1}}}}), ElementsAre(1, 11, 21));
  EXPECT_THAT(floats({"Gather", {constant(as(DType::bf16, kTable)), i64({1, 1}, {1})}}), ElementsAre(10, 11));
  EXPECT_THAT(error_of({"Gather", {kTable, i64({1}, {3})}}), HasSubstr("index 3 is not within 3"));
  EXPECT_THAT(error_of({"Gather", {constant(kTable), i64({1}, {-4})}}), HasSubstr("index -4"));
}

TEST(Gather, ElementsAndTuples) {
  EXPECT_THAT(floats({"GatherElements", {kTable, i64({1, 2}, {2, -2})}}), ElementsAre(20, 11));
  EXPECT_THAT(floats({"GatherElements", {kTable, i64({3, 1}, {1, 0, 1})}, {{"axis", int64_t{1}}}}),
              ElementsAre(1, 10, 21));
  EXPECT_THAT(floats({"GatherND", {kTable, i64({2, 2}, {0, 1, 2, 0})}}), ElementsAre(1, 20));
  EXPECT_THAT(floats({"GatherND", {kTable, i64({1, 1}, {1})}}), ElementsAre(10, 11));
  EXPECT_THAT(floats({"GatherND", {kTable, i64({3, 1}, {1, 0, 1})}, {{"batch_dims", int64_t{1}}}}),
              ElementsAre(1, 10, 21));
}

TEST(Scatter, WritesAndReduces) {
  EXPECT_THAT(floats({"ScatterElements", {kTable, i64({1, 2}, {1, 0}), f32({1, 2}, {5, 6})}}),
              ElementsAre(0, 6, 5, 11, 20, 21));
  EXPECT_THAT(floats({"ScatterElements",
                      {kTable, i64({2, 1}, {0, 0}), f32({2, 1}, {5, 6})},
                      {{"reduction", std::string("add")}}}),
              ElementsAre(11, 1, 10, 11, 20, 21));
  EXPECT_THAT(floats({"ScatterND", {kTable, i64({1, 1}, {2}), f32({1, 2}, {5, 6})}}),
              ElementsAre(0, 1, 10, 11, 5, 6));
  EXPECT_THAT(floats({"ScatterND",
                      {kTable, i64({2, 2}, {0, 0, 0, 0}), f32({2}, {5, 6})},
                      {{"reduction", std::string("max")}}}),
              ElementsAre(6, 1, 10, 11, 20, 21));
}

TEST(TensorScatter, FillsACacheAtEachBatchsPlace) {
  const Arg cache = f32({2, 3, 1}, {0, 0, 0, 0, 0, 0}), update = f32({2, 2, 1}, {1, 2, 3, 4});
  EXPECT_THAT(floats({"TensorScatter", {cache, update, i64({2}, {0, 1})}}), ElementsAre(1, 2, 0, 0, 3, 4));
  EXPECT_THAT(
      floats({"TensorScatter", {cache, update, i64({2}, {2, 0})}, {{"mode", std::string("circular")}}}),
      ElementsAre(2, 0, 1, 3, 4, 0));
  EXPECT_THAT(error_of({"TensorScatter", {cache, update, i64({2}, {2, 0})}}), HasSubstr("beyond the cache"));
}

TEST(ReverseSequence, TurnsThePartThatIsThere) {
  EXPECT_THAT(floats({"ReverseSequence",
                      {f32({2, 3}, {1, 2, 3, 4, 5, 6}), i64({2}, {2, 3})},
                      {{"batch_axis", int64_t{0}}, {"time_axis", int64_t{1}}}}),
              ElementsAre(2, 1, 3, 6, 5, 4));
}

TEST(Selection, ByValue) {
  const Arg x = f32({2, 3}, {1, 3, 3, 2, 0, 1});
  EXPECT_THAT(integers({"ArgMax", {x}, {{"axis", int64_t{1}}}}), ElementsAre(1, 0));
  EXPECT_THAT(integers({"ArgMax", {x}, {{"axis", int64_t{1}}, {"select_last_index", int64_t{1}}}}),
              ElementsAre(2, 0));
  EXPECT_EQ(evaluate({"ArgMin", {x}, {{"axis", int64_t{0}}, {"keepdims", int64_t{0}}}}).dims, Dims{3});
  const auto top = evaluate_all({"TopK", {x, ints({2})}, {}, 2});
  EXPECT_THAT(top[0].as<float>(), ElementsAre(3, 3, 2, 1));
  EXPECT_THAT(top[1].as<int64_t>(), ElementsAre(1, 2, 0, 2));
  const auto low = evaluate_all({"TopK", {x, ints({1})}, {{"largest", int64_t{0}}, {"axis", int64_t{0}}}, 2});
  EXPECT_THAT(low[0].as<float>(), ElementsAre(1, 0, 1));
  EXPECT_THAT(low[1].as<int64_t>(), ElementsAre(0, 1, 1));
}

TEST(Selection, ByPlace) {
  EXPECT_THAT(integers({"NonZero", {f32({2, 2}, {0, 1, 2, 0})}, {}, 1, "", 0, false}),
              ElementsAre(0, 1, 1, 0));
  EXPECT_THAT(floats({"OneHot", {i64({3}, {1, -1, 5}), constant(i64({}, {2})), f32({2}, {0, 1})}}),
              ElementsAre(0, 1, 0, 1, 0, 0));
  EXPECT_THAT(
      floats(
          {"OneHot", {i64({2}, {1, 0}), constant(i64({}, {3})), f32({2}, {0, 1})}, {{"axis", int64_t{0}}}}),
      ElementsAre(0, 1, 1, 0, 0, 0));
  const Arg ones = f32({2, 3}, {1, 1, 1, 1, 1, 1});
  EXPECT_THAT(floats({"Trilu", {ones}}), ElementsAre(1, 1, 1, 0, 1, 1));
  EXPECT_THAT(floats({"Trilu", {ones, constant(i64({}, {1}))}, {{"upper", int64_t{0}}}}),
              ElementsAre(1, 1, 0, 1, 1, 1));
}

TEST(CumSum, ForwardsBackwardsAndExclusive) {
  const Arg x = i64({4}, {1, 2, 3, 4}), axis = constant(i64({}, {0}));
  EXPECT_THAT(integers({"CumSum", {x, axis}}), ElementsAre(1, 3, 6, 10));
  EXPECT_THAT(integers({"CumSum", {x, axis}, {{"exclusive", int64_t{1}}}}), ElementsAre(0, 1, 3, 6));
  EXPECT_THAT(integers({"CumSum", {x, axis}, {{"reverse", int64_t{1}}}}), ElementsAre(10, 9, 7, 4));
  EXPECT_THAT(integers({"CumSum", {x, axis}, {{"reverse", int64_t{1}}, {"exclusive", int64_t{1}}}}),
              ElementsAre(9, 7, 4, 0));
}

}  // namespace
}  // namespace ferry::test
