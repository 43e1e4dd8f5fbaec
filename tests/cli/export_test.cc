// What `ferry export onnx` does when all is well.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "program.h"

namespace ferry::testing {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Json parsed(const std::string& text) {
  return Json::parse(text);
}

TEST(Export, LogsAsOptimumDoes) {
  const TemporaryFolder folder;
  const std::string out = (folder / "out").string();
  const Ran ran = run_ferry({"export", "onnx", "--model", golden("bert-question-answering").string(), out});
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.out, "");
  const std::string mark = "[\xe2\x9c\x93]";
  EXPECT_THAT(ran.err, HasSubstr("\nValidating ONNX model " + out + "/model.onnx...\n\t-" + mark +
                                 " ONNX model output names match reference model (start_logits, end_logits)\n"
                                 "\t- Validating ONNX Model output \"start_logits\":\n\t\t-" +
                                 mark + " (2, 16) matches (2, 16)\n\t\t-" + mark +
                                 " all values close (atol: 0.0001)\n"));
  EXPECT_THAT(ran.err, ::testing::EndsWith(
                           "The ONNX export succeeded and the exported model was saved at: " + out + "\n"));
  EXPECT_THAT(names_in(out), ElementsAre("config.json", "model.onnx"));
}

TEST(Export, TheSameInputGivesTheSameBytes) {
  const TemporaryFolder folder;
  for (const char* name : {"a", "b"}) {
    const Ran ran =
        run_ferry({"export", "onnx", "-m", golden("bert-fill-mask").string(), (folder / name).string()});
    ASSERT_EQ(ran.code, 0) << ran.err;
  }
  EXPECT_EQ(read_file(folder / "a/model.onnx"), read_file(folder / "b/model.onnx"));
  EXPECT_EQ(read_file(folder / "a/config.json"), read_file(folder / "b/config.json"));
}

TEST(Export, JsonReportsOnStandardOutput) {
  const TemporaryFolder folder;
  const std::string out = (folder / "out").string();
  const Ran ran = run_ferry({"export", "onnx", "--json", "--quiet", "-m",
                             golden("distilbert-question-answering").string(), "--opset", "17", out});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const Json report = parsed(ran.out);
  EXPECT_EQ(report.at("model_type"), "distilbert");
  EXPECT_EQ(report.at("task"), "question-answering");
  EXPECT_EQ(report.at("opset"), 17);
  EXPECT_EQ(report.at("output"), out);
  EXPECT_EQ(report.at("files").at(0).at("file"), "model.onnx");
  EXPECT_GT(report.at("files").at(0).at("nodes"), 0);
  EXPECT_TRUE(report.at("files").at(0).at("validation").at(0).at("within_tolerance"));
}

TEST(Export, QuietSaysNothing) {
  const TemporaryFolder folder;
  const std::string model = golden("bert-question-answering").string();
  EXPECT_EQ(run_ferry({"--quiet", "export", "onnx", "-m", model, (folder / "a").string()}).err, "");
  EXPECT_EQ(run_ferry({"export", "onnx", "-q", "-m", model, (folder / "b").string()}).err, "");
  RunOptions silent;
  silent.environment["TRANSFORMERS_VERBOSITY"] = "error";
  EXPECT_EQ(run_ferry({"export", "onnx", "-m", model, (folder / "c").string()}, silent).err, "");
}

TEST(Export, OptimizedOnTheWayAndAfterwards) {
  const TemporaryFolder folder;
  const auto path = [&](const char* name) { return (folder / name).string(); };
  const Ran on_the_way =
      run_ferry({"export", "onnx", "-m", golden("bert-fill-mask").string(), "--optimize", "O3", path("o3")});
  EXPECT_EQ(on_the_way.code, 0) << on_the_way.err;
  EXPECT_THAT(names_in(path("o3")), ElementsAre("config.json", "model.onnx", "ort_config.json"));
  ASSERT_EQ(run_ferry({"export", "onnx", "-m", golden("bert-fill-mask").string(), path("plain")}).code, 0);
  const Ran after = run_ferry(
      {"onnxruntime", "optimize", "--json", "--onnx_model", path("plain"), "-O2", "-o", path("o2")});
  ASSERT_EQ(after.code, 0) << after.err;
  const Json file = parsed(after.out).at("files").at(0);
  EXPECT_EQ(file.at("file"), "model_optimized.onnx");
  EXPECT_EQ(file.at("fused").at("MultiHeadAttention"), 2);
  EXPECT_LT(file.at("nodes_after"), file.at("nodes_before"));
  EXPECT_THAT(names_in(path("o2")), ElementsAre("config.json", "model_optimized.onnx", "ort_config.json"));
  const Ran refused = run_ferry({"onnxruntime", "optimize", "--onnx_model", path("plain"), "-O3", "--atol",
                                 "1e-9", "-o", path("refused")});
  EXPECT_EQ(refused.code, 3);
  EXPECT_FALSE(std::filesystem::exists(folder / "refused"));
}

