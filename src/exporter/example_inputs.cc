#include "exporter/example_inputs.h"

#include <algorithm>
#include <array>
#include <random>

#include "base/error.h"
#include "tensor/convert.h"

namespace ferry::exporter {
namespace {

int64_t asked_size(const std::string& axis, const ShapeOptions& shapes) {
  const std::map<std::string, int64_t, std::less<>> sizes = {
      {"batch_size", shapes.batch_size},
      {"image_batch_size", shapes.batch_size},
      {"text_batch_size", shapes.batch_size},
      {"sequence_length", shapes.sequence_length},
      {"past_sequence_length", shapes.sequence_length},
      {"encoder_sequence_length", shapes.sequence_length},
      {"decoder_sequence_length", shapes.sequence_length},
      {"past_decoder_sequence_length", shapes.sequence_length},
      {"num_choices", shapes.num_choices},
      {"width", shapes.width},
      {"height", shapes.height},
      {"num_channels", shapes.num_channels},
      {"feature_size", shapes.feature_size},
      {"nb_max_frames", shapes.nb_max_frames},
      {"point_batch_size", shapes.point_batch_size},
      {"audio_sequence_length", shapes.audio_sequence_length},
      {"nb_points_per_image", shapes.nb_points_per_image},
      {"visual_seq_length", shapes.visual_seq_length}};
  const auto found = sizes.find(axis);
  check_internal(found != sizes.end(), "no example size for the axis " + axis);
  return found->second;
}

// std's distributions differ between libraries; these do not.
class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  int64_t below(int64_t limit) {
    return static_cast<int64_t>((static_cast<uint64_t>(engine_()) << 16 ^ engine_()) %
                                static_cast<uint64_t>(limit));
  }
  double unit() { return engine_() / 4294967296.0; }

 private:
  std::mt19937 engine_;
};

// 1 = attend. The first row is whole, the others are padded.
std::vector<int64_t> mask_values(const Dims& dims, bool at_end, Random& random) {
  const int64_t length = dims.back();
  std::vector<int64_t> out(static_cast<size_t>(element_count(dims)), 1);
  for (size_t row = 1; length > 1 && row * static_cast<size_t>(length) < out.size(); ++row) {
    const int64_t padding = 1 + random.below(length - 1);
    const auto begin =
        out.begin() + static_cast<std::ptrdiff_t>(row) * length + (at_end ? length - padding : 0);
    std::fill(begin, begin + padding, 0);
  }
  return out;
}

// The marker at one place of every row, and nowhere else.
void mark_rows(std::vector<int64_t>& values, int64_t length, int64_t marker, Random& random) {
  for (auto& value : values) value -= value == marker ? (marker > 0 ? 1 : -1) : 0;
  for (size_t row = 0; length > 0 && row * static_cast<size_t>(length) < values.size(); ++row)
    values[row * static_cast<size_t>(length) + static_cast<size_t>(random.below(length))] = marker;
}

HostTensor filled(const nn::InputSpec& spec, const Dims& dims, bool padded_at_end, Random& random) {
  const auto count = static_cast<size_t>(element_count(dims));
  const bool floating = is_floating(spec.dtype);
  std::vector<int64_t> integers(floating ? 0 : count, 0);
  std::vector<float> floats(floating ? count : 0, 0.0f);
  switch (spec.fill.kind) {
    case nn::Fill::Kind::ids:
      for (auto& value : integers)
        value = static_cast<int64_t>(spec.fill.low) +
                random.below(static_cast<int64_t>(spec.fill.high - spec.fill.low));
      if (spec.fill.marker) mark_rows(integers, dims.back(), *spec.fill.marker, random);
      break;
    case nn::Fill::Kind::mask:
      integers = mask_values(dims, padded_at_end, random);
      break;
    case nn::Fill::Kind::uniform:
      for (auto& value : floats)
        value = static_cast<float>(spec.fill.low + (spec.fill.high - spec.fill.low) * random.unit());
      break;
    case nn::Fill::Kind::zeros:
      break;
  }
  if (!floating) return HostTensor::i64(dims, integers);
  const HostTensor made = HostTensor::f32(dims, floats);
  return spec.dtype == DType::f32 ? made : made.to_floating(spec.dtype);
}

}  // namespace

