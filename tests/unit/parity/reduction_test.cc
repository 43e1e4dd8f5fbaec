#include "unit/parity/compare.h"

namespace ferry::test {
namespace {

class Reductions : public testing::TestWithParam<OpCase> {};
TEST_P(Reductions, AgreesWithOnnxRuntime) {
  expect_parity(GetParam());
}

std::vector<OpCase> reduce_cases() {
  std::vector<OpCase> out;
  const ir::Attributes drop = {{"keepdims", int64_t{0}}};
  for (const char* op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1",
                         "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp"}) {
    const Arg x = uniform({2, 3, 4, 5});
    out.push_back({op, {x, ints({-1})}});
    out.push_back({op, {x, ints({1, 3})}, drop});
    out.push_back({op, {x, ints({0, 2})}});
    out.push_back({op, {x}, drop, 1, "", 2e-5});
    out.push_back({op, {x}, {{"noop_with_empty_axes", int64_t{1}}}});
  }
  out.push_back({"ReduceLogSum", {uniform({2, 5}, 0, 3), ints({1})}});
  for (const char* op : {"ReduceSum", "ReduceMax", "ReduceMin"})
    out.push_back({op, {uniform_ints({3, 4}, -9, 9), ints({0})}});
  out.push_back({"ReduceSum", {uniform({0, 3}), ints({0})}});
  return out;
}

std::vector<OpCase> softmax_cases() {
  std::vector<OpCase> out;
  for (const char* op : {"Softmax", "LogSoftmax", "Hardmax"}) {
    out.push_back({op, {uniform({2, 3, 4})}});
    out.push_back({op, {uniform({2, 3, 4})}, {{"axis", int64_t{1}}}});
    out.push_back({op, {uniform({2, 3, 4})}, {{"axis", int64_t{0}}}});
  }
  out.push_back({"Softmax", {f32({2, 3}, {1, -INFINITY, 2, 90, 100, 80})}});
  for (const int64_t p : {1, 2})
    out.push_back({"LpNormalization", {uniform({3, 4})}, {{"p", p}, {"axis", int64_t{-1}}}});
  out.push_back({"LpNormalization", {uniform({3, 4})}, {{"axis", int64_t{0}}}});
  return out;
}

std::vector<OpCase> norm_cases() {
  const auto positive = [](Dims dims, unsigned seed) { return uniform(std::move(dims), 0.5f, 2, seed); };
  return {
      {"LayerNormalization", {uniform({2, 3, 8}), uniform({8}), uniform({8}, -1, 1, 2)}},
      {"LayerNormalization", {uniform({2, 3, 8}), uniform({8})}, {{"epsilon", 1e-2f}}},
      {"LayerNormalization", {uniform({2, 3, 8}), uniform({8}), uniform({8}, -1, 1, 2)}, {}, 3},
      {"LayerNormalization",
       {uniform({2, 3, 4}), uniform({3, 4}), uniform({3, 4}, -1, 1, 2)},
       {{"axis", int64_t{1}}}},
      {"RMSNormalization", {uniform({2, 3, 8}), uniform({8})}},
      {"RMSNormalization", {uniform({2, 3, 8}), uniform({8})}, {{"epsilon", 1e-2f}}},
      {"BatchNormalization",
       {uniform({2, 3, 4, 5}), uniform({3}), uniform({3}, -1, 1, 2), uniform({3}, -1, 1, 3),
        positive({3}, 4)}},
      {"BatchNormalization",
       {uniform({2, 3}), uniform({3}), uniform({3}, -1, 1, 2), uniform({3}, -1, 1, 3), positive({3}, 4)},
       {{"epsilon", 1e-3f}}},
      {"InstanceNormalization", {uniform({2, 3, 4, 5}), uniform({3}), uniform({3}, -1, 1, 2)}},
      {"InstanceNormalization",
       {uniform({2, 3, 9}), uniform({3}), uniform({3}, -1, 1, 2)},
       {{"epsilon", 1e-3f}}},
      {"GroupNormalization",
       {uniform({2, 6, 4}), uniform({6}), uniform({6}, -1, 1, 2)},
       {{"num_groups", int64_t{3}}}},
      {"GroupNormalization",
       {uniform({2, 4, 3, 5}), uniform({4}), uniform({4}, -1, 1, 2)},
       {{"num_groups", int64_t{1}}, {"epsilon", 1e-3f}}},
  };
}

INSTANTIATE_TEST_SUITE_P(Reduce, Reductions, testing::ValuesIn(reduce_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Softmax, Reductions, testing::ValuesIn(softmax_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Norm, Reductions, testing::ValuesIn(norm_cases()), name_of);

}  // namespace
}  // namespace ferry::test
