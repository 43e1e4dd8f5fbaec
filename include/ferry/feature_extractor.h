#pragma once
// From the bytes of a recording to a model's input: transformers' feature extractors.
//
//   auto extractor = ferry::AutoFeatureExtractor::from_pretrained("out/");
//   auto audio = ferry::load_audio("speech.flac", extractor.sampling_rate());
//   auto inputs = extractor(audio.samples);   // input_values f32[1, samples] or input_features f32[1, 80,
//   3000]
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/host_tensor.h"

namespace ferry {

/// Tensors by the name of the model input that they are for.
using BatchFeature = std::map<std::string, HostTensor>;

/// One channel; samples between -1 and 1.
struct Audio {
  uint32_t sampling_rate = 0;  ///< Hz
  std::vector<float> samples;
};

/// Reads what libsndfile reads (WAV, FLAC, MP3, Ogg, AIFF, ...), averages the channels, and resamples to
/// `sampling_rate` Hz unless that is 0. Errors: Error{not_found}, Error{io}, Error{invalid_file} for broken
/// bytes, for other formats, and for more than 2^28 samples.
Audio load_audio(const std::filesystem::path& file, uint32_t sampling_rate = 0);
/// The same from bytes; `what` names them in errors.
Audio decode_audio(std::span<const std::byte> bytes, std::string_view what, uint32_t sampling_rate = 0);
/// Band-limited interpolation (soxr, high quality). Errors: Error{usage} for a rate of 0 or above 768,000 Hz.
std::vector<float> resample(std::span<const float> samples, uint32_t from, uint32_t to);

struct FeatureExtractorOptions {
  std::optional<bool> return_attention_mask;  ///< Nothing: as preprocessor_config.json says.
  /// Whisper's: the recording whole, not cut or filled to chunk_length seconds. Several are filled to the
  /// longest.
  bool whole = false;
};

/// What preprocessor_config.json says. Safe to use from several threads, cheap to copy.
class FeatureExtractor {
 public:
  struct Recipe;
  explicit FeatureExtractor(std::shared_ptr<const Recipe> recipe) : recipe_(std::move(recipe)) {}

  /// Recordings at sampling_rate(). Wav2Vec2FeatureExtractor: input_values f32[B, S], filled to the longest.
  /// WhisperFeatureExtractor: input_features f32[B, mels, frames]. ASTFeatureExtractor: input_values f32[B,
  /// max_length, mels]. SeamlessM4TFeatureExtractor: input_features f32[B, frames, mels * stride].
  /// attention_mask i64[B, S or frames], if asked for. Errors: Error{usage} for no recording or an empty one.
  [[nodiscard]] BatchFeature operator()(std::span<const std::vector<float>> recordings,
                                        const FeatureExtractorOptions& options = {}) const;
  [[nodiscard]] BatchFeature operator()(const std::vector<float>& recording,
                                        const FeatureExtractorOptions& options = {}) const {
    return (*this)({&recording, 1}, options);
  }

  [[nodiscard]] uint32_t sampling_rate() const;  ///< Hz
  /// Samples of one window of Whisper; 0 where there are no windows.
  [[nodiscard]] size_t n_samples() const;
  [[nodiscard]] size_t hop_length() const;  ///< Samples from one frame to the next; 0 where there are none.
  [[nodiscard]] const std::string& type() const;  ///< "WhisperFeatureExtractor"

 private:
  std::shared_ptr<const Recipe> recipe_;
};

class AutoFeatureExtractor {
 public:
  /// Reads preprocessor_config.json and, where that does not name its class, the model_type of config.json.
  /// Errors: Error{not_found}, Error{invalid_file}, Error{invalid_config} that names the key,
  /// Error{unsupported} for a class that is not built, with those that are.
  static FeatureExtractor from_pretrained(const std::filesystem::path& folder);
  /// The same from the texts of both files; `config` may be empty.
  static FeatureExtractor from_json(std::string_view preprocessor_config, std::string_view config = {});
};

}  // namespace ferry
