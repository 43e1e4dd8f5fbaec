// Expected bytes are those of onnxruntime 1.32's quantize_matmul_4bits and quantize_matmul_8bits.
#include "tensor/blockwise.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace ferry {
namespace {

// 40 rows, 3 columns; the first block of the last column is all zeros.
Weight matrix() {
  std::vector<float> values;
  for (int k = 0; k < 40; ++k) {
    for (int n = 0; n < 3; ++n) {
      const double value = ((k * 7 + n * 13) % 29 - 14 + (k % 5) * 0.3) / 8;
      values.push_back(k < 16 && n == 2 ? 0.0f : static_cast<float>(value));
    }
  }
  return Weight::from_f32({40, 3}, values);
}

std::string hex(const Weight& weight) {
  std::string out;
  for (const std::byte byte : weight.bytes()) out += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return out;
}

struct Expected {
  int bits;
  bool symmetric;
  std::string packed, scales, zeros;
};

TEST(Blockwise, GivesTheBytesOfOnnxRuntime) {
  const Expected cases[] = {
      {4, true,
       "cf48c058c159d1692fb61ea50e940d84049c158c0000000049d058e159e26af17be37bf38b048c159e04ae050000000088888"
       "88888888888f37b048c149d15ae05bf16bf00000000",
       "333373be0000503e66666ebe9a9959be9a9969be333343be00000080cdcc64be66663ebe", ""},
      {4, false,
       "40b73fa73ea62d962fb61ea50e940d84fa41e94000000000b62fa71ea61d950e841c840c74fb73ea61fb50fa0000000000000"
       "000000000000b84fb73eb62ea62fa41e95000000000",
       "602c793e295c4f3e4444443e0e745a3e935f6c3e47e13a3e00000000935f6c3e4444443e", "878577877087"},
      {8, true,
       "f6b87b3d00c386480bc2915316cd8f5eef1a61a9e20d559de4004890d8023b833f00ba894a0bc687000000000000000089450"
       "0cc88510cd8944f18e5a05b17f1a96929e7b57535f3b3804000be7e4b0bd88c3f02e6994d0000000000000000008080808080"
       "808080808080808080808036f8b7754100c281400cce8d4b0ada984f00e9ab5d0ef7a90000000000000000",
       "333373bc0000503c66666ebc9a9959bc9a9969bc333343bc00000080cdcc64bc66663ebc", ""},
      {8, false,
       "003f7fbfff3474b4f33669a8e82b6a9dff1b67b4f10d5aa6f3004c99e5023f8baeff0f4fa0f1005100000000000000006eb7f"
       "f2770aaf31a63ace60d569fe8004e91d40c4285c8004479bcff387bb0f30f64b9fd0055aaff00000000000000000000000000"
       "0000000000000000000000c7004386bbff377abdf32b6eb1f51f62aeff0e4fa0f100510000000000000000",
       "1e846a3c9029433cb9b8383c679a4d3c12785e3c16e32f3c0000000012785e3cb9b8383c", "7a885a787971007b7b"}};
  for (const auto& expected : cases) {
    SCOPED_TRACE(fmt::format("{} bits, symmetric {}", expected.bits, expected.symmetric));
    const auto made = quantize_blocks(matrix(), {expected.bits, 16, expected.symmetric});
    EXPECT_EQ(made.packed.dims(), (Dims{3, 3, 2 * expected.bits}));
    EXPECT_EQ(hex(made.packed), expected.packed);
    EXPECT_EQ(hex(made.scales), expected.scales);
    EXPECT_EQ(made.zero_points ? hex(*made.zero_points) : "", expected.zeros);
  }
}

TEST(Blockwise, AnyRangeIsReadAlone) {
  const auto made = quantize_blocks(matrix(), {4, 16, false});
  const auto whole = made.packed.bytes();
  for (const auto& [first, count] : {std::pair<size_t, size_t>{0, 1}, {7, 20}, {23, 2}, {30, 42}}) {
    std::vector<std::byte> part(count);
    made.packed.read(first, count, part.data());
    EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + static_cast<std::ptrdiff_t>(first)));
  }
}

