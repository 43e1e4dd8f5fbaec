#pragma once
// What the pipelines of speech recognition share.
#include "ferry/audio.h"
#include "pipelines/runner.h"

namespace ferry::pipelines {

/// Python's int(round(x)).
size_t rounded_half_even(double value);

/// A part of a recording, and how much of it the neighbours hear, too. Samples.
struct SpeechChunk {
  size_t begin = 0, end = 0;
  size_t left = 0, right = 0;
};
/// Chunks whose lengths are multiples of `align` samples; one if the options ask for none. Errors:
/// Error{usage}.
std::vector<SpeechChunk> speech_chunks(size_t samples, const SpeechRecognitionOptions& options, size_t align,
                                       uint32_t rate);

/// chunk_length_s, stride_length_s, return_timestamps and return_language.
SpeechRecognitionOptions read_speech_options(std::string_view task, OptionReader& reader);
Json transcription_json(const Transcription& result, const SpeechRecognitionOptions& options);

/// The runner of a folder with Whisper in it.
std::shared_ptr<Pipeline::Runner> whisper_recognition(std::string_view folder, const LoadOptions& options);

}  // namespace ferry::pipelines
