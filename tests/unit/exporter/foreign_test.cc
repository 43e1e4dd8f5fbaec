// Models of other exporters (tests/data/foreign, made by tools/oracle/make_foreign_onnx.py): read, rewritten,
// upgraded, optimized, and still the same, with ONNX Runtime on the original file as the reference.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "exporter/evaluate.h"
#include "exporter/graph_inputs.h"
#include "ferry/optimization.h"
#include "golden_case.h"
#include "onnx/reader.h"
#include "onnx/writer.h"
#include "ort/session.h"
#include "passes/optimize.h"
#include "passes/upgrade.h"
#include "reference/interpreter.h"
#include "support/test_folder.h"

namespace ferry::testing {
namespace {
namespace fs = std::filesystem;
using exporter::TensorMap;
using ::testing::HasSubstr;

fs::path data() {
  return fs::path(FERRY_TEST_DATA) / "foreign";
}

std::vector<std::string> names_of(const ir::Graph& graph) {
  std::vector<std::string> out;
  for (const ir::Value* output : graph.outputs) out.push_back(output->name);
  return out;
}

TensorMap run(const fs::path& model, const TensorMap& inputs, const std::vector<std::string>& names) {
  ort::SessionOptions options;
  options.graph_optimization = ort::GraphOptimization::none;
  options.severity = LogLevel::error;
  const auto results = ort::Session(ort::Runtime::open({}), model, options).run(inputs, names);
  TensorMap out;
  for (size_t i = 0; i < names.size(); ++i) out.emplace(names[i], results[i]);
  return out;
}

fs::path written(const ir::Graph& graph, const std::string& name) {
  const fs::path folder = testing::fresh_test_folder() / name;
  fs::create_directories(folder);
  onnx::WriteOptions options;
  options.sync = false;
  onnx::write_model(graph, {folder / "model.onnx", folder / "model.onnx_data"}, options);
  return folder / "model.onnx";
}

class Foreign : public ::testing::TestWithParam<const char*> {
 protected:
  const fs::path file_ = data() / (std::string(GetParam()) + ".onnx");
  const ir::Graph original_ = onnx::read_model(file_);
  const std::vector<TensorMap> inputs_ = exporter::graph_inputs(original_, nullptr);

