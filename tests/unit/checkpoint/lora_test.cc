#include "checkpoint/lora.h"

#include <fmt/format.h>

#include "checkpoint/checkpoint.h"
#include "unit/checkpoint/make_files.h"

namespace ferry::checkpoint {
namespace {
using test::data;
using test::expect_error;

// The reference multiplies in another order: equal to a few units in the last place.
void expect_close(const test::Tensors& got, const test::Tensors& wanted) {
  ASSERT_EQ(got.size(), wanted.size());
  for (const auto& [name, weight] : wanted) {
    ASSERT_EQ(got.count(name), 1u) << name;
    const auto a = got.find(name)->second.as_f32(), b = weight.as_f32();
    ASSERT_EQ(a.size(), b.size()) << name;
    for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5) << name << " " << i;
  }
}

TEST(Lora, AdaptersMergeAsPeftDoes) {
  for (const std::string name : {"plain", "rslora", "patterns", "fan_in_fan_out"}) {
    SCOPED_TRACE(name);
    const Checkpoint merged = open_checkpoint(data("lora/base"), {.adapter = data("lora/" + name)});
    expect_close(merged.state.tensors,
                 open_checkpoint(data("lora/" + name + "/merged.safetensors")).state.tensors);
    EXPECT_EQ(merged.files.size(), 2u);
    // Any range reads the same.
    for (const auto& [key, weight] : merged.state.tensors) {
      const auto all = weight.as_f32();
      std::vector<float> part(weight.count() / 2);
      weight.read(weight.count() / 3, part.size(), reinterpret_cast<std::byte*>(part.data()));
      EXPECT_TRUE(
          std::equal(part.begin(), part.end(), all.begin() + static_cast<std::ptrdiff_t>(weight.count() / 3)))
          << key;
    }
  }
}

std::string config(const std::string& members) {
  return R"({"peft_type":"LORA",)" + members + "}";
}

// One f32 tensor of ones each.
std::string ones(const std::vector<std::pair<std::string, Dims>>& tensors) {
  std::string header = "{", bytes;
  for (const auto& [name, dims] : tensors) {
    const size_t begin = bytes.size();
    for (int64_t i = 0; i < element_count(dims); ++i) bytes += std::string("\0\0\x80\x3f", 4);
    header += fmt::format(R"({}"{}":{{"dtype":"F32","shape":{},"data_offsets":[{},{}]}})",
                          begin == 0 ? "" : ",", name, to_string(dims), begin, bytes.size());
  }
  return test::safetensors(header + "}", bytes);
}

class LoraFolder {
 public:
  explicit LoraFolder(const std::vector<std::pair<std::string, Dims>>& base) {
    folder_.write("base/model.safetensors", ones(base));
  }
  void adapter(const std::string& config_text,
               const std::vector<std::pair<std::string, Dims>>& tensors) const {
    folder_.write("adapter/adapter_config.json", config_text);
    folder_.write("adapter/adapter_model.safetensors", ones(tensors));
  }
  [[nodiscard]] TensorMap open() const {
    return open_checkpoint(base(), {.adapter = folder_.path() / "adapter"}).state.tensors;
  }
  [[nodiscard]] std::filesystem::path base() const { return folder_.path() / "base"; }
  [[nodiscard]] const test::TempFolder& folder() const { return folder_; }

