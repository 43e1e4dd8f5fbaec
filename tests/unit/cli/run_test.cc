#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "cli/cli.h"
#include "ferry/image_processor.h"

namespace ferry::cli {
namespace {

using ::testing::HasSubstr;

struct Result {
  int code = 0;
  std::string out, err;
};

Result run_line(std::vector<const char*> arguments,
                const std::map<std::string, std::string>& environment = {}, bool terminal = false) {
  std::ostringstream out, err;
  const auto getter = [&](const char* name) -> const char* {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  };
  const Io io{out, err, getter, terminal};
  const int code = run(static_cast<int>(arguments.size()), arguments.data(), io);
  return {code, out.str(), err.str()};
}

TEST(Run, AFolderNamedLikeACommandIsAFolder) {
  const Result result = run_line({"ferry", "export", "onnx", "-m", "/nowhere/at/all", "env"});
  EXPECT_EQ(result.code, kExitBadInput);
  EXPECT_THAT(result.err, HasSubstr("/nowhere/at/all"));
}

TEST(Run, ColoursAreForTerminalsThatWantThem) {
  EXPECT_THAT(run_line({"ferry", "exprt"}, {}, true).err, HasSubstr("\x1b[31m"));
  EXPECT_THAT(run_line({"ferry", "exprt"}, {{"NO_COLOR", "1"}}, true).err, ::testing::StartsWith("error["));
  EXPECT_THAT(run_line({"ferry", "exprt"}).err, ::testing::StartsWith("error["));
}

TEST(Run, WithoutArgumentsOrANameItIsFerry) {
  EXPECT_THAT(run_line({}).err, HasSubstr("Usage: ferry"));
  EXPECT_THAT(run_line({"/usr/bin/optimum-cli", "--version"}).out, HasSubstr("optimum-cli "));
}

TEST(Run, ATokenIsNotShown) {
  const Result result = run_line({"ferry", "export", "onnx", "-m", "org/name", "out", "--offline", "--token",
                                  "hf_secret", "--cache_dir", "/nowhere"});
  EXPECT_EQ(result.code, kExitBadInput);
  EXPECT_THAT(result.err, ::testing::Not(HasSubstr("hf_secret")));
}

TEST(Run, APictureIsLabelledAndDrawnOn) {
  const std::string data = FERRY_TEST_DATA;
  const std::string model = data + "/pipelines/image-classification", photo = data + "/images/photo.jpg";
  const std::string drawn = ::testing::TempDir() + "/ferry-drawn.png";
  const Result result = run_line({"ferry", "--json", "run", "image-classification", model.c_str(), "--image",
                                  photo.c_str(), "--top-k", "1", "--draw", drawn.c_str()});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, ::testing::StartsWith("[{\"label\":\"lake\",\"score\":0.515"));
  const Image before = load_image(photo), after = load_image(drawn);
  EXPECT_EQ(after.width, before.width);
  EXPECT_NE(after.rgb, before.rgb);
  EXPECT_THAT(
      run_line({"ferry", "run", "image-classification", model.c_str(), "--text", "x", "--draw", "y.png"}).err,
      HasSubstr("--draw draws on the picture of --image"));
}

TEST(Run, TextIsGeneratedAndStreamed) {
  const std::string model = std::string(FERRY_TEST_DATA) + "/pipelines/text-generation";
  const auto generate = [&](std::vector<const char*> more) {
    std::vector<const char*> arguments = {"ferry",           "--json",      "run",
                                          "text-generation", model.c_str(), "--prompt"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_line(arguments);
  };
  const auto whole = generate({"john works", "--do-sample=false", "--max-new-tokens", "9"});
  EXPECT_EQ(whole.out,
            "[{\"generated_text\":\"john works on onredmat \xF0\x9F\x98\x80 on \xF0\x9F\x98\x80redmat\"}]\n")
      << whole.err;
  EXPECT_EQ(generate({"john works", "--temperature", "0", "--max-new-tokens", "9", "--stream"}).out,
            " on onredmat \xF0\x9F\x98\x80 on \xF0\x9F\x98\x80redmat\n");
  EXPECT_EQ(generate({"john", "--seed", "5"}).out, generate({"john", "--seed", "5"}).out);
  EXPECT_THAT(generate({"john", "--max-new-tokens", "90"}).err, HasSubstr("at most 6"));
  EXPECT_THAT(generate({"john", "--options", "{\"levity\": 1}"}).err,
              HasSubstr("text-generation: there is no option \"levity\""));
  EXPECT_THAT(generate({"john", "--options", "{\"penalty_alpha\": 0.6}"}).err,
              HasSubstr("penalty_alpha (0.6) is not built"));
}

}  // namespace
}  // namespace ferry::cli
