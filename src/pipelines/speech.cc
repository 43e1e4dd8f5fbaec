#include "pipelines/speech.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace ferry::pipelines {

size_t rounded_half_even(double value) {
  return static_cast<size_t>(std::nearbyint(value));
}

std::vector<SpeechChunk> speech_chunks(size_t samples, const SpeechRecognitionOptions& options, size_t align,
                                       uint32_t rate) {
  if (options.chunk_length_s == 0) return {{0, samples, 0, 0}};
  const auto aligned = [&](double seconds) {
    return rounded_half_even(seconds * rate / static_cast<double>(align)) * align;
  };
  const double sixth = options.chunk_length_s / 6;
  const auto [left_s, right_s] = options.stride_length_s.value_or(std::pair(sixth, sixth));
  const bool possible = options.chunk_length_s > 0 && options.chunk_length_s < 1e6 && left_s >= 0 &&
                        right_s >= 0 && left_s < 1e6 && right_s < 1e6;
  const size_t length = possible ? aligned(options.chunk_length_s) : 0;
  const size_t left = possible ? aligned(left_s) : 0, right = possible ? aligned(right_s) : 0;
  if (!possible || length <= left + right)
    throw Error(ErrorCode::usage, "chunk_length_s must be longer than both of stride_length_s together");
  std::vector<SpeechChunk> out;
  for (size_t begin = 0; begin < samples; begin += length - left - right) {
    const bool last = begin + length >= samples;
    const SpeechChunk chunk = {begin, std::min(begin + length, samples), begin == 0 ? 0 : left,
                               last ? 0 : right};
    if (chunk.end - chunk.begin > chunk.left) out.push_back(chunk);
    if (last) break;
  }
  return out;
}

SpeechRecognitionOptions read_speech_options(std::string_view task, OptionReader& reader) {
  SpeechRecognitionOptions out;
  Json stride, timestamps;
  reader.read("chunk_length_s", out.chunk_length_s);
  reader.read("stride_length_s", stride);
  reader.read("return_timestamps", timestamps);
  reader.read("return_language", out.return_language);
  if (timestamps.is_string()) out.return_timestamps = timestamps.get<std::string>();
  if (timestamps.is_boolean() && timestamps.get<bool>()) out.return_timestamps = "true";
  if (!timestamps.is_null() && !timestamps.is_string() && !timestamps.is_boolean())
    refuse(task, "return_timestamps is neither true nor the name of a unit");
  if (stride.is_number()) out.stride_length_s = {stride.get<double>(), stride.get<double>()};
  if (stride.is_array() && stride.size() == 2 && stride[0].is_number() && stride[1].is_number())
    out.stride_length_s = {stride[0].get<double>(), stride[1].get<double>()};
  if (!stride.is_null() && !out.stride_length_s) refuse(task, "stride_length_s is neither a number nor two");
  return out;
}

Json transcription_json(const Transcription& result, const SpeechRecognitionOptions& options) {
  Json out = {{"text", result.text}};
  if (options.return_timestamps.empty() && !options.return_language) return out;
  const auto or_null = [](const auto& value) { return value ? Json(*value) : Json(nullptr); };
  out["chunks"] = Json::array();
  for (const auto& chunk : result.chunks) {
    Json one = Json::object();
    if (options.return_language) one["language"] = or_null(chunk.language);
    if (!options.return_timestamps.empty())
      one["timestamp"] = Json::array({or_null(chunk.start), or_null(chunk.end)});
    one["text"] = chunk.text;
    out["chunks"].push_back(std::move(one));
  }
  return out;
}

}  // namespace ferry::pipelines