uintmax_t size_of_folder(const fs::path& folder) {
  uintmax_t size = 0;
  for (const auto& entry : fs::directory_iterator(folder)) size += fs::file_size(entry.path());
  return size;
}

std::vector<std::string> models_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".onnx") names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

TEST(Export, AWeightThatIsNoNumberIsNamed) {
  const fs::path folder = fs::path(::testing::TempDir()) / "ferry-nan";
  fs::remove_all(folder);
  fs::create_directories(folder / "model");
  fs::copy_file(golden("bert-fill-mask") / "config.json", folder / "model/config.json");
  fs::copy_file(golden("bert-fill-mask") / "model.safetensors", folder / "model/model.safetensors");
  std::fstream file(folder / "model/model.safetensors", std::ios::binary | std::ios::in | std::ios::out);
  uint64_t header = 0;
  file.read(reinterpret_cast<char*>(&header), sizeof header);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  file.seekp(static_cast<std::streamoff>(sizeof header + header));
  file.write(reinterpret_cast<const char*>(&nan), sizeof nan);
  file.close();
  const Ran ran =
      run_ferry({"export", "onnx", "--model", (folder / "model").string(), (folder / "out").string()});
  EXPECT_EQ(ran.code, 3);
  EXPECT_THAT(ran.err, HasSubstr("a weight holds infinite numbers or NaN: "));
  EXPECT_FALSE(fs::exists(folder / "out/model.onnx"));
}

TEST(Export, AnEncoderWithADecoderIsSeveralFilesOrOne) {
  const fs::path folder = fs::path(::testing::TempDir()) / "ferry-seq2seq";
  fs::remove_all(folder);
  const std::string model = golden("t5-text2text-generation-with-past").string();
  const auto exported = [&](const std::string& name, std::vector<std::string> flags) {
    std::vector<std::string> command = {"export", "onnx", "-q", "--model", model};
    command.insert(command.end(), flags.begin(), flags.end());
    command.push_back((folder / name).string());
    const Ran ran = run_ferry(command);
    EXPECT_EQ(ran.code, 0) << ran.err;
    return models_in(folder / name);
  };
  using Names = std::vector<std::string>;
  const Names all = {"decoder_model.onnx", "decoder_model_merged.onnx", "decoder_with_past_model.onnx",
                     "encoder_model.onnx"};
  EXPECT_EQ(exported("plain", {}), all);
  EXPECT_EQ(exported("shared", {"--weights", "shared"}), all);
  EXPECT_LT(fs::file_size(folder / "shared/model.onnx_data"),
            fs::file_size(golden("t5-text2text-generation-with-past") / "model.safetensors") * 21 / 20);
  EXPECT_LT(size_of_folder(folder / "shared"), size_of_folder(folder / "plain"));
  EXPECT_EQ(exported("apart", {"--no-post-process"}),
            (Names{"decoder_model.onnx", "decoder_with_past_model.onnx", "encoder_model.onnx"}));
  EXPECT_EQ(exported("fixed", {"--no-dynamic-axes"}),
            (Names{"decoder_model.onnx", "decoder_with_past_model.onnx", "encoder_model.onnx"}));
  EXPECT_EQ(exported("one", {"--monolith"}), Names{"model.onnx"});
  const Ran both = run_ferry({"export", "onnx", "--model", model, "--monolith", "--task",
                              "text2text-generation-with-past", (folder / "both").string()});
  EXPECT_EQ(both.code, 2);
  EXPECT_THAT(both.err, HasSubstr("not compatible with the --monolith argument"));
}

