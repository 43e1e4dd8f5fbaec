#include "tensor/weight_node.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"

namespace ferry::weights {

void Reshaped::read(uint64_t first, uint64_t amount, std::byte* out) const {
  child->read(first, amount, out);
}

std::string Reshaped::key() const {
  return fmt::format("r({}|{})", child->key(), fmt::join(dims, ","));
}

void Permuted::read(uint64_t first, uint64_t amount, std::byte* out) const {
  const Weight whole = evaluated(first + amount == count);
  whole.transpose(perm).read(first, amount, out);
}

Weight Permuted::evaluated(bool last) const {
  const std::lock_guard lock(mutex);
  if (!kept) {
    std::vector<std::byte> all(*byte_size(dtype, child->count));
    child->read(0, child->count, all.data());
    kept = Weight::stored(memory_source(std::move(all)), 0, dtype, child->dims);
  }
  Weight out = *kept;
  if (last) kept.reset();
  return out;
}

std::string Permuted::key() const {
  return fmt::format("p({}|{})", child->key(), fmt::join(perm, ","));
}

void Sliced::read(uint64_t first, uint64_t amount, std::byte* out) const {
  uint64_t inner = 1;
  for (size_t i = axis + 1; i < dims.size(); ++i) inner *= static_cast<uint64_t>(dims[i]);
  const uint64_t run = inner * static_cast<uint64_t>(dims[axis]);
  const uint64_t child_run = inner * static_cast<uint64_t>(child->dims[axis]);
  while (amount > 0) {
    const uint64_t within = first % run;
    const uint64_t done = std::min(amount, run - within);
    child->read(first / run * child_run + static_cast<uint64_t>(begin) * inner + within, done, out);
    out += *byte_size(dtype, done);
    first += done;
    amount -= done;
  }
}

std::string Sliced::key() const {
  return fmt::format("s({}|{},{}|{})", child->key(), axis, begin, fmt::join(dims, ","));
}

void Concatenated::read(uint64_t first, uint64_t amount, std::byte* out) const {
  uint64_t inner = 1;
  for (size_t i = axis + 1; i < dims.size(); ++i) inner *= static_cast<uint64_t>(dims[i]);
  const uint64_t run = inner * static_cast<uint64_t>(dims[axis]);
  while (amount > 0) {
    const uint64_t outer = first / run;
    uint64_t within = first % run;
    for (const NodePtr& part : parts) {
      const uint64_t part_run = inner * static_cast<uint64_t>(part->dims[axis]);
      if (within >= part_run) {
        within -= part_run;
        continue;
      }
      const uint64_t done = std::min(amount, part_run - within);
      part->read(outer * part_run + within, done, out);
      out += *byte_size(dtype, done);
      first += done;
      amount -= done;
      break;
    }
  }
}

std::string Concatenated::key() const {
  std::string out = fmt::format("c{}(", axis);
  for (const auto& part : parts) out += part->key() + ";";
  return out + ")";
}

NodePtr Concatenated::transposed(std::span<const int64_t> perm) const {
  auto out = std::make_shared<Concatenated>();
  for (const auto& part : parts) {
    auto moved = part->transposed(perm);
    if (!moved) return nullptr;
    out->parts.push_back(std::move(moved));
  }
  out->axis =
      static_cast<size_t>(std::find(perm.begin(), perm.end(), static_cast<int64_t>(axis)) - perm.begin());
  set_shape(*out, dtype, permuted(dims, perm));
  return out;
}

// Children are read by many whole rows at once, as a transposed matrix is slow to read in less; what is made
// of them goes through the first-level cache.
void Elementwise::read(uint64_t first, uint64_t amount, std::byte* out) const {
  constexpr uint64_t kPiece = uint64_t{1} << 20, kTile = uint64_t{1} << 14;
  const uint64_t columns = dims.empty() ? 1 : static_cast<uint64_t>(dims.back());
  constexpr uint64_t kLines = 32;  // Rows of a transposed matrix that a cache line of its source has.
  const uint64_t most = std::max<uint64_t>(1, kPiece / std::max<uint64_t>(1, columns));
  const uint64_t rows = most < kLines ? most : most / kLines * kLines;
  std::vector<std::vector<std::byte>> in(children.size());
  std::vector<const std::byte*> at(children.size());
  while (amount > 0) {
    const uint64_t to_row = first % columns == 0 ? rows * columns : columns - first % columns;
    const uint64_t piece = std::min({amount, to_row, 2 * kPiece});
    for (size_t i = 0; i < children.size(); ++i) {
      in[i].resize(*byte_size(children[i]->dtype, piece));
      children[i]->read(first, piece, in[i].data());
    }
    for (uint64_t done = 0; done < piece; done += kTile) {
      const uint64_t tile = std::min(kTile, piece - done);
      for (size_t i = 0; i < children.size(); ++i)
        at[i] = in[i].data() + *byte_size(children[i]->dtype, done);
      apply(at, tile, out);
      out += *byte_size(dtype, tile);
    }
    first += piece;
    amount -= piece;
  }
}

std::string Elementwise::key() const {
  std::string out = what + "(";
  for (const auto& child : children) out += child->key() + ";";
  return out + ")" + std::string(to_string(dtype));
}

NodePtr Elementwise::transposed(std::span<const int64_t> perm) const {
  return moved([&](const Node& child) { return child.transposed(perm); });
}

NodePtr Elementwise::sliced(size_t axis, int64_t begin, int64_t end) const {
  return moved([&](const Node& child) { return child.sliced(axis, begin, end); });
}

NodePtr Elementwise::reshaped(const Dims& next) const {
  return moved([&](const Node& child) { return child.reshaped(next); });
}

}  // namespace ferry::weights
