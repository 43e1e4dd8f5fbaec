// Broken and hostile bytes and configurations: one clear error each.
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "ferry/feature_extractor.h"
#include "ferry/image_processor.h"

namespace ferry {
namespace {
namespace fs = std::filesystem;

std::string message(const auto& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_NE(error.code(), ErrorCode::internal);
    return error.what();
  }
  return "accepted";
}

std::string bytes_of(const char* file) {
  return read_text(fs::path(FERRY_TEST_DATA) / file, 1 << 20);
}
std::string image_error(const std::string& bytes) {
  return message([&] { decode_image(std::as_bytes(std::span(bytes)), "x"); });
}
std::string audio_error(const std::string& bytes) {
  return message([&] { decode_audio(std::as_bytes(std::span(bytes)), "x"); });
}

TEST(BrokenImages, TruncatedOnesAreRefused) {
  for (const char* file : {"images/photo.jpg", "images/progressive.jpg", "images/plain.png",
                           "images/palette.png", "images/lossy.webp", "images/lossless.webp"}) {
    const std::string whole = bytes_of(file);
    for (const size_t percent : {1, 10, 40, 70, 90})
      EXPECT_NE(image_error(whole.substr(0, whole.size() * percent / 100)), "accepted")
          << file << " " << percent;
  }
  EXPECT_EQ(image_error(""), "x is no image: JPEG, PNG and WebP are read");
  EXPECT_EQ(image_error("GIF89a"), "x is GIF: JPEG, PNG and WebP are read");
}

TEST(BrokenImages, AbsurdSizesAreRefusedBeforeTheyAreAllocated) {
  std::string png = bytes_of("images/plain.png");
  png.replace(16, 8, std::string("\x00\x03\xFF\xFF\x00\x03\xFF\xFF", 8));
  EXPECT_NE(image_error(png).find("broken PNG"), std::string::npos);  // Its checksum.
  std::string jpeg = bytes_of("images/photo.jpg");
  const size_t frame = jpeg.find("\xFF\xC0");
  ASSERT_NE(frame, std::string::npos);
  jpeg.replace(frame + 5, 4, "\xFF\xDC\xFF\xDC");
  EXPECT_EQ(image_error(jpeg),
            "x: an image of 65500 x 65500 pixels; at most 178956970 are read, and 262144 on a side");
  jpeg.replace(frame + 5, 4, "\x2E\xE0\x2E\xE0");
  EXPECT_EQ(image_error(jpeg), "x: broken JPEG: it ends too early for its size");
}

TEST(BrokenAudio, IsRefused) {
  EXPECT_NE(audio_error("").find("x is no recording"), std::string::npos);
  EXPECT_NE(audio_error("RIFF....WAVE").find("x is no recording"), std::string::npos);
  const std::string wav = bytes_of("audio/speech.wav");
  EXPECT_EQ(audio_error(wav.substr(0, 44)), "x holds no samples");
  EXPECT_NE(message([] { resample(std::vector<float>(8), 0, 16000); }), "accepted");
  EXPECT_NE(message([] { resample(std::vector<float>(1 << 20), 1, 768000); }), "accepted");
}

TEST(Configurations, WhatIsWrongIsNamed) {
  const auto image = [](const char* json) { return message([&] { AutoImageProcessor::from_json(json); }); };
  EXPECT_EQ(image(R"({"image_processor_type": "ViTImageProcessor", "size": {"shortest_edge": 3}})"),
            "preprocessor_config.json: size is {\"shortest_edge\":3}, expected height and width");
  EXPECT_EQ(image(R"({"image_processor_type": "ViTImageProcessor", "resample": 7})"),
            "preprocessor_config.json: resample is 7, expected an integer from 0 to 5");
  EXPECT_EQ(image(R"({"image_processor_type": "ViTImageProcessor", "image_mean": [1]})"),
            "preprocessor_config.json: image_mean is [1], expected 3 numbers");
  EXPECT_NE(image(R"({"image_processor_type": "ViTImageProcessor", "size": 1000000})"), "accepted");
  EXPECT_NE(image(R"({"image_processor_type": "ViTImageProcessor", "image_std": 0})"), "accepted");
  EXPECT_NE(image(R"({"image_processor_type": "SamImageProcessorFast"})")
                .find("the image processor SamImageProcessorFast is not built"),
            std::string::npos);
  EXPECT_EQ(AutoImageProcessor::from_json("{}", R"({"model_type": "resnet"})").type(),
            "ConvNextImageProcessor");
  EXPECT_EQ(AutoImageProcessor::from_json(R"({"image_processor_type": "ViTImageProcessorFast"})").type(),
            "ViTImageProcessor");
  EXPECT_NE(image(R"({"image_processor_type": "DeiTImageProcessor", "crop_size": 250000})"), "accepted");
  EXPECT_NE(image(R"({"image_processor_type": "DetrImageProcessor", "pad_size": [250000, 250000]})"),
            "accepted");
  const auto audio = [](const char* json) { return message([&] { AutoFeatureExtractor::from_json(json); }); };
  EXPECT_NE(audio(R"({"feature_extractor_type": "WhisperFeatureExtractor", "dither": 0.1})"), "accepted");
  EXPECT_NE(
      audio(
          R"({"feature_extractor_type": "WhisperFeatureExtractor", "sampling_rate": 700000, "chunk_length": 600})"),
      "accepted");
  EXPECT_EQ(AutoFeatureExtractor::from_json("{}", R"({"model_type": "hubert"})").type(),
            "Wav2Vec2FeatureExtractor");
}

TEST(ImageProcessor, ImagesOfOneBatchHaveOneSize) {
  const Image wide{20, 10, std::vector<uint8_t>(600)}, tall{10, 20, std::vector<uint8_t>(600)};
  const std::vector<Image> both = {wide, tall};
  const auto clip = AutoImageProcessor::from_json(
      R"({"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 8}, "do_center_crop": false})");
  EXPECT_NE(message([&] { (void)clip(both); }), "accepted");
  const auto detr = AutoImageProcessor::from_json(
      R"({"image_processor_type": "DetrImageProcessor", "size": {"shortest_edge": 8, "longest_edge": 99}})");
  const auto batch = detr(both);
  EXPECT_EQ(batch.at("pixel_values").dims, (Dims{2, 3, 16, 16}));
  const auto mask = batch.at("pixel_mask").as<int64_t>();
  EXPECT_EQ(mask[7 * 16 + 15], 1);
  EXPECT_EQ(mask[8 * 16], 0);
  EXPECT_EQ(mask[256 + 15 * 16 + 7], 1);
  EXPECT_EQ(mask[256 + 8], 0);
}

}  // namespace
}  // namespace ferry
