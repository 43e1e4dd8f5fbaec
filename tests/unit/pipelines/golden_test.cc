// Every pipeline against what transformers' own answered (tools/oracle/make_pipeline_goldens.py), on folders
// that are exported on the spot.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "ferry/pipelines.h"
#include "ferry/vision.h"

namespace ferry {
namespace {
using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

// "" if both are alike: numbers to 1e-5, everything else exactly.
std::string difference(const Json& expected, const Json& actual, const std::string& at) {
  if (expected.is_number_float() || actual.is_number_float()) {
    if (!expected.is_number() || !actual.is_number()) return at + ": not a number in both";
    const double apart = std::abs(expected.get<double>() - actual.get<double>());
    return apart <= 1e-5 + 1e-5 * std::abs(expected.get<double>())
               ? ""
               : fmt::format("{}: {} instead of {}", at, actual.dump(), expected.dump());
  }
  if (expected.is_object() && actual.is_object()) {
    for (const auto& [key, value] : expected.items()) {
      if (!actual.contains(key)) return fmt::format("{}: no {}", at, key);
      if (auto found = difference(value, actual.at(key), at + "." + key); !found.empty()) return found;
    }
    return expected.size() == actual.size()
               ? ""
               : fmt::format("{}: {} instead of {}", at, actual.dump(), expected.dump());
  }
  if (expected.is_array() && actual.is_array() && expected.size() == actual.size()) {
    for (size_t i = 0; i < expected.size(); ++i) {
      if (auto found = difference(expected[i], actual[i], fmt::format("{}[{}]", at, i)); !found.empty())
        return found;
    }
    return "";
  }
  return expected == actual ? "" : fmt::format("{}: {} instead of {}", at, actual.dump(), expected.dump());
}

// Files that an input names lie in the folders of pictures and recordings.
Json with_paths(Json input) {
  for (const auto& [name, folder] : {std::pair("image", "images"), std::pair("audio", "audio")}) {
    if (input.is_object() && input.contains(name))
      input[name] = (fs::path(FERRY_TEST_DATA) / folder / input.at(name).get<std::string>()).string();
  }
  return input;
}

uint8_t base64_digit(char c) {
  return static_cast<uint8_t>(
      std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/").find(c));
}
std::string from_base64(std::string_view text) {
  std::string out;
  for (size_t i = 0; i + 3 < text.size(); i += 4) {
    const uint32_t group = base64_digit(text[i]) << 18 | base64_digit(text[i + 1]) << 12 |
                           (base64_digit(text[i + 2]) & 63) << 6 | (base64_digit(text[i + 3]) & 63);
    for (const int shift : {16, 8, 0}) out += static_cast<char>(group >> shift & 255);
  }
  out.resize(out.size() - static_cast<size_t>(std::count(text.begin(), text.end(), '=')));
  return out;
}

// Masks are PNGs; what they hold is compared, in bytes of base64 as the script wrote it. Pixels near an edge
// may go either way: those that do are counted.
std::string mask_difference(Json& expected, Json& actual) {
  if (!expected.is_array() || !actual.is_array() || expected.size() != actual.size()) return "";
  for (size_t i = 0; i < expected.size(); ++i) {
    if (!expected[i].is_object() || !expected[i].contains("mask")) continue;
    const std::string png = from_base64(actual[i].at("mask").get<std::string>());
    const Image mask = decode_image(std::as_bytes(std::span(png)), "mask");
    const std::string wanted = from_base64(expected[i].at("mask").at("pixels").get<std::string>());
    if (expected[i].at("mask").at("size") != Json({mask.width, mask.height}))
      return "a mask has another size";
    size_t wrong = 0;
    for (size_t p = 0; p < wanted.size(); ++p)
      wrong += static_cast<uint8_t>(wanted[p]) == mask.rgb[p * 3] ? 0 : 1;
    if (wrong > 0) return fmt::format("mask {}: {} pixels differ", i, wrong);
    expected[i].erase("mask");
    actual[i].erase("mask");
  }
  return "";
}

class PipelineGolden : public ::testing::TestWithParam<std::string> {};

TEST_P(PipelineGolden, EqualsTransformers) {
  const fs::path folder = fs::path(FERRY_TEST_DATA) / "pipelines" / GetParam();
  const Json golden = read_json(folder / "expected.json");
  const Pipeline pipe =
      pipeline(golden.at("task").get<std::string>(), folder.string(), {.export_model = true});
  for (const Json& entry : golden.at("cases")) {
    Json actual = pipe(with_paths(entry.at("input")), entry.at("options"));
    Json expected = entry.at("output");
    EXPECT_EQ(mask_difference(expected, actual), "")
        << entry.at("input").dump() << entry.at("options").dump();
    EXPECT_EQ(difference(expected, actual, "output"), "")
        << entry.at("input").dump() << " " << entry.at("options").dump();
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, PipelineGolden,
    ::testing::Values("audio-classification", "automatic-speech-recognition", "feature-extraction",
                      "fill-mask", "image-captioning", "image-classification", "image-feature-extraction",
                      "image-to-text", "multi-label", "object-detection", "panoptic-segmentation",
                      "question-answering", "regression", "semantic-segmentation", "speech-recognition",
                      "summarization", "summarization-bert2bert", "text-classification", "text-generation",
                      "text2text-generation", "text-ranking", "text-ranking-old", "token-classification",
                      "translation", "zero-shot-classification", "zero-shot-image-classification"),
    [](const auto& instance) {
      std::string name = instance.param;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

// Tokenizer, model and pipeline shared by eight threads: the answers are those of one.
TEST(Pipeline, EightThreadsGetTheAnswersOfOne) {
  const fs::path folder = fs::path(FERRY_TEST_DATA) / "pipelines/question-answering";
  const Json golden = read_json(folder / "expected.json");
  const Pipeline pipe =
      pipeline("question-answering", folder.string(), {.export_model = true, .intra_op_threads = 1});
  std::vector<std::jthread> threads;
  std::vector<std::string> found(8);
  for (size_t t = 0; t < found.size(); ++t) {
    threads.emplace_back([&, t] {
      for (const Json& entry : golden.at("cases"))
        found[t] += difference(entry.at("output"), pipe(entry.at("input"), entry.at("options")), "output");
    });
  }
  threads.clear();
  EXPECT_EQ(found, std::vector<std::string>(8));
}

std::string example() {
  return (fs::path(FERRY_TEST_DATA) / ".." / ".." / "examples" / "checkpoints" / "distilbert-squad-tiny")
      .string();
}

TEST(QuestionAnswering, TheExampleAnswersInOneCall) {
  const auto qa = pipeline("question-answering", example(), {.export_model = true});
  const Answer answer =
      qa({.question = "What am I using?", .context = "Using DistilBERT with ONNX Runtime!"});
  EXPECT_EQ(answer.text, "DistilBERT with ONNX Runtime");
  EXPECT_EQ(answer.start, 6u);
  EXPECT_EQ(answer.end, 34u);
  EXPECT_GT(answer.score, 0.9f);
}

TEST(Pipeline, UnknownTasksAndOptionsAreNamed) {
  const auto message = [](auto body) -> std::string {
    try {
      body();
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(message([] { pipeline("levitation", "x"); }),
            "there is no pipeline for the task levitation; pipelines: " + join(pipeline_tasks()));
  const auto qa = pipeline("question-answering", example(), {.export_model = true});
  EXPECT_EQ(message([&] {
              static_cast<void>(qa(Json{{"question", "a"}, {"context", "b"}}, Json{{"topk", 3}}));
            }),
            "question-answering: there is no option \"topk\"; options: align_to_words, doc_stride, "
            "handle_impossible_answer, "
            "max_answer_len, max_seq_len, top_k");
  EXPECT_EQ(message([&] { (void)qa(Json("a"), Json::object()); }),
            "question-answering: the input has no text \"question\"");
}

TEST(TextRanking, TakesOneLabelAndKnownFunctions) {
  const fs::path data = fs::path(FERRY_TEST_DATA) / "pipelines";
  const auto message = [](const std::string& folder) -> std::string {
    try {
      const auto rank = pipeline("text-ranking", folder, {.export_model = true});
      return rank(Json{{"query", "a"}, {"documents", {"b", "c"}}}, Json::object()).dump();
    } catch (const Error& error) {
      return error.message();
    }
  };
  EXPECT_EQ(message((data / "multi-label").string()),
            "text-ranking takes a model with one label, this one has 4");
  const fs::path changed = fs::path(::testing::TempDir()) / "ferry-ranking";
  fs::remove_all(changed);
  fs::copy(data / "regression", changed);
  Json config = read_json(changed / "config.json");
  config["sentence_transformers"] = {{"activation_fn", "torch.nn.modules.activation.Softplus"}};
  std::ofstream(changed / "config.json") << config.dump();
  EXPECT_EQ(message(changed.string()),
            "text-ranking: activation_fn \"torch.nn.modules.activation.Softplus\" is not implemented");
  fs::remove_all(changed);
}

TEST(Pipeline, ABatchAnswersEachLineAndSaysWhichIsWrong) {
  const auto qa = pipeline("question-answering", example(), {.export_model = true});
  const std::vector<Json> inputs = {
      Json{{"question", "What am I using?"}, {"context", "Using DistilBERT with ONNX Runtime!"}}, Json(3)};
  const auto results = qa.batch(inputs, Json::object());
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].at("answer"), "DistilBERT with ONNX Runtime");
  EXPECT_EQ(results[1].at("error"), "question-answering: the input has no text \"question\"");
}

}  // namespace
}  // namespace ferry
