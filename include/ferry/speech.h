#pragma once
// Speech recognition with an encoder and a decoder: Whisper.
//
//   const ferry::WhisperPipeline recognize(extractor, tokenizer,
//   ferry::ORTModelForSpeechSeq2Seq::from_pretrained("out/")); recognize(ferry::load_audio("talk.mp3"),
//   {.return_timestamps = "true"}).text;
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ferry/audio.h"
#include "ferry/seq2seq.h"
#include "ferry/tokenizer.h"

namespace ferry {
namespace whisper {
struct Settings;
}

/// What Whisper is asked besides a GenerationConfig.
struct WhisperOptions {
  std::string
      language;      ///< "en", "english", "<|en|>"; "": as generation_config.json says, else it is detected.
  std::string task;  ///< "transcribe", "translate"; "": as generation_config.json says.
  std::optional<bool> return_timestamps;         ///< Recordings longer than one window need them.
  std::optional<bool> condition_on_prev_tokens;  ///< Hand the text before to the next window.
  /// Tried one after the other while a threshold says that a window was misheard. Above 0 tokens are drawn,
  /// in one beam. Empty: nothing is drawn.
  std::vector<double> temperature;
  // Nothing: as generation_config.json says, else none.
  std::optional<double> compression_ratio_threshold;  ///< Text that zlib makes smaller by more is misheard.
  std::optional<double> logprob_threshold;            ///< So is text of a lower mean log probability.
  std::optional<double> no_speech_threshold;          ///< If silence is more probable, it is skipped instead.
};

/// Recordings of any length: longer ones than a window are heard window by window, or in chunks if
/// chunk_length_s asks for it.
///
/// Errors    those of ORTModelForSpeechSeq2Seq; Error{usage} for a language or task that the model does not
///           know, for more tokens than it takes, for a long recording without timestamps; Error{unsupported}
///           for word timestamps
/// Source    transformers 4.57.6, models/whisper/generation_whisper.py,
/// pipelines/automatic_speech_recognition.py
class WhisperPipeline {
 public:
  WhisperPipeline(FeatureExtractor extractor, Tokenizer tokenizer, ORTModelForSpeechSeq2Seq model);
  /// `audio` at any rate. return_timestamps "true" gives chunks with their times.
  [[nodiscard]] Transcription operator()(const Audio& audio, const SpeechRecognitionOptions& options,
                                         const GenerationConfig& config, const WhisperOptions& whisper) const;
  [[nodiscard]] Transcription operator()(const Audio& audio,
                                         const SpeechRecognitionOptions& options = {}) const {
    return (*this)(audio, options, default_config(), {});
  }
  /// The model's, with transformers' five beams and at most 256 tokens where it says nothing.
  [[nodiscard]] GenerationConfig default_config() const;

 private:
  FeatureExtractor extractor_;
  Tokenizer tokenizer_;
  ORTModelForSpeechSeq2Seq model_;
  std::shared_ptr<const whisper::Settings> settings_;
};

}  // namespace ferry
