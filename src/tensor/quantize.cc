#include "tensor/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>

#include "base/error.h"
#include "base/parallel.h"
#include "tensor/convert.h"

namespace ferry {
namespace {

constexpr uint64_t kPiece = 1 << 20;  // Elements.

// Where channels lie in the row-major order: element i is of channel i / inner % channels.
struct Channels {
  uint64_t count = 1;
  uint64_t inner = 1;
};

Channels channels_of(const Dims& dims, std::optional<size_t> axis) {
  if (!axis) return {1, std::numeric_limits<uint64_t>::max()};
  Channels out{static_cast<uint64_t>(dims.at(*axis)), 1};
  for (size_t i = *axis + 1; i < dims.size(); ++i) out.inner *= static_cast<uint64_t>(dims[i]);
  return out;
}

// Calls run(channel, first, count) for stretches of one channel, or run_across(first channel, first, count)
// where neighbours are of neighbouring channels. Places count from `first`.
template <typename Run, typename Across>
void for_stretches(const Channels& channels, uint64_t first, uint64_t count, const Run& run,
                   const Across& across) {
  for (uint64_t done = 0; done < count;) {
    const uint64_t at = first + done;
    const uint64_t channel = at / channels.inner % channels.count;
    const uint64_t length = channels.inner == 1
                                ? std::min(count - done, channels.count - channel)
                                : std::min(count - done, channels.inner - at % channels.inner);
    if (channels.inner == 1) {
      across(channel, done, length);
    } else {
      run(channel, done, length);
    }
    done += length;
  }
}

// Elements [first, first + count) as floats: where they lie, or converted into `buffer`.
const float* floats_of(const Weight& weight, uint64_t first, uint64_t count, std::vector<std::byte>& raw,
                       std::vector<float>& buffer) {
  if (weight.dtype() == DType::f32) {
    const auto stored = weight.stored_bytes();
    if (stored && reinterpret_cast<uintptr_t>(stored->data()) % alignof(float) == 0)
      return reinterpret_cast<const float*>(stored->data()) + first;
    buffer.resize(std::max<size_t>(buffer.size(), count));
    weight.read(first, count, reinterpret_cast<std::byte*>(buffer.data()));
    return buffer.data();
  }
  raw.resize(*byte_size(weight.dtype(), count));
  weight.read(first, count, raw.data());
  buffer.resize(std::max<size_t>(buffer.size(), count));
  to_floats(raw.data(), weight.dtype(), count, buffer.data());
  return buffer.data();
}

bool all_finite(const float* values, uint64_t count) {
  uint32_t found = 0;
  for (uint64_t i = 0; i < count; ++i) {
    uint32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    constexpr uint32_t kExponent = 0x7f800000;
    found |= (bits & kExponent) == kExponent ? 1u : 0u;
  }
  return found == 0;
}

// Several lanes, so that the compiler can keep them in one register.
void widen(const float* values, uint64_t count, float& low, float& high) {
  constexpr size_t kLanes = 16;
  std::array<float, kLanes> lows, highs;
  lows.fill(low);
  highs.fill(high);
  uint64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const float x = values[i + lane];
      lows[lane] = x < lows[lane] ? x : lows[lane];
      highs[lane] = x > highs[lane] ? x : highs[lane];
    }
  }
  for (size_t lane = 0; lane < kLanes; ++lane) {
    low = std::min(low, lows[lane]);
    high = std::max(high, highs[lane]);
  }
  for (; i < count; ++i) {
    low = std::min(low, values[i]);
    high = std::max(high, values[i]);
  }
}

void widen_each(const float* values, uint64_t count, float* low, float* high) {
  for (uint64_t i = 0; i < count; ++i) {
    low[i] = values[i] < low[i] ? values[i] : low[i];
    high[i] = values[i] > high[i] ? values[i] : high[i];
  }
}

struct Limits {
  double low, high;
};

// Symmetric i8 gives up -128.
Limits limits_of(const IntegerFormat& format) {
  if (format.dtype == DType::u8) return {0, format.reduce_range ? 127.0 : 255.0};
  if (format.reduce_range) return {-64, 64};
  return {format.symmetric ? -127.0 : -128.0, 127};
}

float rounded_to(float value, DType dtype) {
  std::array<std::byte, 8> bytes{};
  from_floats(std::span(&value, 1), dtype, bytes.data());
  float out = 0;
  to_floats(bytes.data(), dtype, 1, &out);
  return out;
}

// The least scale that is used; below it everything is 0.
double least_scale(DType stored) {
  return stored == DType::f16 ? 0x1p-24 : static_cast<double>(std::numeric_limits<float>::min());
}

// x / scale to the nearest integer (ties to even), plus the zero point, within the limits. The sum with
// 1.5 * 2^23 rounds, as every sum of floats does; the clamp before it changes nothing that counts.
struct Rounder {
  float low, high;
  template <typename To>
  [[nodiscard]] To operator()(float x, float scale, float zero) const {
    constexpr float kShift = 12582912.0f;
    float q = x / scale;
    q = q < -1e5f ? -1e5f : q;
    q = q > 1e5f ? 1e5f : q;
    q = (q + kShift) - kShift + zero;
    q = q < low ? low : q;
    q = q > high ? high : q;
    return static_cast<To>(static_cast<int32_t>(q));
  }
};

// FNV-1a over scales and zero points.
uint64_t digest(const Quantization& with) {
  uint64_t out = 0xcbf29ce484222325u;
  const auto add = [&](const void* data, size_t size) {
    for (size_t i = 0; i < size; ++i)
      out = (out ^ static_cast<const unsigned char*>(data)[i]) * 0x100000001b3u;
  };
  add(with.scale.data(), with.scale.size() * sizeof(float));
  add(with.zero_point.data(), with.zero_point.size() * sizeof(int64_t));
  return out;
}

