// Milliseconds of one call, on one thread: pictures and sound to tensors. bench/preprocess.py measures
// transformers on the same files.
//   bench_preprocess PICTURE RECORDING
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>

#include "ferry/feature_extractor.h"
#include "ferry/image_processor.h"

namespace {

// The median of several runs.
void measure(const char* what, const std::function<void()>& body) {
  std::vector<double> times;
  for (int i = 0; i < 15; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    body();
    times.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
  }
  std::nth_element(times.begin(), times.begin() + 7, times.end());
  std::printf("%-28s %8.2f ms\n", what, times[7]);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return 2;
  const char* picture = arguments[1];
  const auto image = ferry::load_image(picture);
  measure("read picture", [&] { (void)ferry::load_image(picture); });
  const std::pair<const char*, const char*> processors[] = {
      {"ViT", R"({"image_processor_type": "ViTImageProcessor"})"},
      {"CLIP", R"({"image_processor_type": "CLIPImageProcessor"})"},
      {"ConvNext", R"({"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 224}})"},
      {"DETR", R"({"image_processor_type": "DetrImageProcessor"})"}};
  for (const auto& [name, config] : processors) {
    const auto processor = ferry::AutoImageProcessor::from_json(config);
    measure(name, [&] { (void)processor(image); });
  }
  const auto audio = ferry::load_audio(arguments[2], 16000);
  const auto whisper =
      ferry::AutoFeatureExtractor::from_json(R"({"feature_extractor_type": "WhisperFeatureExtractor"})");
  measure("Whisper, 30 s", [&] { (void)whisper(audio.samples); });
  const auto wav2vec2 =
      ferry::AutoFeatureExtractor::from_json(R"({"feature_extractor_type": "Wav2Vec2FeatureExtractor"})");
  measure("Wav2Vec2, 30 s", [&] { (void)wav2vec2(audio.samples); });
}
