// Source: transformers 4.57.6, generation/logits_process.py, WhisperTimeStampLogitsProcessor.
#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/whisper/transcribe.h"

namespace ferry::whisper {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

void forbid(std::span<float> scores, int64_t begin, int64_t end) {
  const auto size = static_cast<int64_t>(scores.size());
  for (int64_t i = std::clamp<int64_t>(begin, 0, size); i < std::min(end, size); ++i)
    scores[static_cast<size_t>(i)] = kNever;
}

// log of the sum of exponentials; -inf of nothing.
double log_sum(std::span<const float> scores) {
  if (scores.empty()) return kNever;
  const float most = *std::max_element(scores.begin(), scores.end());
  if (most == kNever) return kNever;
  double sum = 0;
  for (const float score : scores) sum += std::exp(static_cast<double>(score) - most);
  return most + std::log(sum);
}

}  // namespace

void apply_timestamp_rules(const Settings& settings, std::span<const int64_t> generated,
                           std::span<float> scores) {
  const int64_t begin = settings.timestamp_begin(), end = static_cast<int64_t>(scores.size());
  const auto is_time = [&](int64_t id) { return id >= begin; };
  forbid(scores, begin - 1, begin);  // <|notimestamps|>
  const bool last = !generated.empty() && is_time(generated.back());
  const bool before_last = generated.size() < 2 || is_time(generated[generated.size() - 2]);
  if (last && before_last) forbid(scores, begin, end);
  if (last && !before_last) forbid(scores, 0, settings.eos_token_id);
  const auto latest = std::find_if(generated.rbegin(), generated.rend(), is_time);
  // A time that ends a segment may be repeated to begin the next.
  if (latest != generated.rend()) forbid(scores, begin, last && !before_last ? *latest : *latest + 1);
  if (generated.empty()) {
    forbid(scores, 0, begin);
    if (settings.max_initial_timestamp_index)
      forbid(scores, begin + *settings.max_initial_timestamp_index + 1, end);
  }
  if (begin >= end) return;
  const auto words = scores.first(static_cast<size_t>(begin));
  const float best_word = *std::max_element(words.begin(), words.end());
  if (log_sum(scores.subspan(static_cast<size_t>(begin))) > best_word) forbid(scores, 0, begin);
}

}  // namespace ferry::whisper
