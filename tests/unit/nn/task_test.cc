#include "nn/task.h"

#include <gtest/gtest.h>

namespace ferry {
namespace {

TEST(Tasks, SynonymsAsOptimumHasThem) {
  EXPECT_EQ(canonical_task("default"), "feature-extraction");
  EXPECT_EQ(canonical_task("sentence-similarity"), "feature-extraction");
  EXPECT_EQ(canonical_task("masked-lm"), "fill-mask");
  EXPECT_EQ(canonical_task("sequence-classification"), "text-classification");
  EXPECT_EQ(canonical_task("zero-shot-classification"), "text-classification");
  EXPECT_EQ(canonical_task("causal-lm-with-past"), "text-generation-with-past");
  EXPECT_EQ(canonical_task("default-with-past"), "feature-extraction-with-past");
  EXPECT_EQ(canonical_task("summarization"), "text2text-generation");
  EXPECT_EQ(canonical_task("summarization-with-past"), "summarization-with-past");
  EXPECT_EQ(canonical_task("question-answering"), "question-answering");
  EXPECT_EQ(canonical_task("nonsense"), "nonsense");
}

TEST(Tasks, AreSortedAndFound) {
  for (size_t i = 1; i < all_tasks().size(); ++i) EXPECT_LT(all_tasks()[i - 1].name, all_tasks()[i].name);
  ASSERT_NE(find_task("text-generation-with-past"), nullptr);
  EXPECT_EQ(find_task("text-generation-with-past")->ort_class, "ORTModelForCausalLM");
  EXPECT_EQ(find_task("nonsense"), nullptr);
}

}  // namespace
}  // namespace ferry
