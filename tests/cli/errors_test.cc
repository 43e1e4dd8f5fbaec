// What is refused: with which code, in which words, and leaving nothing behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "program.h"

namespace ferry::testing {
namespace {
namespace fs = std::filesystem;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

// Exports `model` into a folder that must be empty, or not there, afterwards.
Ran export_fails(const fs::path& model, const std::vector<std::string>& flags = {}) {
  const TemporaryFolder folder;
  const fs::path out = folder / "out";
  std::vector<std::string> arguments{"export", "onnx", "--quiet", "-m", model.string(), out.string()};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  const Ran ran = run_ferry(arguments);
  EXPECT_EQ(ran.signal, 0) << ran.err;
  EXPECT_THAT(names_in(folder.path()), IsEmpty()) << "left behind";
  EXPECT_LE(std::count(ran.err.begin(), ran.err.end(), '\n'), 3) << ran.err;
  return ran;
}

struct Mistake {
  std::vector<std::string> arguments;
  std::string text;
};

TEST(Usage, MistakesExit2AndSayWhatIsNearest) {
  const std::vector<Mistake> mistakes = {
      {{"export", "onnx", "--modle", "x", "y"}, "did you mean --model?"},
      {{"export", "onnx", "-m", "x", "y", "--sequence_lenght=4"}, "did you mean --sequence_length"},
      {{"export", "onnx", "-m", "x", "y", "z"}, "unknown argument 'z'"},
      {{"exprot", "onnx"}, "did you mean export?"},
      {{"export", "onnxx"}, "did you mean onnx?"},
      {{"export", "onnx"}, "--model is missing"},
      {{"export", "onnx", "-m", "x"}, "output folder is missing"},
      {{"export", "onnx", "-m", "x", "y", "--dtype", "fp64"}, "fp64"},
      {{"export", "onnx", "-m", "x", "y", "--opset"}, "--opset"},
      {{"export", "onnx", "-m", "x", "y", "--opset", "many"}, "--opset"},
      {{"export", "onnx", "-m", "x", "y", "--batch_size", "0"}, "--batch_size"},
      {{"export", "onnx", "-m", "x", "y", "--atol", "nan"}, "--atol"},
      {{"export", "onnx", "-m", "x", "y", "--atol", "-1"}, "--atol"},
      {{"export", "onnx", "-m", "x", "y", "--optimize", "O5"}, "--optimize"},
      {{"export", "onnx", "-m", "x", "y", "--optimize", "O4", "--dtype", "fp16"}, "--optimize O4"},
      {{"export", "onnx", "-m", "x", "y", "--device", "cuda"}, "not built yet"},
      {{"export", "onnx", "-m", "x", "y", "--variant", "split"}, "not built yet"},
      {{"export", "onnx", "-m", "x", "y", "--model-kwargs", "{}"}, "not built yet"},
      {{"export", "onnx", "-m", "x", "y", "--library-name", "diffusers"}, "not built yet"},
      {{"export", "tflite", "-m", "x", "--quantize", "int8", "y"}, "not built yet"},
      {{"onnxruntime", "optimize", "-O2"}, "--onnx_model is missing"},
      {{"onnxruntime", "quantize", "--onnx_model", "x", "-o", "y", "--avx2", "--static"},
       "--calibration data"},
      {{"onnxruntime", "quantize", "--onnx_model", "x", "-o", "y", "--tensorrt"}, "--calibration data"},
      {{"onnxruntime", "quantize", "--onnx_model", "x", "-o", "y", "--avx2", "--method", "minmax"},
       "--static"},
      {{"onnxruntime", "quantize", "--onnx_model", "x", "-o", "y", "--avx2", "--calibration", "z"},
       "--static"},
      {{"onnxruntime", "quantize", "--onnx_model", "x", "-o", "y", "--tensorrt", "--calibration", "z",
        "--method", "kl"},
       "entropy, percentile"},
      {{"onnxruntime", "quantize", "--onnx_model", "x", "-o", "y", "--tensorrt", "--calibration", "z",
        "--percentile", "99"},
       "--percentile does not belong to --method minmax"},
      {{"inspect"}, "model is missing"},
  };
  for (const Mistake& mistake : mistakes) {
    const Ran ran = run_ferry(mistake.arguments);
    EXPECT_EQ(ran.code, 2) << mistake.text;
    EXPECT_THAT(ran.err, StartsWith("error[usage]: "));
    EXPECT_THAT(ran.err, HasSubstr(mistake.text));
    EXPECT_EQ(ran.out, "");
  }
}

TEST(Usage, NoCommandShowsHelpAndExits2) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{}, {"export"}, {"hub"}}) {
    const Ran ran = run_ferry(arguments);
    EXPECT_EQ(ran.code, 2);
    EXPECT_THAT(ran.err, HasSubstr("Usage: ferry"));
  }
}