// A composite's sides are those that the registry has; what it has not is refused by name.
TEST(Export, CompositesOfUnknownSidesAreRefused) {
  const TemporaryFolder folder;
  const fs::path model = folder / "model";
  fs::create_directories(model);
  const fs::path known = golden("encoder-decoder-text2text-generation");
  fs::copy_file(known / "model.safetensors", model / "model.safetensors");
  const auto refusal = [&](const std::string& path, const Json& value, std::vector<std::string> flags = {}) {
    Json config = parsed(read_file(known / "config.json"));
    if (!path.empty()) config[Json::json_pointer(path)] = value;
    std::ofstream(model / "config.json") << config.dump();
    std::vector<std::string> command = {"export", "onnx", "-m", model.string(), (folder / "out").string()};
    command.insert(command.end(), flags.begin(), flags.end());
    const Ran ran = run_ferry(command);
    EXPECT_NE(ran.code, 0) << path;
    EXPECT_FALSE(fs::exists(folder / "out/encoder_model.onnx"));
    return ran.err;
  };
  EXPECT_THAT(
      refusal("/encoder/model_type", "llama"),
      HasSubstr("encoders of type \"llama\" are not built in a model of type encoder-decoder\nhint: these "
                "are: albert, bert, "));
  EXPECT_THAT(
      refusal("/decoder/model_type", "t5"),
      HasSubstr("decoders of type \"t5\" are not built in a model of type encoder-decoder\nhint: these "
                "are: bart, bert, "));
  EXPECT_THAT(refusal("/encoder", 5), HasSubstr("\"encoder\" is 5, expected "));
  EXPECT_THAT(
      refusal("/decoder/add_cross_attention", false),
      HasSubstr("the decoder attends to no encoder: its configuration says no to add_cross_attention"));
  EXPECT_THAT(
      refusal("/decoder/cross_attention_hidden_size", 16),
      HasSubstr("\"cross_attention_hidden_size\" of the decoder is 16, its keys are made of states of 24, "
                "the encoder's have 16"));
  EXPECT_THAT(refusal("/tie_encoder_decoder", true), HasSubstr("decoder.bert.embeddings"));
  EXPECT_THAT(refusal("", {}, {"--task", "text2text-generation-with-past"}),
              HasSubstr("no text2text-generation-with-past of this model: its decoder does not need past key "
                        "values\nhint: --task text2text-generation\n"));
}

TEST(Export, RunsAsOptimumCli) {
  const TemporaryFolder folder;
  RunOptions options;
  options.program = folder / "optimum-cli";
  fs::create_symlink(FERRY_PROGRAM, options.program);
  const Ran ran =
      run_ferry({"export", "onnx", "--model", golden("bert-question-answering").string(), "--task",
                 "question-answering", "--trust-remote-code", (folder / "out").string()},
                options);
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(run_ferry({"--help"}, options).out, HasSubstr("Usage: optimum-cli"));
  const Ran int4 = run_ferry({"export", "onnx", "--model", golden("bert-question-answering").string(),
                              "--quantize", "int4", "--block-size", "16", (folder / "int4").string()});
  EXPECT_EQ(int4.code, 0) << int4.err;
  EXPECT_THAT(int4.err, HasSubstr("quantized to 4 bits in blocks of 16"));
  const std::string out = (folder / "out").string(), small = (folder / "small").string();
  const Ran quantized =
      run_ferry({"onnxruntime", "quantize", "--avx512", "--onnx_model", out, "-o", small}, options);
  EXPECT_EQ(quantized.code, 0) << quantized.err;
  EXPECT_THAT(quantized.err,
              HasSubstr("Creating dynamic quantizer: QOperator (mode: IntegerOps, schema: u8/s8"));
  EXPECT_TRUE(fs::exists(folder / "small/model_quantized.onnx"));
  EXPECT_TRUE(fs::exists(folder / "small/ort_config.json"));
  EXPECT_EQ(run_ferry({"onnxruntime", "quantize", "--avx512", "--onnx_model", "x", "-o", "y"}, options).code,
            1);
  const std::string blocks = (folder / "blocks").string();
  const Ran weights =
      run_ferry({"onnxruntime", "quantize", "--int4", "--block_size", "16", "--algorithm", "mse",
                 "--asymmetric", "--embedding_bits", "8", "--onnx_model", out, "-o", blocks});
  EXPECT_EQ(weights.code, 0) << weights.err;
  EXPECT_THAT(weights.err, HasSubstr("4 bits in blocks of 16 with zero points (mse)"));
  EXPECT_THAT(weights.err, HasSubstr("quantized 1 Gather, "));
  for (const std::string flag : {"--avx2", "--per_channel", "--int8_weights"})
    EXPECT_EQ(run_ferry({"onnxruntime", "quantize", "--int4", flag, "--onnx_model", out, "-o", blocks}).code,
              2);
  EXPECT_EQ(
      run_ferry({"onnxruntime", "quantize", "--avx2", "--head_bits", "8", "--onnx_model", out, "-o", blocks})
          .code,
      2);
  EXPECT_THAT(run_ferry({"env"}, options).out, HasSubstr("Copy-and-paste the text below"));
}

