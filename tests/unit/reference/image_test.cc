#include "unit/reference/values.h"

namespace ferry::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Ints = std::vector<int64_t>;

const Arg kImage = f32({1, 1, 3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9});

TEST(Conv, PadsStridesAndGroups) {
  const Arg corner = f32({1, 1, 2, 2}, {1, 0, 0, 10});
  EXPECT_THAT(floats({"Conv", {kImage, corner, f32({1}, {100})}}), ElementsAre(151, 162, 184, 195));
  EXPECT_THAT(floats({"Conv", {kImage, corner}, {{"pads", Ints{1, 1, 0, 0}}, {"strides", Ints{2, 2}}}}),
              ElementsAre(10, 30, 70, 95));
  EXPECT_THAT(floats({"Conv", {kImage, corner}, {{"dilations", Ints{2, 2}}}}), ElementsAre(91));
  EXPECT_THAT(
      floats({"Conv", {f32({1, 2, 2}, {1, 2, 3, 4}), f32({2, 1, 1}, {10, 100})}, {{"group", int64_t{2}}}}),
      ElementsAre(10, 20, 300, 400));
  // SAME_UPPER puts the odd padding behind.
  EXPECT_THAT(floats({"Conv",
                      {f32({1, 1, 3}, {1, 2, 3}), f32({1, 1, 2}, {1, 10})},
                      {{"auto_pad", std::string("SAME_UPPER")}}}),
              ElementsAre(21, 32, 3));
  EXPECT_THAT(floats({"Conv",
                      {f32({1, 1, 3}, {1, 2, 3}), f32({1, 1, 2}, {1, 10})},
                      {{"auto_pad", std::string("SAME_LOWER")}}}),
              ElementsAre(10, 21, 32));
}

TEST(ConvTranspose, SpreadsEachElement) {
  const Arg x = f32({1, 1, 2}, {1, 2}), w = f32({1, 1, 3}, {1, 10, 100});
  EXPECT_THAT(floats({"ConvTranspose", {x, w}}), ElementsAre(1, 12, 120, 200));
  EXPECT_THAT(floats({"ConvTranspose", {x, w}, {{"strides", Ints{2}}}}), ElementsAre(1, 10, 102, 20, 200));
  EXPECT_THAT(floats({"ConvTranspose", {x, w, f32({1}, {5})}, {{"pads", Ints{1, 1}}}}), ElementsAre(17, 125));
  EXPECT_THAT(floats({"ConvTranspose", {x, w}, {{"strides", Ints{2}}, {"output_padding", Ints{1}}}}),
              ElementsAre(1, 10, 102, 20, 200, 0));
}

TEST(Pool, MaximaAndAverages) {
  const ir::Attributes two = {{"kernel_shape", Ints{2, 2}}};
  EXPECT_THAT(floats({"MaxPool", {kImage}, two}), ElementsAre(5, 6, 8, 9));
  EXPECT_THAT(floats({"AveragePool", {kImage}, two}), ElementsAre(3, 4, 6, 7));
  const auto results = evaluate_all({"MaxPool", {kImage}, two, 2});
  EXPECT_THAT(results[1].as<int64_t>(), ElementsAre(4, 5, 7, 8));
  const Arg line = f32({1, 1, 3}, {3, 6, 9});
  const ir::Attributes padded = {{"kernel_shape", Ints{2}}, {"strides", Ints{2}}, {"pads", Ints{1, 0}}};
  EXPECT_THAT(floats({"AveragePool", {line}, padded}), ElementsAre(3, 7.5f));
  ir::Attributes counted = padded;
  counted["count_include_pad"] = int64_t{1};
  EXPECT_THAT(floats({"AveragePool", {line}, counted}), ElementsAre(1.5f, 7.5f));
  EXPECT_THAT(
      floats(
          {"MaxPool", {line}, {{"kernel_shape", Ints{2}}, {"strides", Ints{2}}, {"ceil_mode", int64_t{1}}}}),
      ElementsAre(6, 9));
  EXPECT_THAT(floats({"GlobalAveragePool", {kImage}}), ElementsAre(5));
  EXPECT_THAT(floats({"GlobalMaxPool", {kImage}}), ElementsAre(9));
}

std::vector<float> resize(std::vector<float> line, int64_t to, ir::Attributes attributes) {
  const auto size = static_cast<int64_t>(line.size());
  return floats({"Resize", {f32({size}, line), absent(), absent(), ints({to})}, std::move(attributes)});
}

