// Dynamic quantization: the graphs that ONNX Runtime's quantizer makes
// (tools/oracle/make_quantization_cases.py), and what ORTQuantizer leaves in a folder.
#include "ferry/quantization.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "exporter/ort_config.h"
#include "exporter/quantization_config.h"
#include "onnx/reader.h"
#include "onnx/writer.h"
#include "passes/quantize/dynamic.h"
#include "reference/interpreter.h"
#include "support/test_folder.h"

namespace ferry {
namespace {
namespace fs = std::filesystem;

const fs::path kData = fs::path(FERRY_TEST_DATA) / "quantization/dynamic";

struct Case {
  std::string model, name;
};
void PrintTo(const Case& of, std::ostream* out) {
  *out << of.model << "/" << of.name;
}

std::vector<Case> cases() {
  std::vector<Case> out;
  for (const char* model : {"encoder", "image"}) {
    for (const auto& entry : fs::directory_iterator(kData / model)) {
      if (entry.path().extension() == ".json") out.push_back({model, entry.path().stem().string()});
    }
  }
  std::sort(out.begin(), out.end(),
            [](const Case& a, const Case& b) { return a.model + a.name < b.model + b.name; });
  return out;
}

passes::DynamicQuantization options_of(const fs::path& file) {
  const auto json = read_json(file);
  passes::DynamicQuantization out;
  out.weights = json.value("weights", "s8") == "u8" ? DType::u8 : DType::i8;
  out.weights_symmetric = json.value("weights_symmetric", true);
  out.activations_symmetric = json.value("activations_symmetric", false);
  out.per_channel = json.value("per_channel", false);
  out.reduce_range = json.value("reduce_range", false);
  out.matmul_const_b_only = json.value("matmul_const_b_only", true);
  out.nodes.operators = json.value("operators", passes::dynamic_operators());
  out.nodes.nodes = json.value("nodes_to_quantize", std::vector<std::string>());
  out.nodes.excluded = json.value("nodes_to_exclude", std::vector<std::string>());
  return out;
}

std::string text_of(const ir::Node& node) {
  std::string out = node.domain + ":" + node.op_type + " " + node.name + " (";
  for (const ir::Value* input : node.inputs) out += (input == nullptr ? "" : input->name) + ", ";
  out += ") ->";
  for (const ir::Value* output : node.outputs) out += " " + output->name;
  return out;
}

// A Transpose of what is quantized for another user is left in floats unless all MatMuls are quantized: one
// rounding less.
std::multiset<std::string> nodes_of(const ir::Graph& graph, bool with_transposes) {
  std::multiset<std::string> out;
  for (const auto& node : graph.nodes()) {
    if (!with_transposes && (node->is("Transpose") || node->name == "k_DequantizeLinear")) continue;
    out.insert(text_of(*node));
  }
  return out;
}

class Dynamic : public ::testing::TestWithParam<Case> {};

TEST_P(Dynamic, GivesTheGraphOfOnnxRuntimesQuantizer) {
  const auto& [model, name] = GetParam();
  const auto options = options_of(kData / model / (name + ".json"));
  ir::Graph graph = onnx::read_model(kData / model / "model.onnx");
  const ir::Graph expected = onnx::read_model(kData / model / (name + ".onnx"));
  const auto result = passes::quantize_dynamic(graph, options);
  ir::verify(graph);
  EXPECT_FALSE(result.quantized.empty());
  std::map<std::string, const ir::Value*> ours;
  for (const ir::Value* value : graph.used_weights()) ours[value->name] = value;
  for (const ir::Value* value : expected.used_weights()) {
    SCOPED_TRACE(value->name);
    ASSERT_TRUE(ours.count(value->name) > 0);
    const Weight& mine = *ours[value->name]->weight;
    EXPECT_EQ(mine.dtype(), value->weight->dtype());
    EXPECT_EQ(mine.dims(), value->weight->dims());
    EXPECT_EQ(mine.bytes(), value->weight->bytes());
  }
  EXPECT_EQ(ours.size(), expected.used_weights().size());
  const bool all = name == "all_matmuls";
  EXPECT_EQ(nodes_of(graph, all), nodes_of(expected, all));
}

INSTANTIATE_TEST_SUITE_P(Cases, Dynamic, ::testing::ValuesIn(cases()), [](const auto& instance) {
  return instance.param.model + "_" + instance.param.name;
});

TEST(Dynamic, RunsInTheInterpreterWithinTheStepsOfItsIntegers) {
  const ir::Graph plain = onnx::read_model(kData / "image/model.onnx");
  ir::Graph graph = onnx::read_model(kData / "image/model.onnx");
  passes::DynamicQuantization options;
  options.nodes.operators = passes::dynamic_operators();
  passes::quantize_dynamic(graph, options);
  HostTensor pixels = HostTensor::zeros(DType::f32, {2, 3, 6, 5});
  for (size_t i = 0; i < pixels.count(); ++i) pixels.as<float>()[i] = static_cast<float>(i % 17) / 8 - 1;
  const auto expected = reference::Interpreter(plain).run({{"pixel_values", pixels}}).at("logits");
  const auto found = reference::Interpreter(graph).run({{"pixel_values", pixels}}).at("logits");
  double error = 0, size = 0;
  for (size_t i = 0; i < expected.count(); ++i) {
    error += std::pow(expected.as<float>()[i] - found.as<float>()[i], 2);
    size += std::pow(expected.as<float>()[i], 2);
  }
  EXPECT_LT(std::sqrt(error / size), 0.03);
  EXPECT_GT(error, 0);
}

void expect_error(ErrorCode code, const std::string& text, const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(error.what(), ::testing::HasSubstr(text));
    return;
  }
  ADD_FAILURE() << "no error";
}

TEST(Dynamic, RefusesWhatIsQuantizedAndNodesThatAreNotThere) {
  passes::DynamicQuantization options;
  options.nodes.operators = passes::dynamic_operators();
  ir::Graph done = onnx::read_model(kData / "image/u8s8.onnx");
  expect_error(ErrorCode::usage, "quantized already", [&] { passes::quantize_dynamic(done, options); });
  ir::Graph graph = onnx::read_model(kData / "image/model.onnx");
  options.nodes.excluded = {"/c1/Convv"};
  expect_error(ErrorCode::usage, "did you mean /c1/Conv", [&] { passes::quantize_dynamic(graph, options); });
}

TEST(Dynamic, RefusesWeightsWithNaN) {
  ir::Graph graph;
  ir::Value* x = graph.add_input("x", DType::f32, {ir::Dim(2), ir::Dim(2)});
  const std::vector<float> values = {1, NAN, 3, 4};
  const auto& node = graph.add_node("MatMul", {x, graph.add_weight("w", Weight::from_f32({2, 2}, values))});
  graph.add_output("y", node.outputs[0]);
  passes::DynamicQuantization options;
  options.nodes.operators = {"MatMul"};
  expect_error(ErrorCode::invalid_file, "NaN", [&] { passes::quantize_dynamic(graph, options); });
}

class Folder : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(root_);
    fs::create_directories(in_);
    fs::copy(kData / "image/model.onnx", in_ / "encoder_model.onnx");
    fs::copy(kData / "encoder/model.onnx", in_ / "decoder_model.onnx");
    std::ofstream(in_ / "config.json") << "{\"model_type\": \"t5\"}";
    std::ofstream(in_ / "vocab.txt") << "a\n";
  }
  void TearDown() override { fs::remove_all(root_); }

  fs::path root_ = ferry::testing::fresh_test_folder();
  fs::path in_ = root_ / "in", out_ = root_ / "out";
};

