#include "ferry/feature_extractor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/file.h"
#include "processors/feature_recipe.h"
#include "processors/preprocessor_config.h"

namespace ferry {

namespace processors {
namespace {
using Recipe = FeatureExtractor::Recipe;
using Recordings = std::span<const std::vector<float>>;

struct Range {
  size_t begin = 0, end = 0;
};

// Where a recording lies in its row.
Range place(size_t length, size_t row, const Recipe& recipe) {
  length = std::min(length, row);
  return recipe.pad_left ? Range{row - length, row} : Range{0, length};
}

size_t longest(Recordings recordings) {
  size_t out = 0;
  for (const auto& recording : recordings) out = std::max(out, recording.size());
  return out;
}

// In eight sums: one alone would wait for itself.
template <typename Term>
double sum_of(std::span<const float> values, const Term& term) {
  double sums[8] = {};
  size_t i = 0;
  for (; i + 8 <= values.size(); i += 8) {
    for (size_t j = 0; j < 8; ++j) sums[j] += term(values[i + j]);
  }
  for (; i < values.size(); ++i) sums[0] += term(values[i]);
  return std::accumulate(std::begin(sums), std::end(sums), 0.0);
}

// Mean 0 and variance 1 over `range`; what lies outside is left.
void normalize(std::span<float> row, Range range) {
  const auto values = row.subspan(range.begin, range.end - range.begin);
  const auto count = static_cast<double>(values.size());
  const double mean = sum_of(values, [](double value) { return value; }) / count;
  const double squares = sum_of(values, [&](double value) { return (value - mean) * (value - mean); });
  const auto centre = static_cast<float>(mean);
  const auto deviation = static_cast<float>(std::sqrt(squares / count + 1e-7));
  for (float& value : values) value = (value - centre) / deviation;
}

HostTensor fill_rows(Recordings recordings, size_t row, const Recipe& recipe) {
  HostTensor out =
      HostTensor::zeros(DType::f32, {static_cast<int64_t>(recordings.size()), static_cast<int64_t>(row)});
  const auto values = out.as<float>();
  if (recipe.padding_value != 0) std::fill(values.begin(), values.end(), recipe.padding_value);
  for (size_t i = 0; i < recordings.size(); ++i) {
    const Range range = place(recordings[i].size(), row, recipe);
    std::copy_n(recordings[i].data(), range.end - range.begin, values.data() + i * row + range.begin);
  }
  return out;
}

// 1 where there is sound, every `step` samples.
HostTensor mask_of(Recordings recordings, size_t row, size_t step, const Recipe& recipe) {
  const size_t width = row / step;
  HostTensor out =
      HostTensor::zeros(DType::i64, {static_cast<int64_t>(recordings.size()), static_cast<int64_t>(width)});
  const auto values = out.as<int64_t>();
  for (size_t i = 0; i < recordings.size(); ++i) {
    const Range range = place(recordings[i].size(), row, recipe);
    for (size_t t = 0; t < width; ++t)
      values[i * width + t] = t * step >= range.begin && t * step < range.end ? 1 : 0;
  }
  return out;
}

BatchFeature wav2vec2(Recordings recordings, bool mask, const Recipe& recipe) {
  const size_t row = longest(recordings);
  BatchFeature out;
  HostTensor values = fill_rows(recordings, row, recipe);
  for (size_t i = 0; recipe.do_normalize && i < recordings.size(); ++i) {
    // Without a mask transformers counts the padding in.
    const Range range = mask ? place(recordings[i].size(), row, recipe) : Range{0, row};
    normalize(values.as<float>().subspan(i * row, row), range);
  }
  out.emplace("input_values", std::move(values));
  if (mask) out.emplace("attention_mask", mask_of(recordings, row, 1, recipe));
  return out;
}

BatchFeature whisper(Recordings recordings, bool mask, bool whole, const Recipe& recipe) {
  const size_t row = whole ? longest(recordings) : recipe.n_samples;
  const LogMel& log_mel = recipe.log_mel;
  if (row <= log_mel.n_fft / 2 || row < log_mel.hop_length) {
    throw Error(ErrorCode::usage,
                fmt::format("{}: a recording of {} samples is too short", recipe.type, row));
  }
  const size_t frames = row / log_mel.hop_length, mels = log_mel.filters.size();
  constexpr size_t kMostFrames = size_t{1} << 21;
  if (frames > kMostFrames) {
    throw Error(ErrorCode::usage,
                fmt::format("{}: {} samples are more than {} frames", recipe.type, row, kMostFrames));
  }
  const HostTensor samples = fill_rows(recordings, row, recipe);
  HostTensor features = HostTensor::zeros(
      DType::f32,
      {static_cast<int64_t>(recordings.size()), static_cast<int64_t>(mels), static_cast<int64_t>(frames)});
  for (size_t i = 0; i < recordings.size(); ++i)
    log_mel(samples.as<float>().subspan(i * row, row), features.as<float>().data() + i * mels * frames);
  BatchFeature out;
  out.emplace("input_features", std::move(features));
  if (mask) out.emplace("attention_mask", mask_of(recordings, row, log_mel.hop_length, recipe));
  return out;
}

// The frames of one recording, [frames, mels].
std::vector<float> frames_of(std::span<const float> recording, const Recipe& recipe) {
  std::vector<float> out(Fbank::frames(recording.size()) * recipe.fbank.filters.size());
  if (out.empty()) {
    throw Error(ErrorCode::usage,
                fmt::format("{}: a recording of {} samples is too short", recipe.type, recording.size()));
  }
  recipe.fbank(recording, out.data());
  return out;
}

// max_length frames, zeros where a recording has ended.
BatchFeature ast(Recordings recordings, const Recipe& recipe) {
  const size_t mels = recipe.fbank.filters.size(), volume = recipe.max_length * mels;
  HostTensor values =
      HostTensor::zeros(DType::f32, {static_cast<int64_t>(recordings.size()),
                                     static_cast<int64_t>(recipe.max_length), static_cast<int64_t>(mels)});
  for (size_t i = 0; i < recordings.size(); ++i) {
    const auto frames = frames_of(recordings[i], recipe);
    std::copy_n(frames.begin(), std::min(frames.size(), volume), values.as<float>().data() + i * volume);
  }
  const auto mean = static_cast<float>(recipe.mean), deviation = static_cast<float>(recipe.std * 2);
  if (recipe.do_normalize) {
    for (float& value : values.as<float>()) value = (value - mean) / deviation;
  }
  BatchFeature out;
  out.emplace("input_values", std::move(values));
  return out;
}

// numpy's sum of f32: in eight sums, and halves beyond 128. Where a band hardly changes, its rounding shows.
float pairwise_sum(std::span<const float> values) {
  const size_t count = values.size();
  if (count > 128) {
    const size_t half = count / 2 / 8 * 8;
    return pairwise_sum(values.first(half)) + pairwise_sum(values.subspan(half));
  }
  if (count < 8) return std::accumulate(values.begin(), values.end(), 0.0f);
  float s[8] = {};
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (size_t j = 0; j < 8; ++j) s[j] = i == 0 ? values[j] : s[j] + values[i + j];
  }
  float out = ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
  for (; i < count; ++i) out += values[i];
  return out;
}

// Each band of [frames, mels] to mean 0 and variance 1, as samples of a larger whole (ddof=1).
void normalize_bands(std::span<float> frames, size_t mels) {
  const size_t count = frames.size() / mels;
  std::vector<float> band(count), squares(count);
  for (size_t m = 0; m < mels; ++m) {
    for (size_t t = 0; t < count; ++t) band[t] = frames[t * mels + m];
    const float mean = pairwise_sum(band) / static_cast<float>(count);
    for (size_t t = 0; t < count; ++t) squares[t] = (band[t] - mean) * (band[t] - mean);
    const float variance = pairwise_sum(squares) / static_cast<float>(count - 1);
    const float deviation = std::sqrt(variance + 1e-7f);
    for (size_t t = 0; t < count; ++t) frames[t * mels + m] = (band[t] - mean) / deviation;
  }
}

// Filled to the longest, `stride` frames side by side.
BatchFeature seamless(Recordings recordings, bool mask, const Recipe& recipe) {
  const size_t mels = recipe.fbank.filters.size(), stride = recipe.stride;
  // Filled to an even number first, then cut to whole strides.
  const size_t row = (Fbank::frames(longest(recordings)) + 1) / 2 * 2 / stride;
  const auto batch = static_cast<int64_t>(recordings.size()), width = static_cast<int64_t>(row);
  if (row == 0 ||
      Fbank::frames(std::min_element(recordings.begin(), recordings.end(), [](const auto& a, const auto& b) {
                      return a.size() < b.size();
                    })->size()) < 2) {
    throw Error(ErrorCode::usage, recipe.type + ": a recording is too short");
  }
  HostTensor features = HostTensor::zeros(DType::f32, {batch, width, static_cast<int64_t>(mels * stride)});
  HostTensor heard = HostTensor::zeros(DType::i64, {batch, width});
  std::fill(features.as<float>().begin(), features.as<float>().end(), recipe.padding_value);
  for (size_t i = 0; i < recordings.size(); ++i) {
    auto frames = frames_of(recordings[i], recipe);
    normalize_bands(frames, mels);
    const size_t volume = row * mels * stride, count = frames.size() / mels;
    const size_t skipped = recipe.pad_left ? volume - std::min(volume, frames.size()) : 0;
    std::copy_n(frames.begin(), std::min(frames.size(), volume),
                features.as<float>().data() + i * volume + skipped);
    const size_t first = skipped / mels;
    for (size_t t = 0; t < row; ++t) {
      const size_t last = t * stride + (stride > 1 ? 1 : 0);
      heard.as<int64_t>()[i * row + t] = last >= first && last < first + count ? 1 : 0;
    }
  }
  BatchFeature out;
  out.emplace("input_features", std::move(features));
  if (mask) out.emplace("attention_mask", std::move(heard));
  return out;
}

}  // namespace
}  // namespace processors

