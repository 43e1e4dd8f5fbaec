#include "cli/signals.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "base/temporary_files.h"

namespace ferry::cli {
namespace {
namespace fs = std::filesystem;

TEST(SignalsDeathTest, AMappedFileThatWasTruncatedIsNamed) {
  const fs::path file = fs::path(::testing::TempDir()) / "ferry-truncated.bin";
  std::ofstream(file) << std::string(100'000, 'x');
  EXPECT_EXIT(
      {
        install_signal_handlers();
        const auto mapped = MappedFile::open(file);
        fs::resize_file(file, 0);
        const volatile std::byte* bytes = mapped->bytes().data();
        std::printf("%d", static_cast<int>(bytes[50'000]));
      },
      ::testing::ExitedWithCode(1), "error\\[io\\]: .*ferry-truncated.bin could not be read");
  fs::remove(file);
}

TEST(SignalsDeathTest, TerminatedItRemovesWhatItBegan) {
  const fs::path folder = fs::path(::testing::TempDir()) / "ferry-staging-test";
  fs::remove_all(folder);
  EXPECT_EXIT(
      {
        install_signal_handlers();
        StagingFolder staging(folder);
        staging.write("model.onnx", "half");
        std::raise(SIGTERM);
      },
      ::testing::KilledBySignal(SIGTERM), ".*");
  EXPECT_TRUE(!fs::exists(folder) || fs::is_empty(folder));
  fs::remove_all(folder);
}

}  // namespace
}  // namespace ferry::cli
