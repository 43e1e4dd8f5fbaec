#pragma once
// From Whisper's tokens to text with times: what WhisperTokenizer._decode_asr of transformers does.
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace ferry::pipelines {

/// What the tokens mean.
struct WhisperVocabulary {
  int64_t timestamp_begin = 0;       ///< The token of 0.00 s; those after it count on.
  int64_t start_of_previous = -1;    ///< Begins a prompt, which is no part of the text.
  int64_t start_of_transcript = -1;  ///< Ends it.
  std::set<int64_t> special_ids;
  std::function<std::string(std::span<const int64_t>)> decode;
};

/// What was heard in one part of a recording.
struct HeardTokens {
  std::vector<int64_t> ids;
  /// Seconds: the part's length, and how much of it the neighbours hear, too.
  struct Stride {
    double length = 0, left = 0, right = 0;
  };
  std::optional<Stride> stride;
};

struct WhisperChunk {
  std::optional<std::string> language;  ///< "english"
  std::optional<double> start, end;     ///< Seconds; nothing where the model gave none.
  std::string text;
};

/// The chunks between timestamps, in order; without timestamps one a language. `time_precision` are the
/// seconds from one timestamp token to the next.
std::vector<WhisperChunk> whisper_chunks(std::span<const HeardTokens> parts,
                                         const WhisperVocabulary& vocabulary, bool timestamps,
                                         double time_precision);

}  // namespace ferry::pipelines