BatchFeature FeatureExtractor::operator()(std::span<const std::vector<float>> recordings,
                                          const FeatureExtractorOptions& options) const {
  if (recordings.empty()) throw Error(ErrorCode::usage, recipe_->type + ": there is no recording");
  for (const auto& recording : recordings) {
    if (recording.empty()) throw Error(ErrorCode::usage, recipe_->type + ": a recording is empty");
  }
  const bool mask = options.return_attention_mask.value_or(recipe_->return_attention_mask);
  if (recipe_->n_samples > 0) return processors::whisper(recordings, mask, options.whole, *recipe_);
  if (recipe_->fbank.filters.empty()) return processors::wav2vec2(recordings, mask, *recipe_);
  return recipe_->max_length > 0 ? processors::ast(recordings, *recipe_)
                                 : processors::seamless(recordings, mask, *recipe_);
}

uint32_t FeatureExtractor::sampling_rate() const {
  return recipe_->sampling_rate;
}
size_t FeatureExtractor::n_samples() const {
  return recipe_->n_samples;
}
size_t FeatureExtractor::hop_length() const {
  return recipe_->n_samples == 0 ? 0 : recipe_->log_mel.hop_length;
}
const std::string& FeatureExtractor::type() const {
  return recipe_->type;
}

FeatureExtractor AutoFeatureExtractor::from_json(std::string_view preprocessor_config,
                                                 std::string_view config) {
  return FeatureExtractor(std::make_shared<const FeatureExtractor::Recipe>(
      processors::read_feature_recipe(preprocessor_config, config)));
}

FeatureExtractor AutoFeatureExtractor::from_pretrained(const std::filesystem::path& folder) {
  const auto config = processors::read_preprocessor_config(folder);
  return from_json(config.preprocessor, config.model);
}

}  // namespace ferry
