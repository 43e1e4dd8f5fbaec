#include "pipelines/media.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"

namespace ferry::pipelines {
namespace {

std::string path_of(std::string_view task, const Json& input, const char* name) {
  return input.is_string() ? input.get<std::string>() : string_member(task, input, name);
}

void append_lists(Json& out, std::span<const float>& values, const Dims& dims, size_t axis) {
  for (int64_t i = 0; i < dims[axis]; ++i) {
    if (axis + 1 < dims.size()) {
      Json inner = Json::array();
      append_lists(inner, values, dims, axis + 1);
      out.push_back(std::move(inner));
    } else {
      out.push_back(values.front());
      values = values.subspan(1);
    }
  }
}

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

Image image_of(std::string_view task, const Json& input) {
  return load_image(path_of(task, input, "image"));
}

Audio audio_of(std::string_view task, const Json& input) {
  const bool given = input.is_object() && (input.contains("array") || input.contains("raw"));
  if (!given) return load_audio(path_of(task, input, "audio"));
  const Json& samples = input.contains("array") ? input.at("array") : input.at("raw");
  const auto rate = input.find("sampling_rate");
  const int64_t hertz = rate != input.end() && rate->is_number_integer() ? rate->get<int64_t>() : 0;
  if (hertz < 1 || hertz > 768'000) refuse(task, "the input has no sampling_rate of 1 to 768000 Hz");
  Audio out;
  out.sampling_rate = static_cast<uint32_t>(hertz);
  for (const Json& sample : samples) {
    if (!sample.is_number()) refuse(task, "the samples of the input are not all numbers");
    out.samples.push_back(sample.get<float>());
  }
  return out;
}

std::vector<float> samples_at(const Audio& audio, uint32_t sampling_rate) {
  return audio.sampling_rate == sampling_rate ? audio.samples
                                              : resample(audio.samples, audio.sampling_rate, sampling_rate);
}

Json labels_first(const std::vector<Classification>& results) {
  Json out = Json::array();
  for (const auto& result : results) out.push_back({{"label", result.label}, {"score", result.score}});
  return out;
}

Json scores_first(const std::vector<Classification>& results) {
  Json out = Json::array();
  for (const auto& result : results) out.push_back({{"score", result.score}, {"label", result.label}});
  return out;
}

Json nested_lists(const HostTensor& tensor) {
  const HostTensor numbers = tensor.to_f32();
  auto values = numbers.as<float>();
  if (numbers.dims.empty()) return values.front();
  Json out = Json::array();
  append_lists(out, values, numbers.dims, 0);
  return out;
}

Upsampled::Upsampled(std::span<const float> planes, size_t channels, size_t height, size_t width,
                     size_t to_height, size_t to_width)
    : planes_(planes),
      channels_(channels),
      height_(height),
      width_(width),
      to_width_(to_width),
      lines_(taps(height, to_height)),
      columns_(taps(width, to_width)) {}

std::vector<Upsampled::Tap> Upsampled::taps(size_t from, size_t to) {
  const float scale = static_cast<float>(from) / static_cast<float>(to);
  std::vector<Tap> out(to);
  for (size_t i = 0; i < to; ++i) {
    const float at = std::max((static_cast<float>(i) + 0.5f) * scale - 0.5f, 0.0f);
    const auto low = std::min(static_cast<size_t>(at), from - 1);
    out[i] = {low, std::min(low + 1, from - 1), std::min(at - static_cast<float>(low), 1.0f)};
  }
  return out;
}

void Upsampled::line(size_t y, std::vector<float>& out) const {
  out.resize(channels_ * to_width_);
  const Tap& row = lines_[y];
  for (size_t c = 0; c < channels_; ++c) {
    const float* plane = planes_.data() + c * height_ * width_;
    const float* low = plane + row.low * width_;
    const float* high = plane + row.high * width_;
    float* to = out.data() + c * to_width_;
    for (size_t x = 0; x < to_width_; ++x) {
      const Tap& tap = columns_[x];
      const float left = 1.0f - tap.weight, above = 1.0f - row.weight;
      to[x] = above * (left * low[tap.low] + tap.weight * low[tap.high]) +
              row.weight * (left * high[tap.low] + tap.weight * high[tap.high]);
    }
  }
}

std::string base64(std::string_view bytes) {
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j)
      group = group << 8 | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0u);
    for (size_t j = 0; j < 4; ++j) out += i + j <= bytes.size() ? kAlphabet[group >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

std::string from_base64(std::string_view text) {
  std::string out;
  uint32_t group = 0;
  int bits = 0;
  for (const char c : text.substr(0, text.find('='))) {
    const size_t digit = kAlphabet.find(c);
    if (digit == kAlphabet.npos) throw Error(ErrorCode::usage, "a text is no base64");
    group = group << 6 | static_cast<uint32_t>(digit);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out += static_cast<char>(group >> bits & 255);
  }
  return out;
}

}  // namespace ferry::pipelines
