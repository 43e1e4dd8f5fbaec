#include "unit/reference/values.h"

namespace ferry::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// One head of size 1, so that scores are products and can be told by hand. Keys are 0: every key that may be
// attended to gets the same share.
const Arg kQuery = f32({1, 1, 2, 1}, {1, 1});
const Arg kKey = f32({1, 1, 4, 1}, {0, 0, 0, 0});
const Arg kValue = f32({1, 1, 4, 1}, {1, 2, 4, 8});

TEST(Attention, AveragesOverEveryKey) {
  EXPECT_THAT(floats({"Attention", {kQuery, kKey, kValue}}), ElementsAre(3.75f, 3.75f));
}

TEST(Attention, ScoresAreScaledOnce) {
  // Scores scale * {ln 1, ln 3}: shares 1/4 and 3/4 at scale 1, 1/(1 + sqrt 3) at scale 1/2.
  const Arg key = f32({1, 1, 2, 1}, {0, std::log(3.0f)}), value = f32({1, 1, 2, 1}, {0, 1});
  const Arg query = f32({1, 1, 1, 1}, {1});
  EXPECT_THAT(floats({"Attention", {query, key, value}}), near({0.75}));
  EXPECT_THAT(floats({"Attention", {query, key, value}, {{"scale", 0.5f}}}), near({0.63397460}));
  // The default is 1 / sqrt(size).
  const Arg wide_query = f32({1, 1, 1, 4}, {1, 0, 0, 0});
  const Arg wide_key = f32({1, 1, 2, 4}, {0, 0, 0, 0, std::log(3.0f), 0, 0, 0});
  EXPECT_THAT(floats({"Attention", {wide_query, wide_key, value}}), near({0.63397460}));
}

TEST(Attention, MasksOfEveryShape) {
  EXPECT_THAT(floats({"Attention", {kQuery, kKey, kValue, boolean({1, 4}, {true, false, true, false})}}),
              ElementsAre(2.5f, 2.5f));
  EXPECT_THAT(floats({"Attention",
                      {kQuery, kKey, kValue,
                       boolean({2, 4}, {true, false, false, false, false, false, true, true})}}),
              ElementsAre(1, 6));
  EXPECT_THAT(floats({"Attention", {kQuery, kKey, kValue, f32({1, 1, 1, 4}, {0, -INFINITY, -INFINITY, 0})}}),
              ElementsAre(4.5f, 4.5f));
  EXPECT_THAT(
      error_of(
          {"Attention", {kQuery, kKey, kValue, f32({3, 4}, std::vector<float>(12))}, {}, 1, "", 0, false}),
      HasSubstr("shape_mismatch"));
}

TEST(Attention, AShorterMaskHidesTheKeysBehindIt) {
  ir::Graph graph;
  graph.strict = false;  // Inference wants masks as long as the keys, where it knows their length.
  const ir::Dim length = ir::Dim::symbol("length");
  ir::Value* q = graph.add_input("q", DType::f32, {1, 1, 2, 1});
  ir::Value* k = graph.add_input("k", DType::f32, {1, 1, 4, 1});
  ir::Value* v = graph.add_input("v", DType::f32, {1, 1, 4, 1});
  ir::Value* mask = graph.add_input("mask", DType::boolean, {2, length});
  graph.add_output("y", graph.add_node("Attention", {q, k, v, mask}).outputs[0]);
  const auto results =
      reference::Interpreter(graph).run({{"q", *kQuery.tensor},
                                         {"k", *kKey.tensor},
                                         {"v", *kValue.tensor},
                                         {"mask", HostTensor::boolean({2, 2}, {true, true, true, false})}});
  EXPECT_THAT(results.at("y").as<float>(), ElementsAre(1.5f, 1));
}

TEST(Attention, AQueryThatSeesNothingGivesZero) {
  EXPECT_THAT(floats({"Attention",
                      {kQuery, kKey, kValue,
                       boolean({2, 4}, {true, false, false, false, false, false, false, false})}}),
              ElementsAre(1, 0));
  EXPECT_THAT(floats({"Attention", {kQuery, kKey, kValue, f32({1, 4}, std::vector<float>(4, -INFINITY))}}),
              ElementsAre(0, 0));
  // transformers' finite minimum gives the uniform row instead.
  const float lowest = std::numeric_limits<float>::lowest();
  EXPECT_THAT(floats({"Attention", {kQuery, kKey, kValue, f32({1, 4}, std::vector<float>(4, lowest))}}),
              ElementsAre(3.75f, 3.75f));
}

