#pragma once
// Protobuf bytes by hand, so that tests can write what no library would.
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

namespace ferry::onnx::testing {

inline std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}
inline std::string number(int field, uint64_t value) {
  return varint(static_cast<uint64_t>(field) << 3) + varint(value);
}
inline std::string bytes(int field, const std::string& content) {
  return varint(static_cast<uint64_t>(field) << 3 | 2) + varint(content.size()) + content;
}

// Messages of onnx-ml.proto.
inline std::string opset(int version, const std::string& domain = "") {
  return bytes(8, bytes(1, domain) + number(2, static_cast<uint64_t>(version)));
}
inline std::string model(const std::string& graph, const std::string& more = opset(18)) {
  return number(1, 10) + bytes(7, graph) + more;
}
inline std::string node(const std::string& op_type, const std::vector<std::string>& inputs,
                        const std::vector<std::string>& outputs, const std::string& more = "") {
  std::string out;
  for (const auto& input : inputs) out += bytes(1, input);
  for (const auto& output : outputs) out += bytes(2, output);
  return bytes(1, out + bytes(3, "the " + op_type) + bytes(4, op_type) + more);
}
/// A float tensor's type; dimensions by name, "" for none.
inline std::string value_info(int field, const std::string& name, const std::vector<std::string>& dims,
                              int element = 1) {
  std::string shape;
  for (const auto& dim : dims) shape += bytes(1, dim.empty() ? "" : bytes(2, dim));
  const std::string tensor = number(1, static_cast<uint64_t>(element)) + bytes(2, shape);
  return bytes(field, bytes(1, name) + bytes(2, bytes(1, tensor)));
}
inline std::string input(const std::string& name, const std::vector<std::string>& dims) {
  return value_info(11, name, dims);
}
inline std::string output(const std::string& name, const std::vector<std::string>& dims) {
  return value_info(12, name, dims);
}
/// TensorProto without data.
inline std::string tensor(const std::string& name, const std::vector<int64_t>& dims, int element = 1) {
  std::string out;
  for (const int64_t dim : dims) out += number(1, static_cast<uint64_t>(dim));
  return out + number(2, static_cast<uint64_t>(element)) + bytes(8, name);
}
inline std::string initializer(const std::string& tensor) {
  return bytes(5, tensor);
}
inline std::string external(const std::string& key, const std::string& value) {
  return bytes(13, bytes(1, key) + bytes(2, value));
}

/// A folder for one test.
inline std::filesystem::path fresh_folder(const std::string& name) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / ("ferry-onnx-" + name);
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}
inline void write_file(const std::filesystem::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}
inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace ferry::onnx::testing