TEST_F(Folder, EveryModelIsQuantizedAndWhatLiesBesideIsCopied) {
  const auto config = AutoQuantizationConfig::avx512_vnni({.per_channel = true});
  const auto report = quantize_folder(in_, config, out_, {});
  ASSERT_EQ(report.files.size(), 2u);
  EXPECT_EQ(report.files[0].file, "decoder_model_quantized.onnx");
  EXPECT_EQ(report.files[1].file, "encoder_model_quantized.onnx");
  EXPECT_EQ(report.files[1].bytes_after, fs::file_size(out_ / report.files[1].file));
  for (const char* name :
       {"decoder_model_quantized.onnx", "encoder_model_quantized.onnx", "config.json", "vocab.txt"})
    EXPECT_TRUE(fs::exists(out_ / name)) << name;
  const auto saved = exporter::read_ort_config(out_ / "ort_config.json");
  EXPECT_EQ(saved.quantization.at("weights_dtype"), "QInt8");
  EXPECT_EQ(saved.quantization.at("format"), "QOperator");
  EXPECT_EQ(saved.quantization.at("mode"), "IntegerOps");
  EXPECT_TRUE(saved.optimization.empty());
  const auto again = exporter::quantization_config_from(saved.quantization);
  EXPECT_TRUE(again.per_channel);
  EXPECT_EQ(again.operators_to_quantize, passes::dynamic_operators());
}

// Numbers between -1 and 1.
Weight some_weight(Dims dims) {
  std::vector<float> values(static_cast<size_t>(element_count(dims)));
  uint32_t seed = 1;
  for (float& value : values) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<float>(seed >> 8) / (1u << 23) - 1;
  }
  return Weight::from_f32(std::move(dims), values);
}

