#include "unit/parity/compare.h"

namespace ferry::test {
namespace {

class Shapes : public testing::TestWithParam<OpCase> {};
TEST_P(Shapes, AgreesWithOnnxRuntime) {
  expect_parity(GetParam());
}

using Ints = std::vector<int64_t>;

std::vector<OpCase> shape_cases() {
  const Arg x = uniform({2, 3, 4});
  return {
      {"Shape", {x}},
      {"Shape", {x}, {{"start", int64_t{1}}}},
      {"Shape", {x}, {{"start", int64_t{-2}}, {"end", int64_t{-1}}}},
      {"Size", {x}},
      {"Reshape", {x, ints({0, -1})}},
      {"Reshape", {x, ints({4, 3, 2})}},
      {"Reshape", {uniform({0, 3}), ints({3, 0})}, {{"allowzero", int64_t{1}}}},
      {"Squeeze", {uniform({1, 3, 1}), ints({0, -1})}},
      {"Squeeze", {uniform({1, 3, 1})}},
      {"Unsqueeze", {x, ints({0, -1})}},
      {"Flatten", {x}, {{"axis", int64_t{2}}}},
      {"Flatten", {x}, {{"axis", int64_t{0}}}},
      {"Flatten", {x}, {{"axis", int64_t{-1}}}},
      {"Transpose", {x}},
      {"Transpose", {x}, {{"perm", Ints{1, 2, 0}}}},
      {"Transpose", {uniform_ints({2, 3, 4, 5}, 0, 99)}, {{"perm", Ints{0, 2, 1, 3}}}},
      {"Concat", {uniform({2, 3}), uniform({2, 1}), uniform({2, 0})}, {{"axis", int64_t{1}}}},
      {"Concat", {uniform_ints({1, 3}, 0, 9), uniform_ints({2, 3}, 0, 9)}, {{"axis", int64_t{-2}}}},
      {"Split", {uniform({2, 7}), ints({3, 4})}, {{"axis", int64_t{1}}}, 2},
      {"Split", {uniform({2, 7})}, {{"axis", int64_t{-1}}, {"num_outputs", int64_t{3}}}, 3},
      {"Slice", {x, ints({1}), ints({3}), ints({2})}},
      {"Slice", {x, ints({-1, 3}), ints({-100, 0}), ints({1, 2}), ints({-1, -2})}, {}, 1, "", 0, false},
      {"Slice", {x, ints({0, 0}), ints({1000, 1000}), ints({0, -1}), ints({1, 3})}},
      {"Slice", {x, ints({2}), ints({1}), ints({1})}},
      {"Slice", {uniform_bools({5, 5}), ints({1, -3}), ints({-1, 5})}},
      {"Expand", {uniform({3, 1}), ints({2, 1, 4})}},
      {"Expand", {uniform({3, 1}), ints({1})}},
      {"Expand", {uniform_ints({}, 0, 9), ints({2, 2})}},
      {"Tile", {uniform({2, 3}), ints({2, 3})}},
      {"Tile", {uniform_ints({3}, 0, 9), ints({0})}},
      {"Range", {i64({}, {2}), i64({}, {11}), i64({}, {3})}, {}, 1, "", 0, false},
      {"Range", {i64({}, {5}), i64({}, {-4}), i64({}, {-2})}, {}, 1, "", 0, false},
      {"Range", {f32({}, {0}), f32({}, {1}), f32({}, {0.3f})}, {}, 1, "", 1e-6, false},
      {"ConstantOfShape", {ints({2, 3})}},
      {"ConstantOfShape", {ints({2})}, {{"value", Weight::from_i64({1}, std::vector<int64_t>{7})}}},
      {"DepthToSpace", {uniform({2, 8, 2, 3})}, {{"blocksize", int64_t{2}}}},
      {"DepthToSpace", {uniform({2, 8, 2, 3})}, {{"blocksize", int64_t{2}}, {"mode", std::string("CRD")}}},
      {"SpaceToDepth", {uniform({2, 2, 4, 6})}, {{"blocksize", int64_t{2}}}},
  };
}

std::vector<OpCase> index_cases() {
  const Arg x = uniform({3, 4, 5});
  std::vector<OpCase> out = {
      {"Gather", {x, i64({2, 2}, {0, 2, -1, 1})}},
      {"Gather", {x, i64({}, {1})}, {{"axis", int64_t{1}}}},
      {"Gather", {x, i64({3}, {0, 4, -5})}, {{"axis", int64_t{-1}}}},
      {"Gather", {constant(x), i64({2, 2}, {0, 2, -1, 1})}},
      {"Gather", {constant(as(DType::f16, x)), i64({2}, {0, 2})}},
      {"Gather", {constant(uniform_ints({5}, 0, 99)), i64({2}, {0, 2})}},
      {"GatherElements", {x, uniform_ints({3, 2, 5}, -4, 3)}, {{"axis", int64_t{1}}}},
      {"GatherElements", {uniform({3, 3}), uniform_ints({2, 3}, 0, 2)}},
      {"GatherND", {x, constant(i64({2, 2}, {0, 1, 2, -1}))}},
      {"GatherND", {x, constant(i64({3, 2, 1}, {0, 1, 2, -1, 3, 0}))}, {{"batch_dims", int64_t{1}}}},
      {"ScatterElements",
       {uniform({3, 4}), i64({2, 4}, {0, 1, 2, 0, 2, 0, 1, 2}), uniform({2, 4}, 5, 9)},
       {{"axis", int64_t{0}}}},
      {"ScatterND", {uniform({4, 3}), constant(i64({2, 1}, {3, 0})), uniform({2, 3}, 5, 9)}},
      {"ScatterND",
       {uniform({4, 3}), constant(i64({2, 1}, {3, 3})), uniform({2, 3}, 5, 9)},
       {{"reduction", std::string("add")}}},
      {"TensorScatter", {uniform({2, 3, 6, 2}), uniform({2, 3, 2, 2}, 5, 9), i64({2}, {1, 4})}},
      {"TensorScatter",
       {uniform({2, 6, 2}), uniform({2, 3, 2}, 5, 9), i64({2}, {1, 5})},
       {{"mode", std::string("circular")}}},
      {"ReverseSequence", {uniform({4, 3, 2}), i64({3}, {1, 4, 3})}},
      {"ReverseSequence",
       {uniform({3, 4}), i64({3}, {1, 4, 3})},
       {{"batch_axis", int64_t{0}}, {"time_axis", int64_t{1}}}},
      {"OneHot", {i64({3}, {0, 2, -1}), constant(i64({1}, {4})), f32({2}, {-1, 5})}},
      {"OneHot",
       {i64({2, 2}, {0, 2, 7, 1}), constant(i64({1}, {3})), f32({2}, {0, 1})},
       {{"axis", int64_t{1}}}},
      {"NonZero", {uniform_ints({3, 4}, 0, 2)}, {}, 1, "", 0, false},
      {"NonZero", {uniform_bools({3, 4})}, {}, 1, "", 0, false},
      {"Trilu", {uniform({2, 3, 4})}},
      {"Trilu", {uniform({4, 3}), constant(i64({}, {-1}))}, {{"upper", int64_t{0}}}},
      {"Trilu", {uniform_ints({3, 3}, 1, 9), constant(i64({}, {1}))}},
      {"TopK", {uniform({3, 6}), ints({4})}, {}, 2},
      {"TopK", {uniform_ints({4, 3}, 0, 3), ints({2})}, {{"axis", int64_t{0}}, {"largest", int64_t{0}}}, 2},
      {"CumSum", {uniform({3, 4}), constant(i64({}, {1}))}},
      {"CumSum", {uniform_ints({3, 4}, 0, 9), constant(i64({}, {0}))}},
      {"CumSum",
       {uniform({3, 4}), constant(i64({}, {-1}))},
       {{"exclusive", int64_t{1}}, {"reverse", int64_t{1}}}},
  };
  for (const char* reduction : {"add", "mul", "max", "min"}) {
    out.push_back({"ScatterElements",
                   {uniform({3, 4}), i64({2, 4}, {0, 1, 2, 0, 0, 1, 1, 2}), uniform({2, 4}, -1, 3)},
                   {{"reduction", std::string(reduction)}}});
  }
  for (const char* op : {"ArgMax", "ArgMin"}) {
    out.push_back({op, {x}, {{"axis", int64_t{1}}}});
    out.push_back({op, {x}, {{"axis", int64_t{-1}}, {"keepdims", int64_t{0}}}});
    out.push_back({op, {f32({5}, {1, 3, -2, 3, -2})}, {{"select_last_index", int64_t{1}}}});
  }
  return out;
}

std::vector<OpCase> pad_cases() {
  std::vector<OpCase> out;
  for (const char* mode : {"constant", "reflect", "edge", "wrap"}) {
    out.push_back({"Pad", {uniform({3, 4}), ints({1, 2, 0, 3})}, {{"mode", std::string(mode)}}});
    out.push_back({"Pad", {uniform({2, 3, 4}), ints({0, 0, 3, 0, 0, 2})}, {{"mode", std::string(mode)}}});
  }
  out.push_back({"Pad", {uniform({3, 4}), ints({1, 2}), constant(f32({}, {7})), ints({-1})}});
  out.push_back({"Pad", {uniform({3, 4}), ints({-1, 0, 2, -2}), constant(f32({}, {7}))}});
  out.push_back({"Pad", {uniform_ints({3}, 0, 9), ints({1, 1}), constant(i64({}, {5}))}});
  return out;
}

INSTANTIATE_TEST_SUITE_P(Shape, Shapes, testing::ValuesIn(shape_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Index, Shapes, testing::ValuesIn(index_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Pad, Shapes, testing::ValuesIn(pad_cases()), name_of);

}  // namespace
}  // namespace ferry::test
