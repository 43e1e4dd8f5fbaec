#include "checkpoint/checkpoint.h"

#include <sys/stat.h>

#include "unit/checkpoint/make_files.h"

namespace ferry {
namespace {
using test::data;
using test::expect_error;

std::string one_tensor(const std::string& name, const std::string& format = "pt") {
  return test::safetensors(R"({"__metadata__":{"format":")" + format + R"("},")" + name +
                               R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                           "x");
}

std::string first_name(const std::filesystem::path& folder, const CheckpointOptions& options = {}) {
  return open_checkpoint(folder, options).state.tensors.begin()->first;
}

TEST(Choice, SafetensorsComesFirstAndNeverFallsBack) {
  const test::TempFolder folder;
  folder.write("pytorch_model.bin", test::read_file(data("torch/views.bin")));
  EXPECT_EQ(open_checkpoint(folder.path()).format, "pytorch");
  folder.write("model.safetensors", one_tensor("a"));
  EXPECT_EQ(open_checkpoint(folder.path()).format, "safetensors");
  folder.write("model.safetensors", "broken");
  expect_error([&] { open_checkpoint(folder.path()); }, ErrorCode::invalid_file, "model.safetensors");
  std::filesystem::remove(folder.path() / "model.safetensors");
  std::filesystem::create_symlink("nowhere", folder.path() / "model.safetensors");
  expect_error([&] { open_checkpoint(folder.path()); }, ErrorCode::not_found, "model.safetensors");
}

TEST(Choice, VariantsAreTakenOnlyWhenAskedFor) {
  const test::TempFolder folder;
  folder.write("model.fp16.safetensors", one_tensor("half"));
  expect_error([&] { open_checkpoint(folder.path()); }, ErrorCode::not_found,
               "it holds model.fp16.safetensors");
  EXPECT_EQ(first_name(folder.path(), {.variant = "fp16"}), "half");
  folder.write("model.safetensors", one_tensor("full"));
  EXPECT_EQ(first_name(folder.path()), "full");
  expect_error([&] { open_checkpoint(folder.path(), {.variant = "bf16"}); }, ErrorCode::not_found,
               "no weights of the variant \"bf16\"; it holds model.fp16.safetensors, model.safetensors");
  expect_error([&] { open_checkpoint(folder.path(), {.variant = "../x"}); }, ErrorCode::invalid_file,
               "variant");
}

TEST(Choice, ShardedVariantsHaveTheirOwnIndex) {
  const test::TempFolder folder;
  folder.write("model.fp16-00001-of-00001.safetensors", one_tensor("half"));
  folder.write("model.safetensors.index.fp16.json",
               R"({"weight_map":{"half":"model.fp16-00001-of-00001.safetensors"}})");
  EXPECT_EQ(first_name(folder.path(), {.variant = "fp16"}), "half");
}

TEST(Choice, TheFrameworkDecidesWhenBothAreThere) {
  const test::TempFolder folder;
  folder.write("model.safetensors", one_tensor("pt"));
  folder.write("tf_model.h5", test::read_file(data("h5/plain.h5")));
  EXPECT_EQ(open_checkpoint(folder.path()).format, "safetensors");
  EXPECT_EQ(open_checkpoint(folder.path(), {.framework = "pt"}).format, "safetensors");
  EXPECT_EQ(open_checkpoint(folder.path(), {.framework = "tf"}).format, "tf h5");
  expect_error([&] { open_checkpoint(folder.path(), {.framework = "flax"}); }, ErrorCode::not_found,
               "no weights of the framework \"flax\"; model.safetensors is of another framework");
  expect_error([&] { open_checkpoint(folder.path(), {.framework = "jax"}); }, ErrorCode::usage,
               "unknown framework");
  folder.write("model.safetensors", one_tensor("m/a/kernel:0", "tf"));
  EXPECT_EQ(open_checkpoint(folder.path(), {.framework = "tf"}).format, "tf safetensors");
  expect_error([&] { open_checkpoint(folder.path(), {.framework = "pt"}); }, ErrorCode::not_found,
               "is of another framework");
}

TEST(Choice, SubfoldersAndSingleFilesOpen) {
  const test::TempFolder folder;
  folder.write("sub/model.safetensors", one_tensor("a"));
  EXPECT_EQ(first_name(folder.path(), {.subfolder = "sub"}), "a");
  EXPECT_EQ(first_name(folder.path() / "sub/model.safetensors"), "a");
  EXPECT_EQ(open_checkpoint(data("torch/training.ckpt")).format, "pytorch");
  EXPECT_EQ(open_checkpoint(data("torch/views_legacy.bin")).format, "pytorch (legacy)");
  EXPECT_EQ(open_checkpoint(data("h5/plain.h5")).format, "tf h5");
  EXPECT_EQ(open_checkpoint(data("tf1/bert_model.ckpt.index")).format, "tf1");
  EXPECT_EQ(open_checkpoint(data("torch/sharded/pytorch_model.bin.index.json")).files.size(), 3u);
  expect_error([&] { open_checkpoint(folder.path() / "nothing"); }, ErrorCode::not_found, "there is no ");
}

TEST(Choice, ALonePtFileIsTaken) {
  const test::TempFolder folder;
  folder.write("model.pt", test::read_file(data("torch/views.bin")));
  folder.write("optimizer.pt", "x");
  folder.write("rng_state_0.pth", "x");
  EXPECT_EQ(open_checkpoint(folder.path()).format, "pytorch");
  folder.write("other.pth", "x");
  expect_error([&] { open_checkpoint(folder.path()); }, ErrorCode::not_found, "it holds model.pt, other.pth");
}

TEST(Choice, FormatsThatAreNotReadSayWhatToDo) {
  const auto refused = [](const std::string& name, const std::string& text) {
    const test::TempFolder folder;
    folder.write(name, "x");
    expect_error([&] { open_checkpoint(folder.path()); }, ErrorCode::unsupported, text);
    expect_error([&] { open_checkpoint(folder.path()); }, ErrorCode::unsupported, name);
  };
  refused("saved_model.pb", "a TensorFlow SavedModel");
  refused("model.keras", "a Keras 3 archive");
  refused("model.weights.h5", "Keras 3 weights");
  refused("model-Q4_K_M.gguf", "a GGUF file");
  refused("rust_model.ot", "a rust-bert file");
  refused("model.onnx", "an ONNX model");
  const test::TempFolder empty;
  expect_error([&] { open_checkpoint(empty.path()); }, ErrorCode::not_found,
               "holds no model.safetensors, pytorch_model.bin");
}

TEST(Choice, WhatIsNoRegularFileIsNeverWaitedFor) {
  const test::TempFolder folder;
  ASSERT_EQ(::mkfifo((folder.path() / "model.safetensors").c_str(), 0600), 0);
  expect_error([&] { open_checkpoint(folder.path()); }, ErrorCode::io, "not a regular file");
}

TEST(Choice, HalfPrecisionFilesHoldTheRoundedWeights) {
  const auto full = open_checkpoint(data("bert")).state.tensors;
  for (const auto& [folder, variant, dtype] :
       {std::tuple("bert/fp16", "fp16", DType::f16), std::tuple("bert/bf16", "", DType::bf16)}) {
    const auto half = open_checkpoint(data(folder), {.variant = variant}).state.tensors;
    ASSERT_EQ(half.size(), full.size());
    for (const auto& [name, weight] : full)
      EXPECT_EQ(half.at(name).bytes(), weight.cast(dtype).bytes()) << name;
  }
}

}  // namespace
}  // namespace ferry
