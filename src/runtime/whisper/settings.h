#pragma once
// What generation_config.json and config.json say about Whisper beyond GenerationConfig.
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::whisper {

struct Settings {
  // generation_config.json
  std::optional<bool> is_multilingual;
  std::map<std::string, int64_t> lang_to_id;  ///< "<|en|>"
  std::map<std::string, int64_t> task_to_id;  ///< "transcribe"
  std::optional<int64_t> no_timestamps_token_id;
  std::optional<int64_t> prev_sot_token_id;
  std::optional<int64_t> max_initial_timestamp_index;
  std::optional<bool> return_timestamps;
  bool condition_on_prev_tokens = false;
  std::optional<double> compression_ratio_threshold, logprob_threshold, no_speech_threshold;
  std::string language, task;  ///< "": not given.
  /// Tokens after decoder_start_token_id, in old configurations; nothing where the language is to be
  /// detected.
  std::vector<std::optional<int64_t>> forced_decoder_ids;
  int64_t decoder_start_token_id = 0;
  int64_t eos_token_id = 0, pad_token_id = 0;
  std::vector<int64_t> suppress_tokens;
  // config.json
  int64_t vocab_size = 0;
  int64_t max_source_positions = 1500, max_target_positions = 448;

  /// The first of the tokens that stand for a time; beyond the vocabulary where there is none.
  [[nodiscard]] int64_t timestamp_begin() const {
    return no_timestamps_token_id ? *no_timestamps_token_id + 1 : vocab_size + 1;
  }
  /// Frames of the spectrogram that the encoder takes; two make a position.
  [[nodiscard]] int64_t segment_frames() const { return max_source_positions * kStride; }
  static constexpr int64_t kStride = 2;

  /// Errors: Error{invalid_config} that names file and key.
  static Settings read(const nlohmann::ordered_json& generation_config, const nlohmann::ordered_json& config);
};

}  // namespace ferry::whisper
