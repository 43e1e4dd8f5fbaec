#include "runtime/compare/weights.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "base/text.h"

namespace ferry::runtime {
namespace {

using Take = std::function<void(float)>;

constexpr uint64_t kPiece = uint64_t{1} << 18;     // Elements read at a time.
constexpr uint64_t kMostRead = uint64_t{1} << 26;  // Elements read of a graph.

bool is_matrix(const Weight& weight) {
  return weight.dims().size() >= 2 && weight.count() > 0;
}

bool is_byte(DType dtype) {
  return dtype == DType::i8 || dtype == DType::u8;
}

// An integer weight with what turns it back into numbers.
struct Integers {
  const ir::Value* integers = nullptr;
  const ir::Value* scale = nullptr;
  const ir::Value* zero_point = nullptr;
  size_t axis = 1;
};
struct Found {
  std::vector<const ir::Value*> floats;
  std::vector<Integers> integers;
  std::vector<const ir::Node*> blocks;  ///< MatMulNBits.
  uint64_t count = 0;
};

// By the names that quantizers give, and DequantizeLinear.
class Finder {
 public:
  explicit Finder(const ir::Graph& graph) {
    for (const ir::Value* value : graph.used_weights()) weights_[value->name] = value;
    nodes(graph);
    for (const auto& [name, value] : weights_) {
      const Weight& weight = *value->weight;
      if (!is_matrix(weight)) continue;
      if (is_floating(weight.dtype()) && quantizing_.count(value) == 0) {
        found_.floats.push_back(value);
        found_.count += weight.count();
      } else if (is_byte(weight.dtype()) && ends_with(name, "_quantized")) {
        const std::string stem = name.substr(0, name.size() - std::string_view("_quantized").size());
        integers({value, find(stem + "_scale"), find(stem + "_zero_point"), weight.dims().size() - 1});
      }
    }
  }
  Found take() { return std::move(found_); }

 private:
  [[nodiscard]] const ir::Value* find(const std::string& name) const {
    const auto found = weights_.find(name);
    return found == weights_.end() ? nullptr : found->second;
  }

  void integers(const Integers& one) {
    if (one.scale == nullptr || !one.scale->is_weight() || !seen_.insert(one.integers).second) return;
    found_.integers.push_back(one);
    found_.count += one.integers->weight->count();
  }

  void nodes(const ir::Graph& graph) {
    for (const auto& node : graph.nodes()) {
      if (node->is("DequantizeLinear") && node->input(0) != nullptr && node->input(0)->is_weight() &&
          is_matrix(*node->input(0)->weight) && is_byte(node->input(0)->dtype) &&
          node->find<int64_t>("block_size") == nullptr)
        integers({node->input(0), node->input(1), node->input(2),
                  static_cast<size_t>(node->get("axis", int64_t{1}))});
      if (node->is("MatMulNBits", ir::kMicrosoftDomain)) blocks(*node);
      for (const auto& [name, attribute] : node->attributes) {
        if (const auto* inner = std::get_if<ir::GraphPtr>(&attribute)) nodes(**inner);
      }
    }
  }

  void blocks(const ir::Node& node) {
    for (const ir::Value* input : node.inputs) quantizing_.insert(input);
    const auto is_weight = [&](size_t index) {
      return node.input(index) != nullptr && node.input(index)->is_weight();
    };
    const int64_t bits = node.get("bits", int64_t{4});
    const bool known = is_weight(1) && is_weight(2) && node.input(1)->rank() == 3 &&
                       (node.input(3) == nullptr || (is_weight(3) && node.input(3)->dtype == DType::u8)) &&
                       (bits == 4 || bits == 8);
    if (!known) return;
    found_.blocks.push_back(&node);
    found_.count += node.input(1)->weight->count() * 8 / static_cast<uint64_t>(bits);
  }

