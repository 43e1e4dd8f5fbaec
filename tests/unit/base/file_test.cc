#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "base/error.h"
#include "base/temporary_files.h"

namespace ferry {
namespace {
namespace fs = std::filesystem;

class FileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              ("ferry-file-" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void put(const std::string& name, const std::string& content) const {
    std::ofstream(folder_ / name) << content;
  }
  [[nodiscard]] std::string get(const std::string& name) const { return read_text(folder_ / name, 1000); }
  [[nodiscard]] size_t entries() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  fs::path folder_;
};

template <typename Body>
ErrorCode code_of(Body body) {
  try {
    body();
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::internal;
}

TEST_F(FileTest, OpensRegularFilesOnlyAndNeverWaits) {
  put("a", "hello");
  EXPECT_EQ(MappedFile::open(folder_ / "a")->text(), "hello");
  EXPECT_EQ(code_of([&] { File::open(folder_ / "absent"); }), ErrorCode::not_found);
  EXPECT_EQ(code_of([&] { File::open(folder_); }), ErrorCode::io);
  ASSERT_EQ(::mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(code_of([&] { File::open(folder_ / "fifo"); }), ErrorCode::io);
  EXPECT_EQ(code_of([&] { File::open("/dev/zero"); }), ErrorCode::io);
}

TEST_F(FileTest, MapsAnEmptyFile) {
  put("empty", "");
  EXPECT_TRUE(MappedFile::open(folder_ / "empty")->bytes().empty());
}

TEST_F(FileTest, RefusesToReadMoreThanTheLimit) {
  put("a", "hello");
  EXPECT_EQ(code_of([&] { read_text(folder_ / "a", 4); }), ErrorCode::invalid_file);
}

TEST_F(FileTest, RelativeNamesStayBelowTheFolder) {
  EXPECT_NO_THROW(check_relative_name("model-00001-of-00002.safetensors", "index"));
  EXPECT_NO_THROW(check_relative_name("onnx/model.onnx", "index"));
  for (const std::string name :
       {"", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a\\b", "http://x/y", "a/"}) {
    EXPECT_EQ(code_of([&] { check_relative_name(name, "index"); }), ErrorCode::invalid_file) << name;
  }
  EXPECT_EQ(code_of([&] { check_relative_name(std::string("a\0b", 3), "index"); }), ErrorCode::invalid_file);
}

TEST_F(FileTest, StagedFilesAppearTogetherOrNotAtAll) {
  put("model.onnx", "old");
  {
    StagingFolder staging(folder_);
    staging.write("model.onnx", "new");
    staging.write("config.json", "{}");
  }
  EXPECT_EQ(get("model.onnx"), "old");
  EXPECT_EQ(entries(), 1u);
  {
    StagingFolder staging(folder_);
    staging.write("model.onnx", "new");
    staging.write("config.json", "{}");
    staging.commit({"model.onnx"});
  }
  EXPECT_EQ(get("model.onnx"), "new");
  EXPECT_EQ(get("config.json"), "{}");
  EXPECT_EQ(entries(), 2u);
}

TEST_F(FileTest, StagingRemovesTheFoldersItMade) {
  { const StagingFolder staging(folder_ / "a" / "b"); }
  EXPECT_EQ(entries(), 0u);
  { const StagingFolder staging(folder_ / "c/"); }
  EXPECT_EQ(entries(), 0u);
}

TEST_F(FileTest, StagingRefusesAFileInThePlaceOfTheFolder) {
  put("out", "x");
  EXPECT_EQ(code_of([&] { StagingFolder staging(folder_ / "out"); }), ErrorCode::io);
  EXPECT_EQ(code_of([&] { StagingFolder staging(folder_ / "out" / "deeper"); }), ErrorCode::io);
}

TEST_F(FileTest, StagingReplacesLinksInsteadOfWritingThroughThem) {
  put("victim", "precious");
  fs::create_symlink("victim", folder_ / "model.onnx");
  StagingFolder staging(folder_);
  staging.write("model.onnx", "new");
  staging.commit({"model.onnx"});
  EXPECT_EQ(get("victim"), "precious");
  EXPECT_EQ(get("model.onnx"), "new");
}

TEST_F(FileTest, CopiesAreEqual) {
  put("a", std::string(100000, 'x'));
  StagingFolder staging(folder_ / "out");
  staging.copy(folder_ / "a", "a");
  staging.commit({});
  EXPECT_EQ(read_text(folder_ / "out" / "a", 200000), std::string(100000, 'x'));
}

}  // namespace
}  // namespace ferry
