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
};

/// What the model does for it.
struct Hearing {
  /// The tokens that follow `prompt` for one window f32[1, mels, frames]; an end token and padding may
  /// follow. With `timestamps`, scores go through a TimestampRules.
  std::function<std::vector<int64_t>(const HostTensor& window, const std::vector<int64_t>& prompt,
                                     bool timestamps)>
      generate;
  /// The scores of the token after decoder_start_token_id, to tell the language by.
  std::function<std::vector<float>(const HostTensor& window)> first_scores;
};

/// The tokens that are heard in input_features f32[1, mels, frames], without those of the prompt. Errors:
/// Error{usage} for a language or task that the model does not know; Error{invalid_config} where timestamps
/// are needed and the settings do not name them.
std::vector<int64_t> transcribe(const HostTensor& features, const Settings& settings,
                                const TranscribeOptions& options, const Hearing& hearing);

/// WhisperTimeStampLogitsProcessor: times come in pairs, never go back, and come where they are likelier as a
/// whole than any word. `generated` are the tokens after the prompt.
void apply_timestamp_rules(const Settings& settings, std::span<const int64_t> generated,
                           std::span<float> scores);

}  // namespace ferry::whisper
