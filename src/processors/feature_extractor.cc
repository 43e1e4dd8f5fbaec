#include "ferry/feature_extractor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "processors/log_mel.h"
#include "processors/settings.h"

namespace ferry {

struct FeatureExtractor::Recipe {
  std::string type;
  uint32_t sampling_rate = 16000;
  float padding_value = 0;
  bool pad_left = false;
  bool do_normalize = true;
  bool return_attention_mask = false;
  size_t n_samples = 0;  ///< Whisper's.
  processors::LogMel log_mel;
};

namespace processors {
namespace {
using Json = nlohmann::ordered_json;
using Recipe = FeatureExtractor::Recipe;
using Recordings = std::span<const std::vector<float>>;

constexpr std::string_view kWav2Vec2 = "Wav2Vec2FeatureExtractor", kWhisper = "WhisperFeatureExtractor";
constexpr std::string_view kWav2Vec2Types[] = {
    "data2vec-audio",     "hubert", "sew",   "sew-d",    "unispeech", "unispeech-sat", "wav2vec2",
    "wav2vec2-conformer", "wavlm",  "mctct", "moonshine"};

std::string class_name(const Settings& settings, std::string_view config) {
  std::string name = settings.text("feature_extractor_type");
  if (!name.empty()) return name;
  const Json model = config.empty() ? Json::object() : parse_json(config, "config.json");
  const std::string type =
      model.is_object() && model.contains("model_type") && model.at("model_type").is_string()
          ? model.at("model_type").get<std::string>()
          : "";
  if (type == "whisper") return std::string(kWhisper);
  if (std::find(std::begin(kWav2Vec2Types), std::end(kWav2Vec2Types), type) != std::end(kWav2Vec2Types))
    return std::string(kWav2Vec2);
  return type.empty() ? "(no feature_extractor_type)" : "of " + type;
}

Recipe read_feature_recipe(std::string_view preprocessor_config, std::string_view config) {
  Json json = parse_json(preprocessor_config, "preprocessor_config.json");
  if (json.is_object() && json.contains("feature_extractor") && json.at("feature_extractor").is_object())
    json = Json(json.at("feature_extractor"));
  const Settings settings(json);
  Recipe out;
  out.type = class_name(settings, config);
  if (out.type != kWav2Vec2 && out.type != kWhisper) {
    throw Error(
        ErrorCode::unsupported,
        fmt::format("preprocessor_config.json: the feature extractor {} is not built", printable(out.type)))
        .with_hint(fmt::format("there are {} and {}", kWav2Vec2, kWhisper));
  }
  out.sampling_rate = static_cast<uint32_t>(settings.integer("sampling_rate", 16000, 1, 768'000));
  out.padding_value = static_cast<float>(settings.number("padding_value", 0));
  out.return_attention_mask = settings.boolean("return_attention_mask", false);
  const std::string side = settings.text("padding_side");
  if (!side.empty() && side != "left" && side != "right") settings.refuse("padding_side", "left or right");
  out.pad_left = side == "left";
  if (out.type == kWav2Vec2) {
    out.do_normalize = settings.boolean("do_normalize", true);
    if (settings.integer("feature_size", 1, 1, 1 << 16) != 1) settings.refuse("feature_size", "1");
    return out;
  }
  if (settings.number("dither", 0) != 0) settings.refuse("dither", "0: results would be random");
  const int64_t n_fft = settings.integer("n_fft", 400, 2, 1 << 13);
  const int64_t mels = settings.integer("feature_size", 80, 1, 1024);
  const int64_t seconds = settings.integer("chunk_length", 30, 1, 600);
  if (seconds * int64_t{out.sampling_rate} > (1 << 26))
    settings.refuse("chunk_length", "fewer samples than 2^26");
  out.do_normalize = false;
  out.n_samples = static_cast<size_t>(seconds) * out.sampling_rate;
  out.log_mel.n_fft = static_cast<size_t>(n_fft);
  out.log_mel.hop_length = static_cast<size_t>(settings.integer("hop_length", 160, 1, n_fft));
  out.log_mel.filters =
      slaney_mel_filters(static_cast<size_t>(n_fft / 2 + 1), static_cast<size_t>(mels), out.sampling_rate);
  return out;
}

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

}  // namespace
}  // namespace processors

BatchFeature FeatureExtractor::operator()(std::span<const std::vector<float>> recordings,
                                          const FeatureExtractorOptions& options) const {
  if (recordings.empty()) throw Error(ErrorCode::usage, recipe_->type + ": there is no recording");
  for (const auto& recording : recordings) {
    if (recording.empty()) throw Error(ErrorCode::usage, recipe_->type + ": a recording is empty");
  }
  const bool mask = options.return_attention_mask.value_or(recipe_->return_attention_mask);
  return recipe_->n_samples == 0 ? processors::wav2vec2(recordings, mask, *recipe_)
                                 : processors::whisper(recordings, mask, options.whole, *recipe_);
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
  constexpr uint64_t kMost = 16u << 20;
  const auto config = folder / "config.json";
  const std::string model = ferry::is_regular_file(config) ? read_text(config, kMost) : "";
  for (const char* name : {"preprocessor_config.json", "processor_config.json"}) {
    if (ferry::is_regular_file(folder / name)) return from_json(read_text(folder / name, kMost), model);
  }
  throw Error(ErrorCode::not_found,
              fmt::format("there is no preprocessor_config.json in {}", folder.string()));
}

}  // namespace ferry
