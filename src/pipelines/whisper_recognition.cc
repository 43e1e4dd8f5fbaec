// Source: transformers 4.57.6, pipelines/automatic_speech_recognition.py, for models of type
// "seq2seq_whisper".
#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "ferry/speech.h"
#include "pipelines/media.h"
#include "pipelines/registry.h"
#include "pipelines/speech.h"
#include "pipelines/whisper_text.h"
#include "runtime/whisper/fallback.h"
#include "runtime/whisper/transcribe.h"

namespace ferry {
namespace {
using namespace pipelines;  // NOLINT: what runners are written with.

WhisperVocabulary vocabulary_of(const Tokenizer& tokenizer) {
  const auto id = [&](const char* token) {
    const auto found = tokenizer.token_to_id(token);
    return found ? int64_t{*found} : int64_t{-1};
  };
  WhisperVocabulary out;
  if (id("<|notimestamps|>") < 0)
    throw Error(ErrorCode::invalid_config, "the tokenizer has no <|notimestamps|>: it is not Whisper's");
  out.timestamp_begin = id("<|notimestamps|>") + 1;
  out.start_of_previous = id("<|startofprev|>");
  out.start_of_transcript = id("<|startoftranscript|>");
  for (const uint32_t special : tokenizer.all_special_ids()) out.special_ids.insert(special);
  out.decode = [&tokenizer](std::span<const int64_t> ids) {
    return tokenizer.decode(std::vector<uint32_t>(ids.begin(), ids.end()));
  };
  return out;
}

// Seconds from one timestamp to the next: a window over the encoder's positions.
double time_precision(const FeatureExtractor& extractor, const std::string& config_json) {
  const Json config = parse_json(config_json, "config.json");
  const auto positions = config.find("max_source_positions");
  const bool given =
      positions != config.end() && positions->is_number_unsigned() && positions->get<uint64_t>() > 0;
  const auto window = static_cast<double>(extractor.n_samples()) / extractor.sampling_rate();
  return window / static_cast<double>(given ? positions->get<uint64_t>() : 1500);
}

Json json_file(const std::filesystem::path& file) {
  return ferry::is_regular_file(file) ? read_json(file) : Json::object();
}

ModelInputs window_inputs(const HostTensor& window, const std::vector<int64_t>& prompt) {
  ModelInputs out;
  out.set("input_features", window);
  out.set("decoder_input_ids", HostTensor::i64({1, static_cast<int64_t>(prompt.size())}, prompt));
  return out;
}

// The model's ears: generate() with Whisper's rules where there are timestamps.
whisper::Hearing hearing_of(const ORTModelForSpeechSeq2Seq& model, const GenerationConfig& config,
                            const whisper::Settings& settings) {
  whisper::Hearing out;
  out.generate = [&](const HostTensor& window, const std::vector<int64_t>& prompt,
                     const whisper::Attempt& attempt) {
    GenerationConfig tried = config;
    tried.do_sample = attempt.temperature.value_or(0) > 0;
    tried.temperature = tried.do_sample ? *attempt.temperature : 1;
    if (attempt.one_beam) tried.num_beams = 1;
    whisper::Likelihood likelihood(tried.temperature, tried.eos_token_id);
    GenerateOptions options;
    if (attempt.measured) {
      options.observer = [&likelihood, begin = prompt.size()](const Hypothesis& row,
                                                              std::span<const float> scores) {
        likelihood.observe(row.ids.subspan(begin), scores);
      };
    }
    if (attempt.timestamps) {
      options.logits_processor.emplace_back(
          [&settings, begin = prompt.size()](const Hypothesis& row, std::span<float> scores) {
            whisper::apply_timestamp_rules(settings, row.ids.subspan(begin), scores);
          });
    }
    auto ids = model.generate(window_inputs(window, prompt), tried, options).sequences.at(0);
    ids.erase(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(prompt.size()));
    const double mean = attempt.measured ? likelihood.mean(ids) : 0;
    return whisper::Said{std::move(ids), mean};
  };
  out.next_scores = [&](const HostTensor& window, const std::vector<int64_t>& prompt) {
    std::vector<float> scores;
    GenerateOptions options;
    options.logits_processor.emplace_back(
        [&](const Hypothesis&, std::span<float> given) { scores.assign(given.begin(), given.end()); });
    GenerationConfig one;
    one.max_new_tokens = 1;
    static_cast<void>(model.generate(window_inputs(window, prompt), one, options));
    return scores;
  };
  return out;
}

// Options of generate() that are Whisper's own, taken out of the others.
WhisperOptions take_whisper_options(std::string_view task, Json& settings) {
  WhisperOptions out;
  const auto take_text = [&](const char* name, std::string& to) {
    const auto found = settings.find(name);
    if (found == settings.end()) return;
    if (!found->is_string() && !found->is_null()) refuse(task, fmt::format("{} is no text", name));
    if (found->is_string()) to = found->get<std::string>();
    settings.erase(name);
  };
  const auto number_of = [&](const char* name, const Json& value) {
    if (!value.is_number()) refuse(task, fmt::format("{} is no number", name));
    return value.get<double>();
  };
  const auto take_number = [&](const char* name, std::optional<double>& to) {
    const auto found = settings.find(name);
    if (found == settings.end()) return;
    if (!found->is_null()) to = number_of(name, *found);
    settings.erase(name);
  };
  take_number("compression_ratio_threshold", out.compression_ratio_threshold);
  take_number("logprob_threshold", out.logprob_threshold);
  take_number("no_speech_threshold", out.no_speech_threshold);
  if (const auto found = settings.find("temperature"); found != settings.end()) {
    const Json list = found->is_array() ? *found : found->is_null() ? Json::array() : Json::array({*found});
    for (const Json& value : list) out.temperature.push_back(number_of("temperature", value));
    for (const double value : out.temperature) {
      if (!(value >= 0 && value <= 100)) refuse(task, "a temperature is out of range: 0 to 100");
    }
    settings.erase("temperature");
  }
  take_text("language", out.language);
  take_text("task", out.task);
  if (const auto found = settings.find("condition_on_prev_tokens"); found != settings.end()) {
    if (!found->is_boolean()) refuse(task, "condition_on_prev_tokens is not true or false");
    out.condition_on_prev_tokens = found->get<bool>();
    settings.erase("condition_on_prev_tokens");
  }
  return out;
}

struct WhisperRunner final : Pipeline::Runner {
  explicit WhisperRunner(WhisperPipeline made) : pipeline(std::move(made)) {}
  Json run(const Json& input, const Json& given) const override {
    OptionReader reader(task, given);
    const auto options = read_speech_options(task, reader);
    Json settings = Json::object();
    reader.read("generate_kwargs", settings);
    if (!settings.is_object()) refuse(task, "generate_kwargs is no object");
    for (const char* name : {"language", "task", "max_new_tokens", "num_beams"}) {
      Json value;
      reader.read(name, value);
      if (!value.is_null()) settings[name] = value;
    }
    reader.check();
    const WhisperOptions whisper = take_whisper_options(task, settings);
    GenerationConfig config = pipeline.default_config();
    const auto unknown = config.update(settings.dump(), "generate_kwargs");
    if (!unknown.empty()) refuse(task, "generate_kwargs has no " + join(unknown));
    return transcription_json(pipeline(audio_of(task, input), options, config, whisper), options);
  }
  WhisperPipeline pipeline;
};

}  // namespace

WhisperPipeline::WhisperPipeline(FeatureExtractor extractor, Tokenizer tokenizer,
                                 ORTModelForSpeechSeq2Seq model)
    : extractor_(std::move(extractor)),
      tokenizer_(std::move(tokenizer)),
      model_(std::move(model)),
      settings_(std::make_shared<const whisper::Settings>(
          whisper::Settings::read(json_file(model_.folder() / "generation_config.json"),
                                  parse_json(model_.config_json(), "config.json")))) {
  if (extractor_.n_samples() == 0)
    throw Error(ErrorCode::invalid_config, extractor_.type() + " is not Whisper's feature extractor");
}

GenerationConfig WhisperPipeline::default_config() const {
  GenerationConfig out = model_.generation_config();
  if (out.num_beams == 1) out.num_beams = 5;
  constexpr int64_t kGlobalDefault = 20;
  if (!out.max_new_tokens && (!out.max_length || *out.max_length == kGlobalDefault)) out.max_new_tokens = 256;
  return out;
}

Transcription WhisperPipeline::operator()(const Audio& audio, const SpeechRecognitionOptions& options,
                                          const GenerationConfig& config, const WhisperOptions& given) const {
  const std::string& wanted = options.return_timestamps;
  if (!wanted.empty() && wanted != "true") {
    throw Error(ErrorCode::unsupported, "return_timestamps of Whisper is true: times of " +
                                            printable(wanted) +
                                            "s need attentions, which exported graphs do not give");
  }
  whisper::TranscribeOptions asked = {given.language,
                                      given.task,
                                      given.return_timestamps,
                                      given.condition_on_prev_tokens,
                                      config.max_new_tokens,
                                      given.temperature,
                                      given.compression_ratio_threshold,
                                      given.logprob_threshold,
                                      given.no_speech_threshold};
  if (!wanted.empty()) asked.return_timestamps = true;
  const whisper::Hearing hearing = hearing_of(model_, config, *settings_);
  const uint32_t rate = extractor_.sampling_rate();
  const auto samples = samples_at(audio, rate);
  std::vector<HeardTokens> parts;
  for (const SpeechChunk& chunk : speech_chunks(samples.size(), options, 1, rate)) {
    const std::vector<float> part(samples.begin() + static_cast<std::ptrdiff_t>(chunk.begin),
                                  samples.begin() + static_cast<std::ptrdiff_t>(chunk.end));
    FeatureExtractorOptions extract;
    extract.whole = options.chunk_length_s == 0 && part.size() > extractor_.n_samples();
    HeardTokens heard{
        whisper::transcribe(extractor_(part, extract).at("input_features"), *settings_, asked, hearing),
        std::nullopt};
    const auto seconds = [&](size_t count) { return static_cast<double>(count) / rate; };
    if (options.chunk_length_s > 0)
      heard.stride = {seconds(part.size()), seconds(chunk.left), seconds(chunk.right)};
    parts.push_back(std::move(heard));
  }
  Transcription out;
  const bool timestamps = !wanted.empty();
  for (auto& chunk : whisper_chunks(parts, vocabulary_of(tokenizer_), timestamps,
                                    time_precision(extractor_, model_.config_json()))) {
    out.text += chunk.text;
    if (timestamps || options.return_language)
      out.chunks.push_back({std::move(chunk.text), chunk.start, chunk.end, std::move(chunk.language)});
  }
  return out;
}

std::shared_ptr<Pipeline::Runner> pipelines::whisper_recognition(std::string_view folder,
                                                                 const LoadOptions& options) {
  auto model = ORTModelForSpeechSeq2Seq::from_pretrained(folder, options);
  auto extractor = AutoFeatureExtractor::from_pretrained(model.folder());
  Tokenizer tokenizer = AutoTokenizer::from_pretrained(model.folder());
  return std::make_shared<WhisperRunner>(
      WhisperPipeline(std::move(extractor), std::move(tokenizer), std::move(model)));
}

}  // namespace ferry
