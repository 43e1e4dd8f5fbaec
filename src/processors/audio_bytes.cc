// Recordings: libsndfile reads them from memory, soxr changes their rate.
#include <fmt/format.h>
#include <sndfile.h>
#include <soxr.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "ferry/feature_extractor.h"

namespace ferry {
namespace {

constexpr size_t kMostSamples = size_t{1} << 28;
constexpr uint32_t kHighestRate = 768'000;
constexpr int kMostChannels = 64;

struct Memory {
  std::span<const std::byte> bytes;
  sf_count_t at = 0;
};

Memory& memory(void* user) {
  return *static_cast<Memory*>(user);
}

SF_VIRTUAL_IO memory_io() {
  SF_VIRTUAL_IO io{};
  io.get_filelen = [](void* user) { return static_cast<sf_count_t>(memory(user).bytes.size()); };
  io.tell = [](void* user) { return memory(user).at; };
  io.seek = [](sf_count_t offset, int whence, void* user) {
    Memory& file = memory(user);
    const auto size = static_cast<sf_count_t>(file.bytes.size());
    const sf_count_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? file.at : size;
    sf_count_t to = 0;
    if (__builtin_add_overflow(base, offset, &to) || to < 0) return sf_count_t{-1};
    file.at = std::min(to, size);
    return file.at;
  };
  io.read = [](void* to, sf_count_t count, void* user) {
    Memory& file = memory(user);
    const sf_count_t left = static_cast<sf_count_t>(file.bytes.size()) - file.at;
    count = std::clamp<sf_count_t>(count, 0, left);
    std::memcpy(to, file.bytes.data() + file.at, static_cast<size_t>(count));
    file.at += count;
    return count;
  };
  io.write = [](const void*, sf_count_t, void*) { return sf_count_t{0}; };
  return io;
}

struct Close {
  void operator()(SNDFILE* file) const { sf_close(file); }
};

// The mean of `channels` samples each.
void append_mono(std::vector<float>& out, const float* from, size_t frames, size_t channels) {
  for (size_t i = 0; i < frames; ++i, from += channels) {
    float sum = 0;
    for (size_t c = 0; c < channels; ++c) sum += from[c];
    out.push_back(channels == 1 ? sum : sum / static_cast<float>(channels));
  }
}

void check_rate(uint64_t rate, std::string_view what) {
  if (rate == 0 || rate > kHighestRate) {
    throw Error(ErrorCode::usage, fmt::format("{}: a sampling rate of {} Hz; it is between 1 and {}", what,
                                              rate, kHighestRate));
  }
}

}  // namespace

std::vector<float> resample(std::span<const float> samples, uint32_t from, uint32_t to) {
  check_rate(from, "resampling");
  check_rate(to, "resampling");
  if (from == to) return {samples.begin(), samples.end()};
  const double length = std::ceil(static_cast<double>(samples.size()) * to / from);
  if (length > static_cast<double>(kMostSamples)) {
    throw Error(ErrorCode::usage, fmt::format("resampling {} samples from {} to {} Hz makes more than {}",
                                              samples.size(), from, to, kMostSamples));
  }
  std::vector<float> out(static_cast<size_t>(length));
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
  size_t done = 0;
  const char* failure = soxr_oneshot(from, to, 1, samples.data(), samples.size(), nullptr, out.data(),
                                     out.size(), &done, nullptr, &quality, nullptr);
  if (failure != nullptr) throw Error(ErrorCode::runtime, fmt::format("resampling failed: {}", failure));
  out.resize(done);
  return out;
}

Audio decode_audio(std::span<const std::byte> bytes, std::string_view what, uint32_t sampling_rate) {
  const std::string name = printable(what);
  Memory source{bytes};
  SF_VIRTUAL_IO io = memory_io();
  SF_INFO info{};
  const std::unique_ptr<SNDFILE, Close> file(sf_open_virtual(&io, SFM_READ, &info, &source));
  if (!file) {
    throw Error(ErrorCode::invalid_file, fmt::format("{} is no recording that can be read: {}", name,
                                                     printable(sf_strerror(nullptr))));
  }
  if (info.channels < 1 || info.channels > kMostChannels || info.samplerate < 1 ||
      info.samplerate > static_cast<int>(kHighestRate)) {
    throw Error(ErrorCode::invalid_file,
                fmt::format("{}: {} channels at {} Hz", name, info.channels, info.samplerate));
  }
  const auto channels = static_cast<size_t>(info.channels);
  Audio out;
  out.sampling_rate = static_cast<uint32_t>(info.samplerate);
  // The header's length is a claim: what there is decides.
  std::vector<float> block(size_t{16384} * channels);
  for (;;) {
    const sf_count_t read = sf_readf_float(file.get(), block.data(), 16384);
    if (read <= 0) break;
    append_mono(out.samples, block.data(), static_cast<size_t>(read), channels);
    if (out.samples.size() > kMostSamples) {
      throw Error(ErrorCode::invalid_file, fmt::format("{}: more than {} samples", name, kMostSamples));
    }
  }
  if (out.samples.empty()) throw Error(ErrorCode::invalid_file, name + " holds no samples");
  for (float& sample : out.samples) {
    if (!std::isfinite(sample)) throw Error(ErrorCode::invalid_file, name + ": a sample is no number");
  }
  if (sampling_rate != 0 && sampling_rate != out.sampling_rate) {
    out.samples = resample(out.samples, out.sampling_rate, sampling_rate);
    out.sampling_rate = sampling_rate;
  }
  return out;
}

Audio load_audio(const std::filesystem::path& file, uint32_t sampling_rate) {
  const auto mapped = MappedFile::open(file);
  return decode_audio(mapped->bytes(), file.filename().string(), sampling_rate);
}

}  // namespace ferry