 private:
  test::TempFolder folder_;
};

const std::vector<std::pair<std::string, Dims>> kFactors = {
    {"base_model.model.bert.query.lora_A.weight", {2, 3}},
    {"base_model.model.bert.query.lora_B.weight", {4, 2}}};

TEST(Lora, ABaseWithoutThePrefixIsFound) {
  const LoraFolder folder({{"query.weight", {4, 3}}, {"key.weight", {4, 3}}});
  folder.adapter(config(R"("r":2,"lora_alpha":4)"), kFactors);
  const auto merged = folder.open();
  EXPECT_EQ(merged.at("query.weight").as_f32(), std::vector<float>(12, 5.0f));
  EXPECT_EQ(merged.at("key.weight").as_f32(), std::vector<float>(12, 1.0f));
}

TEST(Lora, EmbeddingsAndConvolutionsMerge) {
  const LoraFolder folder({{"embed.weight", {5, 4}}, {"conv.weight", {4, 3, 2, 2}}});
  folder.adapter(config(R"("r":2,"lora_alpha":2)"), {{"base_model.model.embed.lora_embedding_A", {2, 5}},
                                                     {"base_model.model.embed.lora_embedding_B", {4, 2}},
                                                     {"base_model.model.conv.lora_A.weight", {2, 3, 2, 2}},
                                                     {"base_model.model.conv.lora_B.weight", {4, 2, 1, 1}}});
  const auto merged = folder.open();
  EXPECT_EQ(merged.at("embed.weight").as_f32(), std::vector<float>(20, 3.0f));
  EXPECT_EQ(merged.at("conv.weight").as_f32(), std::vector<float>(48, 3.0f));
  EXPECT_EQ(merged.at("conv.weight").dims(), (Dims{4, 3, 2, 2}));
}

TEST(Lora, AFolderWithOnlyAnAdapterNamesItsBase) {
  const LoraFolder folder({{"bert.query.weight", {4, 3}}});
  folder.adapter(
      config(R"("r":2,"lora_alpha":4,"base_model_name_or_path":")" + folder.base().string() + "\""),
      kFactors);
  const auto adapter = folder.folder().path() / "adapter";
  EXPECT_EQ(adapter_base(adapter), folder.base());
  EXPECT_EQ(adapter_base(folder.base()), std::nullopt);
  EXPECT_EQ(open_checkpoint(adapter).state.tensors.at("bert.query.weight").as_f32(),
            std::vector<float>(12, 5.0f));
  folder.adapter(config(R"("r":2,"base_model_name_or_path":"org/base")"), kFactors);
  expect_error([&] { open_checkpoint(adapter); }, ErrorCode::not_found,
               "its base model \"org/base\" is not a local folder");
  expect_error([&] { open_checkpoint(adapter); }, ErrorCode::not_found, "--model org/base --adapter ");
}

TEST(Lora, WhatCannotBeMergedIsRefusedByName) {
  const LoraFolder folder({{"bert.query.weight", {4, 3}}});
  const auto refused = [&](const std::string& config_text,
                           const std::vector<std::pair<std::string, Dims>>& tensors, ErrorCode code,
                           const std::string& reason) {
    folder.adapter(config_text, tensors);
    expect_error([&] { (void)folder.open(); }, code, reason);
  };
  refused(R"({"peft_type":"IA3"})", kFactors, ErrorCode::unsupported, "peft_type \"IA3\" is not supported");
  refused("[]", kFactors, ErrorCode::invalid_config, "not a JSON object");
  refused(config(R"("use_dora":true)"), kFactors, ErrorCode::unsupported, "use_dora is set");
  refused(config(R"("trainable_token_indices":[1])"), kFactors, ErrorCode::unsupported,
          "trainable_token_indices is set");
  refused(config(R"("r":"2")"), kFactors, ErrorCode::invalid_config, "\"r\" is not a number");
  refused(config(R"("r":0)"), kFactors, ErrorCode::invalid_config, "\"r\" is not a number between");
  refused(config(R"("r":3)"), kFactors, ErrorCode::shape_mismatch,
          "its rank is 2, adapter_config.json says 3");
  refused(config(R"("r":2,"rank_pattern":{"q.*":3})"), kFactors, ErrorCode::unsupported,
          "the regular expression \"q.*\"");
  refused(config(R"("r":2)"), {kFactors[0]}, ErrorCode::invalid_file, "lora_A or lora_B is missing");
  refused(config(R"("r":2)"), {{"x", {1}}}, ErrorCode::invalid_file,
          "does not begin with \"base_model.model.\"");
  refused(config(R"("r":2)"), {{"base_model.model.x", {1}}}, ErrorCode::invalid_file,
          "holds no lora_A and lora_B");
  refused(config(R"("r":2)"), {{"base_model.model.bert.query.lora_magnitude_vector", {4}}},
          ErrorCode::unsupported, "is a part of an adapter that ferry does not merge");
  refused(config(R"("r":2)"),
          {{"base_model.model.no.lora_A.weight", {2, 3}}, {"base_model.model.no.lora_B.weight", {4, 2}}},
          ErrorCode::missing_tensor, "module \"no\": the base has no such weight");
  refused(config(R"("r":2)"),
          {{"base_model.model.bert.query.lora_A.weight", {2, 3}},
           {"base_model.model.bert.query.lora_B.weight", {5, 2}}},
          ErrorCode::shape_mismatch, "B A is [5, 3], the base's weight is [4, 3]");
  refused(config(R"("r":2)"),
          {{"base_model.model.bert.query.lora_A.weight", {2, 3}},
           {"base_model.model.bert.query.lora_B.weight", {4, 3}}},
          ErrorCode::shape_mismatch, "A[2, 3] and B[4, 3] do not multiply");
}

}  // namespace
}  // namespace ferry::checkpoint
