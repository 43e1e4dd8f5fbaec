#include "unit/parity/compare.h"

namespace ferry::test {
namespace {

class Images : public testing::TestWithParam<OpCase> {};
TEST_P(Images, AgreesWithOnnxRuntime) {
  expect_parity(GetParam());
}

using Ints = std::vector<int64_t>;

std::vector<OpCase> convolution_cases() {
  const Arg image = uniform({2, 4, 7, 9}), sound = uniform({2, 4, 11});
  const Arg filter = constant(uniform({6, 4, 3, 3}, -1, 1)), by_two = constant(uniform({6, 2, 3, 2}, -1, 1));
  const Arg tap = constant(uniform({6, 4, 3}, -1, 1));
  const ir::Attributes same = {{"auto_pad", std::string("SAME_UPPER")}, {"strides", Ints{2, 3}}};
  const ir::Attributes lower = {{"auto_pad", std::string("SAME_LOWER")}, {"strides", Ints{2, 3}}};
  std::vector<OpCase> out = {
      {"Conv", {image, filter}},
      {"Conv", {image, filter, uniform({6})}, {{"pads", Ints{1, 0, 2, 3}}}},
      {"Conv",
       {image, filter},
       {{"strides", Ints{2, 3}}, {"dilations", Ints{2, 1}}, {"pads", Ints{1, 1, 1, 1}}}},
      {"Conv", {image, by_two, uniform({6})}, {{"group", int64_t{2}}}},
      {"Conv", {uniform({1, 5, 6, 6}), constant(uniform({5, 1, 3, 3}))}, {{"group", int64_t{5}}}},
      {"Conv", {image, filter}, same},
      {"Conv", {image, filter}, lower},
      {"Conv", {image, filter}, {{"auto_pad", std::string("VALID")}}},
      {"Conv", {sound, tap, uniform({6})}, {{"pads", Ints{1, 1}}, {"strides", Ints{2}}}},
      {"Conv",
       {uniform({1, 2, 4, 5, 6}), constant(uniform({3, 2, 2, 3, 2}))},
       {{"pads", Ints{0, 1, 0, 1, 0, 1}}}},
      {"Conv", {uniform({1, 3, 90, 100}, -1, 1), constant(uniform({8, 3, 5, 5}, -1, 1))}},
      {"ConvTranspose", {image, constant(uniform({4, 3, 3, 3}))}},
      {"ConvTranspose",
       {image, constant(uniform({4, 3, 3, 2})), uniform({3})},
       {{"strides", Ints{2, 3}}, {"pads", Ints{1, 0, 0, 1}}, {"output_padding", Ints{1, 0}}}},
      {"ConvTranspose",
       {image, constant(uniform({4, 3, 2, 3})), uniform({6})},
       {{"group", int64_t{2}}, {"dilations", Ints{2, 1}}}},
      {"ConvTranspose", {sound, constant(uniform({4, 2, 4}))}, {{"strides", Ints{2}}, {"pads", Ints{1, 1}}}},
  };
  for (OpCase& of : out) of.tolerance = 1e-5;
  return out;
}

std::vector<OpCase> pool_cases() {
  std::vector<OpCase> out;
  const Arg image = uniform({2, 3, 7, 9});
  const ir::Attributes plain = {{"kernel_shape", Ints{2, 3}}};
  const auto with = [&](ir::Attributes more) {
    more.insert(plain.begin(), plain.end());
    return more;
  };
  for (const char* op : {"MaxPool", "AveragePool"}) {
    out.push_back({op, {image}, plain});
    out.push_back({op, {image}, with({{"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 0, 1}}})});
    out.push_back({op, {image}, with({{"strides", Ints{2, 2}}, {"ceil_mode", int64_t{1}}})});
    out.push_back({op, {image}, with({{"dilations", Ints{2, 1}}})});
    out.push_back({op, {image}, with({{"strides", Ints{2, 2}}, {"auto_pad", std::string("SAME_UPPER")}})});
    out.push_back({op, {uniform({1, 2, 10})}, {{"kernel_shape", Ints{3}}, {"strides", Ints{3}}}});
    out.push_back({op, {uniform({1, 2, 4, 5, 6})}, {{"kernel_shape", Ints{2, 2, 3}}}});
  }
  out.push_back({"MaxPool", {image}, with({{"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 0, 1}}}), 2});
  out.push_back(
      {"AveragePool",
       {image},
       with({{"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 0, 1}}, {"count_include_pad", int64_t{1}}})});
  for (const char* op : {"GlobalAveragePool", "GlobalMaxPool"}) {
    out.push_back({op, {image}});
    out.push_back({op, {uniform({2, 3, 5})}});
  }
  return out;
}

std::vector<OpCase> resize_cases() {
  std::vector<OpCase> out;
  const Arg image = uniform({1, 2, 5, 6});
  const auto sizes = [&](Ints to, ir::Attributes attributes) {
    out.push_back({"Resize", {image, absent(), absent(), ints(to)}, std::move(attributes), 1, "", 1e-5});
  };
  const auto scales = [&](std::vector<float> by, ir::Attributes attributes) {
    out.push_back({"Resize", {image, absent(), constant(f32({4}, by))}, std::move(attributes), 1, "", 1e-5});
  };
  for (const char* mode : {"nearest", "linear", "cubic"}) {
    for (const char* how :
         {"half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners", "half_pixel_symmetric"}) {
      sizes({1, 2, 8, 9},
            {{"mode", std::string(mode)}, {"coordinate_transformation_mode", std::string(how)}});
      sizes({1, 2, 3, 4},
            {{"mode", std::string(mode)}, {"coordinate_transformation_mode", std::string(how)}});
      scales({1, 1, 2, 0.5f},
             {{"mode", std::string(mode)}, {"coordinate_transformation_mode", std::string(how)}});
    }
  }
  for (const char* rounding : {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}) {
    for (const char* how : {"half_pixel", "asymmetric"}) {
      sizes({1, 2, 10, 4},
            {{"nearest_mode", std::string(rounding)}, {"coordinate_transformation_mode", std::string(how)}});
    }
  }
  sizes({1, 2, 8, 9}, {{"mode", std::string("cubic")}, {"cubic_coeff_a", -0.5f}});
  sizes({1, 2, 8, 9}, {{"mode", std::string("cubic")}, {"exclude_outside", int64_t{1}}});
  for (const char* mode : {"linear", "cubic"}) {
    sizes({1, 2, 3, 4}, {{"mode", std::string(mode)}, {"antialias", int64_t{1}}});
    sizes({1, 2, 8, 2}, {{"mode", std::string(mode)}, {"antialias", int64_t{1}}});
    sizes({1, 2, 2, 3},
          {{"mode", std::string(mode)}, {"antialias", int64_t{1}}, {"exclude_outside", int64_t{1}}});
  }
  for (const char* mode : {"nearest", "linear", "cubic"}) {
    // Regions of every axis.
    out.push_back(
        {"Resize",
         {image, constant(f32({8}, {0, 0, 0.2f, -0.1f, 1, 1, 0.8f, 1.1f})), absent(), ints({1, 2, 4, 7})},
         {{"mode", std::string(mode)},
          {"coordinate_transformation_mode", std::string("tf_crop_and_resize")},
          {"extrapolation_value", 9.0f}},
         1,
         "",
         1e-5});
  }
  return out;
}

std::vector<OpCase> grid_cases() {
  std::vector<OpCase> out;
  for (const char* mode : {"nearest", "linear", "cubic"}) {
    for (const char* padding : {"zeros", "border", "reflection"}) {
      for (const int64_t align : {0, 1}) {
        out.push_back(
            {"GridSample",
             {uniform({2, 3, 5, 6}), uniform({2, 4, 3, 2}, -1.4f, 1.4f)},
             {{"mode", std::string(mode)}, {"padding_mode", std::string(padding)}, {"align_corners", align}},
             1,
             "",
             1e-5});
      }
    }
  }
  return out;
}

OpCase microsoft(const char* op, std::vector<Arg> args, ir::Attributes attributes = {}, size_t outputs = 1) {
  return {op, std::move(args), std::move(attributes), outputs, "com.microsoft", 1e-5};
}

std::vector<OpCase> microsoft_cases() {
  const Arg x = uniform({2, 3, 8}), y = uniform({2, 3, 8}, -2, 2, 2), w = uniform({8}),
            b = uniform({8}, -1, 1, 2);
  return {
      microsoft("BiasGelu", {x, b}),
      microsoft("FastGelu", {x, b}),
      microsoft("FastGelu", {x}),
      microsoft("QuickGelu", {x}),
      microsoft("QuickGelu", {x}, {{"alpha", 1.0f}}),
      microsoft("SkipLayerNormalization", {x, y, w, b}, {{"epsilon", 1e-5f}}),
      microsoft("SkipLayerNormalization", {x, y, w, b, uniform({8}, -1, 1, 3)}, {{"epsilon", 1e-5f}}),
      microsoft("SkipSimplifiedLayerNormalization", {x, y, w}, {{"epsilon", 1e-5f}}),
      microsoft("RotaryEmbedding", {uniform({2, 3, 24}), uniform_ints({2, 3}, 0, 8), uniform({9, 3}),
                                    uniform({9, 3}, -2, 2, 2)}),
      microsoft("RotaryEmbedding",
                {uniform({2, 4, 3, 6}), i64({1}, {4}), uniform({9, 3}), uniform({9, 3}, -2, 2, 2)},
                {{"interleaved", int64_t{1}}}),
      microsoft("FusedMatMul", {uniform({2, 4, 3}), uniform({2, 5, 4}, -2, 2, 2)},
                {{"transA", int64_t{1}}, {"transB", int64_t{1}}, {"alpha", 0.5f}}),
      microsoft("MatMulNBits",
                {uniform({2, 3, 40}), constant(narrowed(DType::u8, uniform_ints({7, 2, 16}, 0, 255))),
                 constant(uniform({14}, 0, 1))},
                {{"K", int64_t{40}}, {"N", int64_t{7}}, {"bits", int64_t{4}}, {"block_size", int64_t{32}}}),
      microsoft("MatMulNBits",
                {uniform({3, 96}), constant(narrowed(DType::u8, uniform_ints({7, 3, 16}, 0, 255))),
                 constant(uniform({21}, 0, 1)), constant(narrowed(DType::u8, uniform_ints({14}, 0, 255)))},
                {{"K", int64_t{96}}, {"N", int64_t{7}}, {"bits", int64_t{4}}, {"block_size", int64_t{32}}}),
  };
}

INSTANTIATE_TEST_SUITE_P(Convolution, Images, testing::ValuesIn(convolution_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Pool, Images, testing::ValuesIn(pool_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Resize, Images, testing::ValuesIn(resize_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Grid, Images, testing::ValuesIn(grid_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Microsoft, Images, testing::ValuesIn(microsoft_cases()), name_of);

}  // namespace
}  // namespace ferry::test
