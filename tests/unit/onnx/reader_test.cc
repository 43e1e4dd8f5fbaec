#include "onnx/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/error.h"
#include "support/test_folder.h"
#include "unit/onnx/wire_builder.h"

namespace ferry::onnx {
namespace {

namespace fs = std::filesystem;
using namespace testing;  // NOLINT: the wire builder.
using ::testing::HasSubstr;

ir::Graph read(const std::string& content, const ReadOptions& options = {}) {
  const auto folder = ferry::testing::fresh_test_folder();
  write_file(folder / "m.onnx", content);
  return read_model(folder / "m.onnx", options);
}

void expect_error(const std::string& content, ErrorCode code, const std::string& text) {
  try {
    read(content);
    FAIL() << "no error; expected: " << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(text));
    EXPECT_THAT(error.what(), HasSubstr("m.onnx"));
  }
}

// y = x + w, where w is `tensor`.
std::string add_weight(const std::string& tensor_proto) {
  return model(node("Add", {"x", "w"}, {"y"}) + initializer(tensor_proto) + input("x", {"n"}) +
               output("y", {"n"}));
}
const Weight& first_weight(const ir::Graph& graph) {
  return *graph.used_weights().at(0)->weight;
}
std::string floats(std::initializer_list<float> values) {
  return {reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(float)};
}

TEST(Reader, RawDataStaysInTheMappedFile) {
  const auto graph = read(add_weight(tensor("w", {2}) + bytes(9, floats({1, 2}))));
  EXPECT_THAT(first_weight(graph).as_f32(), ::testing::ElementsAre(1, 2));
  EXPECT_EQ(first_weight(graph).file_range()->file.filename(), "m.onnx");
  EXPECT_EQ(ir::to_string(*graph.outputs[0]->shape), "[n]");
}

TEST(Reader, TypedDataOfEveryKind) {
  EXPECT_THAT(first_weight(read(add_weight(tensor("w", {2}) + bytes(4, floats({1, 2}))))).as_f32(),
              ::testing::ElementsAre(1, 2));
  const auto ints = bytes(5, varint(0x3C00) + varint(0xC000));
  EXPECT_THAT(first_weight(read(add_weight(tensor("w", {2}, 10) + ints))).as_f32(),
              ::testing::ElementsAre(1, -2));
  const auto brain = bytes(5, varint(0x3F80) + varint(0xC000));
  EXPECT_THAT(first_weight(read(add_weight(tensor("w", {2}, 16) + brain))).as_f32(),
              ::testing::ElementsAre(1, -2));
  const auto negative = bytes(7, varint(static_cast<uint64_t>(-3)) + varint(4));
  EXPECT_THAT(first_weight(read(add_weight(tensor("w", {2}, 7) + negative))).as_i64(),
              ::testing::ElementsAre(-3, 4));
  const auto flags = bytes(5, varint(1) + varint(0));
  EXPECT_THAT(first_weight(read(add_weight(tensor("w", {2}, 9) + flags))).as_i64(),
              ::testing::ElementsAre(1, 0));
  const auto nibbles = bytes(5, varint(0x21) + varint(0x03));
  EXPECT_EQ(first_weight(read(add_weight(tensor("w", {3}, 21) + nibbles))).size_bytes(), 2u);
}

TEST(Reader, ScalarsAndEmptyTensors) {
  EXPECT_EQ(first_weight(read(add_weight(tensor("w", {}) + bytes(9, floats({7}))))).as_f32()[0], 7);
  EXPECT_EQ(first_weight(read(add_weight(tensor("w", {0})))).count(), 0u);
}

TEST(Reader, WrongTensorsAreNamed) {
  expect_error(add_weight(tensor("w", {3}) + bytes(9, floats({1, 2}))), ErrorCode::invalid_file,
               "initializer \"w\" takes 12 bytes, but its data has 8");
  expect_error(add_weight(tensor("w", {3}) + bytes(4, floats({1, 2}))), ErrorCode::invalid_file,
               "initializer \"w\" needs 3 numbers of data and has 2");
  expect_error(add_weight(tensor("w", {3})), ErrorCode::invalid_file, "needs 3 numbers of data and has 0");
  expect_error(add_weight(tensor("w", {-1}) + bytes(9, "")), ErrorCode::invalid_file,
               "has a dimension of -1");
  expect_error(add_weight(tensor("w", {int64_t{1} << 40, int64_t{1} << 40})), ErrorCode::invalid_file,
               "beyond 64 bits");
  expect_error(add_weight(tensor("w", {2}, 8) + bytes(6, "a") + bytes(6, "b")), ErrorCode::unsupported,
               "holds strings");
  expect_error(add_weight(tensor("w", {2}, 99)), ErrorCode::unsupported, "unknown element type 99");
  expect_error(add_weight(tensor("w", {2}) + bytes(9, floats({1, 2})) + bytes(4, floats({1, 2}))),
               ErrorCode::invalid_file, "data in two places");
  expect_error(add_weight(tensor("w", {2}) + bytes(9, floats({1, 2})) + bytes(9, floats({1, 2}))),
               ErrorCode::invalid_file, "raw_data twice");
}

TEST(Reader, MalformedFiles) {
  expect_error("", ErrorCode::invalid_file, "it holds no graph");
  expect_error("this is no model", ErrorCode::invalid_file, "not an ONNX model");
  expect_error(std::string(20, '\xff'), ErrorCode::invalid_file, "more than 64 bits");
  expect_error(bytes(7, ""), ErrorCode::invalid_file, "declares no opset");
  expect_error(model("") + bytes(7, ""), ErrorCode::invalid_file, "two graphs");
  expect_error(model("", opset(0)), ErrorCode::invalid_file, "opset 0");
  const std::string good = add_weight(tensor("w", {2}) + bytes(9, floats({1, 2})));
  expect_error(good.substr(0, good.size() / 2), ErrorCode::invalid_file, "not an ONNX model");
  expect_error(number(1, 3) + varint(7 << 3 | 2) + varint(uint64_t{1} << 60), ErrorCode::invalid_file,
               "bytes where 0 are left");
}

TEST(Reader, DeepNestingIsRefusedWithoutRecursingIntoIt) {
  std::string graph;
  for (int i = 0; i < 100'000; ++i) {
    // A thousand levels would do; the sizes of all make this slow to build, so stop at 2 MB.
    graph = node("If", {}, {"y"}, bytes(5, bytes(1, "then_branch") + bytes(6, graph) + number(20, 5)));
    if (graph.size() > (2u << 20) || i > 2000) break;
  }
  expect_error(model(graph), ErrorCode::invalid_file, "nested too deeply");
}

TEST(Reader, BrokenGraphsAreNamed) {
  expect_error(model(node("Relu", {"nothing"}, {"y"}) + output("y", {"n"})), ErrorCode::invalid_file,
               "node \"the Relu\" (Relu) uses \"nothing\", which nothing makes");
  expect_error(model(node("Relu", {"b"}, {"a"}) + node("Abs", {"a"}, {"b"})), ErrorCode::invalid_file,
               "has a cycle");
  expect_error(model(node("Relu", {"x"}, {"a"}) + node("Abs", {"x"}, {"a"}) + input("x", {"n"})),
               ErrorCode::invalid_file, "two nodes make the value \"a\"");
  expect_error(model(node("Relu", {"x"}, {"x"}) + input("x", {"n"})), ErrorCode::invalid_file, "cycle");
  expect_error(model(input("x", {"n"}) + input("x", {"n"})), ErrorCode::invalid_file,
               "two values are named \"x\"");
  expect_error(model(input("x", {"n"}) + output("z", {"n"})), ErrorCode::invalid_file,
               "nothing makes the output \"z\"");
  expect_error(model(node("", {}, {"y"})), ErrorCode::invalid_file, "has no operator");
  expect_error(model(bytes(15, bytes(1, bytes(8, "sp")))), ErrorCode::unsupported,
               "initializer \"sp\" is sparse");
}

// A function of the domain "own" with the body's nodes.
std::string function(const std::string& name, const std::string& body, int version = 18) {
  std::string nodes = body;
  for (size_t at = 0; at < nodes.size();) {  // GraphProto.node is field 1, FunctionProto.node field 7.
    nodes[at] = (7 << 3) | 2;
    at += 2 + static_cast<unsigned char>(nodes[at + 1]);
  }
  const std::string import = bytes(9, number(2, static_cast<uint64_t>(version)));
  return bytes(25, bytes(1, name) + bytes(4, "x") + bytes(5, "y") + nodes + import + bytes(10, "own"));
}
const std::string kOwn = bytes(7, "own");

TEST(Reader, FunctionsAreExpanded) {
  const auto body = node("Abs", {"x"}, {"t"}) + node("Neg", {"t"}, {"y"});
  const auto graph = read(model(
      node("f", {"a"}, {"b"}, kOwn) + node("f", {"b"}, {"c"}, kOwn) + input("a", {"n"}) + output("c", {"n"}),
      opset(18) + opset(1, "own") + function("f", body)));
  ASSERT_EQ(graph.nodes().size(), 4u);
  EXPECT_EQ(graph.nodes()[3]->op_type, "Neg");
  EXPECT_EQ(graph.outputs[0]->name, "c");
  EXPECT_EQ(graph.opsets.count("own"), 0u);
}

TEST(Reader, FunctionsThatDoNotEndAreRefused) {
  const auto calls = model(node("f", {"a"}, {"b"}, kOwn) + input("a", {"n"}) + output("b", {"n"}), "");
  const auto opsets = opset(18) + opset(1, "own");
  expect_error(calls + opsets + function("f", node("f", {"x"}, {"y"}, kOwn)), ErrorCode::invalid_file,
               "calls itself");
  expect_error(calls + opsets + function("f", "") + function("f", ""), ErrorCode::invalid_file,
               "defined twice");
  expect_error(calls + opsets + function("f", node("Abs", {"x"}, {"y"}), 11), ErrorCode::unsupported,
               "written for opset 11");
  // Each calls the next twice: 2^40 nodes.
  std::string chain;
  for (int i = 0; i < 40; ++i) {
    const auto next = "f" + std::to_string(i + 1);
    chain += function(i == 0 ? "f" : "f" + std::to_string(i),
                      node(next, {"x"}, {"t"}, kOwn) + node(next, {"t"}, {"y"}, kOwn));
  }
  expect_error(calls + opsets + chain + function("f40", node("Abs", {"x"}, {"y"})), ErrorCode::invalid_file,
               "expand to more than any model holds");
}

TEST(Reader, TextsAndAnnotationsAreKept) {
  const auto annotation = bytes(14, bytes(1, "y") + bytes(2, bytes(1, "SCALE_TENSOR") + bytes(2, "s")));
  const auto graph =
      read(model(node("Abs", {"x"}, {"y"}, bytes(6, "why") + bytes(9, bytes(1, "k") + bytes(2, "v"))) +
                     bytes(10, "of the graph") + annotation + input("x", {"n"}) + output("y", {"n"}),
                 opset(18) + bytes(4, "a.domain") + number(5, 7) + bytes(6, "of the model")));
  EXPECT_EQ(graph.header.domain, "a.domain");
  EXPECT_EQ(graph.header.version, 7);
  EXPECT_EQ(graph.header.doc_string, "of the model");
  EXPECT_EQ(graph.doc_string, "of the graph");
  EXPECT_EQ(graph.nodes()[0]->doc_string, "why");
  EXPECT_EQ(graph.nodes()[0]->metadata.at("k"), "v");
  EXPECT_EQ(graph.quantization_annotations.at("y").at("SCALE_TENSOR"), "s");
}

TEST(Reader, NodesAreSorted) {
  const auto graph = read(
      model(node("Abs", {"a"}, {"y"}) + node("Relu", {"x"}, {"a"}) + input("x", {"n"}) + output("y", {"n"})));
  EXPECT_EQ(graph.nodes()[0]->op_type, "Relu");
  EXPECT_NO_THROW(ir::verify(graph));
}

TEST(Reader, ConstantsBecomeWeightsUnlessAskedToStay) {
  const std::string content =
      model(node("Constant", {}, {"c"},
                 bytes(5, bytes(1, "value_ints") + number(8, 3) + number(8, 4) + number(20, 7))) +
            node("Expand", {"x", "c"}, {"y"}) + input("x", {"", ""}) + output("y", {}));
  const auto graph = read(content);
  EXPECT_EQ(graph.nodes().size(), 1u);
  EXPECT_THAT(first_weight(graph).as_i64(), ::testing::ElementsAre(3, 4));
  EXPECT_EQ(read(content, {.keep_constants = true}).nodes().size(), 2u);
}

TEST(Reader, UnnamedDimensionsStayUnnamed) {
  const auto graph = read(model(node("Relu", {"x"}, {"y"}) + input("x", {"", "n"}) + output("y", {"", "n"})));
  EXPECT_EQ(ir::to_string(*graph.inputs[0]->shape), "[?x.0, n]");
}

TEST(Reader, ExternalData) {
  const auto folder = fresh_folder("external-read");
  const auto with = [&](const std::string& location, const std::string& offset, const std::string& length) {
    write_file(folder / "m.onnx",
               add_weight(tensor("w", {2}) + external("location", location) + external("offset", offset) +
                          external("length", length) + number(14, 1)));
    return read_model(folder / "m.onnx");
  };
  const auto fails = [&](const std::string& location, const std::string& offset, const std::string& length,
                         ErrorCode code, const std::string& text) {
    try {
      with(location, offset, length);
      FAIL() << "no error; expected: " << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(text));
    }
  };
  fs::create_directories(folder / "sub");
  write_file(folder / "sub" / "data", "four" + floats({5, 6}));
  write_file(folder / "data", floats({7, 8}));
  fs::create_symlink("data", folder / "link");
  fs::create_directory_symlink("sub", folder / "linked");
  mkfifo((folder / "fifo").c_str(), 0600);
  EXPECT_THAT(first_weight(with("sub/data", "4", "8")).as_f32(), ::testing::ElementsAre(5, 6));
  fails("sub/data", "5", "8", ErrorCode::invalid_file, "ends at byte 5 + 8");
  fails("sub/data", "18446744073709551615", "8", ErrorCode::invalid_file, "ends at byte");
  fails("sub/data", "-1", "8", ErrorCode::invalid_file, "offset \"-1\"");
  fails("data", "0", "4", ErrorCode::invalid_file, "takes 8 bytes, but its external data has 4");
  fails("../data", "0", "8", ErrorCode::invalid_file, "is not a plain relative path");
  fails("/etc/passwd", "0", "8", ErrorCode::invalid_file, "is absolute");
  fails("link", "0", "8", ErrorCode::io, "symbolic link");
  fails("linked/data", "0", "8", ErrorCode::io, "symbolic link");
  fails("fifo", "0", "8", ErrorCode::io, "not a regular file");
  fails("sub", "0", "8", ErrorCode::io, "not a regular file");
  fails("gone", "0", "8", ErrorCode::not_found, "gone");
  fails("", "0", "8", ErrorCode::invalid_file, "without a location");
}

TEST(Reader, HostileShapesEndQuickly) {
  // Each Concat doubles; each Mul squares a formula.
  std::string nodes = node("Shape", {"x"}, {"s0"});
  for (int i = 0; i < 60; ++i)
    nodes += node("Concat", {"s" + std::to_string(i), "s" + std::to_string(i)}, {"s" + std::to_string(i + 1)},
                  bytes(5, bytes(1, "axis") + number(3, 0) + number(20, 2)));
  nodes += node("Shape", {"x"}, {"m0"});
  for (int i = 0; i < 60; ++i) {
    const std::string at = std::to_string(i), next = std::to_string(i + 1);
    nodes += node("Add", {"m" + at, "s0"}, {"a" + at}) + node("Mul", {"a" + at, "a" + at}, {"m" + next});
  }
  const auto graph = read(model(nodes + input("x", {"a", "b"}) + output("s60", {}) + output("m60", {})));
  EXPECT_EQ(graph.nodes().size(), 2u + 60 + 120);
}

}  // namespace
}  // namespace ferry::onnx