TEST(Usage, HelpAndVersionAreResults) {
  const Ran help = run_ferry({"export", "onnx", "--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_EQ(help.err, "");
  for (const char* flag : {"--model",
                           "--task",
                           "--opset",
                           "--device",
                           "--dtype",
                           "--optimize",
                           "--monolith",
                           "--no-post-process",
                           "--variant",
                           "--framework",
                           "--atol",
                           "--cache_dir",
                           "--trust-remote-code",
                           "--pad_token_id",
                           "--library-name",
                           "--model-kwargs",
                           "--no-dynamic-axes",
                           "--no-constant-folding",
                           "--slim",
                           "--batch_size",
                           "--sequence_length",
                           "--num_choices",
                           "--width",
                           "--height",
                           "--num_channels",
                           "--feature_size",
                           "--nb_max_frames",
                           "--audio_sequence_length",
                           "--point_batch_size",
                           "--nb_points_per_image",
                           "--visual_seq_length"}) {
    EXPECT_THAT(help.out, HasSubstr(flag));
  }
  EXPECT_THAT(run_ferry({"--version"}).out, StartsWith("ferry "));
}

TEST(BadInput, AFolderThatIsNotThere) {
  const Ran ran = export_fails("/nowhere/at-all");
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, StartsWith("error[not_found]: "));
  EXPECT_THAT(ran.err, HasSubstr("/nowhere/at-all"));
}

TEST(BadInput, ATaskThatTheArchitectureDoesNotHaveListsThoseThatItHas) {
  const Ran ran = export_fails(golden("bert-question-answering"), {"--task", "image-classification"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("image-classification"));
  EXPECT_THAT(ran.err, HasSubstr("question-answering"));
  EXPECT_THAT(ran.err, HasSubstr("token-classification"));
}

TEST(BadInput, AnUnknownModelTypeListsTheNearest) {
  const TemporaryFolder folder;
  const fs::path model = copy_of_golden("bert-question-answering", folder / "model");
  auto config = nlohmann::json::parse(read_file(model / "config.json"));
  config["model_type"] = "distilbertt";
  write_file(model / "config.json", config.dump());
  const Ran ran = export_fails(model);
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("distilbertt"));
  EXPECT_THAT(ran.err, HasSubstr("nearest supported: distilbert"));
}

TEST(BadInput, TruncatedWeightsNameTheFile) {
  const TemporaryFolder folder;
  const fs::path model = copy_of_golden("bert-question-answering", folder / "model");
  const std::string whole = read_file(model / "model.safetensors");
  for (const size_t size :
       {size_t{0}, size_t{7}, size_t{8}, size_t{100}, whole.size() / 2, whole.size() - 1}) {
    write_file(model / "model.safetensors", whole.substr(0, size));
    const Ran ran = export_fails(model);
    EXPECT_EQ(ran.code, 1) << size;
    EXPECT_THAT(ran.err, StartsWith("error[invalid_file]: "));
    EXPECT_THAT(ran.err, HasSubstr("model.safetensors"));
  }
}

TEST(BadInput, AConfigurationOfTheWrongKindNamesFileAndKey) {
  const TemporaryFolder folder;
  const fs::path model = copy_of_golden("bert-question-answering", folder / "model");
  const auto good = nlohmann::json::parse(read_file(model / "config.json"));
  const std::vector<std::pair<std::string, nlohmann::json>> changes = {
      {"hidden_size", "32"},
      {"hidden_size", -32},
      {"num_hidden_layers", 1000000000},
      {"num_attention_heads", 0},
      {"vocab_size", 1e300},
      {"hidden_act", "no-such-act"},
      {"layer_norm_eps", "tiny"},
      {"num_attention_heads", 5},
      {"position_embedding_type", "rotary"},
      {"intermediate_size", nlohmann::json::array({1})}};
  for (const auto& [key, value] : changes) {
    auto config = good;
    config[key] = value;
    write_file(model / "config.json", config.dump());
    const Ran ran = export_fails(model);
    EXPECT_EQ(ran.code, 1) << key << " = " << value << ": " << ran.err;
    EXPECT_THAT(ran.err, Not(HasSubstr("internal")));
  }
  write_file(model / "config.json", "{");
  EXPECT_THAT(export_fails(model).err, HasSubstr("config.json"));
}

TEST(BadInput, QuantizedCheckpointsThatAreNotReadAreNamed) {
  const std::string gptq = "llama-text-generation-with-past-gptq";
  const std::string awq = "llama-text-generation-with-past-awq";
  struct Wrong {
    std::string golden, patch, text;
  };
  const Wrong cases[] = {
      {gptq, R"({"bits": 5})", "GPTQ weights of 5 bits; 4 and 8 are read"},
      {gptq, R"({"bits": 8})", "qzeros is i32[4, "},
      {gptq, R"({"group_size": 0})", "\"group_size\" is 0"},
      {gptq, R"({"group_size": 32})", "qzeros is i32[4, "},
      {gptq, R"({"checkpoint_format": "marlin"})", "the GPTQ layout \"marlin\""},
      {gptq, R"({"dynamic": {"-:x": {}}})", "\"dynamic\""},
      {gptq, R"({"quant_method": "fp8"})", "a checkpoint quantized by \"fp8\""},
      {awq, R"({"version": "gemv"})", "the AWQ layout \"gemv\"; gemm is read"},
      {awq, R"({"bits": 3})", "AWQ weights of 3 bits; 4 are read"},
      {"llama-text-generation-with-past", R"({"quant_method": "awq"})", "has no tensor \"....qweight\""},
  };
  for (const Wrong& wrong : cases) {
    const TemporaryFolder folder;
    const fs::path model = copy_of_golden(wrong.golden, folder / "model");
    auto config = nlohmann::json::parse(read_file(model / "config.json"));
    config["quantization_config"].merge_patch(nlohmann::json::parse(wrong.patch));
    write_file(model / "config.json", config.dump());
    const Ran ran = export_fails(model);
    EXPECT_EQ(ran.code, 1) << ran.err;
    EXPECT_THAT(ran.err, HasSubstr(wrong.text));
  }
  const TemporaryFolder folder;
  const fs::path model = copy_of_golden(gptq, folder / "model");
  auto config = nlohmann::json::parse(read_file(model / "config.json"));
  const std::string how = config["quantization_config"].dump();
  config.erase("quantization_config");
  write_file(model / "config.json", config.dump());
  EXPECT_THAT(export_fails(model).err, HasSubstr("has no \"quantization_config\""));
  // AutoGPTQ's own file says it, too.
  write_file(model / "quantize_config.json", how);
  const Ran ran = run_ferry({"export", "onnx", "-m", model.string(), (folder / "out").string()});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("the integers of 14 products are the checkpoint's own"));
}

