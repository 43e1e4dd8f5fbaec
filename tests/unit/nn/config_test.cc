#include "nn/config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace ferry::nn {
namespace {
using Json = nlohmann::ordered_json;

template <typename Body>
std::string refusal(const Json& json, Body body) {
  try {
    ConfigReader reader(json, "config.json");
    body(reader);
  } catch (const Error& error) {
    return error.message();
  }
  return "accepted";
}

TEST(ConfigReader, AbsentAndNullKeepTheDefault) {
  const Json json = {{"b", nullptr}, {"c", 7}};
  ConfigReader reader(json, "config.json");
  int64_t a = 1, b = 2, c = 3;
  reader.read("a", a);
  reader.read("b", b);
  reader.read("c", c);
  EXPECT_EQ(a, 1);
  EXPECT_EQ(b, 2);
  EXPECT_EQ(c, 7);
}

TEST(ConfigReader, NamesKeyValueAndExpectation) {
  int64_t n = 1;
  float x = 0;
  bool flag = false;
  std::string text = "gelu";
  EXPECT_EQ(refusal({{"n", -1}}, [&](auto& r) { r.read("n", n); }),
            "config.json: \"n\" is -1, expected a whole number from 1 to 2147483648");
  EXPECT_EQ(refusal({{"n", "12"}}, [&](auto& r) { r.read("n", n); }),
            "config.json: \"n\" is \"12\", expected a whole number from 1 to 2147483648");
  EXPECT_EQ(refusal({{"n", true}}, [&](auto& r) { r.read("n", n); }),
            "config.json: \"n\" is true, expected a whole number from 1 to 2147483648");
  EXPECT_EQ(refusal({{"n", 18446744073709551615u}}, [&](auto& r) { r.read("n", n); }),
            "config.json: \"n\" is 18446744073709551615, expected a whole number from 1 to 2147483648");
  EXPECT_EQ(refusal({{"x", "y"}}, [&](auto& r) { r.read("x", x); }),
            "config.json: \"x\" is \"y\", expected a number");
  EXPECT_EQ(refusal({{"f", 1}}, [&](auto& r) { r.read("f", flag); }),
            "config.json: \"f\" is 1, expected true or false");
  EXPECT_EQ(refusal({{"act", "no"}},
                    [&](auto& r) {
                      r.read_choice("act", text, {"gelu", "relu"});
                    }),
            "config.json: \"act\" is \"no\", expected one of gelu, relu");
}

TEST(ConfigReader, RefusesWhatIsNotImplemented) {
  EXPECT_EQ(refusal({{"cross", true}}, [](auto& r) { r.only("cross", false); }),
            "config.json: \"cross\": true is not implemented for this architecture");
  EXPECT_EQ(refusal({{"pruned", {{"0", {1}}}}}, [](auto& r) { r.must_be_empty("pruned"); }),
            "config.json: \"pruned\": {\"0\":[1]} is not implemented for this architecture");
  EXPECT_EQ(refusal({{"pruned", Json::object()}}, [](auto& r) { r.must_be_empty("pruned"); }), "accepted");
}

TEST(ConfigReader, ReportsKeysThatNobodyKnows) {
  const Json json = {{"model_type", "bert"}, {"hidden_size", 3}, {"surprise", 1}, {"nothing", nullptr}};
  ConfigReader reader(json, "config.json");
  int64_t size = 0;
  reader.read("hidden_size", size);
  EXPECT_EQ(reader.unknown_keys(), (std::vector<std::string>{"surprise"}));
}

TEST(ConfigReader, LabelsComeFromId2LabelFirst) {
  const Json both = {{"id2label", {{"0", "a"}, {"1", "b"}, {"2", "c"}}}, {"num_labels", 5}};
  EXPECT_EQ(ConfigReader(both, "c").num_labels(), 3);
  const Json number = {{"num_labels", 5}};
  EXPECT_EQ(ConfigReader(number, "c").num_labels(), 5);
  const Json none = Json::object();
  EXPECT_EQ(ConfigReader(none, "c").num_labels(), 2);
}

}  // namespace
}  // namespace ferry::nn