template <typename To>
void quantize_range(const Weight& weight, const Quantization& with, const std::vector<float>& zeros,
                    const Channels& channels, uint64_t first, uint64_t count, To* out) {
  const Rounder rounder{static_cast<float>(std::numeric_limits<To>::min()),
                        static_cast<float>(std::numeric_limits<To>::max())};
  std::vector<std::byte> raw;
  std::vector<float> buffer;
  for (uint64_t piece = 0; piece < count; piece += kPiece) {
    const uint64_t amount = std::min(kPiece, count - piece);
    const float* values = floats_of(weight, first + piece, amount, raw, buffer);
    To* to = out + piece;
    for_stretches(
        channels, first + piece, amount,
        [&](uint64_t channel, uint64_t at, uint64_t length) {
          const float scale = with.scale[channel], zero = zeros[channel];
          for (uint64_t i = 0; i < length; ++i)
            to[at + i] = rounder.operator()<To>(values[at + i], scale, zero);
        },
        [&](uint64_t channel, uint64_t at, uint64_t length) {
          const float* scale = with.scale.data() + channel;
          const float* zero = zeros.data() + channel;
          for (uint64_t i = 0; i < length; ++i)
            to[at + i] = rounder.operator()<To>(values[at + i], scale[i], zero[i]);
        });
  }
}

}  // namespace

ValueRange value_range(const Weight& weight, std::optional<size_t> axis) {
  // The range does not depend on the order of the elements: a transposed weight is read as it lies.
  if (const auto straight = weight.untransposed(); straight && !weight.stored_bytes()) {
    if (axis) axis = static_cast<size_t>(straight->second.at(*axis));
    return value_range(straight->first, axis);
  }
  const Channels channels = channels_of(weight.dims(), axis);
  ValueRange out{std::vector<float>(channels.count, std::numeric_limits<float>::infinity()),
                 std::vector<float>(channels.count, -std::numeric_limits<float>::infinity())};
  std::mutex mutex;
  bool finite = true;
  const uint64_t pieces = (weight.count() + kPiece - 1) / kPiece;
  parallel_for(pieces, [&](size_t piece) {
    const uint64_t first = piece * kPiece, count = std::min(kPiece, weight.count() - first);
    std::vector<std::byte> raw;
    std::vector<float> buffer;
    const float* values = floats_of(weight, first, count, raw, buffer);
    ValueRange own{std::vector<float>(channels.count, std::numeric_limits<float>::infinity()),
                   std::vector<float>(channels.count, -std::numeric_limits<float>::infinity())};
    for_stretches(
        channels, first, count,
        [&](uint64_t channel, uint64_t at, uint64_t length) {
          widen(values + at, length, own.low[channel], own.high[channel]);
        },
        [&](uint64_t channel, uint64_t at, uint64_t length) {
          widen_each(values + at, length, own.low.data() + channel, own.high.data() + channel);
        });
    const bool good = all_finite(values, count);
    const std::lock_guard lock(mutex);
    finite = finite && good;
    for (size_t i = 0; i < channels.count; ++i) {
      out.low[i] = std::min(out.low[i], own.low[i]);
      out.high[i] = std::max(out.high[i], own.high[i]);
    }
  });
  if (!finite) throw Error(ErrorCode::invalid_file, "the weight holds infinite numbers or NaN");
  return out;
}

Quantization choose_quantization(const ValueRange& range, const IntegerFormat& format, DType stored) {
  const Limits limits = limits_of(format);
  Quantization out;
  for (size_t i = 0; i < range.low.size(); ++i) {
    float low = std::min(range.low[i], 0.0f), high = std::max(range.high[i], 0.0f);
    if (format.symmetric) {
      high = std::max(std::abs(low), std::abs(high));
      low = -high;
    }
    const double scale = (static_cast<double>(high) - static_cast<double>(low)) / (limits.high - limits.low);
    const float kept = rounded_to(static_cast<float>(scale), stored);
    if ((stored == DType::f16 ? static_cast<double>(kept) : scale) < least_scale(stored)) {
      out.scale.push_back(1);
      out.zero_point.push_back(0);
      continue;
    }
    const double zero =
        format.symmetric ? (limits.low + limits.high) / 2 : limits.low - static_cast<double>(low) / scale;
    out.scale.push_back(kept);
    out.zero_point.push_back(static_cast<int64_t>(std::nearbyint(zero)));
  }
  return out;
}

Weight quantize(const Weight& weight, const Quantization& with, std::optional<size_t> axis, DType dtype) {
  check_internal(dtype == DType::i8 || dtype == DType::u8, "weights are quantized to 8 bits");
  const Channels channels = channels_of(weight.dims(), axis);
  check_internal(with.scale.size() == channels.count, "there is not one scale a channel");
  std::string identity = fmt::format("quantized{}({}|{}|{:x})", to_string(dtype), weight.key(),
                                     axis ? *axis + 1 : 0, digest(with));
  std::vector<float> zeros(with.zero_point.begin(), with.zero_point.end());
  const auto read = [weight, with, channels, zeros = std::move(zeros), dtype](uint64_t first, uint64_t count,
                                                                              std::byte* out) {
    if (dtype == DType::i8)
      return quantize_range(weight, with, zeros, channels, first, count, reinterpret_cast<int8_t*>(out));
    quantize_range(weight, with, zeros, channels, first, count, reinterpret_cast<uint8_t*>(out));
  };
  return Weight::computed(dtype, weight.dims(), std::move(identity), read);
}

}  // namespace ferry