TEST(BadInput, ControlCharactersOfANameAreEscaped) {
  const TemporaryFolder folder;
  const fs::path model = copy_of_golden("bert-question-answering", folder / "model");
  auto config = nlohmann::json::parse(read_file(model / "config.json"));
  config["model_type"] = "be\x1b[2Jrt\nerror[io]: forged";
  write_file(model / "config.json", config.dump());
  const Ran ran = export_fails(model);
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("be\\x1b[2Jrt\\nerror"));
  EXPECT_THAT(ran.err, Not(HasSubstr("\x1b")));
}

TEST(BadInput, AnOutputThatCannotBeWritten) {
  const TemporaryFolder folder;
  write_file(folder / "file", "not a folder");
  for (const std::string& out :
       {(folder / "file").string(), (folder / "file/below").string(), std::string("/proc/x/y")}) {
    const Ran ran =
        run_ferry({"export", "onnx", "-q", "-m", golden("bert-question-answering").string(), out});
    EXPECT_EQ(ran.code, 1) << out;
    EXPECT_THAT(ran.err, StartsWith("error[io]: "));
  }
  EXPECT_EQ(read_file(folder / "file"), "not a folder");
}

TEST(BadInput, ErrorsAreJsonTooIfAskedFor) {
  const Ran ran = run_ferry({"export", "onnx", "--json", "-m", "/nowhere/at-all", "/nowhere/out"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(nlohmann::json::parse(ran.out).at("error").at("code"), "not_found");
}

TEST(BadInput, AResultThatCannotBeWrittenIsAnError) {
  if (!fs::exists("/dev/full")) GTEST_SKIP();
  RunOptions options;
  options.out = "/dev/full";
  EXPECT_EQ(run_ferry({"inspect", golden("bert-question-answering").string()}, options).code, 1);
}

}  // namespace
}  // namespace ferry::testing