TEST(Quantize, StaticallyWithTextsOfTheUsersOwn) {
  const TemporaryFolder folder;
  const std::string out = (folder / "out").string(), data = (folder / "data.jsonl").string();
  const fs::path model = fs::path(FERRY_TEST_DATA) / "../../examples/checkpoints/distilbert-squad-tiny";
  ASSERT_EQ(run_ferry({"export", "onnx", "-m", model.string(), out}).code, 0);
  std::ofstream(data) << "{\"question\": \"What am I using?\", \"context\": \"Using DistilBERT.\"}\n"
                         "{\"question\": \"Who?\", \"context\": \"Nobody at all, or ONNX Runtime.\"}\n";
  const std::vector<std::string> command = {"onnxruntime", "quantize",      "--onnx_model",
                                            out,           "--calibration", data};
  const auto quantize = [&](std::vector<std::string> flags) {
    flags.insert(flags.begin(), command.begin(), command.end());
    return run_ferry(flags);
  };
  const std::string small = (folder / "small").string();
  const Ran done = quantize({"--avx512_vnni", "--static", "--method", "entropy", "--json", "-o", small});
  ASSERT_EQ(done.code, 0) << done.err;
  EXPECT_THAT(done.err, HasSubstr("Creating static quantizer: QDQ (mode: QLinearOps, schema: u8/s8"));
  EXPECT_THAT(done.err, HasSubstr("Creating calibrator: Entropy (num_bins: 128"));
  EXPECT_LT(parsed(done.out).at("files")[0].at("bytes_after"),
            parsed(done.out).at("files")[0].at("bytes_before"));
  const Ran answer = run_ferry({"run", "question-answering", small, "--question", "What am I using?",
                                "--context", "Using DistilBERT with ONNX Runtime!", "--json"});
  EXPECT_EQ(answer.code, 0) << answer.err;
  EXPECT_EQ(parsed(answer.out).at("answer"), "DistilBERT with ONNX Runtime");
  // Its own ort_config.json says how to do it again.
  const std::string again = (folder / "again").string();
  const Ran repeated = quantize({"-c", small + "/ort_config.json", "--method", "entropy", "-o", again});
  EXPECT_EQ(repeated.code, 0) << repeated.err;
  EXPECT_EQ(read_file(small + "/model_quantized.onnx"), read_file(again + "/model_quantized.onnx"));
  EXPECT_EQ(read_file(small + "/ort_config.json"), read_file(again + "/ort_config.json"));
  // One error, nothing written.
  std::ofstream(data) << "{\"input_ids\": [[2, 3]], \"pixel_values\": [1]}\n";
  const Ran failed = quantize({"--tensorrt", "-o", (folder / "none").string()});
  EXPECT_EQ(failed.code, 1);
  EXPECT_THAT(failed.err, HasSubstr("pixel_values"));
  EXPECT_FALSE(fs::exists(folder / "none"));
}