TEST(Resize, Modes) {
  const std::string asymmetric = "asymmetric", corners = "align_corners";
  EXPECT_THAT(
      resize({1, 2}, 4,
             {{"coordinate_transformation_mode", asymmetric}, {"nearest_mode", std::string("floor")}}),
      ElementsAre(1, 1, 2, 2));
  EXPECT_THAT(resize({0, 4}, 4, {{"mode", std::string("linear")}}), ElementsAre(0, 1, 3, 4));
  EXPECT_THAT(
      resize({0, 3}, 4, {{"mode", std::string("linear")}, {"coordinate_transformation_mode", corners}}),
      near({0, 1, 2, 3}));
  EXPECT_THAT(resize({1, 1, 1}, 7, {{"mode", std::string("cubic")}}), near({1, 1, 1, 1, 1, 1, 1}));
  // Half way between two elements the cubic of -0.75 weighs -3/32, 19/32, 19/32, -3/32.
  EXPECT_THAT(resize({0, 0, 32, 0, 0}, 9,
                     {{"mode", std::string("cubic")}, {"coordinate_transformation_mode", corners}})[3],
              19);
  // Shrinking fourfold with antialias, place 0 lies at 1.5 and place 1 at 5.5; the filter reaches 4 elements
  // on either side: element 3 weighs (1 - 1.5 / 4) / 4 and (1 - 2.5 / 4) / 4.
  EXPECT_THAT(
      resize({0, 0, 0, 8, 0, 0, 0, 0}, 2, {{"mode", std::string("linear")}, {"antialias", int64_t{1}}}),
      near({1.25, 0.75}, 1e-6));
  EXPECT_THAT(
      error_of({"Resize", {f32({1}, {1}), absent(), absent(), ints({2})}, {{"mode", std::string("odd")}}}),
      HasSubstr("unsupported"));
}

TEST(GridSample, ReadsBetweenElements) {
  const Arg grid = f32({1, 1, 3, 2}, {0, 0, -1, -1, 5, 0});
  const auto sample = [&](const char* mode, const char* padding) {
    return floats({"GridSample",
                   {kImage, grid},
                   {{"mode", std::string(mode)}, {"padding_mode", std::string(padding)}}});
  };
  EXPECT_THAT(sample("linear", "zeros"), ElementsAre(5, 0.25f, 0));
  EXPECT_THAT(sample("linear", "border"), ElementsAre(5, 1, 6));
  EXPECT_THAT(sample("nearest", "border"), ElementsAre(5, 1, 6));
  EXPECT_THAT(floats({"GridSample", {kImage, grid}, {{"align_corners", int64_t{1}}}}), ElementsAre(5, 1, 0));
}

TEST(Microsoft, Activations) {
  const Arg x = f32({2}, {-1, 2});
  const auto run = [&](const char* op, std::vector<Arg> args, ir::Attributes attributes = {}) {
    return floats({op, std::move(args), std::move(attributes), 1, "com.microsoft"});
  };
  EXPECT_THAT(run("BiasGelu", {f32({2}, {-2, 1}), f32({2}, {1, 1})}), near({-0.15865525, 1.9544997}));
  EXPECT_THAT(run("FastGelu", {x}), near({-0.15880801, 1.9545977}));
  EXPECT_THAT(run("QuickGelu", {x}, {{"alpha", 1.0f}}), near({-0.26894142, 1.76159416}));
  EXPECT_THAT(run("SkipLayerNormalization",
                  {f32({1, 1, 2}, {0, 1}), f32({1, 1, 2}, {1, 2}), f32({2}, {1, 2}), f32({2}, {0, 5})}),
              near({-1, 7}, 1e-6));
  EXPECT_THAT(run("SkipSimplifiedLayerNormalization",
                  {f32({1, 1, 2}, {0, 5}), f32({1, 1, 2}, {1, 2}), f32({2}, {1, 2})}),
              near({0.2, 2.8}, 1e-6));
}

TEST(Microsoft, FourBitWeights) {
  // Columns of B: 16 numbers of 4 bits, low bits first, around a zero point of 8.
  const Arg a = f32({1, 16}, {1, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  const Arg b = narrowed(DType::u8, i64({1, 1, 8}, {0x9A, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88}));
  EXPECT_THAT(
      floats({"MatMulNBits",
              {a, b, f32({1}, {0.5f})},
              {{"K", int64_t{16}}, {"N", int64_t{1}}, {"bits", int64_t{4}}, {"block_size", int64_t{16}}},
              1,
              "com.microsoft"}),
      ElementsAre(6));
}

}  // namespace
}  // namespace ferry::test
