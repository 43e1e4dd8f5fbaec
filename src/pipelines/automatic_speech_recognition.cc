// Source: transformers 4.57.6, pipelines/automatic_speech_recognition.py, for models of type "ctc".
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "pipelines/media.h"
#include "pipelines/registry.h"
#include "pipelines/speech.h"
#include "runtime/model_folder.h"

namespace ferry {
namespace {
using namespace pipelines;  // NOLINT: what runners are written with.

// inputs_to_logits_ratio: samples a frame.
size_t samples_per_frame(const ORTModel& model) {
  const Json config = parse_json(model.config_json(), "config.json");
  const auto given = config.find("inputs_to_logits_ratio");
  if (given != config.end() && given->is_number_unsigned() && given->get<uint64_t>() > 0)
    return given->get<size_t>();
  const auto strides = config.find("conv_stride");
  if (strides == config.end() || !strides->is_array()) return 320;
  uint64_t out = 1;
  for (const Json& stride : *strides) {
    if (!stride.is_number_unsigned() || stride.get<uint64_t>() == 0 || stride.get<uint64_t>() > 1000 ||
        out > 1'000'000)
      throw Error(ErrorCode::invalid_config, "config.json: conv_stride is no list of small numbers");
    out *= stride.get<uint64_t>();
  }
  return out;
}

// The likeliest token of each frame.
std::vector<int64_t> likeliest(const HostTensor& logits) {
  const HostTensor numbers = logits.to_f32();
  if (numbers.dims.size() != 3 || numbers.dims[0] != 1 || numbers.dims[2] < 1) {
    throw Error(ErrorCode::shape_mismatch,
                "the model gives logits " + logits.describe() + ", which are no frames of one recording");
  }
  const auto vocabulary = static_cast<size_t>(numbers.dims[2]);
  const auto values = numbers.as<float>();
  std::vector<int64_t> out;
  for (size_t at = 0; at < values.size(); at += vocabulary) {
    const auto frame = values.subspan(at, vocabulary);
    out.push_back(std::max_element(frame.begin(), frame.end()) - frame.begin());
  }
  return out;
}

// Without the frames that neighbours are trusted with (rescale_stride).
void append_inner(std::vector<int64_t>& out, const std::vector<int64_t>& ids, const SpeechChunk& chunk,
                  size_t ratio) {
  const auto samples = static_cast<double>(chunk.end - chunk.begin);
  const size_t frames = rounded_half_even(samples * (1.0 / static_cast<double>(ratio)));
  const auto part = [&](size_t of) {
    return rounded_half_even(static_cast<double>(of) / samples * static_cast<double>(frames));
  };
  const size_t end = std::min(frames - std::min(part(chunk.right), frames), ids.size());
  for (size_t i = part(chunk.left); i < end; ++i) out.push_back(ids[i]);
}

struct CTCRunner final : Pipeline::Runner {
  explicit CTCRunner(CTCSpeechRecognitionPipeline made) : pipeline(std::move(made)) {}
  Json run(const Json& input, const Json& given) const override {
    OptionReader reader(task, given);
    const auto options = read_speech_options(task, reader);
    reader.check();
    return transcription_json(pipeline(audio_of(task, input), options), options);
  }
  CTCSpeechRecognitionPipeline pipeline;
};

}  // namespace

CTCSpeechRecognitionPipeline::CTCSpeechRecognitionPipeline(FeatureExtractor extractor,
                                                           Wav2Vec2CTCTokenizer tokenizer,
                                                           ORTModelForCTC model)
    : extractor_(std::move(extractor)),
      tokenizer_(std::move(tokenizer)),
      model_(std::make_shared<const ORTModelForCTC>(std::move(model))) {}

Transcription CTCSpeechRecognitionPipeline::operator()(const Audio& audio,
                                                       const SpeechRecognitionOptions& options) const {
  const std::string& wanted = options.return_timestamps;
  if (!wanted.empty() && wanted != "char" && wanted != "word")
    throw Error(ErrorCode::usage,
                "return_timestamps of a CTC model is \"char\" or \"word\", not " + printable(wanted));
  const uint32_t rate = extractor_.sampling_rate();
  const size_t ratio = samples_per_frame(*model_);
  const auto samples = samples_at(audio, rate);
  FeatureExtractorOptions extract;
  extract.return_attention_mask = true;
  std::vector<int64_t> ids;
  for (const SpeechChunk& chunk : speech_chunks(samples.size(), options, ratio, rate)) {
    const std::vector<float> part(samples.begin() + static_cast<std::ptrdiff_t>(chunk.begin),
                                  samples.begin() + static_cast<std::ptrdiff_t>(chunk.end));
    const auto heard = likeliest((*model_)(extractor_(part, extract)).logits);
    if (options.chunk_length_s == 0) {
      ids = heard;
    } else {
      append_inner(ids, heard, chunk, ratio);
    }
  }
  const auto decoded = tokenizer_.decode(ids);
  Transcription out{decoded.text, {}};
  if (wanted.empty()) return out;
  const auto seconds = [&](size_t frame) { return static_cast<double>(frame * ratio) / rate; };
  for (const auto& offset : wanted == "word" ? decoded.words : decoded.chars)
    out.chunks.push_back(
        {offset.text, seconds(offset.start_offset), seconds(offset.end_offset), std::nullopt});
  return out;
}

std::shared_ptr<Pipeline::Runner> pipelines::automatic_speech_recognition(std::string_view folder,
                                                                          const LoadOptions& options) {
  if (runtime::is_encoder_decoder(std::string(folder), options, "automatic-speech-recognition-with-past"))
    return whisper_recognition(folder, options);
  auto model = ORTModelForCTC::from_pretrained(folder, options);
  auto extractor = AutoFeatureExtractor::from_pretrained(model.folder());
  auto tokenizer = Wav2Vec2CTCTokenizer::from_pretrained(model.folder());
  return std::make_shared<CTCRunner>(
      CTCSpeechRecognitionPipeline(std::move(extractor), std::move(tokenizer), std::move(model)));
}

}  // namespace ferry
