#include "ferry/modeling.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/error.h"
#include "base/file.h"

namespace ferry {
namespace {
namespace fs = std::filesystem;

std::string checkpoint(const std::string& name) {
  return (fs::path(FERRY_TEST_DATA) / "pipelines" / name).string();
}

ModelInputs ids(std::vector<int64_t> values) {
  ModelInputs out;
  out.set("input_ids", HostTensor::i64({1, static_cast<int64_t>(values.size())}, values));
  return out;
}

template <typename Body>
std::string message(Body body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(ORTModel, FillsInWhatIsMissingAndNamesWhatIsWrong) {
  const auto model = ORTModelForSequenceClassification::from_pretrained(checkpoint("text-classification"),
                                                                        {.export_model = true});
  EXPECT_EQ(model.input_names(), (std::vector<std::string>{"input_ids", "attention_mask", "token_type_ids"}));
  EXPECT_EQ(model(ids({2, 10, 3})).logits.dims, (Dims{1, 3}));
  EXPECT_EQ(model.labels(3), (std::vector<std::string>{"contradiction", "neutral", "ENTAILMENT"}));
  EXPECT_EQ(message([&] { (void)model(ModelInputs()); }),
            "the input \"input_ids\" is missing; the model takes input_ids, attention_mask, token_type_ids");
  ModelInputs wrong;
  wrong.set("input_ids", HostTensor::i64({3}, {2, 10, 3}));
  EXPECT_NE(message([&] { (void)model(wrong); }).find("input_ids"), std::string::npos);
}

TEST(ORTModel, SavesAndOpensAgain) {
  const fs::path folder = fs::path(::testing::TempDir()) / "ferry-saved";
  fs::remove_all(folder);
  const auto model =
      ORTModelForQuestionAnswering::from_pretrained(checkpoint("question-answering"), {.export_model = true});
  model.save_pretrained(folder);
  const auto again = ORTModelForQuestionAnswering::from_pretrained(folder.string());
  EXPECT_EQ(model(ids({2, 10, 3})).start_logits.bytes, again(ids({2, 10, 3})).start_logits.bytes);
  EXPECT_TRUE(ferry::is_regular_file(folder / "tokenizer.json"));
  fs::remove_all(folder);
}

TEST(ORTModel, SaysWhatAFolderLacks) {
  EXPECT_EQ(message([] { ORTModelForMaskedLM::from_pretrained("./absent/"); }),
            "there is no model folder ./absent/");
  const fs::path folder = fs::path(::testing::TempDir()) / "ferry-empty";
  fs::create_directories(folder);
  EXPECT_NE(message([&] {
              ORTModelForMaskedLM::from_pretrained(folder.string());
            }).find("holds neither an ONNX model nor a checkpoint"),
            std::string::npos);
}

TEST(ORTModel, AnotherTasksGraphIsNamed) {
  const auto model = ORTModelForQuestionAnswering::from_pretrained(
      checkpoint("fill-mask"), {.export_model = true, .task = "fill-mask"});
  EXPECT_EQ(message([&] {
              static_cast<void>(model(ids({2, 10, 3})));
            }),
            "the model gives no \"start_logits\"; it gives logits: was it exported for another task?");
}

TEST(ORTModel, RunsFromManyThreads) {
  const auto model = ORTModelForSequenceClassification::from_pretrained(
      checkpoint("text-classification"), {.export_model = true, .intra_op_threads = 1});
  const auto expected = model(ids({2, 10, 11, 3})).logits.bytes;
  std::vector<std::jthread> threads;
  std::vector<int> wrong(8, 0);
  for (size_t i = 0; i < wrong.size(); ++i) {
    threads.emplace_back([&, i] {
      for (int turn = 0; turn < 20; ++turn) wrong[i] += model(ids({2, 10, 11, 3})).logits.bytes != expected;
    });
  }
  threads.clear();
  EXPECT_EQ(wrong, std::vector<int>(8, 0));
}

}  // namespace
}  // namespace ferry
