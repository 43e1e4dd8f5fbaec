#pragma once
// A folder for one test alone: ctest runs them side by side.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>

namespace ferry::testing {

/// An empty folder, named after the running test.
inline std::filesystem::path fresh_test_folder() {
  const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
  std::string name = std::string("ferry-") + info->test_suite_name() + "-" + info->name();
  std::replace(name.begin(), name.end(), '/', '-');
  const auto folder = std::filesystem::path(::testing::TempDir()) / name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

}  // namespace ferry::testing
