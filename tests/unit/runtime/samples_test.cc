#include "runtime/samples.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "ferry/export.h"
#include "runtime/json_tensor.h"
#include "support/test_folder.h"

namespace ferry::runtime {
namespace {
namespace fs = std::filesystem;

template <typename Body>
std::string message(Body body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

HostTensor parse(const char* text, DType dtype) {
  return tensor_from_json(nlohmann::ordered_json::parse(text), dtype);
}

TEST(TensorFromJson, ReadsListsAsTheDtypeThatIsAskedFor) {
  const HostTensor whole = parse("[[1, -2], [3, 4]]", DType::i64);
  EXPECT_EQ(whole.describe(), "i64[2, 2]");
  EXPECT_EQ(whole.as<int64_t>()[1], -2);
  EXPECT_EQ(parse("[1, 2.5]", DType::f32).as<float>()[1], 2.5f);
  EXPECT_EQ(parse("0.5", DType::f16).as<uint16_t>()[0], 0x3800);
  EXPECT_EQ(parse("7", DType::u8).describe(), "u8[]");
  EXPECT_EQ(parse("[true, 0, 1]", DType::boolean).as<uint8_t>()[2], 1);
  EXPECT_EQ(parse("[\"a\"]", DType::string).strings, std::vector<std::string>{"a"});
  EXPECT_EQ(parse("[[], []]", DType::f32).describe(), "f32[2, 0]");
}

TEST(TensorFromJson, RefusesWhatIsNoTensor) {
  const auto refused = [](const char* text, DType dtype) { return message([&] { parse(text, dtype); }); };
  EXPECT_EQ(refused("[[1, 2], [3]]", DType::i64), "[1]: a list of 1 where others are lists of 2");
  EXPECT_EQ(refused("[[1], 2]", DType::i64), "[1]: 2 where others are lists of 1");
  EXPECT_EQ(refused("[1, [2]]", DType::i64), "[1]: a list where a value is due");
  EXPECT_EQ(refused("[1.5]", DType::i64), "[0]: 1.5 is no i64");
  EXPECT_EQ(refused("[300]", DType::u8), "[0]: 300 is no u8");
  EXPECT_EQ(refused("[-1]", DType::u64), "[0]: -1 is no u64");
  EXPECT_EQ(refused("[-129]", DType::i8), "[0]: -129 is no i8");
  EXPECT_EQ(refused("[18446744073709551615]", DType::i64), "[0]: 18446744073709551615 is no i64");
  EXPECT_EQ(refused("[1e39]", DType::f32), "[0]: 1e+39 is no f32");
  EXPECT_EQ(refused("[null]", DType::f32), "[0]: null is no f32");
  EXPECT_EQ(refused("{\"a\": 1}", DType::f32), "{\"a\":1} is no f32");
  EXPECT_EQ(refused("[[[[[[[[[1]]]]]]]]]", DType::f32), "lists of more than 8 levels");
}

// Exports of checkpoints of tests/data/pipelines, made once.
class Samples : public ::testing::Test {
 protected:
  static const fs::path& root() {
    static const fs::path out = testing::suite_folder("ferry-samples");
    return out;
  }
  static void TearDownTestSuite() { fs::remove_all(root()); }

  static fs::path exported(const std::string& name) {
    fs::path folder = root() / name;
    if (fs::exists(folder)) return folder;
    MainExportOptions options;
    options.model = (fs::path(FERRY_TEST_DATA) / "pipelines" / name).string();
    options.output = folder;
    options.validate = false;
    main_export(options);
    return folder;
  }

  static fs::path written(const std::string& text) {
    fs::create_directories(root());
    fs::path file = root() / "data.jsonl";
    std::ofstream(file, std::ios::binary) << text;
    return file;
  }
};

TEST_F(Samples, TextGoesThroughTheTokenizerAndNumbersStand) {
  const fs::path model = exported("text-classification");
  const auto samples = read_samples(written("{\"text\": \"The cat\", \"text_pair\": \"a mat\"}\r\n\n"
                                            "{\"input_ids\": [[2, 10, 3]]}\n"
                                            "{\"input_ids\": [2, 10], \"attention_mask\": [1, 0]}"),
                                    model);
  ASSERT_EQ(samples.size(), 3u);
  for (const auto& sample : samples) EXPECT_EQ(sample.size(), 3u);
  EXPECT_EQ(samples[0].at("token_type_ids").as<int64_t>().back(), 1);
  EXPECT_EQ(samples[1].at("input_ids").describe(), "i64[1, 3]");
  EXPECT_EQ(samples[1].at("attention_mask").as<int64_t>()[2], 1);
  EXPECT_EQ(samples[2].at("attention_mask").as<int64_t>()[1], 0);
  EXPECT_EQ(samples[2].at("token_type_ids").describe(), "i64[1, 2]");

  SampleOptions two;
  two.max_samples = 2;
  EXPECT_EQ(read_samples(written("{\"text\": \"a\"}\n{\"text\": \"b\"}\nnonsense"), model / "model.onnx", two)
                .size(),
            2u);
}

TEST_F(Samples, LongTextsAreCut) {
  std::string context;
  for (int i = 0; i < 500; ++i) context += "cat ";
  const auto samples = read_samples(written("{\"question\": \"who?\", \"context\": \"" + context + "\"}"),
                                    exported("question-answering"));
  EXPECT_EQ(samples.at(0).at("input_ids").describe(), "i64[1, 64]");
}

TEST_F(Samples, DecodersGetAnEmptyCache) {
  const auto samples = read_samples(written("{\"text\": \"The cat\"}"), exported("text-generation"));
  const Sample& sample = samples.at(0);
  EXPECT_EQ(sample.at("past_key_values.0.key").describe(), "f32[1, 3, 0, 8]");
  EXPECT_EQ(sample.at("position_ids").dims, sample.at("input_ids").dims);
}

TEST_F(Samples, PicturesAndSoundGoThroughTheProcessor) {
  const fs::path data = FERRY_TEST_DATA;
  const std::string image = (data / "images" / "alpha.png").string();
  const auto pictures =
      read_samples(written("{\"image\": \"" + image + "\"}"), exported("image-classification"));
  EXPECT_EQ(pictures.at(0).at("pixel_values").dims.size(), 4u);
  fs::copy_file(data / "audio" / "speech.wav", root() / "speech.wav");
  const auto sounds = read_samples(written("{\"audio\": \"speech.wav\"}"), exported("audio-classification"));
  EXPECT_EQ(sounds.at(0).at("input_values").dims.size(), 2u);
}

TEST_F(Samples, BadLinesAreNamed) {
  const fs::path model = exported("text-classification");
  const auto refused = [&](const std::string& text) {
    return message([&] { read_samples(written(text), model); });
  };
  EXPECT_EQ(refused("\n \n"), (root() / "data.jsonl").string() + " holds no sample");
  EXPECT_TRUE(starts_with(refused("{\"text\": \"a\"}\n{"), "the line: not valid JSON at byte 2: "));
  EXPECT_TRUE(refused("{\"text\": \"a\"}\n{").find("(data.jsonl, line 2)") != std::string::npos);
  EXPECT_EQ(refused("[1]"), "the line is no JSON object (data.jsonl, line 1)");
  EXPECT_EQ(refused("{\"txt\": \"a\"}"),
            "the model has no input \"txt\" (data.jsonl, line 1); it takes input_ids, attention_mask, "
            "token_type_ids; a line may also have text, text_pair, question and context, image, audio");
  EXPECT_EQ(refused("{\"text\": 1}"), "\"text\" is no text (data.jsonl, line 1)");
  EXPECT_EQ(refused("{\"text_pair\": \"a\"}"), "\"text\" is missing (data.jsonl, line 1)");
  EXPECT_EQ(refused("{\"attention_mask\": [[1]]}"),
            "the input \"input_ids\" is missing (data.jsonl, line 1); the model takes input_ids, "
            "attention_mask, token_type_ids");
  EXPECT_EQ(refused("{\"input_ids\": [[1, 129]]}"),
            "the input \"input_ids\" holds 129, the model knows 0 to 128 (data.jsonl, line 1)");
  EXPECT_EQ(refused("{\"input_ids\": [[1, 2.5]]}"),
            "[0][1]: 2.5 is no i64 (the input \"input_ids\") (data.jsonl, line 1)");
  EXPECT_EQ(refused("{\"input_ids\": [[[1]]]}"),
            "the input \"input_ids\" is [1, 1, 1], the model takes [?, ?] (data.jsonl, line 1)");
  EXPECT_EQ(refused("{\"text\": \"a\", \"image\": \"absent.png\"}").find("accepted"), std::string::npos);
  SampleOptions narrow;
  narrow.max_line_bytes = 10;
  EXPECT_EQ(message([&] { read_samples(written("{\"text\": \"long\"}"), model, narrow); }),
            "the line: 16 B of JSON, more than the 10 B allowed (data.jsonl, line 1)");
  narrow = {};
  narrow.max_bytes = 10;
  EXPECT_EQ(message([&] { read_samples(written("{\"text\": \"long\"}"), model, narrow); }),
            "the samples up to here take more than 10 B (data.jsonl, line 1); take fewer of them");
}

}  // namespace
}  // namespace ferry::runtime
