#include "tensor/grouped.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "base/error.h"
#include "tensor/convert.h"
#include "tensor/grouped_node.h"

namespace ferry {
namespace weights {
namespace {

[[noreturn]] void misshapen(const char* name, const Weight& found, const std::string& expected) {
  throw Error(ErrorCode::shape_mismatch,
              fmt::format("{} is {}{}, expected {}", name, to_string(found.dtype()), to_string(found.dims()),
                          expected));
}

void check(const char* name, const Weight& weight, DType dtype, const Dims& dims) {
  if (weight.dtype() != dtype || weight.dims() != dims)
    misshapen(name, weight, fmt::format("{}{}", to_string(dtype), to_string(dims)));
}

// The weight with its bytes in row-major order in memory or in a mapped file.
Weight straight(const Weight& weight) {
  return weight.stored_bytes() ? weight : Weight::inline_bytes(weight.dtype(), weight.dims(), weight.bytes());
}

uint32_t word_at(const std::byte* bytes, uint64_t index) {
  uint32_t out = 0;
  std::memcpy(&out, bytes + index * sizeof(out), sizeof(out));
  return out;
}

}  // namespace

template <typename Put>
void Grouped::dequantize(int64_t row, int64_t last_row, int64_t first, int64_t last, const Put& put) const {
  const auto count = static_cast<size_t>(last - first);
  std::vector<uint8_t> q(count), zero(count);
  std::vector<float> scale(count);
  int64_t group = -1;
  const size_t element = bits_of(scales_.dtype()) / 8;
  for (int64_t k = row; k < last_row; ++k) {
    if (group_of(k) != group) {
      group = group_of(k);
      zeros(group, first, last, zero.data());
      to_floats(scales_.stored_bytes()->data() + static_cast<uint64_t>(group * columns_ + first) * element,
                scales_.dtype(), count, scale.data());
    }
    integers(k, first, last, q.data());
    for (size_t n = 0; n < count; ++n)
      put(static_cast<uint64_t>(k - row), n,
          static_cast<float>(static_cast<int>(q[n]) - static_cast<int>(zero[n])) * scale[n]);
  }
}

Grouped::Grouped(const GroupedTensors& tensors, const GroupedFormat& format)
    : format_(format),
      qweight_(straight(tensors.qweight)),
      qzeros_(straight(tensors.qzeros)),
      scales_(straight(tensors.scales)),
      per_word_(32 / format.bits),
      mask_((uint32_t{1} << format.bits) - 1) {
  if (qweight_.dtype() != DType::i32 || qweight_.dims().size() != 2 || qweight_.count() == 0)
    misshapen("qweight", qweight_, "a matrix of i32");
  const bool down = format.layout == GroupedFormat::Layout::gptq;
  rows_ = qweight_.dims()[0] * (down ? per_word_ : 1);
  columns_ = qweight_.dims()[1] * (down ? 1 : per_word_);
  group_size_ = format.group_size < 0 ? rows_ : format.group_size;
  groups_ = (rows_ + group_size_ - 1) / group_size_;
  if (columns_ % per_word_ != 0)
    misshapen("qweight", qweight_, fmt::format("a multiple of {} columns", per_word_));
  check("qzeros", qzeros_, DType::i32, {groups_, columns_ / per_word_});
  if (!is_floating(scales_.dtype()) || scales_.dims() != Dims{groups_, columns_})
    misshapen("scales", scales_, "floating " + to_string(Dims{groups_, columns_}));
  key_ = fmt::format("grouped{}x{}{}{}({};{};{};", format.bits, group_size_, down ? "g" : "a",
                     format.zeros_less_one ? "-1" : "", qweight_.key(), qzeros_.key(), scales_.key());
  if (tensors.g_idx) read_groups(*tensors.g_idx);
  key_ += ")";
}

void Grouped::integers(int64_t row, int64_t first, int64_t last, uint8_t* out) const {
  if (format_.layout == GroupedFormat::Layout::awq) return words(qweight_, row, first, last, out);
  const auto shift = static_cast<uint32_t>(row % per_word_ * format_.bits);
  const auto at = static_cast<uint64_t>(row / per_word_ * columns_);
  const std::byte* bytes = qweight_.stored_bytes()->data();
  for (int64_t n = first; n < last; ++n)
    *out++ = static_cast<uint8_t>(word_at(bytes, at + static_cast<uint64_t>(n)) >> shift & mask_);
}

void Grouped::zeros(int64_t group, int64_t first, int64_t last, uint8_t* out) const {
  words(qzeros_, group, first, last, out);
  if (!format_.zeros_less_one) return;
  for (int64_t i = 0; i < last - first; ++i) out[i] = static_cast<uint8_t>((out[i] + 1u) & mask_);
}

bool Grouped::zeros_in_the_middle() const {
  std::vector<uint8_t> row(static_cast<size_t>(columns_));
  const auto middle = static_cast<uint8_t>(1u << (format_.bits - 1));
  for (int64_t g = 0; g < groups_; ++g) {
    zeros(g, 0, columns_, row.data());
    if (std::any_of(row.begin(), row.end(), [&](uint8_t zero) { return zero != middle; })) return false;
  }
  return true;
}

std::vector<int64_t> Grouped::order() const {
  if (std::is_sorted(group_of_.begin(), group_of_.end())) return {};
  std::vector<int64_t> out(group_of_.size());
  std::iota(out.begin(), out.end(), int64_t{0});
  std::stable_sort(out.begin(), out.end(), [&](int64_t a, int64_t b) {
    return group_of_[static_cast<size_t>(a)] < group_of_[static_cast<size_t>(b)];
  });
  return out;
}

bool Grouped::are_groups_whole() const {
  if (group_of_.empty()) return true;
  std::vector<int64_t> sizes(static_cast<size_t>(groups_), 0);
  for (const int32_t group : group_of_) ++sizes[static_cast<size_t>(group)];
  sizes.pop_back();  // The last is as long as what is left.
  return std::all_of(sizes.begin(), sizes.end(), [&](int64_t size) { return size == group_size_; });
}

void Grouped::read(bool turned, uint64_t first, uint64_t amount, float* out) const {
  const auto width = static_cast<uint64_t>(turned ? columns_ : rows_);
  std::vector<float> tile;
  while (amount > 0) {
    const uint64_t row = first / width, within = first % width;
    if (turned) {
      const uint64_t done = std::min(amount, width - within);
      dequantize(static_cast<int64_t>(row), static_cast<int64_t>(row) + 1, static_cast<int64_t>(within),
                 static_cast<int64_t>(within + done), [&](uint64_t, uint64_t n, float x) { out[n] = x; });
      out += done;
      first += done;
      amount -= done;
      continue;
    }
    const uint64_t last = std::min(row + kColumnTile, (first + amount + width - 1) / width);
    tile.resize((last - row) * width);
    dequantize(0, rows_, static_cast<int64_t>(row), static_cast<int64_t>(last),
               [&](uint64_t k, uint64_t n, float x) { tile[n * width + k] = x; });
    const uint64_t done = std::min(amount, tile.size() - within);
    std::copy_n(tile.data() + within, done, out);
    out += done;
    first += done;
    amount -= done;
  }
}

void Grouped::read_groups(const Weight& g_idx) {
  check("g_idx", g_idx, DType::i32, {rows_});
  const auto groups = g_idx.as_i64();
  group_of_.reserve(groups.size());
  for (const int64_t group : groups) {
    if (group < 0 || group >= groups_)
      throw Error(ErrorCode::invalid_file,
                  fmt::format("g_idx holds {}, and there are {} groups", group, groups_));
    group_of_.push_back(static_cast<int32_t>(group));
  }
  key_ += g_idx.key();
}

void Grouped::words(const Weight& from, int64_t row, int64_t first, int64_t last, uint8_t* out) const {
  // Where each of eight columns lies in AWQ's word.
  constexpr std::array<uint32_t, 8> kPlaces = {0, 4, 1, 5, 2, 6, 3, 7};
  const bool interleaved = format_.layout == GroupedFormat::Layout::awq;
  const std::byte* bytes = from.stored_bytes()->data();
  const auto at = static_cast<uint64_t>(row * (columns_ / per_word_));
  for (int64_t n = first; n < last; ++n) {
    const auto within = static_cast<uint32_t>(n % per_word_);
    const uint32_t shift = static_cast<uint32_t>(format_.bits) * (interleaved ? kPlaces.at(within) : within);
    *out++ = static_cast<uint8_t>(word_at(bytes, at + static_cast<uint64_t>(n / per_word_)) >> shift & mask_);
  }
}

NodePtr GroupedNode::make(std::shared_ptr<const Grouped> matrix, bool turned) {
  auto out = std::make_shared<GroupedNode>();
  Dims dims{matrix->columns(), matrix->rows()};
  if (turned) std::swap(dims[0], dims[1]);
  set_shape(*out, DType::f32, std::move(dims));
  out->matrix = std::move(matrix);
  out->turned = turned;
  return out;
}

void GroupedNode::read(uint64_t first, uint64_t amount, std::byte* out) const {
  matrix->read(turned, first, amount, reinterpret_cast<float*>(out));  // NOLINT: the bytes of f32 elements.
}

NodePtr GroupedNode::transposed(std::span<const int64_t> perm) const {
  return make(matrix, turned != (perm[0] == 1));
}

}  // namespace weights

using namespace weights;  // NOLINT: what expressions are made of.

Weight grouped_matrix(const GroupedTensors& tensors, const GroupedFormat& format) {
  if (format.bits != 4 && !(format.bits == 8 && format.layout == GroupedFormat::Layout::gptq))
    throw Error(ErrorCode::unsupported, fmt::format("weights of {} bits", format.bits));
  if (format.group_size == 0 || format.group_size < -1)
    throw Error(ErrorCode::invalid_config, fmt::format("groups of {} rows", format.group_size));
  return Weight::of(GroupedNode::make(std::make_shared<const Grouped>(tensors, format), false));
}

bool is_grouped(const Weight& weight) {
  return dynamic_cast<const GroupedNode*>(weight.node().get()) != nullptr;
}

namespace {

bool holds_grouped(const Node& node) {
  const auto any = [](const std::vector<NodePtr>& nodes) {
    return std::any_of(nodes.begin(), nodes.end(),
                       [](const NodePtr& child) { return holds_grouped(*child); });
  };
  if (dynamic_cast<const GroupedNode*>(&node) != nullptr) return true;
  if (const auto* each = dynamic_cast<const Elementwise*>(&node)) return any(each->children);
  if (const auto* joined = dynamic_cast<const Concatenated*>(&node)) return any(joined->parts);
  if (const auto* sliced = dynamic_cast<const Sliced*>(&node)) return holds_grouped(*sliced->child);
  if (const auto* permuted = dynamic_cast<const Permuted*>(&node)) return holds_grouped(*permuted->child);
  const auto* reshaped = dynamic_cast<const Reshaped*>(&node);
  return reshaped != nullptr && holds_grouped(*reshaped->child);
}

}  // namespace

bool has_grouped(const Weight& weight) {
  return holds_grouped(*weight.node());
}

}  // namespace ferry
