#pragma once
// What the tests of downloads share: a hub, a cache folder that goes away, a log that can be read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "hub/hub.h"
#include "unit/hub/fake_hub.h"

namespace ferry::hub::test {

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_file(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

/// Bytes that do not repeat soon.
inline std::string noise(size_t size, uint32_t seed = 1) {
  std::string out(size, '\0');
  for (char& c : out) {
    seed = seed * 1664525u + 1013904223u;
    c = static_cast<char>(seed >> 24);
  }
  return out;
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "ferry_hub_XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

class HubTest : public ::testing::Test {
 protected:
  explicit HubTest(bool tls = false) : hub_(tls) {
    FakeRepo& repo = hub_.repos["org/model"];
    repo.files["config.json"] = {R"({"model_type": "bert"})"};
    repo.files["tokenizer.json"] = {R"({"version": "1.0"})"};
    repo.files["model.safetensors"] = {noise(300'000), true};
    repo.files["pytorch_model.bin"] = {noise(200'000, 2), true};
    repo.files["modeling_custom.py"] = {"print('no')"};
  }

  HubOptions options() {
    HubOptions options;
    options.endpoint = hub_.endpoint();
    options.cache_dir = cache();
    options.connect_timeout = std::chrono::seconds(5);  // Machines that test are busy.
    options.sleep = [this](std::chrono::milliseconds delay) {
      const std::lock_guard lock(mutex_);
      delays_.push_back(delay);
    };
    options.log.on_message = [this](LogLevel, std::string_view text) {
      const std::lock_guard lock(mutex_);
      messages_ += std::string(text) + "\n";
    };
    return options;
  }

  HubOptions with_token() {
    HubOptions out = options();
    out.token = kToken;
    return out;
  }

  HubOptions offline() {
    HubOptions out = options();
    out.offline = true;
    return out;
  }

  std::filesystem::path download(const HubOptions& options) {
    return Hub(options).download_for_export("org/model", "main");
  }

  /// The error that `body` throws, which must have that code; its text.
  static std::string error_of(ErrorCode code, const std::function<void()>& body) {
    try {
      body();
    } catch (const Error& error) {
      EXPECT_EQ(to_string(error.code()), to_string(code)) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "nothing was thrown";
    return "";
  }

  [[nodiscard]] std::filesystem::path cache() const { return folder_.path() / "hub"; }
  [[nodiscard]] std::filesystem::path repo_folder() const { return cache() / "models--org--model"; }
  FakeRepo& repo() { return hub_.repos.at("org/model"); }
  FakeFile& weights() { return repo().files.at("model.safetensors"); }
  [[nodiscard]] std::filesystem::path incomplete() {
    return repo_folder() / "blobs" / (FakeHub::etag_of(weights()) + ".incomplete");
  }
  std::string messages() {
    const std::lock_guard lock(mutex_);
    return messages_;
  }

  TemporaryFolder folder_;
  std::mutex mutex_;
  std::vector<std::chrono::milliseconds> delays_;
  std::string messages_;
  FakeHub hub_;  // Last: its threads end first.
};

}  // namespace ferry::hub::test
