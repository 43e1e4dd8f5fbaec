#include "ferry/quantization_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "base/error.h"
#include "ferry/export.h"
#include "runtime/search/mixture.h"
#include "support/test_folder.h"

namespace ferry {
namespace {
namespace fs = std::filesystem;
using runtime::Candidate;
using runtime::find_mixture;
using Kept = std::vector<bool>;

// Losses that add up.
struct Sums {
  const std::vector<Candidate>& candidates;
  size_t calls = 0;

  double operator()(const Kept& kept) {
    ++calls;
    double out = 0;
    for (size_t i = 0; i < kept.size(); ++i) out += kept[i] ? 0 : candidates[i].loss;
    return out;
  }
};

TEST(FindMixture, KeepsTheMostDamagingAlone) {
  const std::vector<Candidate> candidates = {{0.1, 10}, {5, 10}, {0.2, 10}, {0.3, 10}};
  Sums sums{candidates};
  double least = 0;
  const auto found = find_mixture(candidates, 0.7, 100, std::ref(sums), least);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kept, (Kept{false, true, false, false}));
  EXPECT_EQ(found->saved, 30u);
  EXPECT_NEAR(found->loss, 0.6, 1e-12);
}

TEST(FindMixture, PrefersToKeepWhatIsSmall) {
  // The first loses most, but three small ones lose more together and cost less to keep.
  const std::vector<Candidate> candidates = {{1.0, 1000}, {0.5, 1}, {0.5, 1}, {0.5, 1}};
  Sums sums{candidates};
  double least = 0;
  const auto found = find_mixture(candidates, 1.0, 100, std::ref(sums), least);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kept, (Kept{false, true, true, true}));
  EXPECT_EQ(found->saved, 1000u);
}

TEST(FindMixture, QuantizesAgainWhatNeedNotBeKept) {
  // Two are kept until the second turns out to be enough.
  const std::vector<Candidate> candidates = {{0.9, 1000}, {0.8, 900}, {0.1, 1}};
  const auto measure = [](const Kept& kept) { return kept[1] ? 0.0 : 2.0; };
  double least = 0;
  const auto found = find_mixture(candidates, 0.5, 100, measure, least);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kept, (Kept{false, true, false}));
}

TEST(FindMixture, IsBoundedAndMayFail) {
  std::vector<Candidate> candidates(1000);
  for (size_t i = 0; i < candidates.size(); ++i) candidates[i] = {1.0 + static_cast<double>(i), 10};
  Sums sums{candidates};
  double least = 0;
  EXPECT_TRUE(find_mixture(candidates, 5000, 30, std::ref(sums), least));
  EXPECT_LE(sums.calls, 30u);
  sums.calls = 0;
  EXPECT_FALSE(find_mixture(candidates, 0.5, 30, std::ref(sums), least));
  EXPECT_LE(sums.calls, 30u);
  EXPECT_EQ(least, 1);
}

class QuantizeWithin : public ::testing::Test {
 protected:
  static const fs::path& root() {
    static const fs::path out = testing::suite_folder("ferry-search");
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
    std::ofstream(root() / "data.jsonl")
        << "{\"question\": \"What?\", \"context\": \"The cat sat on the mat.\"}\n"
        << "{\"question\": \"Who?\", \"context\": \"John lives in Paris.\"}\n";
  }
  static void TearDownTestSuite() { fs::remove_all(root()); }

  static MaxLoss limit(double most, const std::string& metric = "cosine") {
    MaxLoss out;
    out.max_loss = most;
    out.metric = metric;
    out.input = root() / "data.jsonl";
    return out;
  }
  static SearchedQuantization run(const MaxLoss& limit, const char* name) {
    return quantize_within(limit, root() / "out", AutoQuantizationConfig::avx512_vnni({}), root() / name);
  }
  template <typename Body>
  static Error thrown(Body body) {
    try {
      body();
    } catch (const Error& error) {
      return error;
    }
    return {ErrorCode::internal, "accepted"};
  }
};

TEST_F(QuantizeWithin, TakesAllWhereThatIsAllowed) {
  const auto found = run(limit(1), "all");
  EXPECT_EQ(found.loss, found.full_loss);
  EXPECT_GT(found.loss, 0);
  EXPECT_EQ(found.trials, 1u);
  EXPECT_TRUE(found.nodes.empty());
  EXPECT_TRUE(fs::exists(root() / "all" / "model_quantized.onnx"));
}

