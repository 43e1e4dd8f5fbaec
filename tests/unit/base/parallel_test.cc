#include "base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace ferry {
namespace {

TEST(ParallelFor, VisitsEveryIndexOnce) {
  std::vector<std::atomic<int>> visits(1000);
  parallel_for(
      visits.size(), [&](size_t i) { ++visits[i]; }, 4);
  for (const auto& count : visits) EXPECT_EQ(count, 1);
}

TEST(ParallelFor, ThrowsWhatACallThrew) {
  EXPECT_THROW(parallel_for(
                   100,
                   [](size_t i) {
                     if (i == 42) throw std::runtime_error("42");
                   },
                   4),
               std::runtime_error);
}

}  // namespace
}  // namespace ferry