TEST(Export, TransformersOnnxTakesTheBodyUnlessAFeatureIsGiven) {
  const TemporaryFolder folder;
  const std::string model = "--model=" + golden("bert-question-answering").string();
  const Ran body = run_ferry({"transformers.onnx", model, (folder / "body").string(), "--json"});
  ASSERT_EQ(body.code, 0) << body.err;
  EXPECT_EQ(parsed(body.out).at("task"), "feature-extraction");
  EXPECT_THAT(body.err, HasSubstr("All good, model saved at: "));
  const Ran head = run_ferry({"transformers.onnx", model, "--feature=question-answering", "--preprocessor",
                              "auto", "--framework", "pt", (folder / "head").string(), "--json"});
  ASSERT_EQ(head.code, 0) << head.err;
  EXPECT_EQ(parsed(head.out).at("task"), "question-answering");
}

TEST(Export, NeitherLocaleNorHomeMatter) {
  const TemporaryFolder folder;
  RunOptions options;
  options.environment = {{"LC_ALL", "de_DE.UTF-8"}, {"HOME", ""}, {"TMPDIR", "/nowhere"}};
  const Ran ran = run_ferry({"export", "onnx", "-m", golden("bert-question-answering").string(), "--atol",
                             "0.001", (folder / "out").string()},
                            options);
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.err, HasSubstr("(atol: 0.001)"));
}

TEST(Export, StaticShapesAreThoseOfTheFlags) {
  const TemporaryFolder folder;
  const std::string out = (folder / "out").string();
  const Ran ran = run_ferry({"export", "onnx", "-m", golden("bert-question-answering").string(),
                             "--no-dynamic-axes", "--batch_size", "3", "--sequence_length", "8", out});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const Json inspected = parsed(run_ferry({"inspect", "--json", out}).out);
  EXPECT_EQ(inspected.at("files").at(0).at("inputs").at(0).at("axes"), Json({"3", "8"}));
}

TEST(Export, InPlaceWritesTheGraphAloneBesideTheWeights) {
  const TemporaryFolder folder;
  const fs::path model = copy_of_golden("bert-question-answering", folder / "model");
  const std::string before = read_file(model / "model.safetensors");
  const Ran ran =
      run_ferry({"export", "onnx", "-m", model.string(), "--weights", "in-place", model.string()});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(read_file(model / "model.safetensors"), before);
  EXPECT_LT(fs::file_size(model / "model.onnx"), before.size() / 2);
  EXPECT_THAT(names_in(model), Not(Contains("model.onnx_data")));
}

TEST(Export, ReplacesAnEarlierExportAndNothingElse) {
  const TemporaryFolder folder;
  const std::string model = golden("bert-question-answering").string();
  const fs::path out = folder / "out";
  ASSERT_EQ(run_ferry({"export", "onnx", "-m", model, out.string()}).code, 0);
  EXPECT_EQ(run_ferry({"export", "onnx", "-m", model, out.string()}).code, 0);
  const fs::path other = folder / "other";
  fs::create_directories(other);
  write_file(other / "config.json", "mine");
  const Ran refused = run_ferry({"export", "onnx", "-m", model, other.string()});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("--overwrite"));
  EXPECT_EQ(read_file(other / "config.json"), "mine");
  EXPECT_THAT(names_in(other), ElementsAre("config.json"));
  EXPECT_EQ(run_ferry({"export", "onnx", "-m", model, "--overwrite", other.string()}).code, 0);
  EXPECT_THAT(names_in(other), ElementsAre("config.json", "model.onnx"));
}

TEST(Export, AMismatchExits3AndWritesNothing) {
  const TemporaryFolder folder;
  const fs::path out = folder / "out";
  const Ran ran = run_ferry({"export", "onnx", "-m", golden("bert-question-answering").string(), "--dtype",
                             "fp16", "--atol", "1e-9", out.string()});
  EXPECT_EQ(ran.code, 3);
  EXPECT_THAT(ran.err, HasSubstr("error[validation_failed]: "));
  EXPECT_THAT(names_in(out), IsEmpty());
}

