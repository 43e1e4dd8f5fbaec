// Pictures and recordings against Pillow, soundfile and transformers
// (tools/oracle/make_{image,audio}_goldens.py).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "ferry/feature_extractor.h"
#include "ferry/image_processor.h"

namespace ferry {
namespace {
using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

fs::path data(std::string_view kind, const std::string& file) {
  return fs::path(FERRY_TEST_DATA) / kind / file;
}

struct Goldens {
  explicit Goldens(std::string_view kind)
      : cases(read_json(data(kind, "cases.json"))), bytes(MappedFile::open(data(kind, "expected.bin"))) {}
  template <typename T>
  [[nodiscard]] std::vector<T> values(const Json& entry) const {
    size_t count = 1;
    for (const auto& side : entry.at("shape")) count *= side.get<size_t>();
    std::vector<T> out(count);
    std::memcpy(out.data(), bytes->bytes().data() + entry.at("at").get<size_t>(), count * sizeof(T));
    return out;
  }
  Json cases;
  std::shared_ptr<const MappedFile> bytes;
};

// "" if both pictures are the same, else the first pixel that is not, and how many.
std::string difference(const std::vector<uint8_t>& expected, const Json& shape, const Image& image) {
  if (shape != Json({image.height, image.width, 3}))
    return fmt::format("{} x {} instead of {}", image.height, image.width, shape.dump());
  size_t wrong = 0, first = 0;
  for (size_t i = expected.size(); i-- > 0;) {
    if (expected[i] == image.rgb[i]) continue;
    ++wrong;
    first = i;
  }
  return wrong == 0 ? ""
                    : fmt::format("{} differ, first [{}]: {} instead of {}", wrong, first, image.rgb[first],
                                  expected[first]);
}

void expect_tensors(const Goldens& goldens, const Json& expected, const BatchFeature& actual,
                    double tolerance, const std::string& what) {
  EXPECT_EQ(expected.size(), actual.size()) << what;
  for (const auto& [name, entry] : expected.items()) {
    ASSERT_TRUE(actual.count(name) == 1) << what << " " << name;
    const HostTensor tensor = actual.at(name).to_f32();
    ASSERT_EQ(Json(tensor.dims), entry.at("shape")) << what << " " << name;
    const auto wanted = goldens.values<float>(entry);
    const auto values = tensor.as<float>();
    double apart = 0;
    for (size_t i = 0; i < wanted.size(); ++i)
      apart = std::max(apart, std::abs(double{wanted[i]} - values[i]));
    EXPECT_LE(apart, tolerance) << what << " " << name;
  }
}

TEST(Images, PixelsAreThoseOfPillow) {
  const Goldens goldens("images");
  for (const auto& entry : goldens.cases.at("decode")) {
    const auto file = entry.at("image").get<std::string>();
    const auto& output = entry.at("output");
    EXPECT_EQ(
        difference(goldens.values<uint8_t>(output), output.at("shape"), load_image(data("images", file))), "")
        << file;
  }
}

TEST(Images, ResizingIsPillows) {
  const Goldens goldens("images");
  const Image photo = load_image(data("images", "photo.jpg"));
  for (const auto& entry : goldens.cases.at("resize")) {
    const auto& output = entry.at("output");
    const Image image =
        resize(photo, entry.at("size")[0].get<uint32_t>(), entry.at("size")[1].get<uint32_t>(),
               static_cast<Resampling>(entry.at("filter").get<int>()));
    EXPECT_EQ(difference(goldens.values<uint8_t>(output), output.at("shape"), image), "") << entry.dump();
  }
}

TEST(Images, ProcessorsAreThoseOfTransformers) {
  const Goldens goldens("images");
  for (const auto& entry : goldens.cases.at("process")) {
    const auto processor = AutoImageProcessor::from_json(entry.at("config").dump());
    const auto outputs = processor(load_image(data("images", entry.at("image").get<std::string>())));
    expect_tensors(goldens, entry.at("outputs"), outputs, 1e-5, entry.at("config").dump());
  }
}

TEST(Images, APngComesBackAsItWasWritten) {
  const Image image = load_image(data("images", "photo.jpg"));
  const std::string bytes = encode_png(image);
  EXPECT_EQ(decode_image(std::as_bytes(std::span(bytes)), "x").rgb, image.rgb);
}

TEST(Audio, SamplesAreThoseOfSoundfile) {
  const Goldens goldens("audio");
  for (const auto& entry : goldens.cases.at("decode")) {
    const auto file = entry.at("audio").get<std::string>();
    const Audio audio = load_audio(data("audio", file));
    EXPECT_EQ(audio.sampling_rate, entry.at("sampling_rate").get<uint32_t>());
    const auto wanted = goldens.values<float>(entry.at("output"));
    ASSERT_EQ(audio.samples.size(), wanted.size()) << file;
    double apart = 0;
    for (size_t i = 0; i < wanted.size(); ++i)
      apart = std::max(apart, std::abs(double{wanted[i]} - audio.samples[i]));
    EXPECT_LE(apart, 2e-7) << file;
  }
}

TEST(Audio, ExtractorsAreThoseOfTransformers) {
  const Goldens goldens("audio");
  for (const auto& entry : goldens.cases.at("extract")) {
    const auto extractor = AutoFeatureExtractor::from_json(entry.at("config").dump());
    std::vector<std::vector<float>> recordings;
    for (const auto& file : entry.at("audio"))
      recordings.push_back(load_audio(data("audio", file.get<std::string>())).samples);
    FeatureExtractorOptions options;
    options.whole = entry.at("whole").get<bool>();
    if (!entry.at("return_attention_mask").is_null())
      options.return_attention_mask = entry.at("return_attention_mask").get<bool>();
    expect_tensors(goldens, entry.at("outputs"), extractor(recordings, options), 1e-5, entry.dump());
  }
}

TEST(Audio, ATonesPitchSurvivesResampling) {
  std::vector<float> tone(22050);
  for (size_t i = 0; i < tone.size(); ++i)
    tone[i] = std::sin(2 * 3.14159265f * 440 * static_cast<float>(i) / 22050);
  const auto out = resample(tone, 22050, 16000);
  ASSERT_EQ(out.size(), 16000u);
  for (size_t i = 1000; i < 15000; ++i)
    ASSERT_NEAR(out[i], std::sin(2 * 3.14159265 * 440 * static_cast<double>(i) / 16000), 1e-3) << i;
  EXPECT_EQ(load_audio(data("audio", "tone.ogg"), 16000).samples.size(), 3200u);
}

}  // namespace
}  // namespace ferry
