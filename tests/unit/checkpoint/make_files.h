#pragma once
// Checkpoint files written byte by byte, good and hostile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tensor/weight.h"

namespace ferry::test {

/// A folder below the system's temporary one, removed with the object.
class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "ferry-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, std::string_view bytes) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

inline std::string little_endian(uint64_t value, size_t bytes) {
  std::string out;
  for (size_t i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
  return out;
}

/// A safetensors file of this header and data.
inline std::string safetensors(std::string_view header, std::string_view data = "") {
  return little_endian(header.size(), 8) + std::string(header) + std::string(data);
}

inline std::shared_ptr<const ByteSource> bytes_of(std::string_view text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return memory_source({begin, begin + text.size()});
}

inline std::string to_text(const Weight& weight) {
  const auto bytes = weight.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline std::filesystem::path data(const std::string& name) {
  return std::filesystem::path(FERRY_TEST_DATA) / "checkpoint" / name;
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

using Tensors = std::map<std::string, Weight, std::less<>>;

/// Expects the same names, each with the same dtype, dims and bytes.
inline void expect_same_tensors(const Tensors& got, const Tensors& wanted) {
  for (const auto& [name, weight] : wanted) {
    const auto found = got.find(name);
    if (found == got.end()) {
      ADD_FAILURE() << "no tensor " << name;
      continue;
    }
    EXPECT_EQ(to_string(found->second.dtype()), to_string(weight.dtype())) << name;
    EXPECT_EQ(found->second.dims(), weight.dims()) << name;
    EXPECT_TRUE(found->second.bytes() == weight.bytes()) << name << ": the bytes differ";
  }
  for (const auto& [name, weight] : got) EXPECT_TRUE(wanted.count(name)) << "an additional tensor " << name;
}

/// Expects `body` to throw Error with this code and a what() that holds `text`: refused for the stated
/// reason.
inline void expect_error(const std::function<void()>& body, ErrorCode code, const std::string& text) {
  try {
    body();
    ADD_FAILURE() << "no error; expected " << to_string(code) << ": " << text;
  } catch (const Error& error) {
    EXPECT_EQ(to_string(error.code()), to_string(code)) << error.what();
    EXPECT_THAT(error.what(), testing::HasSubstr(text));
  }
}

}  // namespace ferry::test
