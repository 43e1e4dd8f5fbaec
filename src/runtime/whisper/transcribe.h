#pragma once
// Whisper's way through a recording: languages, tasks, times, and recordings longer than its window.
// Source: transformers 4.57.6, models/whisper/generation_whisper.py, for one recording.
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/whisper/settings.h"
#include "tensor/host_tensor.h"

namespace ferry::whisper {

struct TranscribeOptions {
  std::string language;  ///< "en", "english", "<|en|>"; "": that of the settings, else it is detected.
  std::string task;      ///< "transcribe", "translate"; "": that of the settings.
  std::optional<bool> return_timestamps;         ///< Nothing: as the settings say; long recordings need them.
  std::optional<bool> condition_on_prev_tokens;  ///< Hand the text before to the next segment.
  std::optional<int64_t> max_new_tokens;         ///< Of a segment, to check them against the model.
  /// Tried one after the other while a threshold says that a window was misheard; above 0 tokens are drawn.
  /// Empty: once, nothing is drawn.
  std::vector<double> temperature;
  /// Nothing: those of the settings. zlib makes misheard repetitions smaller by more than the first.
  std::optional<double> compression_ratio_threshold;
  std::optional<double> logprob_threshold;  ///< The least mean log probability of tokens heard well.
  /// Windows heard badly where <|nospeech|> is more probable than this are skipped.
  std::optional<double> no_speech_threshold;
};

/// One way to hear a window.
struct Attempt {
  bool timestamps = false;  ///< Scores go through a TimestampRules.
  std::optional<double> temperature;
  bool one_beam = false;  ///< Whatever the configuration says: so after a token was drawn.
  bool measured = false;  ///< Whether mean_log_probability is asked for.
};

struct Said {
  std::vector<int64_t> ids;
  double mean_log_probability = 0;  ///< Of those, by the model's own scores.
};

/// What the model does for it.
struct Hearing {
  /// The tokens that follow `prompt` for one window f32[1, mels, frames]; an end token and padding may
  /// follow.
  std::function<Said(const HostTensor& window, const std::vector<int64_t>& prompt, const Attempt& attempt)>
      generate;
  /// The model's scores of the token after `prompt`, to tell the language and silence by.
  std::function<std::vector<float>(const HostTensor& window, const std::vector<int64_t>& prompt)> next_scores;
};

/// The tokens that are heard in input_features f32[1, mels, frames], without those of the prompt. Errors:
/// Error{usage} for a language or task that the model does not know, for a no_speech_threshold without
/// logprob_threshold; Error{invalid_config} where timestamps
/// are needed and the settings do not name them.
std::vector<int64_t> transcribe(const HostTensor& features, const Settings& settings,
                                const TranscribeOptions& options, const Hearing& hearing);

/// WhisperTimeStampLogitsProcessor: times come in pairs, never go back, and come where they are likelier as a
/// whole than any word. `generated` are the tokens after the prompt.
void apply_timestamp_rules(const Settings& settings, std::span<const int64_t> generated,
                           std::span<float> scores);

}  // namespace ferry::whisper
