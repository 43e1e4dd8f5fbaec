// What is left behind when something outside goes wrong in the middle of an export.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <ctime>

#include "program.h"
#include "support/bert_checkpoint.h"

namespace ferry::testing {
namespace {
namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr BertSize kLarge{
    .hidden = 768, .layers = 20, .heads = 12, .intermediate = 3072, .vocab = 30522};  // 0.7 GB

void sleep_ms(long ms) {
  const timespec time{ms / 1000, ms % 1000 * 1'000'000};
  ::nanosleep(&time, nullptr);
}

class Interrupted : public ::testing::Test {
 protected:
  void SetUp() override {
    write_bert_checkpoint(folder / "model", kLarge, /*sparse=*/true);
    fs::create_directories(out);
  }

  // Sends the signal as soon as something is written; false if the export was quicker.
  Ran interrupt(int signal) {
    Running running(
        {"export", "onnx", "-q", "--no-validation", "-m", (folder / "model").string(), out.string()}, {});
    while (running.is_running() && !writes()) sleep_ms(1);
    running.send(signal);
    return running.wait();
  }

  // Of the large file, not only the folder for it.
  [[nodiscard]] bool writes() const {
    std::error_code ignored;
    for (const auto& entry : fs::recursive_directory_iterator(out, ignored)) {
      if (entry.is_regular_file(ignored) && entry.path().filename() != "model.onnx") continue;
      if (entry.is_regular_file(ignored)) return true;
    }
    return false;
  }

  TemporaryFolder folder;
  fs::path out = folder / "out";
};

TEST_F(Interrupted, TerminatedItRemovesWhatItBegan) {
  for (const int signal : {SIGTERM, SIGINT}) {
    const Ran ran = interrupt(signal);
    EXPECT_EQ(ran.signal, signal) << ran.err;
    EXPECT_THAT(names_in(out), IsEmpty());
  }
}

TEST_F(Interrupted, KilledItLeavesNothingThatLooksFinished) {
  const Ran ran = interrupt(SIGKILL);
  ASSERT_EQ(ran.signal, SIGKILL) << ran.err;
  for (const auto& name : names_in(out)) EXPECT_EQ(name.front(), '.') << name;
}

TEST_F(Interrupted, KilledItLeavesAnOlderExportWhole) {
  const std::string small = golden("bert-question-answering").string();
  ASSERT_EQ(run_ferry({"export", "onnx", "-q", "-m", small, out.string()}).code, 0);
  const std::string before = read_file(out / "model.onnx");
  Running running(
      {"export", "onnx", "-q", "--no-validation", "-m", (folder / "model").string(), out.string()}, {});
  while (running.is_running() && names_in(out).size() < 3) sleep_ms(1);
  running.send(SIGKILL);
  ASSERT_EQ(running.wait().signal, SIGKILL);
  EXPECT_EQ(read_file(out / "model.onnx"), before);
}

TEST_F(Interrupted, AFullDiskIsOneErrorAndNoOutput) {
  RunOptions full;
  full.file_size_limit = 50'000'000;
  const Ran ran = run_ferry(
      {"export", "onnx", "-q", "--no-validation", "-m", (folder / "model").string(), out.string()}, full);
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, ::testing::StartsWith("error[io]: "));
  EXPECT_THAT(ran.err, HasSubstr("model.onnx"));
  EXPECT_THAT(names_in(out), IsEmpty());
}

TEST_F(Interrupted, TooLittleMemoryIsOneErrorAndNoOutput) {
  RunOptions poor;
  poor.memory_limit = 120'000'000;  // The mapped weights alone are more.
  const Ran ran = run_ferry(
      {"export", "onnx", "-q", "--no-validation", "-m", (folder / "model").string(), out.string()}, poor);
  EXPECT_EQ(ran.code, 1) << ran.signal;
  EXPECT_THAT(ran.err, ::testing::StartsWith("error["));
  EXPECT_THAT(names_in(out), IsEmpty());
}

TEST(Disk, AFullFileSystemIsOneErrorAndNoOutput) {
  // Needs the right to mount; elsewhere the limit on the size of a file stands in for it, above.
  const TemporaryFolder folder;
  const fs::path disk = folder / "disk";
  fs::create_directories(disk);
  const std::string mount = "mount -t tmpfs -o size=40k tmpfs " + disk.string() + " 2>/dev/null";
  if (::geteuid() != 0 || std::system(mount.c_str()) != 0) GTEST_SKIP() << "cannot mount here";
  const Ran ran = run_ferry(
      {"export", "onnx", "-q", "-m", golden("bert-question-answering").string(), (disk / "out").string()});
  const auto left = names_in(disk);
  EXPECT_EQ(std::system(("umount " + disk.string()).c_str()), 0);
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, ::testing::StartsWith("error[io]: "));
  EXPECT_THAT(left, IsEmpty());
}

TEST(Input, AFifoInsteadOfAFileIsNotWaitedFor) {
  const TemporaryFolder folder;
  const fs::path model = copy_of_golden("bert-question-answering", folder / "model");
  fs::remove(model / "config.json");
  ASSERT_EQ(::mkfifo((model / "config.json").c_str(), 0600), 0);
  EXPECT_EQ(run_ferry({"export", "onnx", "-q", "-m", model.string(), (folder / "out").string()}).code, 1);
  EXPECT_THAT(names_in(folder.path()), ElementsAre("model"));
}

}  // namespace
}  // namespace ferry::testing