// Gemm as well as MatMul; nodes by name.
TEST_F(Folder, WeightsAloneInBlocks) {
  fs::create_directories(root_ / "blocks");
  {
    ir::Graph graph;
    ir::Value* x = graph.add_input("x", DType::f32, {ir::Dim::symbol("batch"), 40});
    ir::Node& gemm = graph.add_node(
        "Gemm", {x, graph.add_weight("a", some_weight({24, 40})), graph.add_weight("b", some_weight({24}))},
        {{"transB", int64_t{1}}});
    gemm.name = "first";
    ir::Node& matmul =
        graph.add_node("MatMul", {gemm.outputs[0], graph.add_weight("c", some_weight({24, 10}))});
    matmul.name = "second";
    graph.add_output("y", matmul.outputs[0]);
    onnx::write_model(graph, {root_ / "blocks/model.onnx", root_ / "blocks/model.onnx_data"}, {});
  }
  const HostTensor input = HostTensor::from_weight(some_weight({3, 40}));
  const auto result = [&](const fs::path& file) {
    const ir::Graph graph = onnx::read_model(file);
    return reference::Interpreter(graph).run({{"x", input}}).at("y");
  };
  const HostTensor expected = result(root_ / "blocks/model.onnx");
  const auto error_of = [&](const WeightQuantization& config, const std::vector<std::string>& nodes) {
    const auto report = quantize_folder(root_ / "blocks", config, out_, {});
    std::vector<std::string> found_nodes;
    for (const auto& node : report.files.at(0).quantized) found_nodes.push_back(node.name);
    EXPECT_EQ(found_nodes, nodes);
    const HostTensor found = result(out_ / "model_quantized.onnx");
    double error = 0, size = 0;
    for (size_t i = 0; i < expected.count(); ++i) {
      error += std::pow(expected.as<float>()[i] - found.as<float>()[i], 2);
      size += std::pow(expected.as<float>()[i], 2);
    }
    return std::sqrt(error / size);
  };
  const std::vector<std::string> both = {"first", "second"};
  const double eight = error_of({.bits = 8}, both), four = error_of({.block_size = 16}, both);
  EXPECT_GT(eight, 0);
  EXPECT_LT(eight, 0.01);
  EXPECT_LT(8 * eight, four);
  EXPECT_LT(four, 0.2);
  EXPECT_LT(error_of({.block_size = 16, .algorithm = "mse"}, both), four);
  EXPECT_LT(error_of({.block_size = 16, .nodes_to_exclude = {"second"}}, {"first"}), four);
  error_of({.operators_to_quantize = {"MatMul"}}, {"second"});
  error_of({.algorithm = "hqq", .nodes_to_quantize = {"first"}}, {"first"});
  EXPECT_FALSE(fs::exists(out_ / "ort_config.json"));
}

TEST_F(Folder, WeightsAloneAreRefusedByName) {
  const auto refused = [&](const WeightQuantization& config, const std::string& text) {
    expect_error(ErrorCode::usage, text, [&] { quantize_folder(in_, config, out_, {}); });
    EXPECT_FALSE(fs::exists(out_));
  };
  refused({.bits = 5}, "weights of 5 bits");
  refused({.block_size = 0}, "blocks of 0");
  refused({.block_size = 48}, "blocks of 48");
  refused({.algorithm = "awq"}, "not one of rtn, mse, hqq");
  refused({.head_bits = 3}, "a head of 3 bits");
  refused({.embedding_bits = 2}, "embeddings of 2 bits");
  refused({.accuracy_level = 2}, "accuracy level of 2");
  refused({.operators_to_quantize = {"Conv"}}, "not of Conv");
  refused({.nodes_to_exclude = {"no-such-node"}}, "has no node \"no-such-node\"");
  fs::copy(kData / "image/u8s8.onnx", in_ / "decoder_model.onnx", fs::copy_options::overwrite_existing);
  refused({}, "quantized already");
}

TEST_F(Folder, OneOfSeveralModelsHasToBeNamed) {
  expect_error(ErrorCode::usage, "too many", [&] { ORTQuantizer::from_pretrained(in_); });
  const auto quantizer = ORTQuantizer::from_pretrained(in_, "encoder_model.onnx");
  const auto report = quantizer.quantize(AutoQuantizationConfig::arm64({}), out_, {.file_suffix = ""});
  EXPECT_EQ(report.files.at(0).file, "encoder_model.onnx");
  EXPECT_FALSE(fs::exists(out_ / "decoder_model.onnx"));
}

TEST_F(Folder, NothingIsWrittenAfterAnError) {
  const auto config = AutoQuantizationConfig::avx2({.operators_to_quantize = {"LSTM"}});
  expect_error(ErrorCode::usage, "nothing", [&] { quantize_folder(in_, config, out_, {}); });
  EXPECT_FALSE(fs::exists(out_));
  expect_error(ErrorCode::usage, "must be different", [&] { quantize_folder(in_, config, in_, {}); });
  expect_error(ErrorCode::not_found, "Could not find any", [&] { quantize_folder(root_, config, out_, {}); });
}

TEST(QuantizationConfigTest, CombinationsThatDoNotRunAreRefused) {
  QuantizationConfig config;
  config.activations_dtype = QuantType::QInt8;
  expect_error(ErrorCode::usage, "QUInt8", [&] { config.check(); });
  config = AutoQuantizationConfig::tensorrt({});
  EXPECT_NO_THROW(config.check());
  EXPECT_EQ(config.str(), "QDQ (mode: QLinearOps, schema: s8/s8, channel-wise: True)");
  config.weights_dtype = QuantType::QUInt8;
  expect_error(ErrorCode::usage, "QUInt8", [&] { config.check(); });
  expect_error(ErrorCode::invalid_config, "unknown key", [&] {
    exporter::quantization_config_from({{"is_static", false}, {"bits", 4}});
  });
}

}  // namespace
}  // namespace ferry
