#include "tensor/grouped.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace ferry {
namespace {

Weight words(Dims dims, const std::vector<uint32_t>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return Weight::inline_bytes(DType::i32, std::move(dims), {bytes.begin(), bytes.end()});
}

// 16 rows, 8 columns, groups of `size` rows: q = (row + 3 column) mod 16.
uint32_t q(int64_t row, int64_t column) {
  return static_cast<uint32_t>((row + 3 * column) % 16);
}
uint32_t zero(int64_t group, int64_t column) {
  return static_cast<uint32_t>((5 * group + column) % 16);
}
float scale(int64_t group, int64_t column) {
  return static_cast<float>(1 + group + column) / 8;
}

constexpr int64_t kRows = 64, kColumns = 8;

GroupedTensors gptq(int64_t size, uint32_t less = 1) {
  const int64_t groups = (kRows + size - 1) / size;
  std::vector<uint32_t> qweight(kRows / 8 * kColumns), qzeros(static_cast<size_t>(groups));
  std::vector<float> scales;
  for (int64_t k = 0; k < kRows; ++k) {
    for (int64_t n = 0; n < kColumns; ++n)
      qweight[static_cast<size_t>(k / 8 * kColumns + n)] |= q(k, n) << (k % 8 * 4);
  }
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t n = 0; n < kColumns; ++n) {
      qzeros[static_cast<size_t>(g)] |= ((zero(g, n) + 16 - less) % 16) << (n * 4);
      scales.push_back(scale(g, n));
    }
  }
  return {words({kRows / 8, kColumns}, qweight), words({groups, 1}, qzeros),
          Weight::from_f32({groups, kColumns}, scales), std::nullopt};
}

GroupedFormat format(int64_t size) {
  return {GroupedFormat::Layout::gptq, 4, size, true};
}

float value(int64_t row, int64_t column, int64_t group) {
  return (static_cast<float>(q(row, column)) - static_cast<float>(zero(group, column))) *
         scale(group, column);
}

TEST(Grouped, GivesTheFloatsOfGptq) {
  const Weight weight = grouped_matrix(gptq(16), format(16));
  EXPECT_TRUE(is_grouped(weight));
  EXPECT_EQ(weight.dims(), (Dims{kColumns, kRows}));
  const auto floats = weight.as_f32(), turned = weight.transpose().as_f32();
  for (int64_t n = 0; n < kColumns; ++n) {
    for (int64_t k = 0; k < kRows; ++k) {
      ASSERT_EQ(floats[static_cast<size_t>(n * kRows + k)], value(k, n, k / 16));
      ASSERT_EQ(turned[static_cast<size_t>(k * kColumns + n)], value(k, n, k / 16));
    }
  }
  std::vector<float> part(77);
  weight.read(50, part.size(), reinterpret_cast<std::byte*>(part.data()));
  EXPECT_TRUE(std::equal(part.begin(), part.end(), floats.begin() + 50));
  EXPECT_EQ(grouped_matrix(gptq(16, 0), {GroupedFormat::Layout::gptq, 4, 16, false}).as_f32(), floats);
}

TEST(Grouped, GivesTheFloatsOfAwq) {
  constexpr int kOrder[] = {0, 2, 4, 6, 1, 3, 5, 7};
  std::vector<uint32_t> qweight(kRows), qzeros(1);
  for (int i = 0; i < 8; ++i) {
    for (int64_t k = 0; k < kRows; ++k) qweight[static_cast<size_t>(k)] |= q(k, kOrder[i]) << (4 * i);
    qzeros[0] |= zero(0, kOrder[i]) << (4 * i);
  }
  const GroupedTensors tensors{words({kRows, 1}, qweight), words({1, 1}, qzeros), gptq(64).scales,
                               std::nullopt};
  EXPECT_EQ(grouped_matrix(tensors, {GroupedFormat::Layout::awq, 4, -1, false}).as_f32(),
            grouped_matrix(gptq(64), format(-1)).as_f32());
}

// The numbers that MatMulNBits multiplies with.
std::vector<float> dequantized(const BlockMatrix& blocks, int64_t rows) {
  const auto packed = blocks.weights.packed.bytes();
  const auto scales = blocks.weights.scales.as_f32();
  const auto zeros =
      blocks.weights.zero_points ? blocks.weights.zero_points->bytes() : std::vector<std::byte>();
  const int64_t count = blocks.weights.scales.dims()[1], columns = blocks.weights.scales.dims()[0];
  const auto nibble = [](const std::vector<std::byte>& from, int64_t width, int64_t n, int64_t i) {
    const auto byte = static_cast<uint32_t>(from[static_cast<size_t>(n * width + i / 2)]);
    return static_cast<float>(byte >> (i % 2 * 4) & 15u);
  };
  std::vector<float> out;
  for (int64_t n = 0; n < columns; ++n) {
    for (int64_t k = 0; k < rows; ++k) {
      const int64_t block = k / blocks.format.block_size;
      const float middle = zeros.empty() ? 8.0f : nibble(zeros, (count + 1) / 2, n, block);
      out.push_back((nibble(packed, count * blocks.format.block_size / 2, n, k) - middle) *
                    scales[static_cast<size_t>(n * count + block)]);
    }
  }
  return out;
}

