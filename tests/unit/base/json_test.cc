#include "base/json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace ferry {
namespace {

std::string refusal(std::string_view text, const JsonLimits& limits = {}) {
  try {
    parse_json(text, "x.json", limits);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_file);
    return error.message();
  }
  return "accepted";
}

TEST(ParseJson, KeepsOrderAndTypes) {
  const auto json = parse_json(R"({"b": 1, "a": [true, null, 1.5, "é"]})", "x.json");
  EXPECT_EQ(json.begin().key(), "b");
  EXPECT_EQ(json.at("a").dump(), R"([true,null,1.5,"é"])");
}

TEST(ParseJson, RefusesDuplicateNamesAtEveryLevel) {
  EXPECT_EQ(refusal(R"({"a": 1, "a": 2})"), "x.json: the name \"a\" occurs twice in one object");
  EXPECT_EQ(refusal(R"({"x": [{"a": 1, "a": 1}]})"), "x.json: the name \"a\" occurs twice in one object");
}

TEST(ParseJson, RefusesDepthLengthAndGarbage) {
  EXPECT_EQ(refusal(std::string(100, '[')), "x.json: nested deeper than 64 levels");
  EXPECT_EQ(refusal("[1,2,3]", {.max_bytes = 3, .max_depth = 8}),
            "x.json: 7 B of JSON, more than the 3 B allowed");
  EXPECT_NE(refusal("{\"a\": }").find("x.json: not valid JSON at byte"), std::string::npos);
  EXPECT_EQ(refusal("\"\xff\""), "x.json: not UTF-8 text");
  EXPECT_EQ(refusal(std::string_view("{}\0{", 4)), "x.json: not valid JSON: it holds a NUL byte");
  EXPECT_NE(refusal("{} trailing"), "accepted");
  EXPECT_NE(refusal(""), "accepted");
}

TEST(ParseJson, LargeObjectsTakeLinearTime) {
  std::string text = "{";
  for (int i = 0; i < 200000; ++i) text += "\"key" + std::to_string(i) + "\":" + std::to_string(i) + ",";
  text += "\"end\":0}";
  EXPECT_EQ(parse_json(text, "x.json").size(), 200001u);
}

}  // namespace
}  // namespace ferry
