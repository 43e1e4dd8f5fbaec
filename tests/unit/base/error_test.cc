#include "base/error.h"

#include <gtest/gtest.h>

namespace ferry {
namespace {

TEST(Error, CarriesCodeContextsAndHint) {
  try {
    with_context("exporting bert", [] {
      with_context("reading config.json", []() -> int {
        throw Error(ErrorCode::invalid_config, "bad\nvalue").with_hint("mend it");
      });
    });
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_config);
    EXPECT_EQ(error.message(), "bad\\nvalue");
    EXPECT_EQ(error.contexts(), (std::vector<std::string>{"reading config.json", "exporting bert"}));
    EXPECT_STREQ(error.what(), "bad\\nvalue (reading config.json) (exporting bert); mend it");
  }
}

TEST(Error, EveryCodeHasItsName) {
  EXPECT_EQ(to_string(ErrorCode::not_found), "not_found");
  EXPECT_EQ(to_string(ErrorCode::validation_failed), "validation_failed");
  EXPECT_EQ(to_string(ErrorCode::internal), "internal");
}

}  // namespace
}  // namespace ferry