TEST(Grouped, BecomesBlocksThatStandForTheSameFloats) {
  for (const int64_t size : {16, 32, 48, 64, -1}) {  // 48 is three blocks, the last group is short.
    SCOPED_TRACE(size);
    const Weight weight = grouped_matrix(gptq(size < 0 ? kRows : size), format(size));
    const auto blocks = stored_blocks(weight.transpose());
    ASSERT_EQ(blocks.size(), 1u);
    EXPECT_EQ(blocks[0].format.block_size, size == 48 ? 16 : size < 0 ? 64 : size);
    EXPECT_FALSE(blocks[0].order);
    EXPECT_EQ(dequantized(blocks[0], kRows), weight.as_f32());
  }
  EXPECT_TRUE(stored_blocks(grouped_matrix(gptq(8), format(8)).transpose()).empty());
  EXPECT_TRUE(stored_blocks(grouped_matrix(gptq(16), format(16))).empty());
  EXPECT_TRUE(stored_blocks(Weight::zeros(DType::f32, {16, 16})).empty());
}

TEST(Grouped, ColumnsAreTakenApartAndJoined) {
  const Weight weight = grouped_matrix(gptq(16), format(16));
  const Weight parts[] = {weight.slice(0, 2, 5).transpose(), weight.transpose().slice(1, 1, 8)};
  const Weight both = Weight::concat(parts, 1);
  const auto blocks = stored_blocks(both.slice(1, 1, 9));
  ASSERT_EQ(blocks.size(), 2u);
  EXPECT_EQ(dequantized(blocks[0], kRows), weight.slice(0, 3, 5).as_f32());
  EXPECT_EQ(dequantized(blocks[1], kRows), weight.slice(0, 1, 7).as_f32());
  EXPECT_TRUE(has_grouped(both));
  EXPECT_FALSE(is_grouped(both));
  const auto half = stored_blocks(weight.cast(DType::f16).transpose());
  ASSERT_EQ(half.size(), 1u);
  EXPECT_EQ(half[0].weights.scales.dtype(), DType::f16);
}

TEST(Grouped, RowsAreSortedByTheirGroups) {
  GroupedTensors tensors = gptq(16);
  std::vector<int32_t> groups;
  for (int k = 0; k < kRows; ++k) groups.push_back((k * 5 + 2) % 4);
  const auto bytes = std::as_bytes(std::span(groups));
  tensors.g_idx = Weight::inline_bytes(DType::i32, {kRows}, {bytes.begin(), bytes.end()});
  const Weight weight = grouped_matrix(tensors, format(16));
  const auto floats = weight.as_f32();
  EXPECT_EQ(floats[3], value(3, 0, 1));
  const auto blocks = stored_blocks(weight.transpose());
  ASSERT_EQ(blocks.size(), 1u);
  const auto order = blocks[0].order->as_i64();
  const auto sorted = dequantized(blocks[0], kRows);
  for (size_t n = 0; n < kColumns; ++n) {
    for (size_t i = 0; i < order.size(); ++i)
      ASSERT_EQ(sorted[n * kRows + i], floats[n * kRows + static_cast<size_t>(order[i])]);
  }
  // Groups of other lengths are no blocks, and floats all the same.
  groups[0] = 3;
  const auto uneven = std::as_bytes(std::span(groups));
  tensors.g_idx = Weight::inline_bytes(DType::i32, {kRows}, {uneven.begin(), uneven.end()});
  EXPECT_TRUE(stored_blocks(grouped_matrix(tensors, format(16)).transpose()).empty());
  EXPECT_EQ(grouped_matrix(tensors, format(16)).as_f32()[0], value(0, 0, 3));
}

TEST(Grouped, RefusesWhatDoesNotFit) {
  const GroupedTensors good = gptq(16);
  const auto fails = [](const GroupedTensors& tensors, const GroupedFormat& how, ErrorCode code) {
    try {
      grouped_matrix(tensors, how);
      ADD_FAILURE() << "was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
    }
  };
  fails(good, format(32), ErrorCode::shape_mismatch);
  fails(good, format(0), ErrorCode::invalid_config);
  fails(good, {GroupedFormat::Layout::gptq, 5, 16, true}, ErrorCode::unsupported);
  fails(good, {GroupedFormat::Layout::gptq, 8, 16, true}, ErrorCode::shape_mismatch);
  fails(good, {GroupedFormat::Layout::awq, 8, 16, true}, ErrorCode::unsupported);
  GroupedTensors bad = good;
  bad.qweight = Weight::zeros(DType::f32, good.qweight.dims());
  fails(bad, format(16), ErrorCode::shape_mismatch);
  bad = good;
  bad.qweight = Weight::zeros(DType::i32, {0, 8});
  fails(bad, format(16), ErrorCode::shape_mismatch);
  bad = good;
  bad.scales = Weight::zeros(DType::f32, {4, 7});
  fails(bad, format(16), ErrorCode::shape_mismatch);
  bad = good;
  bad.g_idx = words({kRows}, std::vector<uint32_t>(kRows, 4));
  fails(bad, format(16), ErrorCode::invalid_file);
  bad.g_idx = words({kRows}, std::vector<uint32_t>(kRows, 0xFFFFFFFFu));
  fails(bad, format(16), ErrorCode::invalid_file);
  bad.g_idx = words({3}, {0, 0, 0});
  fails(bad, format(16), ErrorCode::shape_mismatch);
}

}  // namespace
}  // namespace ferry
