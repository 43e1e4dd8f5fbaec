#include "ferry/compare.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "ferry/export.h"
#include "ferry/quantization.h"
#include "runtime/compare/agreement.h"
#include "runtime/compare/metrics.h"
#include "runtime/compare/svg.h"
#include "support/test_folder.h"

namespace ferry {
namespace {
namespace fs = std::filesystem;
using runtime::ErrorSum;
using runtime::Outputs;

ErrorFigures figures(const std::vector<float>& a, const std::vector<float>& b, bool logits = false) {
  ErrorSum sum;
  const auto size = static_cast<int64_t>(a.size());
  sum.add(HostTensor::f32({1, size}, a), HostTensor::f32({1, size}, b), logits);
  return sum.figures();
}

TEST(ErrorSum, MeasuresKnownVectors) {
  const ErrorFigures error = figures({1, 2, 3}, {1, 2, 5});
  EXPECT_DOUBLE_EQ(error.max_difference, 2);
  EXPECT_DOUBLE_EQ(error.mean_difference, 2.0 / 3);
  EXPECT_DOUBLE_EQ(error.relative, 2 / std::sqrt(14.0));
  EXPECT_DOUBLE_EQ(error.cosine, 20 / std::sqrt(14.0 * 30));
  EXPECT_FALSE(error.kl.has_value());
  // p = (1/2, 1/2), q = (3/4, 1/4)
  EXPECT_NEAR(*figures({0, 0}, {std::log(3.0f), 0}, true).kl, 0.5 * std::log(4.0 / 3), 1e-7);
  EXPECT_EQ(*figures({7, 7}, {-3, -3}, true).kl, 0);
}

TEST(ErrorSum, IsTheMeanOverSamples) {
  ErrorSum sum;
  sum.add(HostTensor::f32({2}, {1, 0}), HostTensor::f32({2}, {1, 0}), false);
  sum.add(HostTensor::f32({2}, {1, 0}), HostTensor::f32({2}, {0, 1}), false);
  EXPECT_DOUBLE_EQ(sum.figures().cosine, 0.5);
  EXPECT_DOUBLE_EQ(sum.figures().least_cosine, 0);
  EXPECT_DOUBLE_EQ(sum.figures().relative, 1);
  EXPECT_THROW(sum.add(HostTensor::f32({2}, {1, 0}), HostTensor::f32({1, 2}, {0, 1}), false), Error);
}

TEST(ErrorSum, NoNumberIsFarFromEveryNumberAndMasksAreAlike) {
  const float nan = std::nanf(""), infinity = INFINITY;
  EXPECT_EQ(figures({1, 2}, {1, nan}).max_difference, INFINITY);
  EXPECT_EQ(figures({1, 2}, {1, nan}).cosine, -1);
  EXPECT_EQ(*figures({1, 2}, {1, nan}, true).kl, INFINITY);
  const ErrorFigures masked = figures({1, -infinity}, {1, -infinity}, true);
  EXPECT_EQ(masked.max_difference, 0);
  EXPECT_EQ(masked.cosine, 1);
  EXPECT_EQ(*masked.kl, 0);
  EXPECT_EQ(figures({0, 0}, {0, 0}).cosine, 1);
  EXPECT_EQ(figures({0, 0}, {0, 1}).cosine, 0);
}

ort::ValueInfo declared(const std::string& name, size_t rank) {
  return {name, DType::f32, std::vector<ort::Axis>(rank)};
}

runtime::AgreementCounter counter(const std::vector<ort::ValueInfo>& outputs,
                                  const std::string& config = "{}") {
  return *runtime::AgreementCounter::for_model(outputs, config);
}

TEST(Agreement, CountsLabelsThatAreTheSame) {
  auto count = counter({declared("logits", 2)});
  count.add({}, {{"logits", HostTensor::f32({2, 2}, {1, 2, 3, 0})}},
            {{"logits", HostTensor::f32({2, 2}, {1, 9, 0, 1})}});
  EXPECT_EQ(count.result().of, "label");
  EXPECT_EQ(count.result().same, 1u);
  EXPECT_EQ(count.result().total, 2u);

  auto sets = counter({declared("logits", 2)}, R"({"problem_type": "multi_label_classification"})");
  const Outputs both = {{"logits", HostTensor::f32({1, 2}, {1, 2})}};
  sets.add({}, both, {{"logits", HostTensor::f32({1, 2}, {3, 1})}});
  sets.add({}, both, {{"logits", HostTensor::f32({1, 2}, {3, -1})}});
  EXPECT_EQ(sets.result().same, 1u);
}

TEST(Agreement, TokensCountWhereTheMaskSaysSo) {
  auto count = counter({declared("logits", 3)}, R"({"architectures": ["BertForTokenClassification"]})");
  const runtime::Sample inputs = {{"attention_mask", HostTensor::i64({1, 3}, {1, 1, 0})}};
  count.add(inputs, {{"logits", HostTensor::f32({1, 3, 2}, {1, 0, 1, 0, 1, 0})}},
            {{"logits", HostTensor::f32({1, 3, 2}, {1, 0, 0, 1, 0, 1})}});
  EXPECT_EQ(count.result().of, "token label");
  EXPECT_EQ(count.result().same, 1u);
  EXPECT_EQ(count.result().total, 2u);
  EXPECT_EQ(counter({declared("logits", 3), declared("present.0.key", 4)}).result().of, "next token");
}

TEST(Agreement, AnswersAreSpansThatEndAfterTheyStart) {
  auto count = counter({declared("start_logits", 2), declared("end_logits", 2)});
  const auto outputs = [](const std::vector<float>& start, const std::vector<float>& end) {
    return Outputs{{"start_logits", HostTensor::f32({1, 3}, start)},
                   {"end_logits", HostTensor::f32({1, 3}, end)}};
  };
  // The end before the start does not count: (1, 2) both times.
  count.add({}, outputs({0, 5, 0}, {9, 0, 6}), outputs({0, 4, 0}, {5, 0, 5}));
  count.add({}, outputs({5, 0, 0}, {5, 0, 0}), outputs({0, 5, 0}, {0, 5, 0}));
  EXPECT_EQ(count.result().same, 1u);
  EXPECT_EQ(count.result().total, 2u);
}

TEST(Agreement, TheBestLabelOfEachPixelLiesAcrossPlanes) {
  auto count = counter({declared("logits", 4)});
  count.add({}, {{"logits", HostTensor::f32({1, 2, 1, 2}, {1, 0, 0, 1})}},
            {{"logits", HostTensor::f32({1, 2, 1, 2}, {1, 5, 0, 1})}});
  EXPECT_EQ(count.result().same, 1u);
  EXPECT_EQ(count.result().total, 2u);
  EXPECT_FALSE(runtime::AgreementCounter::for_model(std::vector{declared("last_hidden_state", 3)}, "{}"));
  EXPECT_FALSE(runtime::AgreementCounter::for_model(std::vector{declared("logits", 2)},
                                                    R"({"problem_type": "regression"})"));
}

TEST(Svg, NamesOfAFileAreText) {
  EXPECT_EQ(runtime::escaped("<a & \"b\">"), "&lt;a &amp; &quot;b&quot;&gt;");
}

// A question-answering export and what int8 makes of it.
class CompareModels : public ::testing::Test {
 protected:
  static const fs::path& root() {
    static const fs::path out = testing::suite_folder("ferry-compare");
    return out;
  }
  static void SetUpTestSuite() {
    fs::remove_all(root());
    fs::create_directories(root());
    MainExportOptions options;
    options.model = (fs::path(FERRY_TEST_DATA) / "pipelines" / "question-answering").string();
    options.output = root() / "out";
    options.validate = false;
    main_export(options);
    ORTQuantizer::from_pretrained(root() / "out")
        .quantize(AutoQuantizationConfig::avx512_vnni({}), root() / "out_q");
    std::ofstream(root() / "data.jsonl")
        << "{\"question\": \"What?\", \"context\": \"The cat sat on the mat.\"}\n"
        << "{\"question\": \"Who?\", \"context\": \"John lives in Paris.\"}\n";
  }
  static void TearDownTestSuite() { fs::remove_all(root()); }
};

TEST_F(CompareModels, AModelEqualsItself) {
  CompareOptions options;
  options.runs = 1;
  options.layers = options.weights = true;
  options.input = root() / "data.jsonl";
  const auto report = compare_models(root() / "out", root() / "out" / "model.onnx", options);
  EXPECT_EQ(report.samples, 2u);
  EXPECT_EQ(report.a.bytes, fs::file_size(root() / "out" / "model.onnx"));
  ASSERT_EQ(report.outputs.size(), 2u);
  EXPECT_EQ(report.outputs[0].name, "start_logits");
  EXPECT_EQ(report.outputs[0].error.max_difference, 0);
  EXPECT_EQ(report.outputs[0].error.kl, 0);
  EXPECT_EQ(report.agreement->same, 2u);
  ASSERT_GT(report.layers.size(), 20u);
  for (const auto& layer : report.layers) EXPECT_EQ(layer.error.max_difference, 0) << layer.name;
  EXPECT_EQ(report.weights->a, report.weights->b);
}

TEST_F(CompareModels, IntegersCostSomethingInsideAndOutside) {
  CompareOptions options;
  options.runs = 2;
  options.layers = options.weights = true;
  options.input = root() / "data.jsonl";
  const auto report = compare_models(root() / "out", root() / "out_q", options);
  EXPECT_LT(report.b.bytes, report.a.bytes);
  EXPECT_EQ(report.a.latencies_ms.size(), 4u);
  EXPECT_GT(report.outputs[0].error.cosine, 0.99);
  EXPECT_LT(report.outputs[0].error.cosine, 1);
  EXPECT_GT(report.layers.back().error.relative, 0);
  // Integers count as what they stand for: the same number of weights, nearly where they were.
  uint64_t of_a = 0, of_b = 0, moved = 0;
  for (size_t i = 0; i < report.weights->a.size(); ++i) {
    of_a += report.weights->a[i];
    of_b += report.weights->b[i];
    moved += report.weights->a[i] > report.weights->b[i] ? report.weights->a[i] - report.weights->b[i] : 0;
  }
  EXPECT_EQ(of_a, of_b);
  EXPECT_GT(moved, 0u);
  EXPECT_LT(moved, of_a / 5);

  write_report(report, root() / "report.html");
  std::ostringstream page;
  page << std::ifstream(root() / "report.html").rdbuf();
  for (const char* part :
       {"Size on disk", "Latency", "Error by layer", "Weights", "start_logits", "Same answer span"})
    EXPECT_NE(page.str().find(part), std::string::npos) << part;
  for (const char* part : {"<script", "http", "src=", "nan"})
    EXPECT_EQ(page.str().find(part), std::string::npos) << part;
}

TEST_F(CompareModels, WithoutSamplesInputsAreRandomAndNoTaskIsJudged) {
  CompareOptions options;
  options.runs = 1;
  const auto report = compare_models(root() / "out", root() / "out_q", options);
  EXPECT_EQ(report.samples, 2u);
  EXPECT_FALSE(report.agreement.has_value());
  EXPECT_TRUE(report.layers.empty());
}

TEST_F(CompareModels, SaysWhatCannotBeCompared) {
  const auto message = [](const fs::path& a, const fs::path& b) -> std::string {
    try {
      compare_models(a, b);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(message(root() / "absent", root() / "out"), "there is no " + (root() / "absent").string());
  MainExportOptions options;
  options.model = (fs::path(FERRY_TEST_DATA) / "pipelines" / "fill-mask").string();
  options.output = root() / "other";
  options.validate = false;
  main_export(options);
  const std::string a = (root() / "out" / "model.onnx").string(),
                    b = (root() / "other" / "model.onnx").string();
  EXPECT_EQ(message(a, b), "the models differ in their outputs: only " + a +
                               " has end_logits, start_logits; only " + b +
                               " has logits; only models with the same inputs and outputs can be compared");
  fs::copy_file(b, root() / "other" / "second.onnx");
  fs::rename(b, root() / "other" / "first.onnx");
  EXPECT_NE(message(a, root() / "other").find("holds several models"), std::string::npos);
}

}  // namespace
}  // namespace ferry
