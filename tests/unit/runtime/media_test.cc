// The models of pictures and sound on the golden cases that transformers computed.
#include <gtest/gtest.h>

#include <cmath>

#include "checkpoint/checkpoint.h"
#include "ferry/audio.h"
#include "ferry/vision.h"

namespace ferry {
namespace {
namespace fs = std::filesystem;

// The tensors of a case's first run whose names begin with `prefix`.
std::map<std::string, HostTensor> tensors(const fs::path& folder, const std::string& prefix) {
  std::map<std::string, HostTensor> out;
  for (const auto& [name, weight] : open_checkpoint(folder / "io.safetensors").state.tensors) {
    if (name.rfind(prefix, 0) == 0) out.emplace(name.substr(prefix.size()), HostTensor::from_weight(weight));
  }
  return out;
}

void expect_close(const HostTensor& expected, const HostTensor& actual) {
  ASSERT_EQ(expected.dims, actual.dims);
  const auto a = expected.as<float>(), b = actual.as<float>();
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-4 * (1 + std::abs(a[i]))) << i;
}

template <typename Model, typename Check>
void run_case(const char* name, const Check& check) {
  const fs::path folder = fs::path(FERRY_TEST_DATA) / "golden" / name;
  const auto model = Model::from_pretrained(folder.string(), {.export_model = true});
  auto expected = tensors(folder, "0/outputs/");
  ASSERT_FALSE(expected.empty());
  check(expected, model(tensors(folder, "0/inputs/")));
}

TEST(AudioModels, GiveWhatTheirClassSays) {
  const auto logits = [](auto& expected, const auto& actual) {
    expect_close(expected.at("logits"), actual.logits);
  };
  run_case<ORTModelForCTC>("wav2vec2-automatic-speech-recognition", logits);
  run_case<ORTModelForAudioClassification>("wav2vec2-audio-classification", logits);
  run_case<ORTModelForAudioFrameClassification>("wav2vec2-audio-frame-classification", logits);
  run_case<ORTModelForAudioXVector>("wav2vec2-audio-xvector", [](auto& expected, const auto& actual) {
    expect_close(expected.at("logits"), actual.logits);
    expect_close(expected.at("embeddings"), actual.embeddings);
  });
}

TEST(VisionModels, GiveWhatTheirClassSays) {
  const auto logits = [](auto& expected, const auto& actual) {
    expect_close(expected.at("logits"), actual.logits);
  };
  run_case<ORTModelForImageClassification>("segformer-image-classification", logits);
  run_case<ORTModelForSemanticSegmentation>("segformer-semantic-segmentation", logits);
}

}  // namespace
}  // namespace ferry
