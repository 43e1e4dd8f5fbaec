// Source: transformers 4.57.6, pipelines/automatic_speech_recognition.py, for models of type "ctc".
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "pipelines/media.h"
#include "pipelines/registry.h"

namespace ferry {
namespace {
using namespace pipelines;  // NOLINT: what runners are written with.

// Python's int(round(x)).
size_t rounded(double value) {
  return static_cast<size_t>(std::nearbyint(value));
}

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

// A part of a recording, and how much of it the neighbours hear, too. Samples.
struct Chunk {
  size_t begin = 0, end = 0;
  size_t left = 0, right = 0;
};

std::vector<Chunk> chunks_of(size_t samples, const SpeechRecognitionOptions& options, size_t ratio,
                             uint32_t rate) {
  if (options.chunk_length_s == 0) return {{0, samples, 0, 0}};
  const auto aligned = [&](double seconds) {
    return rounded(seconds * rate / static_cast<double>(ratio)) * ratio;
  };
  const double sixth = options.chunk_length_s / 6;
  const auto [left_s, right_s] = options.stride_length_s.value_or(std::pair(sixth, sixth));
  const bool possible = options.chunk_length_s > 0 && options.chunk_length_s < 1e6 && left_s >= 0 &&
                        right_s >= 0 && left_s < 1e6 && right_s < 1e6;
  const size_t length = possible ? aligned(options.chunk_length_s) : 0;
  const size_t left = possible ? aligned(left_s) : 0, right = possible ? aligned(right_s) : 0;
  if (!possible || length <= left + right)
    throw Error(ErrorCode::usage, "chunk_length_s must be longer than both of stride_length_s together");
  std::vector<Chunk> out;
  for (size_t begin = 0; begin < samples; begin += length - left - right) {
    const bool last = begin + length >= samples;
    const Chunk chunk = {begin, std::min(begin + length, samples), begin == 0 ? 0 : left, last ? 0 : right};
    if (chunk.end - chunk.begin > chunk.left) out.push_back(chunk);
    if (last) break;
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
void append_inner(std::vector<int64_t>& out, const std::vector<int64_t>& ids, const Chunk& chunk,
                  size_t ratio) {
  const auto samples = static_cast<double>(chunk.end - chunk.begin);
  const size_t frames = rounded(samples * (1.0 / static_cast<double>(ratio)));
  const auto part = [&](size_t of) {
    return rounded(static_cast<double>(of) / samples * static_cast<double>(frames));
  };
  const size_t end = std::min(frames - std::min(part(chunk.right), frames), ids.size());
  for (size_t i = part(chunk.left); i < end; ++i) out.push_back(ids[i]);
}

struct SpeechRecognitionRunner final : Pipeline::Runner {
  explicit SpeechRecognitionRunner(CTCSpeechRecognitionPipeline made) : pipeline(std::move(made)) {}
  Json run(const Json& input, const Json& given) const override {
    SpeechRecognitionOptions options;
    Json stride;
    OptionReader reader(task, given);
    reader.read("chunk_length_s", options.chunk_length_s);
    reader.read("stride_length_s", stride);
    reader.read("return_timestamps", options.return_timestamps);
    reader.check();
    if (stride.is_number()) options.stride_length_s = {stride.get<double>(), stride.get<double>()};
    if (stride.is_array() && stride.size() == 2 && stride[0].is_number() && stride[1].is_number())
      options.stride_length_s = {stride[0].get<double>(), stride[1].get<double>()};
    if (!stride.is_null() && !options.stride_length_s)
      refuse(task, "stride_length_s is neither a number nor two");
    const auto result = pipeline(audio_of(task, input), options);
    Json out = {{"text", result.text}};
    if (options.return_timestamps.empty()) return out;
    out["chunks"] = Json::array();
    for (const auto& chunk : result.chunks) {
      const Json end = chunk.end ? Json(*chunk.end) : Json(nullptr);
      out["chunks"].push_back({{"text", chunk.text}, {"timestamp", Json::array({chunk.start, end})}});
    }
    return out;
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
  for (const Chunk& chunk : chunks_of(samples.size(), options, ratio, rate)) {
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
    out.chunks.push_back({offset.text, seconds(offset.start_offset), seconds(offset.end_offset)});
  return out;
}

std::shared_ptr<Pipeline::Runner> pipelines::automatic_speech_recognition(std::string_view folder,
                                                                          const LoadOptions& options) {
  std::error_code ignored;
  if (std::filesystem::exists(std::filesystem::path(folder) / options.subfolder / "encoder_model.onnx",
                              ignored)) {
    throw Error(
        ErrorCode::unsupported,
        "automatic-speech-recognition with an encoder and a decoder (Whisper) is not built yet: models "
        "with a CTC head are")
        .with_hint("ORTModelForSpeechSeq2Seq of ferry/seq2seq.h generates the tokens");
  }
  auto model = ORTModelForCTC::from_pretrained(folder, options);
  auto extractor = AutoFeatureExtractor::from_pretrained(model.folder());
  auto tokenizer = Wav2Vec2CTCTokenizer::from_pretrained(model.folder());
  return std::make_shared<SpeechRecognitionRunner>(
      CTCSpeechRecognitionPipeline(std::move(extractor), std::move(tokenizer), std::move(model)));
}

}  // namespace ferry