TEST_F(QuantizeWithin, KeepsWhatLosesMostAndStaysWithin) {
  const auto all = run(limit(1), "all");
  for (const char* metric : {"cosine", "kl"}) {
    const double full = run(limit(1e9, metric), "full").full_loss;
    const auto found = run(limit(full / 2, metric), "half");
    EXPECT_LE(found.loss, full / 2) << metric;
    EXPECT_GT(found.loss, 0) << metric;
    ASSERT_FALSE(found.nodes.empty());
    size_t kept = 0;
    for (size_t i = 0; i < found.nodes.size(); ++i) {
      kept += found.nodes[i].kept ? 1 : 0;
      EXPECT_GE(found.nodes[i > 0 ? i - 1 : 0].loss, found.nodes[i].loss);
    }
    EXPECT_GT(kept, 0u);
    EXPECT_LT(kept, found.nodes.size());
    const auto &file = found.quantization.files.at(0), &smallest = all.quantization.files.at(0);
    EXPECT_EQ(file.quantized.size() + kept, smallest.quantized.size());
    EXPECT_GT(file.bytes_after, smallest.bytes_after);
    EXPECT_LT(file.bytes_after, file.bytes_before);
  }
}

TEST_F(QuantizeWithin, NeighboursAreJudgedTogetherWhereTrialsAreFew) {
  MaxLoss few = limit(run(limit(1), "all").full_loss / 2);
  few.max_trials = 12;
  const auto found = run(few, "few");
  EXPECT_LE(found.loss, few.max_loss);
  EXPECT_LE(found.trials, 16u);
}

TEST_F(QuantizeWithin, BlocksOfWeightsStayWithin) {
  WeightQuantization config;
  config.block_size = 16;
  const auto search = [&](double most) {
    return quantize_within(limit(most), root() / "out", config, root() / "int4");
  };
  const double full = search(1).loss;
  EXPECT_GT(full, 0);
  const auto found = search(full / 2);
  EXPECT_LE(found.loss, full / 2);
  EXPECT_TRUE(
      std::any_of(found.nodes.begin(), found.nodes.end(), [](const NodeLoss& node) { return node.kept; }));
  EXPECT_TRUE(
      std::any_of(found.nodes.begin(), found.nodes.end(), [](const NodeLoss& node) { return !node.kept; }));
  config.bits = 5;
  EXPECT_THROW(search(1), Error);

  CompareOptions comparing;
  comparing.runs = 1;
  comparing.weights = true;
  const auto report = compare_models(root() / "out", root() / "int4", comparing);
  uint64_t of_a = 0, of_b = 0;
  for (const uint64_t count : report.weights->a) of_a += count;
  for (const uint64_t count : report.weights->b) of_b += count;
  EXPECT_GE(of_b, of_a);  // Blocks are filled up.
}

TEST_F(QuantizeWithin, LeavesNothingWhereNoMixtureIsWithin) {
  const Error error = thrown([] { run(limit(0), "none"); });
  EXPECT_EQ(error.code(), ErrorCode::validation_failed);
  EXPECT_EQ(error.message().rfind("no mixture loses at most 0 (cosine): the least that was found is ", 0), 0u)
      << error.message();
  EXPECT_FALSE(fs::exists(root() / "none"));
}

TEST_F(QuantizeWithin, MistakesAreNamed) {
  EXPECT_EQ(thrown([] { run(limit(0.1, "bleu"), "none"); }).message(),
            "the metric bleu is none of cosine, agreement, kl");
  MaxLoss no_data = limit(0.1);
  no_data.input.clear();
  EXPECT_EQ(thrown([&] { run(no_data, "none"); }).message(), "a largest loss needs samples to measure it on");
  EXPECT_EQ(thrown([] { run(limit(-1), "none"); }).code(), ErrorCode::usage);
  EXPECT_EQ(thrown([] { run(limit(1), "out"); }).code(), ErrorCode::usage);
  EXPECT_FALSE(fs::exists(root() / "none"));
}

}  // namespace
}  // namespace ferry
