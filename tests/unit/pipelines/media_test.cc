// What pipelines of pictures and sound refuse, and what is drawn.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "ferry/audio.h"
#include "ferry/vision.h"

namespace ferry {
namespace {
using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

std::string folder(const char* name) {
  return (fs::path(FERRY_TEST_DATA) / "pipelines" / name).string();
}
std::string message(const auto& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_NE(error.code(), ErrorCode::internal);
    return error.what();
  }
  return "accepted";
}

TEST(MediaPipelines, WhatTheyCannotTakeIsSaid) {
  const auto ctc = pipeline("automatic-speech-recognition", folder("automatic-speech-recognition"),
                            {.export_model = true});
  const std::string wav = (fs::path(FERRY_TEST_DATA) / "audio" / "speech.wav").string();
  const auto with = [&](const Json& options) { return message([&] { (void)ctc(Json(wav), options); }); };
  EXPECT_EQ(with({{"chunk_length_s", 0.1}, {"stride_length_s", 0.05}}),
            "chunk_length_s must be longer than both of stride_length_s together");
  EXPECT_NE(with({{"chunk_length_s", -1}}), "accepted");
  EXPECT_NE(with({{"chunk_length_s", 1e300}}), "accepted");
  EXPECT_EQ(with({{"return_timestamps", "bar"}}),
            "return_timestamps of a CTC model is \"char\" or \"word\", not bar");
  EXPECT_EQ(message([&] {
              (void)ctc(Json{{"array", {0.5, "x"}}, {"sampling_rate", 16000}}, Json::object());
            }),
            "automatic-speech-recognition: the samples of the input are not all numbers");
  EXPECT_EQ(message([&] {
              (void)ctc(Json{{"array", {0.5}}}, Json::object());
            }),
            "automatic-speech-recognition: the input has no sampling_rate of 1 to 768000 Hz");
  EXPECT_NE(message([&] { (void)ctc(Json(3), Json::object()); }), "accepted");
}

TEST(Wav2Vec2CTCTokenizer, FramesBecomeCharactersAndWords) {
  const auto tokenizer = Wav2Vec2CTCTokenizer::from_pretrained(folder("automatic-speech-recognition"));
  // Y is 0, <pad> 22, | 31, E 5, T 6.
  const std::vector<int64_t> ids = {31, 6, 6, 22, 6, 5, 31, 31, 22, 5, 99};
  const auto decoded = tokenizer.decode(ids);
  EXPECT_EQ(decoded.text, "tte e<unk>");
  ASSERT_EQ(decoded.words.size(), 2u);
  EXPECT_EQ(decoded.words[0].text, "TTE");
  EXPECT_EQ(decoded.words[0].start_offset, 1u);
  EXPECT_EQ(decoded.words[0].end_offset, 6u);
  EXPECT_EQ(decoded.words[1].start_offset, 9u);
  EXPECT_EQ(tokenizer.decode({}).text, "");
}

TEST(Draw, BoxesMasksAndLabels) {
  const Image grey{60, 40, std::vector<uint8_t>(60 * 40 * 3, 128)};
  const Json box = {{"xmin", -5}, {"ymin", 20}, {"xmax", 30}, {"ymax", 38}};
  const Image boxed = draw(grey, Json::array({{{"score", 0.5}, {"label", "cat"}, {"box", box}}}));
  const auto pixel = [](const Image& image, size_t x, size_t y) {
    return image.rgb[(y * image.width + x) * 3];
  };
  EXPECT_NE(pixel(boxed, 29, 30), 128);  // The right side.
  EXPECT_EQ(pixel(boxed, 15, 33), 128);  // Inside, below the caption.
  EXPECT_NE(pixel(boxed, 2, 24), 128);   // The caption.
  const Image labelled =
      draw(grey, Json::array({{{"score", 0.5}, {"label", "a"}}, {{"score", 0.2}, {"label", "b"}}}));
  EXPECT_NE(pixel(labelled, 0, 0), 128);
  EXPECT_NE(pixel(labelled, 0, 12), 128);
  EXPECT_EQ(pixel(labelled, 0, 30), 128);
  EXPECT_NE(message([&] { draw(grey, Json{{"text", "x"}}); }), "accepted");
  EXPECT_NE(message([&] { draw(grey, Json::array({3})); }), "accepted");
  EXPECT_NE(message([&] { draw(grey, Json::array({{{"label", "a"}, {"mask", "?"}}})); }), "accepted");
}

}  // namespace
}  // namespace ferry