namespace {

constexpr std::array kPasts = {"past_sequence_length", "past_decoder_sequence_length"};
constexpr std::array kLengths = {"sequence_length", "decoder_sequence_length"};

bool sets(AxisSizes& sizes, const auto& names, int64_t value) {
  bool found = false;
  for (const char* name : names) {
    if (sizes.count(name) == 0) continue;
    sizes[name] = value;
    found = true;
  }
  return found;
}

int64_t within(const nn::InputSpec& input, const std::string& axis, int64_t size) {
  if (const auto most = input.most.find(axis); most != input.most.end()) size = std::min(size, most->second);
  if (const auto least = input.least.find(axis); least != input.least.end())
    size = std::max(size, least->second);
  return size;
}

AxisSizes first_sizes(const std::vector<nn::InputSpec>& inputs, const ShapeOptions& shapes) {
  AxisSizes sizes;
  for (const auto& input : inputs) {
    for (const auto& axis : input.axes) {
      const auto* name = std::get_if<std::string>(&axis);
      if (name == nullptr) continue;
      for (const auto& term : nn::axis_terms(*name)) {
        const auto usual = input.usual.find(term);
        const auto flag = input.flags.find(term);
        const std::string& asked = flag == input.flags.end() ? term : flag->second;
        sizes[term] =
            within(input, term, usual == input.usual.end() ? asked_size(asked, shapes) : usual->second);
      }
    }
  }
  return sizes;
}

// An image that must not be smaller becomes larger.
int64_t image_side(const nn::InputSpec& input, const std::string& axis, int64_t first) {
  const int64_t smaller = within(input, axis, std::max<int64_t>(1, (first * 2 + 1) / 5));
  return smaller == first ? within(input, axis, first + first / 8 + 1) : smaller;
}

// Images or windows of sound: nothing but their number may differ.
bool has_one_size(const nn::InputSpec& input) {
  constexpr size_t kFewestAxes = 3;
  const auto fixed = [&](const nn::Axis& axis) {
    const auto* name = std::get_if<std::string>(&axis);
    return name == nullptr || input.only_size(*name).has_value();
  };
  return input.axes.size() >= kFewestAxes && std::all_of(input.axes.begin() + 1, input.axes.end(), fixed);
}

// A batch of one of such is the cheapest other shape.
int64_t other_batch(const std::vector<nn::InputSpec>& inputs, int64_t first) {
  const bool fixed = std::any_of(inputs.begin(), inputs.end(), has_one_size);
  return fixed && first > 1 ? 1 : first + 1;
}

AxisSizes shorter(const std::vector<nn::InputSpec>& inputs, const AxisSizes& first) {
  AxisSizes sizes = first;
  for (auto& [name, size] : sizes) {
    if (name == "batch_size" || name == "image_batch_size") {
      size = other_batch(inputs, size);
    } else if (name == "text_batch_size") {
      size += 2;
    } else {
      size = std::max<int64_t>(1, (size * 2 + 1) / 5);
    }
  }
  for (const auto& input : inputs) {
    for (const auto& [axis, least] : input.least) sizes[axis] = image_side(input, axis, first.at(axis));
  }
  return sizes;
}

}  // namespace

std::vector<AxisSizes> example_sizes(const std::vector<nn::InputSpec>& inputs, const ShapeOptions& shapes) {
  const AxisSizes first = first_sizes(inputs, shapes);
  std::vector<AxisSizes> out = {first, shorter(inputs, first)};
  if (sets(out[1], kPasts, 0)) {
    AxisSizes decode = shorter(inputs, first);
    sets(decode, kLengths, 1);
    out.push_back(decode);
  }
  return out;
}

int64_t axis_size(const nn::Axis& axis, const AxisSizes& sizes) {
  const auto* name = std::get_if<std::string>(&axis);
  if (name == nullptr) return std::get<int64_t>(axis);
  int64_t size = 0;
  for (const auto& term : nn::axis_terms(*name)) {
    const auto found = sizes.find(term);
    check_internal(found != sizes.end(), "no example size for the axis " + term);
    size += found->second;
  }
  return size;
}

TensorMap example_inputs(const std::vector<nn::InputSpec>& inputs, const AxisSizes& sizes, uint32_t seed) {
  Random random(seed);
  TensorMap out;
  for (const auto& input : inputs) {
    Dims dims;
    for (const auto& axis : input.axes) dims.push_back(axis_size(axis, sizes));
    out.emplace(input.name, filled(input, dims, seed % 2 == 0, random));
  }
  return out;
}

}  // namespace ferry::exporter