// What is left of the matrix, with `power` for the norm.
double error_of(const BlockFormat& format, double power) {
  const auto made = quantize_blocks(matrix(), format);
  const auto packed = made.packed.bytes();
  const auto zeros = made.zero_points ? made.zero_points->bytes() : std::vector<std::byte>();
  const auto scales = made.scales.as_f32(), values = matrix().as_f32();
  const auto at = [&](const std::vector<std::byte>& bytes, size_t row, size_t width, size_t i) {
    if (format.bits == 8) return static_cast<int>(bytes[row * width + i]);
    return static_cast<int>(bytes[row * width + i / 2] >> (i % 2 * 4) & std::byte{15});
  };
  double sum = 0;
  for (size_t n = 0; n < 3; ++n) {
    for (size_t k = 0; k < 40; ++k) {
      const int zero = zeros.empty() ? 1 << (format.bits - 1) : at(zeros, n, zeros.size() / 3, k / 16);
      const double found =
          (at(packed, n, packed.size() / 3, k) - zero) * static_cast<double>(scales[n * 3 + k / 16]);
      sum += std::pow(std::abs(found - values[k * 3 + n]), power);
    }
  }
  return sum;
}

TEST(Blockwise, SearchesLeaveLessThanRounding) {
  using enum BlockAlgorithm;
  for (const bool symmetric : {true, false})
    EXPECT_LT(error_of({4, 16, symmetric, mse}, 2), 0.97 * error_of({4, 16, symmetric, rtn}, 2));
  for (const int bits : {4, 8}) {
    EXPECT_LE(error_of({bits, 16, true, mse}, 2), error_of({bits, 16, true, rtn}, 2));
    EXPECT_LE(error_of({bits, 16, false, hqq}, 0.7), error_of({bits, 16, false, rtn}, 0.7) * (1 + 1e-6));
  }
}

TEST(Blockwise, ASearchedScaleFitsWhatHasOne) {
  // -7 to 7 in steps of 0.25, which the range from -8 to 7 does not hit.
  std::vector<float> values;
  for (int k = 0; k < 16; ++k) values.push_back(static_cast<float>(k % 15 - 7) * 0.25f);
  const auto made = quantize_blocks(Weight::from_f32({16, 1}, values), {4, 16, true, BlockAlgorithm::mse});
  EXPECT_NEAR(std::abs(made.scales.as_f32()[0]), 0.25f, 1e-6f);
  EXPECT_NE(quantize_blocks(Weight::from_f32({16, 1}, values), {4, 16, true}).scales.as_f32()[0], 0.25f);
}

TEST(Blockwise, SearchedBlocksAreTheSameWheneverTheyAreRead) {
  for (const auto algorithm : {BlockAlgorithm::mse, BlockAlgorithm::hqq}) {
    const auto made = quantize_blocks(matrix(), {4, 16, false, algorithm});
    const auto packed = made.packed.bytes(), scales = made.scales.bytes(), zeros = made.zero_points->bytes();
    for (const auto& [first, count] : {std::pair<size_t, size_t>{0, 1}, {7, 20}, {30, 42}}) {
      std::vector<std::byte> part(count);
      made.packed.read(first, count, part.data());
      EXPECT_TRUE(std::equal(part.begin(), part.end(), packed.begin() + static_cast<std::ptrdiff_t>(first)));
    }
    EXPECT_EQ(made.scales.bytes(), scales);
    EXPECT_EQ(made.zero_points->bytes(), zeros);
    EXPECT_EQ(made.packed.bytes(), packed);
  }
}

TEST(Blockwise, RefusesWhatHasNoBlocks) {
  EXPECT_THROW(quantize_blocks(Weight::zeros(DType::f32, {4, 4, 4}), {}), Error);
  EXPECT_THROW(quantize_blocks(matrix(), {4, 16, true, BlockAlgorithm::hqq}), Error);
  const float bad[] = {1, NAN};
  EXPECT_THROW(static_cast<void>(quantize_blocks(Weight::from_f32({2, 1}, bad), {}).packed.bytes()), Error);
}

}  // namespace
}  // namespace ferry
