// ferry compare, as a user types it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "program.h"

namespace ferry::testing {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;

// A question-answering export, its int8 form, and a few questions.
struct Models {
  Models() {
    const std::string checkpoint = std::string(FERRY_TEST_DATA) + "/pipelines/question-answering";
    EXPECT_EQ(run_ferry({"export", "onnx", "--quiet", "-m", checkpoint, a}).code, 0);
    EXPECT_EQ(run_ferry({"onnxruntime", "quantize", "--quiet", "--avx512", "--onnx_model", a, "-o", b}).code,
              0);
    std::ofstream(data) << "{\"question\": \"What?\", \"context\": \"The cat sat on the mat.\"}\n"
                        << "{\"question\": \"Who?\", \"context\": \"John lives in Paris.\"}\n";
  }
  TemporaryFolder folder;
  std::string a = (folder / "out").string(), b = (folder / "out_q").string();
  std::string data = (folder / "data.jsonl").string();
};

TEST(Compare, TellsSizeLatencyErrorAndAgreement) {
  const Models models;
  const std::string page = (models.folder / "report.html").string();
  const Ran ran =
      run_ferry({"compare", models.a, models.b, "--input", models.data, "--report", page, "--json"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const auto json = nlohmann::json::parse(ran.out);
  EXPECT_EQ(json["samples"], 2);
  EXPECT_LT(json["b"]["bytes"], json["a"]["bytes"]);
  EXPECT_GT(json["a"]["latency_ms"], 0);
  EXPECT_GT(json["outputs"][0]["cosine"], 0.9);
  EXPECT_GE(json["outputs"][0]["kl"], 0);
  EXPECT_EQ(json["agreement"]["of"], "answer span");
  EXPECT_EQ(json["agreement"]["total"], 2);
  EXPECT_GT(json["layers"].size(), 20u);
  EXPECT_GT(fs::file_size(page), 10'000u);

  const Ran text = run_ferry({"compare", models.a, models.b});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.err, HasSubstr("random inputs"));
  EXPECT_THAT(text.out, HasSubstr("start_logits"));
}

TEST(Compare, MistakesAreNamed) {
  const Models models;
  const auto fails = [&](std::vector<std::string> arguments, int code, const std::string& text) {
    arguments.insert(arguments.begin(), "compare");
    const Ran ran = run_ferry(arguments);
    EXPECT_EQ(ran.code, code) << ran.err;
    EXPECT_THAT(ran.err, HasSubstr(text));
  };
  fails({models.a}, 2, "two models are needed");
  fails({models.a, models.folder.path() / "absent"}, 1, "there is no " + (models.folder / "absent").string());
  fails({models.a, models.data}, 1, "data.jsonl");
  fails({models.a, models.b, "--input", models.a}, 1, models.a);
  fails({models.a, models.b, "--report", models.a}, 2, "is a folder");
  std::ofstream(models.data) << "{\"question\": \"a\", \"context\": \"b\"}\n{\"input_ids\": [[100000]]}\n";
  fails({models.a, models.b, "--input", models.data}, 1, "(data.jsonl, line 2)");
}

}  // namespace
}  // namespace ferry::testing