  void expect_same(const TensorMap& inputs, const std::function<TensorMap()>& actual, double atol) const {
    const TensorMap expected = run(file_, inputs, names_of(original_));
    const TensorMap found = actual();
    for (const auto& [name, tensor] : expected) EXPECT_EQ(mismatch(tensor, found.at(name), atol), "") << name;
  }
};

TEST_P(Foreign, ReadAndWrittenIsTheSame) {
  for (const bool keep_constants : {false, true}) {
    onnx::ReadOptions options;
    options.keep_constants = keep_constants;
    const ir::Graph graph = onnx::read_model(file_, options);
    const fs::path copy = written(graph, GetParam());
    for (const auto& inputs : inputs_) {
      expect_same(
          inputs, [&] { return run(copy, inputs, names_of(graph)); }, 0);
    }
    const ir::Graph again = onnx::read_model(copy, options);
    EXPECT_EQ(again.opsets, graph.opsets);
    EXPECT_EQ(ir::to_string(again), ir::to_string(graph));
  }
}

TEST_P(Foreign, UpgradedIsTheSameInTheInterpreter) {
  ir::Graph graph = onnx::read_model(file_);
  passes::upgrade(graph);
  EXPECT_EQ(graph.opsets.at(""), ir::kNewestOpset);
  for (const auto& node : graph.nodes()) {
    if (!reference::is_implemented(node->domain, node->op_type)) GTEST_SKIP() << "no " << node->op_type;
  }
  const reference::Interpreter interpreter(graph);
  for (const auto& inputs : inputs_) {
    expect_same(
        inputs, [&] { return interpreter.run(inputs); }, 1e-5);
  }
}

TEST_P(Foreign, OptimizedIsTheSame) {
  for (const bool fp16 : {false, true}) {
    ir::Graph graph = onnx::read_model(file_);
    passes::OptimizeOptions options;
    options.evaluate = exporter::evaluate;
    options.fp16 = fp16;
    if (!fp16) options.fuse.emplace().group_query = false;
    options.fp16_options.keep_operators = passes::fp16_kept_operators();
    passes::optimize(graph, options);
    EXPECT_EQ(names_of(graph), names_of(original_));
    const fs::path copy = written(graph, std::string("optimized-") + GetParam());
    for (const auto& inputs : inputs_) {
      expect_same(
          inputs, [&] { return run(copy, inputs, names_of(graph)); }, fp16 ? 3e-2 : 1e-5);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, Foreign,
                         ::testing::Values("optimum-bert-14", "optimum-gpt2", "optimum-llama",
                                           "optimum-t5-merged", "dynamo-bert", "dynamo-llama",
                                           "tf2onnx-layer-11", "tf2onnx-layer-15", "tf2onnx-image-9",
                                           "forms-9", "forms-10-resize", "forms-11-reductions", "forms-16",
                                           "functions-18"),
                         [](const auto& param) {
                           std::string name = param.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Raised, WhatExportersTakeApart) {
  using Found = std::map<std::string, size_t>;
  const std::map<std::string, Found> expected = {
      {"optimum-bert-14", {{"Attention", 1}, {"Gelu", 1}, {"LayerNormalization", 3}}},
      {"optimum-gpt2", {{"Attention", 1}, {"Gelu", 1}}},
      {"optimum-llama", {{"Attention", 1}, {"RMSNormalization", 3}, {"RotaryEmbedding", 2}, {"Swish", 1}}},
      {"optimum-t5-merged", {{"Attention", 4}, {"RMSNormalization", 8}}},
      {"dynamo-bert", {{"Attention", 1}}},
      {"tf2onnx-layer-11", {{"Attention", 1}, {"Gelu", 1}, {"LayerNormalization", 3}}},
      {"tf2onnx-layer-15", {{"Attention", 1}, {"Gelu", 1}, {"LayerNormalization", 3}}},
  };
  for (const auto& [name, found] : expected) {
    ir::Graph graph = onnx::read_model(data() / (name + ".onnx"));
    passes::OptimizeOptions options;
    options.evaluate = exporter::evaluate;
    EXPECT_EQ(passes::optimize(graph, options).found, found) << name;
  }
}

class OptimizerFolder : public ::testing::Test {
 protected:
  OptimizerFolder() {
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "in");
    fs::copy_file(data() / "optimum-bert-14.onnx", folder_ / "in" / "model.onnx");
  }
  const fs::path folder_ = testing::fresh_test_folder();
};

TEST_F(OptimizerFolder, WritesWhatOptimumWrites) {
  const auto optimizer = ORTOptimizer::from_pretrained(folder_ / "in");
  const auto report = optimizer.optimize(AutoOptimizationConfig::O3(), folder_ / "out");
  ASSERT_EQ(report.files.size(), 1u);
  EXPECT_EQ(report.files[0].file, "model_optimized.onnx");
  EXPECT_EQ(report.files[0].raised.at("LayerNormalization"), 3u);
  EXPECT_LT(report.files[0].max_difference.at("last_hidden_state"), 1e-2);
  EXPECT_LT(report.files[0].nodes_after, report.files[0].nodes_before);
  EXPECT_EQ(
      ORTOptimizer::get_operators_difference(folder_ / "in/model.onnx", folder_ / "out/model_optimized.onnx")
          .at("ReduceMean"),
      6);
  const auto config = ORTConfig::from_pretrained(folder_ / "out");
  ASSERT_TRUE(config.optimization);
  EXPECT_TRUE(config.optimization->enable_gelu_approximation);
  EXPECT_EQ(config.optimization->optimization_level, 2);
}

TEST_F(OptimizerFolder, SwitchesSayWhatStays) {
  OptimizationConfig config = AutoOptimizationConfig::O2();
  config.disable_attention_fusion = config.disable_gelu_fusion = true;
  const auto report = ORTOptimizer::from_pretrained(folder_ / "in").optimize(config, folder_ / "out");
  EXPECT_EQ(report.files[0].raised.count("Attention"), 0u);
  EXPECT_EQ(report.files[0].raised.count("Gelu"), 0u);
  EXPECT_EQ(report.files[0].raised.count("LayerNormalization"), 1u);
}

TEST_F(OptimizerFolder, DriftIsRefusedAndNothingIsWritten) {
  ORTOptimizer::SaveOptions options;
  options.atol = 1e-12;
  try {
    ORTOptimizer::from_pretrained(folder_ / "in")
        .optimize(AutoOptimizationConfig::O4(), folder_ / "out", options);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::validation_failed);
    EXPECT_THAT(error.what(), HasSubstr("last_hidden_state: max diff"));
  }
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

TEST_F(OptimizerFolder, BadConfigurationsAreNamed) {
  const auto expect_error = [&](const std::string& text, const std::string& message) {
    std::ofstream(folder_ / "ort_config.json") << text;
    try {
      (void)ORTConfig::from_pretrained(folder_);
      ADD_FAILURE() << "no error; expected: " << message;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_config);
      EXPECT_THAT(error.what(), HasSubstr(message));
    }
  };
  expect_error(R"({"optimization": {"fuse_all": true}})",
               "\"fuse_all\" is not a key of an OptimizationConfig");
  expect_error(R"({"optimization": {"fp16": 1}})", "\"fp16\" is not true or false");
  expect_error(R"([])", "an ORTConfig is a JSON object");
  OptimizationConfig config;
  config.optimization_level = 3;
  EXPECT_THROW(config.check(), Error);
  EXPECT_THROW(AutoOptimizationConfig::with_optimization_level("O5"), Error);
}

}  // namespace
}  // namespace ferry::testing
