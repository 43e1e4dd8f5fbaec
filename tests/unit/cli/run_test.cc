#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "cli/cli.h"

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

}  // namespace
}  // namespace ferry::cli
