#include "onnx/writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "base/error.h"
#include "ir/op.h"
#include "onnx/external_data.h"
#include "onnx/reader.h"
#include "onnx/refer_to_weights.h"
#include "unit/onnx/wire_builder.h"

namespace ferry::onnx {
namespace {

namespace op = ir::op;
namespace fs = std::filesystem;
using testing::fresh_folder;
using ::testing::HasSubstr;
using testing::read_file;
using testing::write_file;

Weight ramp(Dims dims, float start = 0) {
  std::vector<float> values(static_cast<size_t>(element_count(dims)));
  for (size_t i = 0; i < values.size(); ++i) values[i] = start + static_cast<float>(i);
  return Weight::from_f32(std::move(dims), values);
}

// Two products with transposed weights, one larger than a tile's share, and a tied use.
ir::Graph sample() {
  ir::Graph graph;
  const ir::Dim batch = ir::Dim::symbol("batch"), past = ir::Dim::symbol("past");
  const ir::Tensor x(graph, graph.add_input("x", DType::f32, {batch, past + batch, 70}));
  const auto a = op::weight(graph, "a", ramp({90, 70}).transpose());
  const auto b = op::weight(graph, "b", ramp({90}, 0.5f));
  const auto y = op::unary("Relu", op::add(op::matmul(x, a), b));
  graph.add_output("y", op::matmul(y, op::weight(graph, "c", ramp({70, 90}, -3).transpose())).value());
  graph.add_output("z", op::mul(y, b).value());
  graph.metadata["who"] = "test";
  return graph;
}

std::vector<std::vector<std::byte>> contents(const ir::Graph& graph) {
  std::vector<std::vector<std::byte>> out;
  for (const ir::Value* weight : graph.used_weights()) out.push_back(weight->weight->bytes());
  return out;
}

std::string written(const ir::Graph& graph, const fs::path& folder, WriteOptions options = {}) {
  options.sync = false;
  write_model(graph, {folder / "model.onnx", folder / "model.onnx_data"}, options);
  return read_file(folder / "model.onnx");
}

void expect_error(const std::function<void()>& body, ErrorCode code, const std::string& text) {
  try {
    body();
    FAIL() << "no error; expected: " << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(text));
  }
}

TEST(Writer, WhatIsWrittenReadsBack) {
  const auto folder = fresh_folder("read-back");
  const ir::Graph graph = sample();
  const auto report = write_model(graph, {folder / "model.onnx", ""}, {.producer_version = "1"});
  EXPECT_EQ(report.model_bytes, fs::file_size(folder / "model.onnx"));
  EXPECT_EQ(report.external_bytes, 0u);
  EXPECT_EQ(report.initializers, 3u);
  EXPECT_EQ(report.nodes, graph.nodes().size());
  const ir::Graph read = read_model(folder / "model.onnx");
  EXPECT_EQ(ir::to_string(read), ir::to_string(graph));
  EXPECT_EQ(contents(read), contents(graph));
  EXPECT_EQ(read.metadata, graph.metadata);
  EXPECT_EQ(read.opsets, graph.opsets);
}

TEST(Writer, ReadingAndWritingAgainChangesNothing) {
  const auto folder = fresh_folder("round-trip"), again = fresh_folder("round-trip-2");
  const std::string first = written(sample(), folder);
  EXPECT_EQ(written(read_model(folder / "model.onnx"), again), first);
}

TEST(Writer, TheSameGraphGivesTheSameBytes) {
  for (const auto weights : {WriteOptions::Weights::embedded, WriteOptions::Weights::external}) {
    const auto one = fresh_folder("same-1"), two = fresh_folder("same-2");
    EXPECT_EQ(written(sample(), one, {.weights = weights, .threads = 1}),
              written(sample(), two, {.weights = weights, .threads = 3}));
    EXPECT_EQ(read_file(one / "model.onnx_data"), read_file(two / "model.onnx_data"));
  }
}

TEST(Writer, ManyTilesOfManyThreadsMakeTheTransposeWhole) {
  const auto folder = fresh_folder("tiles");
  ir::Graph graph;
  const ir::Tensor x(graph, graph.add_input("x", DType::f32, {1, 3001}));
  const Weight large = ramp({1700, 3001});  // 20 MB: several tiles, no dimension a multiple of a block.
  graph.add_output("y", op::matmul(x, op::weight(graph, "w", large.transpose())).value());
  graph.add_output(
      "z",
      op::matmul(x, op::weight(graph, "v", large.transpose().cast(DType::f16).cast(DType::f32))).value());
  written(graph, folder, {.threads = 4});
  EXPECT_EQ(contents(read_model(folder / "model.onnx")), contents(graph));
}

TEST(Writer, ExternalDataIsAlignedNamedAndWhole) {
  const auto folder = fresh_folder("external");
  WriteOptions options{.weights = WriteOptions::Weights::external};
  options.external_threshold = 1000;
  const auto report = write_model(sample(), {folder / "model.onnx", folder / "model.onnx_data"}, options);
  EXPECT_EQ(report.external_bytes, fs::file_size(folder / "model.onnx_data"));
  EXPECT_THAT(report.files, ::testing::ElementsAre(folder / "model.onnx_data", folder / "model.onnx"));
  const ir::Graph read = read_model(folder / "model.onnx");
  size_t outside = 0;
  for (const ir::Value* weight : read.used_weights()) {
    const auto range = weight->weight->file_range();
    ASSERT_TRUE(range);
    if (range->file.filename() != "model.onnx_data") continue;
    ++outside;
    EXPECT_EQ(range->offset % 4096, 0u) << weight->name;
  }
  EXPECT_EQ(outside, 2u);  // The bias stays inside.
  EXPECT_EQ(contents(read), contents(sample()));
}

TEST(Writer, AutomaticGoesOutsideWhenTheModelWouldBeTooLarge) {
  const auto folder = fresh_folder("automatic");
  WriteOptions options;
  options.embed_limit = 10'000;
  const auto report = write_model(sample(), {folder / "model.onnx", folder / "data"}, options);
  EXPECT_GT(report.external_bytes, 50'000u);
  EXPECT_LT(report.model_bytes, 10'000u);
}

TEST(Writer, EmbeddedBeyondTwoGigabytesIsRefusedAndLeavesNothing) {
  const auto folder = fresh_folder("too-large");
  ir::Graph graph;
  const ir::Tensor x(graph, graph.add_input("x", DType::f32, {1, 1}));
  graph.add_output("y",
                   op::add(x, op::weight(graph, "w", Weight::zeros(DType::f32, {1 << 15, 1 << 15}))).value());
  expect_error(
      [&] {
        write_model(graph, {folder / "m", ""}, {.weights = WriteOptions::Weights::embedded});
      },
      ErrorCode::usage, "more than protobuf's 2 GB");
  EXPECT_TRUE(fs::is_empty(folder));
}

TEST(Writer, InPlaceRefersToTheFileThatHoldsTheWeight) {
  const auto folder = fresh_folder("in-place");
  write_file(folder / "checkpoint", std::string(8, 'h') + std::string(6000 * 4, 'w'));
  const auto source = std::make_shared<FileSource>(MappedFile::open(folder / "checkpoint"));
  ir::Graph graph;
  const ir::Tensor x(graph, graph.add_input("x", DType::f32, {1, 60}));
  const Weight stored = Weight::stored(source, 8, DType::f32, {60, 100});
  const auto y = op::matmul(x, op::weight(graph, "w", stored));
  graph.add_output("y", op::matmul(y, op::weight(graph, "t", stored.transpose())).value());
  WriteOptions options{.weights = WriteOptions::Weights::in_place};
  options.locations = {{folder / "checkpoint", "checkpoint"}};
  const auto report = write_model(graph, {folder / "model.onnx", folder / "none"}, options);
  EXPECT_EQ(report.in_place_bytes, 24'000u);
  EXPECT_LT(report.model_bytes, 25'000u);  // The transposed one is inside.
  const ir::Graph read = read_model(folder / "model.onnx");
  EXPECT_EQ(read.used_weights()[0]->weight->file_range()->file, folder / "checkpoint");
  EXPECT_EQ(read.used_weights()[0]->weight->file_range()->offset, 8u);
  EXPECT_EQ(contents(read), contents(graph));
  EXPECT_FALSE(fs::exists(folder / "none"));
}

TEST(Writer, AWeightOfTwoUsersIsWrittenOnce) {
  const auto folder = fresh_folder("tied");
  ir::Graph graph;
  const ir::Tensor ids(graph, graph.add_input("ids", DType::i64, {ir::Dim::symbol("n")}));
  const auto table = op::weight(graph, "table", ramp({50, 40}));
  const auto rows = op::gather(table, ids);
  graph.add_output("y", op::mul(rows, op::gather(table, ids)).value());
  EXPECT_LT(written(graph, folder).size(), 50u * 40 * 4 + 1000);
}

TEST(Writer, SubgraphsAndAllAttributesSurvive) {
  const auto folder = fresh_folder("attributes");
  ir::Graph graph;
  ir::Value* flag = graph.add_input("flag", DType::boolean, ir::Shape{});
  ir::Value* x = graph.add_input("x", DType::f32, {2});
  const auto branch = [&](float number) {
    auto inner = std::make_shared<ir::Graph>();
    inner->name = "branch";
    ir::Value* constant = inner->add_weight("constant", Weight::scalar(number));
    inner->outputs = {inner->add_node("Add", {x, constant}).outputs[0]};
    inner->outputs[0]->name = "branch_result" + std::to_string(static_cast<int>(number));
    constant->name += std::to_string(static_cast<int>(number));
    return inner;
  };
  auto& node = graph.add_node(
      "If", {flag}, {{"then_branch", ir::GraphPtr(branch(1))}, {"else_branch", ir::GraphPtr(branch(2))}});
  graph.add_output("y", node.outputs[0]);
  ir::Node custom;
  custom.domain = "my.domain";
  custom.op_type = "Everything";
  custom.name = "everything";
  custom.inputs = {nullptr, x};
  ir::Value result;
  result.name = "custom";
  custom.outputs = {graph.add_raw_value(result)};
  custom.attributes = {{"i", int64_t{-5}},
                       {"f", 1.5f},
                       {"s", std::string("a\0b", 3)},
                       {"ints", std::vector<int64_t>{1, -2}},
                       {"floats", std::vector<float>{}},
                       {"strings", std::vector<std::string>{"p", ""}},
                       {"t", ramp({2, 3})}};
  graph.outputs.push_back(graph.add_raw_node(std::move(custom)).outputs[0]);
  graph.opsets["my.domain"] = 3;
  const std::string first = written(graph, folder);
  const ir::Graph read = read_model(folder / "model.onnx");
  const auto again = fresh_folder("attributes-2");
  EXPECT_EQ(written(read, again), first);
  const ir::Node& back = *read.nodes()[1];
  EXPECT_EQ(back.get("s", std::string()), std::string("a\0b", 3));
  EXPECT_EQ(back.find<Weight>("t")->bytes(), ramp({2, 3}).bytes());
  EXPECT_EQ(back.inputs[0], nullptr);
  EXPECT_EQ((*read.nodes()[0]->find<ir::GraphPtr>("then_branch"))->nodes()[0]->inputs[0], read.inputs[1]);
}

TEST(ReferToWeights, TheModelIsTheSameWithItsWeightsInItsOwnFile) {
  const auto folder = fresh_folder("refer");
  const ir::Graph graph = sample();
  const std::string model = written(graph, folder, {.producer_version = "1"});
  const std::string apart = refer_to_weights(std::as_bytes(std::span(model)), "model.onnx", 1000);
  EXPECT_LT(apart.size(), model.size() - 2 * 90 * 70 * sizeof(float) + 200);
  EXPECT_THAT(apart, HasSubstr("model.onnx"));
  write_file(folder / "graph.onnx", apart);
  const ir::Graph read = read_model(folder / "graph.onnx");
  EXPECT_EQ(ir::to_string(read), ir::to_string(graph));
  EXPECT_EQ(contents(read), contents(graph));
  for (const ir::Value* weight : read.used_weights()) {
    const auto place = weight->weight->file_range();
    ASSERT_TRUE(place.has_value());
    EXPECT_EQ(place->file.filename(), weight->weight->count() == 90 ? "graph.onnx" : "model.onnx");
  }
  // There is nothing to move in what it gave, and what is no model is refused.
  EXPECT_EQ(refer_to_weights(std::as_bytes(std::span(apart)), "model.onnx", 1000), apart);
  const std::string_view cut = std::string_view(model).substr(0, model.size() / 2);
  expect_error([&] { refer_to_weights(std::as_bytes(std::span(cut)), "model.onnx"); },
               ErrorCode::invalid_file, "not an ONNX model");
}

TEST(Writer, IrVersionFollowsTheOpset) {
  EXPECT_EQ(ir_version_for(13), 10);
  EXPECT_EQ(ir_version_for(22), 10);
  EXPECT_EQ(ir_version_for(23), 11);
  EXPECT_EQ(ir_version_for(24), 12);
  EXPECT_EQ(ir_version_for(99), 14);
}

TEST(Writer, AnExistingFileOrLinkIsNotWrittenThrough) {
  const auto folder = fresh_folder("exists");
  write_file(folder / "victim", "victim");
  fs::create_symlink("victim", folder / "model.onnx");
  expect_error([&] { written(sample(), folder); }, ErrorCode::io, "cannot create");
  EXPECT_EQ(read_file(folder / "victim"), "victim");
  EXPECT_TRUE(fs::is_symlink(folder / "model.onnx"));
}

TEST(Writer, AFullDiskIsOneErrorAndLeavesNothing) {
  const auto folder = fresh_folder("full");
  ir::Graph graph;
  const ir::Tensor x(graph, graph.add_input("x", DType::f32, {1, 1}));
  graph.add_output("y",
                   op::add(x, op::weight(graph, "w", Weight::zeros(DType::f32, {1 << 10, 1 << 10}))).value());
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{1 << 20, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  expect_error([&] { written(graph, folder, {.weights = WriteOptions::Weights::external}); }, ErrorCode::io,
               "File too large (4.2 MB needed");
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_TRUE(fs::is_empty(folder));
}

TEST(Writer, AWeightThatCannotBeMadeLeavesNothing) {
  const auto folder = fresh_folder("failing");
  ir::Graph graph;
  const ir::Tensor x(graph, graph.add_input("x", DType::f32, {1, 1}));
  const Weight bad = Weight::computed(DType::f32, {100, 100}, "bad", [](uint64_t, uint64_t, std::byte*) {
    throw Error(ErrorCode::io, "the checkpoint went away");
  });
  graph.add_output("y", op::add(x, op::weight(graph, "w", bad)).value());
  expect_error([&] { written(graph, folder); }, ErrorCode::io, "the checkpoint went away");
  EXPECT_TRUE(fs::is_empty(folder));
}

}  // namespace
}  // namespace ferry::onnx