TEST(Attention, CausalQueriesSeeThePast) {
  const ir::Attributes causal = {{"is_causal", int64_t{1}}};
  EXPECT_THAT(floats({"Attention", {kQuery, kKey, kValue}, causal}), ElementsAre(1, 1.5f));
  const Arg past_key = f32({1, 1, 1, 1}, {0}), past_value = f32({1, 1, 1, 1}, {16});
  const auto results =
      evaluate_all({"Attention", {kQuery, kKey, kValue, absent(), past_key, past_value}, causal, 3});
  EXPECT_THAT(results[0].as<float>(), ElementsAre(8.5f, 19.0f / 3));
  EXPECT_EQ(results[1].dims, (Dims{1, 1, 5, 1}));
  EXPECT_THAT(results[2].as<float>(), ElementsAre(16, 1, 2, 4, 8));
}

TEST(Attention, AnEmptyPastIsNone) {
  const Arg none = f32({1, 1, 0, 1}, {});
  const auto results = evaluate_all({"Attention", {kQuery, kKey, kValue, absent(), none, none}, {}, 3});
  EXPECT_THAT(results[0].as<float>(), ElementsAre(3.75f, 3.75f));
  EXPECT_THAT(results[2].as<float>(), ElementsAre(1, 2, 4, 8));
}

TEST(Attention, LengthsHidePadding) {
  const Arg absent_past = absent();
  EXPECT_THAT(
      floats({"Attention", {kQuery, kKey, kValue, absent(), absent_past, absent_past, i64({1}, {3})}}),
      near({7.0 / 3, 7.0 / 3}));
  // Causal queries are the last of those that are there.
  EXPECT_THAT(floats({"Attention",
                      {kQuery, kKey, kValue, absent(), absent_past, absent_past, i64({1}, {3})},
                      {{"is_causal", int64_t{1}}}}),
              near({1.5, 7.0 / 3}));
}

TEST(Attention, HeadsShareKeysInGroups) {
  // Four query heads over two key heads: 0 and 1 take the first.
  const Arg q = f32({1, 1, 4}, {1, 1, 1, 1}), k = f32({1, 1, 2}, {1, 1}), v = f32({1, 1, 2}, {5, 7});
  EXPECT_THAT(floats({"Attention", {q, k, v}, {{"q_num_heads", int64_t{4}}, {"kv_num_heads", int64_t{2}}}}),
              ElementsAre(5, 5, 7, 7));
}

TEST(Attention, SoftcapComesBeforeTheMask) {
  const Arg query = f32({1, 1, 1, 1}, {1}), key = f32({1, 1, 2, 1}, {100, 100}),
            value = f32({1, 1, 2, 1}, {1, 2});
  const auto results = evaluate_all({"Attention",
                                     {query, key, value, boolean({1, 2}, {true, false})},
                                     {{"softcap", 2.0f}, {"qk_matmul_output_mode", int64_t{1}}},
                                     4});
  EXPECT_THAT(results[0].as<float>(), ElementsAre(1));
  EXPECT_THAT(results[3].as<float>(), ElementsAre(2, 2));
}

TEST(Attention, BlocksOfQueriesJoin) {
  // More queries than a block holds; each sees itself alone.
  constexpr int64_t kLength = 300;
  const Arg q = uniform({1, 1, kLength, 2}), v = uniform({1, 1, kLength, 2}, -1, 1, 2);
  HostTensor mask = HostTensor::zeros(DType::boolean, {kLength, kLength});
  for (size_t i = 0; i < kLength; ++i) mask.as<bool>()[i * kLength + i] = true;
  const auto y = evaluate({"Attention", {q, q, v, mask}});
  EXPECT_THAT(y.as<float>(), testing::ElementsAreArray(v.tensor->as<float>()));
}

}  // namespace
}  // namespace ferry::test