  std::map<std::string, const ir::Value*> weights_;
  std::set<const ir::Value*> quantizing_, seen_;
  Found found_;
};

// Pieces of [0, count), all of them or every `step`th.
void each_piece(uint64_t count, uint64_t step,
                const std::function<void(uint64_t first, uint64_t size)>& take) {
  for (uint64_t first = 0; first < count; first += kPiece * step)
    take(first, std::min(kPiece, count - first));
}

void read_floats(const Weight& stored, uint64_t step, const Take& take) {
  const Weight weight = stored.dtype() == DType::f32 ? stored : stored.cast(DType::f32);
  std::vector<float> piece(std::min(kPiece, weight.count()));
  each_piece(weight.count(), step, [&](uint64_t first, uint64_t size) {
    weight.read(first, size, reinterpret_cast<std::byte*>(piece.data()));
    for (uint64_t i = 0; i < size; ++i) take(piece[i]);
  });
}

void read_integers(const Integers& from, uint64_t step, const Take& take) {
  const Weight& weight = *from.integers->weight;
  const auto scales = from.scale->weight->as_f32();
  std::vector<int64_t> zeros;
  if (from.zero_point != nullptr && from.zero_point->is_weight()) zeros = from.zero_point->weight->as_i64();
  if (from.axis >= weight.dims().size() || scales.empty()) return;
  uint64_t inner = 1;
  for (size_t axis = from.axis + 1; axis < weight.dims().size(); ++axis)
    inner *= static_cast<uint64_t>(weight.dims()[axis]);
  std::vector<uint8_t> piece(std::min(kPiece, weight.count()));
  each_piece(weight.count(), step, [&](uint64_t first, uint64_t size) {
    weight.read(first, size, reinterpret_cast<std::byte*>(piece.data()));
    for (uint64_t i = 0; i < size; ++i) {
      const uint64_t index = (first + i) / inner;
      const float scale = scales[index % scales.size()];
      const int64_t zero = zeros.empty() ? 0 : zeros[index % zeros.size()];
      const int64_t value = weight.dtype() == DType::i8 ? static_cast<int8_t>(piece[i]) : piece[i];
      take(static_cast<float>(value - zero) * scale);
    }
  });
}

// u8[N, blocks, bytes]: of 4 bits two elements a byte, the lower half first.
void read_blocks(const ir::Node& node, uint64_t step, const Take& take) {
  const Weight& weight = *node.inputs[1]->weight;
  const auto scales = node.inputs[2]->weight->as_f32();
  std::vector<int64_t> zeros;
  if (node.input(3) != nullptr) zeros = node.input(3)->weight->as_i64();
  const bool halves = node.get("bits", int64_t{4}) == 4;
  const auto blocks = static_cast<uint64_t>(weight.dims()[1]),
             bytes = static_cast<uint64_t>(weight.dims()[2]);
  const uint64_t zeros_a_row = halves ? (blocks + 1) / 2 : blocks;
  const auto zero_of = [&](uint64_t block) -> int64_t {
    const uint64_t column = block % blocks,
                   at = block / blocks * zeros_a_row + (halves ? column / 2 : column);
    if (at >= zeros.size()) return halves ? 8 : 128;
    return !halves ? zeros[at] : column % 2 == 0 ? zeros[at] & 15 : zeros[at] >> 4;
  };
  std::vector<uint8_t> piece(std::min(kPiece, weight.count()));
  each_piece(weight.count(), step, [&](uint64_t first, uint64_t size) {
    weight.read(first, size, reinterpret_cast<std::byte*>(piece.data()));
    for (uint64_t i = 0; i < size; ++i) {
      const uint64_t block = (first + i) / bytes;
      if (block >= scales.size()) return;
      const auto number = [&](int value) {
        return static_cast<float>(value - zero_of(block)) * scales[block];
      };
      take(number(halves ? piece[i] & 15 : piece[i]));
      if (halves) take(number(piece[i] >> 4));
    }
  });
}

void read_all(const Found& found, const Take& take) {
  const uint64_t step = 1 + found.count / kMostRead;
  for (const ir::Value* value : found.floats) read_floats(*value->weight, step, take);
  for (const Integers& one : found.integers) read_integers(one, step, take);
  for (const ir::Node* node : found.blocks) read_blocks(*node, step, take);
}

}  // namespace

WeightHistogram count_weights(const ir::Graph& a, const ir::Graph& b, size_t bins) {
  const Found of_a = Finder(a).take(), of_b = Finder(b).take();
  double squares = 0, count = 0;
  read_all(of_a, [&](float value) {
    if (!std::isfinite(value)) return;
    squares += double{value} * value;
    ++count;
  });
  WeightHistogram out;
  out.limit = count > 0 && squares > 0 ? 4 * std::sqrt(squares / count) : 1;
  const auto into = [&](std::vector<uint64_t>& counts) {
    counts.assign(bins, 0);
    return [&counts, &out, bins](float value) {
      if (!std::isfinite(value)) return;
      const double at = (value / out.limit + 1) / 2 * static_cast<double>(bins);
      ++counts[static_cast<size_t>(std::clamp(at, 0.0, static_cast<double>(bins - 1)))];
    };
  };
  read_all(of_a, into(out.a));
  read_all(of_b, into(out.b));
  return out;
}

}  // namespace ferry::runtime
