#include "cli/console.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace ferry::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Console, InformationStandsAsItIsAndOtherLevelsSayWhatTheyAre) {
  std::ostringstream err;
  Console console(err);
  const Log log = console.log();
  log.debug("left out");
  log.info("\nValidating ONNX model x...\n\t-[ok]");
  log.warning("careful");
  log.error("bad");
  EXPECT_EQ(err.str(), "\nValidating ONNX model x...\n\t-[ok]\nwarning: careful\nerror: bad\n");
}

TEST(Console, MessagesBelowTheLevelAreLeftOut) {
  std::ostringstream err;
  Console console(err);
  console.configure({.least = LogLevel::error});
  console.log().warning("careful");
  EXPECT_EQ(err.str(), "");
}

TEST(Console, NothingMovesTheCursor) {
  EXPECT_EQ(safe_lines("a\tb\nc\x1b[2J\r\x07\xff"), "a\tb\nc\\x1b[2J\\r\\x07\\xff");
}

TEST(Console, TheBarShowsHowMuchIsDone) {
  EXPECT_EQ(progress_bar("writing m", 45'000'000, 100'000'000),
            "writing m  [#########-----------]   45%  45.0 MB of 100 MB");
  EXPECT_THAT(progress_bar("x", 0, 0), HasSubstr("100%"));
  EXPECT_THAT(progress_bar("x", 7, 5), HasSubstr("100%"));
}

TEST(Console, ABarGoesAwayBeforeAMessageAndAtTheEnd) {
  std::ostringstream err;
  Console console(err);
  console.configure({.terminal = true});
  const Log log = console.log();
  log.progress("writing", 1, 4);
  EXPECT_THAT(err.str(), HasSubstr("25%"));
  log.info("between");
  EXPECT_THAT(err.str(), ::testing::EndsWith("\r\x1b[Kbetween\n"));
  log.progress("reading", 1, 2);
  log.progress("reading", 2, 2);
  EXPECT_THAT(err.str(), ::testing::EndsWith("\r\x1b[K"));
}

TEST(Console, WithoutATerminalQuickWorkGivesNoLine) {
  std::ostringstream err;
  Console console(err);
  const Log log = console.log();
  for (uint64_t i = 0; i <= 1000; ++i) log.progress("writing", i, 1000);
  EXPECT_EQ(err.str(), "");
}

}  // namespace
}  // namespace ferry::cli
