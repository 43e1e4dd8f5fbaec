#pragma once
// A model of one node, encoded by hand: the layer under test knows no ONNX writer.
#include <cstdint>
#include <string>
#include <vector>

namespace ferry::test {

inline std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7F) | 0x80);
  return out + static_cast<char>(value);
}
inline std::string number(int field, uint64_t value) {
  return varint(static_cast<uint64_t>(field) << 3) + varint(value);
}
inline std::string message(int field, const std::string& bytes) {
  return varint((static_cast<uint64_t>(field) << 3) | 2) + varint(bytes.size()) + bytes;
}

/// A ValueInfoProto. A dimension is a number or a name.
inline std::string value(const std::string& name, int dtype, const std::vector<std::string>& dims) {
  std::string shape;
  for (const auto& dim : dims) {
    const bool is_number = dim.find_first_not_of("0123456789") == std::string::npos;
    shape += message(1, is_number ? number(1, std::stoull(dim)) : message(2, dim));
  }
  const std::string tensor = number(1, static_cast<uint64_t>(dtype)) + message(2, shape);
  return message(1, name) + message(2, message(1, tensor));
}

struct TinyModel {
  std::string op_type;
  std::vector<std::string> inputs;  ///< ValueInfoProtos, and their names.
  std::vector<std::string> input_names;
  std::string output;
  std::string output_name;
};

inline std::string encode(const TinyModel& model) {
  std::string node;
  for (const auto& name : model.input_names) node += message(1, name);
  node += message(2, model.output_name) + message(3, "node") + message(4, model.op_type);
  std::string graph = message(1, node) + message(2, "graph");
  for (const auto& input : model.inputs) graph += message(11, input);
  graph += message(12, model.output);
  const std::string opset = message(1, "") + number(2, 17);
  const std::string property = message(1, "author") + message(2, "a test");
  return number(1, 8) + message(7, graph) + message(8, opset) + message(14, property);
}

/// z = op(x, y), all [batch, 2] of one dtype.
inline std::string binary_model(const std::string& op, int dtype) {
  return encode({op,
                 {value("x", dtype, {"batch", "2"}), value("y", dtype, {"batch", "2"})},
                 {"x", "y"},
                 value("z", dtype, {"batch", "2"}),
                 "z"});
}

}  // namespace ferry::test