// What pads is said by the flag, the configuration or the tokenizer, in this order.
TEST(Export, AClassifierNeedsAPadToken) {
  const TemporaryFolder folder;
  const fs::path model = folder / "model";
  fs::create_directories(model);
  fs::copy(golden("gpt2-text-generation-with-past") / "model.safetensors", model);
  Json config = parsed(read_file(golden("gpt2-text-classification") / "config.json"));
  config.erase("pad_token_id");
  std::ofstream(model / "config.json") << config.dump();
  const auto pad = [&](std::vector<std::string> more) -> Json {
    std::vector<std::string> line = {"export", "onnx", "-m", model.string(), "--task", "text-classification"};
    line.insert(line.end(), more.begin(), more.end());
    line.push_back((folder / "out").string());
    const Ran ran = run_ferry(line);
    if (ran.code != 0) return ran.err;
    return parsed(read_file(folder / "out/config.json")).at("pad_token_id");
  };
  EXPECT_THAT(pad({}).get<std::string>(), HasSubstr("--pad_token_id names it"));
  EXPECT_EQ(pad({"--pad_token_id", "5"}), 5);
  std::ofstream(model / "tokenizer_config.json")
      << R"({"pad_token": "<p>", "added_tokens_decoder": {"7": {"content": "<p>"}}})";
  EXPECT_EQ(pad({}), 7);
  EXPECT_EQ(pad({"--pad_token_id", "6"}), 6);
}

TEST(Inspect, SaysWhatACheckpointIs) {
  const std::string model = golden("bert-question-answering").string();
  const Ran text = run_ferry({"inspect", model});
  ASSERT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("question-answering"));
  EXPECT_THAT(text.out, HasSubstr("start_logits"));
  const Json json = parsed(run_ferry({"inspect", model, "--json"}).out);
  EXPECT_EQ(json.at("model_type"), "bert");
  EXPECT_EQ(json.at("task"), "question-answering");
  EXPECT_GT(json.at("parameters"), 1000);
  EXPECT_EQ(json.at("files").at(0).at("inputs").at(0).at("axes"), Json({"batch_size", "sequence_length"}));
}

TEST(Export, SlimComputesInAdvance) {
  const TemporaryFolder folder;
  const std::string model = golden("deberta-v2-feature-extraction").string();
  const auto nodes = [&](const std::vector<std::string>& flags) {
    std::vector<std::string> command = {
        "export", "onnx", "--json", "-q", "-m", model, (folder / "out").string()};
    command.insert(command.end(), flags.begin(), flags.end());
    const Ran ran = run_ferry(command);
    EXPECT_EQ(ran.code, 0) << ran.err;
    const Json file = parsed(ran.out).at("files").at(0);
    EXPECT_TRUE(file.at("validation").at(0).at("within_tolerance"));
    return file.at("nodes").get<int>();
  };
  const int slim = nodes({"--slim"});
  EXPECT_LT(slim, nodes({}));
  EXPECT_EQ(slim, nodes({"--slim", "--no-constant-folding"}));
}

// The files of one precision each that transformers.js looks for; inputs and outputs stay in f32.
TEST(Export, DtypesAreFilesOfTransformersJs) {
  const TemporaryFolder folder;
  const fs::path out = folder / "out";
  const Ran ran = run_ferry({"export", "onnx", "--json", "--quiet", "-m",
                             golden("gpt2-text-generation-with-past").string(), "--dtypes",
                             "fp32,fp16,q8,uint8,q4,q4f16", out.string()});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(names_in(out / "onnx"),
              ElementsAre("model.onnx", "model_fp16.onnx", "model_q4.onnx", "model_q4f16.onnx",
                          "model_quantized.onnx", "model_uint8.onnx"));
  EXPECT_TRUE(fs::exists(out / "config.json"));
  const std::map<std::string, double> least_cosine = {{"fp32", 1},      {"fp16", 1},  {"q8", 0.999},
                                                      {"uint8", 0.999}, {"q4", 0.99}, {"q4f16", 0.99}};
  const Json files = parsed(ran.out).at("files");
  ASSERT_EQ(files.size(), least_cosine.size());
  for (const Json& file : files) {
    const std::string dtype = file.at("dtype");
    for (const Json& output : file.at("validation")) {
      const double largest = output.at("max_difference");
      EXPECT_LT(largest, dtype == "fp32" ? 1e-5 : dtype == "fp16" ? 1e-2 : 2.0) << dtype;
      EXPECT_GE(output.value("cosine", 1.0), least_cosine.at(dtype)) << dtype;
    }
    const Ran inspected =
        run_ferry({"inspect", "--json", (out / "onnx" / file.at("file").get<std::string>()).string()});
    EXPECT_THAT(inspected.out, Not(HasSubstr("float16"))) << dtype;
  }
  EXPECT_LT(fs::file_size(out / "onnx/model_q4f16.onnx"), fs::file_size(out / "onnx/model_q4.onnx"));
}

