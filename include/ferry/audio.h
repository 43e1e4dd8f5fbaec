#pragma once
// Exported models that listen, and transformers' pipelines over them.
//
//   auto extractor = ferry::AutoFeatureExtractor::from_pretrained("out/");
//   auto model = ferry::ORTModelForCTC::from_pretrained("out/");
//   auto logits = model(extractor(ferry::load_audio("speech.wav",
//   extractor.sampling_rate()).samples)).logits;
//
// Results of pipelines equal those of transformers 4.57.6 on the same folder. All may be called from several
// threads. Errors: those of AutoFeatureExtractor and ORTModel; Error{usage} for what a pipeline cannot take.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/feature_extractor.h"
#include "ferry/modeling.h"
#include "ferry/pipelines.h"

namespace ferry {

/// logits f32[B, frames, vocabulary]
class ORTModelForCTC : public ORTModel {
 public:
  static ORTModelForCTC from_pretrained(std::string_view model, const LoadOptions& options = {});
  [[nodiscard]] LogitsOutput operator()(const ModelInputs& inputs) const;

 private:
  using ORTModel::ORTModel;
};

/// logits f32[B, labels]
class ORTModelForAudioClassification : public ORTModel {
 public:
  static ORTModelForAudioClassification from_pretrained(std::string_view model,
                                                        const LoadOptions& options = {});
  [[nodiscard]] LogitsOutput operator()(const ModelInputs& inputs) const;

 private:
  using ORTModel::ORTModel;
};

/// logits f32[B, frames, labels]
class ORTModelForAudioFrameClassification : public ORTModel {
 public:
  static ORTModelForAudioFrameClassification from_pretrained(std::string_view model,
                                                             const LoadOptions& options = {});
  [[nodiscard]] LogitsOutput operator()(const ModelInputs& inputs) const;

 private:
  using ORTModel::ORTModel;
};

/// logits f32[B, speakers], embeddings f32[B, D]
class ORTModelForAudioXVector : public ORTModel {
 public:
  struct Output {
    HostTensor logits, embeddings;
  };
  static ORTModelForAudioXVector from_pretrained(std::string_view model, const LoadOptions& options = {});
  [[nodiscard]] Output operator()(const ModelInputs& inputs) const;

 private:
  using ORTModel::ORTModel;
};

struct AudioClassificationOptions {
  std::optional<int64_t> top_k;               ///< Nothing: all labels.
  std::string function_to_apply = "softmax";  ///< "sigmoid", "softmax", "none"
};
class AudioClassificationPipeline {
 public:
  AudioClassificationPipeline(FeatureExtractor extractor, ORTModelForAudioClassification model);
  /// `audio` at any rate. Labels, likeliest first.
  [[nodiscard]] std::vector<Classification> operator()(const Audio& audio,
                                                       const AudioClassificationOptions& options = {}) const;

 private:
  FeatureExtractor extractor_;
  std::shared_ptr<const ORTModelForAudioClassification> model_;
};

/// The vocabulary of a model that names a character a frame: vocab.json with tokenizer_config.json.
class Wav2Vec2CTCTokenizer {
 public:
  /// Errors: Error{not_found}, Error{invalid_file}, Error{invalid_config} that names the key.
  static Wav2Vec2CTCTokenizer from_pretrained(const std::filesystem::path& folder);

  /// A piece of text and the frames that it was heard in: [start_offset, end_offset).
  struct Offset {
    std::string text;
    size_t start_offset = 0, end_offset = 0;
  };
  struct Decoded {
    std::string text;
    std::vector<Offset> chars, words;
  };
  /// Repeated ids are one, padding is nothing, the word delimiter a blank.
  [[nodiscard]] Decoded decode(std::span<const int64_t> ids) const;

 private:
  struct Data;
  std::shared_ptr<const Data> data_;
};

struct SpeechRecognitionOptions {
  double chunk_length_s = 0;  ///< Long recordings are heard in chunks of so many seconds; 0: whole.
  /// Seconds that chunks share at their left and right; nothing: a sixth of the chunk.
  std::optional<std::pair<double, double>> stride_length_s;
  std::string return_timestamps;  ///< "char", "word" of CTC models; "true" of Whisper; "": none.
  bool return_language = false;   ///< Whisper's.
};
struct TranscriptionChunk {
  std::string text;
  std::optional<double> start, end;     ///< Seconds; nothing: not known.
  std::optional<std::string> language;  ///< "english", where it was told.
};
struct Transcription {
  std::string text;
  std::vector<TranscriptionChunk> chunks;  ///< If timestamps were asked for.
};
class CTCSpeechRecognitionPipeline {
 public:
  CTCSpeechRecognitionPipeline(FeatureExtractor extractor, Wav2Vec2CTCTokenizer tokenizer,
                               ORTModelForCTC model);
  /// `audio` at any rate.
  [[nodiscard]] Transcription operator()(const Audio& audio,
                                         const SpeechRecognitionOptions& options = {}) const;

 private:
  FeatureExtractor extractor_;
  Wav2Vec2CTCTokenizer tokenizer_;
  std::shared_ptr<const ORTModelForCTC> model_;
};

}  // namespace ferry
