// Expected bytes are those of onnxruntime 1.32's quantize_matmul_4bits and quantize_matmul_8bits.
#include "tensor/blockwise.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

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

TEST(Blockwise, RefusesWhatHasNoBlocks) {
  EXPECT_THROW(quantize_blocks(Weight::zeros(DType::f32, {4, 4, 4}), {}), Error);
  const float bad[] = {1, NAN};
  EXPECT_THROW(static_cast<void>(quantize_blocks(Weight::from_f32({2, 1}, bad), {}).packed.bytes()), Error);
}

}  // namespace
}  // namespace ferry
