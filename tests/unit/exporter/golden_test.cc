// Every golden case, through the reference interpreter and through ONNX Runtime at several opsets.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "exporter/build_model.h"
#include "exporter/example_inputs.h"
#include "golden_case.h"
#include "models/registry.h"
#include "onnx/writer.h"
#include "ort/session.h"
#include "passes/pipeline.h"
#include "reference/interpreter.h"

namespace ferry::testing {
namespace {
namespace fs = std::filesystem;

class Golden : public ::testing::TestWithParam<std::string> {};

// The golden cases of one file, model.onnx: what a part is run on.
void check_runs(const GoldenCase& golden, double atol, const std::string& what,
                const std::function<TensorMap(const TensorMap&)>& run) {
  for (size_t i = 0; i < golden.runs.size(); ++i) {
    const TensorMap outputs = run(golden.runs[i].inputs);
    EXPECT_EQ(outputs.size(), golden.runs[i].outputs.size());
    for (const auto& [name, expected] : golden.runs[i].outputs) {
      ASSERT_TRUE(outputs.count(name)) << name;
      EXPECT_EQ(mismatch(expected, outputs.at(name), atol), "")
          << what << ", run " << i << ", output " << name;
    }
  }
}

TEST_P(Golden, InterpreterEqualsTransformers) {
  const GoldenCase golden = GoldenCase::load(golden_folder() / GetParam());
  auto parts = golden.build();
  ASSERT_EQ(parts.size(), 1u);
  const reference::Interpreter interpreter(parts[0].graph);
  check_runs(golden, golden.atol, "interpreter",
             [&](const TensorMap& inputs) { return interpreter.run(inputs); });
}

TEST_P(Golden, OnnxRuntimeEqualsTransformersAtEveryOpset) {
  const GoldenCase golden = GoldenCase::load(golden_folder() / GetParam());
  const auto runtime = ort::Runtime::open({});
  for (const int opset : {13, 17, 18, 21, 23, 24}) {
    auto parts = golden.build();
    passes::PipelineOptions options;
    options.opset = opset;
    passes::run_pipeline(parts[0].graph, options);
    const fs::path folder = fs::path(::testing::TempDir()) / fmt::format("golden-{}-{}", golden.name, opset);
    fs::remove_all(folder);
    fs::create_directories(folder);
    onnx::WriteOptions writing;
    writing.sync = false;
    onnx::write_model(parts[0].graph, {folder / "model.onnx", folder / "model.onnx_data"}, writing);
    // Optimized as a user would run it.
    const ort::Session session(runtime, folder / "model.onnx");
    check_runs(golden, golden.atol, fmt::format("opset {}", opset), [&](const TensorMap& inputs) {
      TensorMap out;
      auto results = session.run(inputs);
      for (size_t i = 0; i < results.size(); ++i)
        out.emplace(session.outputs()[i].name, std::move(results[i]));
      return out;
    });
    fs::remove_all(folder);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Golden, ::testing::ValuesIn(golden_case_names()), [](const auto& instance) {
  std::string name = instance.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return name;
});

TEST(Signatures, FramesAreNamedAsOptimumNamesThem) {
  const auto axes = [](const std::string& name) {
    auto parts = GoldenCase::load(golden_folder() / name).build();
    EXPECT_EQ(to_string(*parts[0].graph.inputs[0]->shape), "[batch_size, sequence_length]");
    exporter::name_axes(parts[0]);
    return to_string(*parts[0].graph.outputs[0]->shape);
  };
  EXPECT_EQ(axes("wav2vec2-feature-extraction"), "[batch_size, sequence_length, 32]");
  EXPECT_EQ(axes("hubert-automatic-speech-recognition"),
            "[batch_size, ( ( ( sequence_length - 10 ) // 5 + 1 - 3 ) // 2 + 1 - 2 ) // 2 + 1, 29]");
  EXPECT_EQ(axes("wav2vec2-audio-xvector"), "[batch_size, 17]");
}

// Positions fix the size of an image: the graph is built for it, the file still shows Optimum's names.
TEST(ImageAxes, OfOneSizeAreNamedInTheFileAlone) {
  auto part = std::move(GoldenCase::load(golden_folder() / "vit-image-classification").build()[0]);
  const auto shape = [&] { return ir::to_string(*part.graph.inputs[0]->shape); };
  EXPECT_EQ(shape(), "[batch_size, 3, 12, 12]");
  const auto sizes = exporter::example_sizes(part.inputs, {});
  ASSERT_EQ(sizes.size(), 2u);
  const exporter::AxisSizes two = {{"batch_size", 2}, {"height", 12}, {"num_channels", 3}, {"width", 12}};
  EXPECT_EQ(sizes[0], two);
  EXPECT_EQ(sizes[1].at("batch_size"), 1);
  exporter::name_axes(part);
  EXPECT_EQ(shape(), "[batch_size, num_channels, height, width]");
}

TEST(ImageAxes, OfOutputsAreOptimums) {
  auto part = std::move(GoldenCase::load(golden_folder() / "segformer-semantic-segmentation").build()[0]);
  exporter::name_axes(part);
  EXPECT_EQ(ir::to_string(*part.graph.inputs[0]->shape), "[batch_size, num_channels, height, width]");
  EXPECT_EQ(ir::to_string(*part.graph.outputs[0]->shape), "[batch_size, num_labels, height, width]");
  const auto sizes = exporter::example_sizes(part.inputs, {});
  EXPECT_EQ(sizes[0].at("height"), 64);
  EXPECT_EQ(sizes[1].at("height"), 25);
  EXPECT_EQ(sizes[1].at("batch_size"), 3);
}

TEST(GoldenCases, CoverEveryRegisteredArchitectureAndTask) {
  std::set<std::pair<std::string, std::string>> covered;
  for (const auto& name : golden_case_names()) {
    const GoldenCase golden = GoldenCase::load(golden_folder() / name);
    covered.emplace(golden.model_type, golden.task);
    EXPECT_GE(golden.runs.size(), 2u) << name << " has fewer than two shapes";
  }
  const auto registry = models::Registry::builtin();
  for (const auto& type : registry.model_types()) {
    for (const auto& task : registry.get(type).task_names()) {
      EXPECT_TRUE(covered.count({type, task})) << "no golden case for " << type << " x " << task;
    }
  }
}

}  // namespace
}  // namespace ferry::testing
