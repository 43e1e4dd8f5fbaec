#include "base/text.h"

#include <gtest/gtest.h>

namespace ferry {
namespace {

TEST(Printable, EscapesControlsAndBrokenUtf8) {
  EXPECT_EQ(printable("plain é 漢"), "plain é 漢");
  EXPECT_EQ(printable("a\nb\tc\r"), "a\\nb\\tc\\r");
  EXPECT_EQ(printable("\x1b[31mred"), "\\x1b[31mred");
  EXPECT_EQ(printable("\xff\xc0\xaf"), "\\xff\\xc0\\xaf");
  EXPECT_EQ(printable("\xc2\x9b"), "\\x9b");  // A C1 control.
  EXPECT_EQ(printable(std::string(300, 'x'), 10), "xxxxxxxxxx...");
}

TEST(IsUtf8, RefusesOverlongSurrogatesAndTruncation) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("\xf0\x9f\x98\x80"));
  EXPECT_FALSE(is_utf8("\xc0\x80"));
  EXPECT_FALSE(is_utf8("\xed\xa0\x80"));
  EXPECT_FALSE(is_utf8("\xf4\x90\x80\x80"));
  EXPECT_FALSE(is_utf8("\xe2\x82"));
}

TEST(Nearest, FindsTyposAndParts) {
  const std::vector<std::string> names = {"bert", "distilbert", "gpt2", "roberta"};
  EXPECT_EQ(nearest("bret", names), (std::vector<std::string>{"bert"}));
  EXPECT_EQ(nearest("distilbrt", names), (std::vector<std::string>{"distilbert"}));
  EXPECT_TRUE(nearest("zzzzzzzz", names).empty());
}

TEST(Join, CutsLongLists) {
  const std::vector<std::string> names = {"a", "b", "c"};
  EXPECT_EQ(join(names), "a, b, c");
  EXPECT_EQ(join(names, ", ", 2), "a, b, ... (1 more)");
}

TEST(HumanBytes, UsesDecimalUnits) {
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1500), "1.5 kB");
  EXPECT_EQ(human_bytes(438e6), "438 MB");
}

}  // namespace
}  // namespace ferry
