#include "tensor/weight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "tensor/weight_norm.h"

namespace ferry {
namespace {

using ::testing::ElementsAre;

Weight ramp(Dims dims) {
  std::vector<float> values(static_cast<size_t>(element_count(dims)));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  return Weight::from_f32(std::move(dims), values);
}

// Every range of elements is the same piece of the whole.
void expect_ranges_agree(const Weight& weight) {
  const auto all = weight.bytes();
  const size_t element = bits_of(weight.dtype()) / 8;
  for (uint64_t first = 0; first < weight.count(); first += 3) {
    for (const uint64_t count : {uint64_t{1}, uint64_t{5}, weight.count() - first}) {
      if (first + count > weight.count()) continue;
      std::vector<std::byte> part(count * element);
      weight.read(first, count, part.data());
      ASSERT_EQ(std::memcmp(part.data(), all.data() + first * element, part.size()), 0)
          << first << "+" << count;
    }
  }
}

TEST(Weight, ViewsReadTheSameInAnyPieces) {
  const Weight w = ramp({5, 7, 6});
  const std::vector<int64_t> perm = {2, 0, 1};
  for (const Weight& view :
       {w, w.transpose(), w.transpose(perm), w.slice(1, 2, 6), w.transpose().slice(2, 1, 5),
        w.transpose().reshape({5, 42}), w.reshape({35, 6}).transpose(), w.cast(DType::f16).transpose(),
        w.transpose().cast(DType::bf16), w.add(w).slice(0, 1, 3), w.scale(0.5f).transpose(perm)}) {
    expect_ranges_agree(view);
  }
}

TEST(Weight, TransposesOfEverySizeAndType) {
  for (const int64_t rows : {1, 3, 16, 33, 100}) {
    for (const int64_t columns : {1, 5, 16, 32, 65}) {
      for (const DType dtype : {DType::f32, DType::f16, DType::f64}) {
        const Weight w = ramp({rows, columns}).cast(dtype);
        // Stored, so that the transposed copy is what is tested.
        const Weight stored = Weight::inline_bytes(dtype, {rows, columns}, w.bytes());
        const auto turned = stored.transpose().as_f32();
        const auto straight = stored.as_f32();
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t c = 0; c < columns; ++c)
            ASSERT_EQ(turned[static_cast<size_t>(c * rows + r)],
                      straight[static_cast<size_t>(r * columns + c)]);
        }
      }
    }
  }
}

TEST(Weight, UnalignedSourcesAreTurnedToo) {
  std::vector<std::byte> bytes(1 + 40 * 24 * 4);
  const auto values = ramp({40, 24}).bytes();
  std::memcpy(bytes.data() + 1, values.data(), values.size());
  const Weight w = Weight::stored(memory_source(std::move(bytes)), 1, DType::f32, {40, 24});
  EXPECT_EQ(w.transpose().bytes(), ramp({40, 24}).transpose().bytes());
}

TEST(Weight, HalvesAreTheSameAloneAndByEights) {
  std::vector<float> values;
  for (uint32_t bits = 0; bits < 0xFFFF0000u; bits += 0x2FFF1u) values.push_back(std::bit_cast<float>(bits));
  for (const uint32_t bits :
       {0x7F800000u, 0xFF800000u, 0x7F800001u, 0x7FC12345u, 0x477FF000u, 0x33000000u, 0x33000001u})
    values.push_back(std::bit_cast<float>(bits));
  const auto count = static_cast<int64_t>(values.size());
  const auto bytes = Weight::from_f32({count}, values).cast(DType::f16).bytes();
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t half = 0;
    std::memcpy(&half, bytes.data() + 2 * i, 2);
    ASSERT_EQ(half, float_to_half(values[i])) << std::hexfloat << values[i];
  }
}

// More than is read at once, of rows that do not divide it.
TEST(Weight, LongConversionsOfTransposesReadTheSameInAnyPieces) {
  std::vector<float> values(1031 * 1100);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 2039);
  const Dims dims = {1031, 1100};
  const Weight stored =
      Weight::inline_bytes(DType::f16, dims, Weight::from_f32(dims, values).cast(DType::f16).bytes());
  const Weight turned = stored.transpose().cast(DType::f32);
  const auto all = turned.as_f32();
  for (size_t r = 0; r < 1100; r += 7) {
    for (size_t c = 0; c < 1031; ++c) ASSERT_EQ(all[r * 1031 + c], values[c * 1100 + r]);
  }
  for (const uint64_t first : {uint64_t{0}, uint64_t{1}, uint64_t{1031 * 3 - 1}, uint64_t{1031 * 64 + 5}}) {
    std::vector<float> part(1031 * 40 + 13);
    turned.read(first, part.size(), reinterpret_cast<std::byte*>(part.data()));
    ASSERT_TRUE(std::equal(part.begin(), part.end(), all.begin() + static_cast<ptrdiff_t>(first)));
  }
}