TEST(Export, DtypesOfAnEncoderAndItsDecoders) {
  const TemporaryFolder folder;
  const fs::path out = folder / "out";
  const Ran ran = run_ferry({"export", "onnx", "-m", golden("bart-text2text-generation-with-past").string(),
                             "--dtypes", "q8,q4f16", "--no-validation", out.string()});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(names_in(out / "onnx"),
              ElementsAre("decoder_model_merged_q4f16.onnx", "decoder_model_merged_quantized.onnx",
                          "decoder_model_q4f16.onnx", "decoder_model_quantized.onnx",
                          "decoder_with_past_model_q4f16.onnx", "decoder_with_past_model_quantized.onnx",
                          "encoder_model_q4f16.onnx", "encoder_model_quantized.onnx"));
}

TEST(Export, RefusesDtypesThatContradict) {
  const TemporaryFolder folder;
  const std::string out = (folder / "out").string();
  const std::string model = golden("bert-fill-mask").string();
  const auto error_of = [&](std::vector<std::string> flags) {
    std::vector<std::string> command = {"export", "onnx", "-m", model, out};
    command.insert(command.end(), flags.begin(), flags.end());
    const Ran ran = run_ferry(command);
    EXPECT_EQ(ran.code, 2) << ran.err;
    EXPECT_FALSE(fs::exists(out));
    return ran.err;
  };
  EXPECT_THAT(error_of({"--dtypes", "fp32,q5"}), HasSubstr("dtype q5 is not one of fp32, fp16, q8, int8"));
  EXPECT_THAT(error_of({"--dtypes", "q8,q8"}), HasSubstr("--dtypes has q8 twice"));
  EXPECT_THAT(error_of({"--dtypes", "q8", "--dtype", "fp16"}), HasSubstr("cannot go with --dtype fp16"));
  EXPECT_THAT(error_of({"--dtypes", "q8", "--quantize", "int4"}),
              HasSubstr("cannot go with --quantize int4"));
  EXPECT_THAT(error_of({"--dtypes", "q8", "--optimize", "O4"}), HasSubstr("cannot go with --optimize O4"));
  EXPECT_THAT(error_of({"--dtypes", "q8", "--weights", "shared"}),
              HasSubstr("cannot go with --weights shared"));
  EXPECT_THAT(error_of({"--dtypes", "q8", "--block-size", "64"}), HasSubstr("belong to"));
}

TEST(Export, ADtypeOfSeveralIsRunByItsName) {
  const TemporaryFolder folder;
  const std::string out = (folder / "out").string();
  const fs::path model = fs::path(FERRY_TEST_DATA) / "pipelines/text-classification";
  const Ran ran = run_ferry({"export", "onnx", "-m", model.string(), "--dtypes", "fp32,q8", out});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const auto run = [&](const std::vector<std::string>& flags) {
    std::vector<std::string> command = {"run", "text-classification", out, "--json", "--text", "a fine day"};
    command.insert(command.end(), flags.begin(), flags.end());
    return run_ferry(command);
  };
  const Json plain = parsed(run({}).out), same = parsed(run({"--dtype", "fp32"}).out);
  const Json integers = parsed(run({"--dtype", "q8"}).out);
  EXPECT_EQ(plain, same);
  EXPECT_EQ(plain.at("label"), integers.at("label"));
  EXPECT_NE(plain.at("score"), integers.at("score"));
  EXPECT_NEAR(plain.at("score"), integers.at("score").get<double>(), 0.01);
  EXPECT_THAT(run({"--dtype", "q4"}).err, HasSubstr("holds no model of dtype q4, but others"));
  EXPECT_THAT(run({"--dtype", "q5"}).err, HasSubstr("dtype q5 is not one of"));
}

}  // namespace
}  // namespace ferry::testing
