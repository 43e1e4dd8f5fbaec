#include "ir/dim.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"

namespace ferry::ir {
namespace {

const Dim a = Dim::symbol("a"), b = Dim::symbol("b");

TEST(Dim, EqualPolynomialsAreEqualHoweverTheyWereWritten) {
  EXPECT_EQ(a + b, b + a);
  EXPECT_EQ((a + b) * (a - b), a * a - b * b);
  EXPECT_EQ((a + Dim(1)) * (a + Dim(1)), a * a + Dim(2) * a + Dim(1));
  EXPECT_EQ(a - a, Dim(0));
  EXPECT_EQ(Dim(0) * a, Dim(0));
  EXPECT_FALSE(a == b);
  EXPECT_FALSE(a == a + Dim(1));
}

TEST(Dim, Text) {
  EXPECT_EQ(Dim(0).str(), "0");
  EXPECT_EQ(Dim(-3).str(), "-3");
  EXPECT_EQ((b + a).str(), "a + b");
  EXPECT_EQ((Dim(2) * a - Dim(1)).str(), "2*a - 1");
  EXPECT_EQ((a * b).str(), "a*b");
  EXPECT_EQ((a + Dim(1)).floor_div(2).str(), "(a + 1) // 2");
  EXPECT_EQ((Dim(3) * (a + Dim(1)).floor_div(2)).str(), "3*((a + 1) // 2)");
}

TEST(Dim, FloorDivisionTakesWholeMultiplesOut) {
  EXPECT_EQ((Dim(6) * a).floor_div(3), Dim(2) * a);
  EXPECT_EQ((Dim(6) * a + Dim(4)).floor_div(3), Dim(2) * a + Dim(1));
  EXPECT_EQ((a + Dim(7)).floor_div(2), Dim(3) + (a + Dim(1)).floor_div(2));
  EXPECT_EQ((a - Dim(1)).floor_div(2), (a + Dim(1)).floor_div(2) - Dim(1));
  EXPECT_EQ(Dim(-7).floor_div(2), Dim(-4));
  EXPECT_EQ(a.floor_div(1), a);
}

TEST(Dim, EvaluationAgreesWithArithmetic) {
  const Dim formula = (Dim(3) * a * b - Dim(5)).floor_div(4) + a * a - Dim(2) * b;
  for (int64_t x = 0; x < 9; ++x) {
    for (int64_t y = 0; y < 9; ++y) {
      const int64_t numerator = 3 * x * y - 5;
      const int64_t quotient = numerator >= 0 ? numerator / 4 : -((-numerator + 3) / 4);
      EXPECT_EQ(formula.evaluate({{"a", x}, {"b", y}}), quotient + x * x - 2 * y);
      EXPECT_EQ(formula.substitute({{"a", Dim(x)}, {"b", Dim(y)}}).constant(), quotient + x * x - 2 * y);
    }
  }
}

TEST(Dim, ExactDivision) {
  EXPECT_EQ((Dim(12) * a * b).divide_exactly(Dim(4) * b), Dim(3) * a);
  EXPECT_EQ((a * b + Dim(2) * b).divide_exactly(b), a + Dim(2));
  EXPECT_EQ((a + b).divide_exactly(a + b), Dim(1));
  EXPECT_FALSE((Dim(3) * a).divide_exactly(Dim(2)));
  EXPECT_FALSE((a + b).divide_exactly(a));
  EXPECT_FALSE(Dim(std::numeric_limits<int64_t>::min()).divide_exactly(Dim(-1)));
}

TEST(Dim, WhatOverflowsOrGrowsWithoutEndIsAnError) {
  const Dim large(int64_t{1} << 40);
  EXPECT_THROW(large * large, Error);
  EXPECT_THROW(Dim(std::numeric_limits<int64_t>::max()) + Dim(1), Error);
  Dim power = a + b + Dim(1);
  EXPECT_THROW(for (int i = 0; i < 30; ++i) power = power * power, Error);
  Dim nested = a;
  EXPECT_THROW(for (int i = 0; i < 1000; ++i) nested = (nested * nested + a).floor_div(7), Error);
}

TEST(Dim, SymbolsAndConstants) {
  EXPECT_EQ(a.symbol_name(), "a");
  EXPECT_FALSE((a + Dim(1)).symbol_name());
  EXPECT_FALSE(a.constant());
  EXPECT_EQ((a - a + Dim(4)).constant(), 4);
  EXPECT_EQ(to_string(Shape{a, 12, a + b}), "[a, 12, a + b]");
}

}  // namespace
}  // namespace ferry::ir