TEST(Weight, Concatenation) {
  const std::vector<Weight> parts = {ramp({2, 3}), ramp({2, 1}), ramp({2, 2})};
  const Weight wide = Weight::concat(parts, 1);
  EXPECT_EQ(wide.dims(), (Dims{2, 6}));
  EXPECT_THAT(wide.as_f32(), ElementsAre(0, 1, 2, 0, 0, 1, 3, 4, 5, 1, 2, 3));
  EXPECT_THAT(Weight::concat(std::vector<Weight>{ramp({1, 2}), ramp({2, 2})}, 0).as_f32(),
              ElementsAre(0, 1, 0, 1, 2, 3));
  EXPECT_THROW(Weight::concat(std::vector<Weight>{ramp({1, 2}), ramp({1, 3})}, 0), Error);
  EXPECT_THROW(Weight::concat(std::vector<Weight>{ramp({2}), ramp({2}).cast(DType::f16)}, 0), Error);
  expect_ranges_agree(wide);
  expect_ranges_agree(wide.transpose());
}

TEST(Weight, KeysTellExpressionsApart) {
  const Weight w = ramp({4, 4});
  EXPECT_EQ(w.key(), Weight(w).key());
  EXPECT_EQ(w.transpose().transpose().key(), w.key());
  EXPECT_NE(w.transpose().key(), w.key());
  EXPECT_NE(w.cast(DType::f16).key(), w.cast(DType::bf16).key());
  EXPECT_NE(w.scale(2).key(), w.scale(3).key());
  EXPECT_NE(ramp({4, 4}).key(), w.key());
}

TEST(Weight, StoredBytesAreThoseOfWholeRanges) {
  const Weight w = ramp({4, 6});
  EXPECT_TRUE(w.stored_bytes());
  EXPECT_TRUE(w.slice(0, 1, 3).stored_bytes());
  EXPECT_FALSE(w.slice(1, 1, 3).stored_bytes());
  EXPECT_FALSE(w.transpose().stored_bytes());
  EXPECT_FALSE(w.file_range());
}

TEST(Weight, DirectionAndMagnitudeMakeAWeight) {
  const Weight direction = ramp({3, 2, 2}).add(Weight::from_f32({3, 2, 2}, std::vector<float>(12, -4.0f)));
  const std::vector<float> sizes = {2.0f, -3.0f};
  const Weight last = weight_norm(direction, Weight::from_f32({1, 1, 2}, sizes), 2);
  expect_ranges_agree(last);
  // -4 -2 0 2 4 6 and -3 -1 1 3 5 7.
  const auto even = [](double x) { return ::testing::FloatEq(static_cast<float>(2 * x / std::sqrt(76.0))); };
  const auto odd = [](double x) { return ::testing::FloatEq(static_cast<float>(-3 * x / std::sqrt(94.0))); };
  EXPECT_THAT(last.as_f32(), ElementsAre(even(-4), odd(-3), even(-2), odd(-1), even(0), odd(1), even(2),
                                         odd(3), even(4), odd(5), even(6), odd(7)));
  const Weight first = weight_norm(direction, Weight::from_f32({3, 1, 1}, std::vector<float>{1, 1, 0}), 0);
  expect_ranges_agree(first);
  EXPECT_FLOAT_EQ(first.as_f32()[0], static_cast<float>(-4 / std::sqrt(30.0)));
  EXPECT_EQ(first.as_f32()[11], 0.0f);
  EXPECT_NE(first.key(), last.key());
  EXPECT_EQ(weight_norm(direction.cast(DType::f16), Weight::from_f32({1, 1, 2}, sizes), 2).dtype(),
            DType::f16);
  EXPECT_THROW((void)weight_norm(direction, Weight::from_f32({2}, sizes), 2), Error);
  EXPECT_THROW((void)weight_norm(direction, Weight::from_f32({1, 1, 2}, sizes), 3), Error);
}

TEST(Weight, WrongPlacesAndShapesAreErrors) {
  const auto source = memory_source(std::vector<std::byte>(10));
  EXPECT_THROW(Weight::stored(source, 0, DType::f32, {3}), Error);
  EXPECT_THROW(Weight::stored(source, ~uint64_t{0}, DType::f32, {1}), Error);
  EXPECT_THROW(Weight::strided(source, 0, DType::u8, {2, 2}, {9, 1}), Error);
  EXPECT_THROW(Weight::stored(source, 0, DType::u8, {-1}), Error);
  const Weight w = ramp({2, 3});
  EXPECT_THROW((void)w.reshape({5}), Error);
  EXPECT_THROW((void)w.slice(1, 2, 4), Error);
  EXPECT_THROW((void)w.slice(2, 0, 0), Error);
  EXPECT_THROW((void)w.transpose(std::vector<int64_t>{0, 0}), Error);
  EXPECT_THROW((void)w.add(ramp({3, 2})), Error);
}

}  // namespace
}  // namespace ferry
