// ferry compare, as a user types it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
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

TEST(MaxLoss, KeepsNodesInFloatsAndExits3WhereNoneIsWithin) {
  const Models models;
  const auto quantize = [&](const std::string& most, const std::string& out) {
    return run_ferry({"onnxruntime", "quantize", "--avx512", "--onnx_model", models.a, "-o",
                      (models.folder / out).string(), "--max-loss", most, "--input", models.data, "--report",
                      (models.folder / "page.html").string(), "--json"});
  };
  const Ran all = quantize("1", "all");
  ASSERT_EQ(all.code, 0) << all.err;
  const double full = nlohmann::json::parse(all.out)["search"]["loss_of_all"];
  const Ran half = quantize(std::to_string(full / 2), "half");
  ASSERT_EQ(half.code, 0) << half.err;
  EXPECT_THAT(half.err, HasSubstr("kept in floats: /"));
  const auto json = nlohmann::json::parse(half.out);
  EXPECT_LE(json["search"]["loss"], full / 2);
  const auto& nodes = json["search"]["nodes"];
  EXPECT_TRUE(std::any_of(nodes.begin(), nodes.end(), [](const auto& node) { return node["kept"] == true; }));
  EXPECT_TRUE(fs::exists(models.folder / "half" / "model_quantized.onnx"));
  EXPECT_TRUE(fs::exists(models.folder / "page.html"));

  const Ran none = quantize("0", "none");
  EXPECT_EQ(none.code, 3) << none.err;
  EXPECT_FALSE(fs::exists(models.folder / "none"));
  EXPECT_EQ(run_ferry({"onnxruntime", "quantize", "--avx512", "--onnx_model", models.a, "-o",
                       (models.folder / "none").string(), "--max-loss", "0.1"})
                .code,
            2);
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
