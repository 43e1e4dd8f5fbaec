// genai_config.json, and which graphs may keep past and present in one buffer. That ONNX Runtime GenAI runs
// the folder is tools/parity/check_genai.py's.
#include "exporter/genai_config.h"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "exporter/decoder_cache.h"
#include "ferry/export.h"
#include "onnx/reader.h"
#include "support/test_folder.h"

namespace ferry {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

class GenaiFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(root_);
    fs::create_directories(in_);
  }
  void TearDown() override { fs::remove_all(root_); }

  void take(const std::string& golden) {
    fs::copy(fs::path(FERRY_TEST_DATA) / "golden" / golden, in_, fs::copy_options::recursive);
  }
  void write(const std::string& name, const Json& json) { std::ofstream(in_ / name) << json.dump(); }

  Json exported(const std::string& optimize = "", const std::string& task = "auto") {
    MainExportOptions options;
    options.model = in_.string();
    options.output = out_;
    options.optimize = optimize;
    options.task = task;
    options.genai_config = true;
    options.validate = false;
    main_export(options);
    return read_json(out_ / "genai_config.json");
  }
  std::string refusal(const std::string& task = "auto") {
    try {
      exported("", task);
    } catch (const Error& error) {
      EXPECT_FALSE(fs::exists(out_ / "model.onnx"));
      return error.what();
    }
    return "accepted";
  }

  fs::path root_ = ferry::testing::fresh_test_folder();
  fs::path in_ = root_ / "in", out_ = root_ / "out";
};

TEST_F(GenaiFolder, SaysWhatTheGraphAndTheConfigurationsSay) {
  take("llama-text-generation-with-past");  // 4 heads of 6, 2 for keys.
  write("generation_config.json", {{"eos_token_id", {7, 99, 40}},
                                   {"pad_token_id", 3},
                                   {"bos_token_id", -1},
                                   {"do_sample", true},
                                   {"temperature", 0.6},
                                   {"top_k", nullptr},
                                   {"max_length", 9}});
  const Json json = exported();
  const Json inputs = {{"input_ids", "input_ids"},
                       {"attention_mask", "attention_mask"},
                       {"position_ids", "position_ids"},
                       {"past_key_names", "past_key_values.%d.key"},
                       {"past_value_names", "past_key_values.%d.value"}};
  const Json outputs = {{"logits", "logits"},
                        {"present_key_names", "present.%d.key"},
                        {"present_value_names", "present.%d.value"}};
  const Json session = {{"log_id", "onnxruntime-genai"}, {"provider_options", Json::array()}};
  const Json model = {{"context_length", 50},
                      {"decoder",
                       {{"session_options", session},
                        {"filename", "model.onnx"},
                        {"head_size", 6},
                        {"hidden_size", 24},
                        {"inputs", inputs},
                        {"outputs", outputs},
                        {"num_attention_heads", 4},
                        {"num_hidden_layers", 2},
                        {"num_key_value_heads", 2}}},
                      {"eos_token_id", {7, 40}},
                      {"pad_token_id", 3},
                      {"type", "llama"},
                      {"vocab_size", 41}};
  EXPECT_EQ(json.at("model"), model) << json.dump(1);
  const Json& search = json.at("search");
  EXPECT_EQ(search.at("do_sample"), true);
  EXPECT_EQ(search.at("temperature"), 0.6);
  EXPECT_EQ(search.at("top_k"), 50);
  EXPECT_EQ(search.at("max_length"), 50);
  EXPECT_EQ(search.at("past_present_share_buffer"), false);
}

TEST_F(GenaiFolder, BuffersAreSharedWhereAttentionKeepsTheCacheItself) {
  take("gpt2-text-generation-with-past");  // 3 heads of 8.
  const Json plain = exported();
  EXPECT_EQ(plain.at("model").at("type"), "decoder");
  EXPECT_EQ(plain.at("model").at("context_length"), 40);
  EXPECT_EQ(plain.at("search").at("past_present_share_buffer"), false);
  EXPECT_EQ(onnx::read_model(out_ / "model.onnx").metadata.count(exporter::kSharedCache), 0u);
  EXPECT_EQ(exported("O2").at("search").at("past_present_share_buffer"), true);
  ir::Graph graph = onnx::read_model(out_ / "model.onnx");
  EXPECT_EQ(graph.metadata[exporter::kSharedCache], "true");
  EXPECT_TRUE(exporter::has_shared_cache(graph));
  // What asks for the past's length would get the buffer's.
  for (ir::Value* input : graph.inputs) {
    if (input->name == "past_key_values.1.value")
      graph.add_output("length", graph.add_node("Shape", {input}).outputs[0]);
  }
  EXPECT_FALSE(exporter::has_shared_cache(graph));
  EXPECT_FALSE(exporter::has_shared_cache(ir::Graph()));
}

TEST_F(GenaiFolder, RefusesOtherTasksAndValuesOfAnotherKind) {
  take("gpt2-text-generation-with-past");
  EXPECT_EQ(
      refusal("text-generation"),
      "--genai-config is for the task text-generation-with-past, not text-generation; ONNX Runtime GenAI "
      "runs decoders with a cache");
  write("generation_config.json", {{"eos_token_id", "end"}});
  EXPECT_NE(
      refusal().find("generation_config.json: \"eos_token_id\" is \"end\", not a token or a list of tokens"),
      std::string::npos);
  write("generation_config.json", {{"temperature", true}});
  EXPECT_NE(refusal().find("generation_config.json: \"temperature\" is true, not a number"),
            std::string::npos);
}

// Overwrites the first element of a tensor.
void write_nan(const fs::path& safetensors, const std::string& tensor) {
  std::fstream file(safetensors, std::ios::in | std::ios::out | std::ios::binary);
  uint64_t length = 0;
  file.read(reinterpret_cast<char*>(&length), sizeof length);
  std::string header(length, ' ');
  file.read(header.data(), static_cast<std::streamsize>(length));
  const auto offset = Json::parse(header).at(tensor).at("data_offsets").at(0).get<uint64_t>();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  file.seekp(static_cast<std::streamoff>(sizeof length + length + offset));
  file.write(reinterpret_cast<const char*>(&nan), sizeof nan);
}

TEST_F(GenaiFolder, AWeightThatIsNoNumberIsNamed) {
  take("llama-text-generation-with-past");
  write_nan(in_ / "model.safetensors", "model.layers.1.mlp.down_proj.weight");
  const auto refused = [&](const std::string& quantize) -> std::string {
    MainExportOptions options;
    options.model = in_.string();
    options.output = out_;
    options.quantization.method = quantize;
    try {
      main_export(options);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_NE(
      refused("").find("model.onnx: the results are no numbers, as a weight holds infinite numbers or NaN: "
                       "model.layers.1.mlp.down_proj.weight"),
      std::string::npos)
      << refused("");
  for (const char* method : {"int4", "int8"})
    EXPECT_NE(refused(method).find("model.layers.1.mlp.down_proj.weight"), std::string::npos)
        << refused(method);
  EXPECT_FALSE(fs::exists(out_ / "model.onnx"));
}

}  // namespace
}  // namespace ferry
