#include "processors/feature_recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "processors/settings.h"
#include "processors/spectrum.h"

namespace ferry::processors {
namespace {
using Json = nlohmann::ordered_json;
using Recipe = FeatureExtractor::Recipe;

constexpr std::string_view kWav2Vec2 = "Wav2Vec2FeatureExtractor", kWhisper = "WhisperFeatureExtractor",
                           kAst = "ASTFeatureExtractor", kSeamless = "SeamlessM4TFeatureExtractor";
// The classes, and the model types that have them where none is named.
constexpr std::pair<std::string_view, std::string_view> kClasses[] = {
    {kAst, "audio-spectrogram-transformer"},
    {kSeamless, "seamless_m4t seamless_m4t_v2 wav2vec2-bert"},
    {kWav2Vec2,
     "data2vec-audio hubert mctct moonshine sew sew-d unispeech unispeech-sat wav2vec2 wav2vec2-conformer "
     "wavlm"},
    {kWhisper, "whisper"}};

std::string class_name(const Settings& settings, std::string_view config) {
  std::string name = settings.text("feature_extractor_type");
  if (!name.empty()) return name;
  const Json model = config.empty() ? Json::object() : parse_json(config, "config.json");
  const std::string type =
      model.is_object() && model.contains("model_type") && model.at("model_type").is_string()
          ? model.at("model_type").get<std::string>()
          : "";
  for (const auto& [known, types] : kClasses) {
    const auto names = split(types, ' ');
    if (!type.empty() && std::find(names.begin(), names.end(), type) != names.end())
      return std::string(known);
  }
  return type.empty() ? "(no feature_extractor_type)" : "of " + type;
}

void read_whisper(const Settings& settings, Recipe& out) {
  if (settings.number("dither", 0) != 0) settings.refuse("dither", "0: results would be random");
  const int64_t n_fft = settings.integer("n_fft", 400, 2, 1 << 13);
  const int64_t mels = settings.integer("feature_size", 80, 1, 1024);
  const int64_t seconds = settings.integer("chunk_length", 30, 1, 600);
  if (seconds * int64_t{out.sampling_rate} > (1 << 26))
    settings.refuse("chunk_length", "fewer samples than 2^26");
  out.n_samples = static_cast<size_t>(seconds) * out.sampling_rate;
  out.log_mel.n_fft = static_cast<size_t>(n_fft);
  out.log_mel.hop_length = static_cast<size_t>(settings.integer("hop_length", 160, 1, n_fft));
  out.log_mel.filters =
      slaney_mel_filters(static_cast<size_t>(n_fft / 2 + 1), static_cast<size_t>(mels), out.sampling_rate);
}

void read_fbank(const Settings& settings, bool seamless, Recipe& out) {
  const int64_t mels = settings.integer("num_mel_bins", seamless ? 80 : 128, 1, 1024);
  out.fbank.window = hann_window(Fbank::kFrame, Fbank::kFrame - 1);
  out.fbank.filters = kaldi_mel_filters(Fbank::kFft / 2 + 1, static_cast<size_t>(mels), out.sampling_rate);
  if (seamless) {  // The "povey" window; samples as 16-bit numbers.
    for (double& value : out.fbank.window) value = std::pow(value, 0.85);
    out.fbank.scale = 32768;
    out.stride = static_cast<size_t>(settings.integer("stride", 2, 1, 64));
    out.return_attention_mask = true;
    return;
  }
  out.max_length = static_cast<size_t>(settings.integer("max_length", 1024, 1, 1 << 20));
  out.do_normalize = settings.boolean("do_normalize", true);
  out.mean = settings.number("mean", -4.2677393);
  out.std = settings.number("std", 4.5689974);
  if (out.std == 0) settings.refuse("std", "a number other than zero");
}

}  // namespace

Recipe read_feature_recipe(std::string_view preprocessor_config, std::string_view config) {
  Json json = parse_json(preprocessor_config, "preprocessor_config.json");
  if (json.is_object() && json.contains("feature_extractor") && json.at("feature_extractor").is_object())
    json = Json(json.at("feature_extractor"));
  const Settings settings(json);
  Recipe out;
  out.type = class_name(settings, config);
  out.sampling_rate = static_cast<uint32_t>(settings.integer("sampling_rate", 16000, 1, 768'000));
  out.padding_value = static_cast<float>(settings.number("padding_value", 0));
  out.return_attention_mask = settings.boolean("return_attention_mask", false);
  const std::string side = settings.text("padding_side");
  if (!side.empty() && side != "left" && side != "right") settings.refuse("padding_side", "left or right");
  out.pad_left = side == "left";
  if (out.type == kWav2Vec2) {
    out.do_normalize = settings.boolean("do_normalize", true);
    if (settings.integer("feature_size", 1, 1, 1 << 16) != 1) settings.refuse("feature_size", "1");
  } else if (out.type == kWhisper) {
    read_whisper(settings, out);
  } else if (out.type == kAst || out.type == kSeamless) {
    read_fbank(settings, out.type == kSeamless, out);
  } else {
    std::vector<std::string> known;
    for (const auto& [name, types] : kClasses) known.emplace_back(name);
    throw Error(
        ErrorCode::unsupported,
        fmt::format("preprocessor_config.json: the feature extractor {} is not built", printable(out.type)))
        .with_hint("there are " + join(known));
  }
  return out;
}

}  // namespace ferry::processors
