// Grouped integers as the blocks of MatMulNBits.
#include <algorithm>
#include <array>
#include <cstring>

#include "tensor/grouped.h"
#include "tensor/grouped_node.h"

namespace ferry {
using namespace weights;  // NOLINT: what expressions are made of.

namespace {

// The longest block that groups are made of, 0 if there is none.
int64_t block_size_of(const Grouped& matrix) {
  constexpr int64_t kLeast = 16, kUsual = 128, kMost = 256;
  if (matrix.groups() == 1) {
    int64_t size = kLeast;
    while (size < std::min(kUsual, matrix.rows())) size *= 2;
    return size;
  }
  int64_t size = kMost;
  while (matrix.group_size() % size != 0) size /= 2;
  return size >= kLeast ? size : 0;
}

// How the integers of a matrix lie in blocks: what the readers of packed bytes and zero points share.
struct Blocks {
  std::shared_ptr<const Grouped> matrix;
  int64_t size = 0, count = 0;
  std::vector<int64_t> order;  // Empty: as stored.

  [[nodiscard]] uint64_t bits() const { return static_cast<uint64_t>(matrix->format().bits); }
  [[nodiscard]] int64_t group_of(int64_t block) const { return block * size / matrix->group_size(); }

  // make(first column, last column, bytes of these) for the columns of a range of bytes.
  template <typename Make>
  void read(uint64_t width, uint64_t first, uint64_t amount, std::byte* out, const Make& make) const {
    std::vector<uint8_t> tile;
    while (amount > 0) {
      const uint64_t column = first / width, within = first % width;
      const uint64_t last = std::min(column + kColumnTile, (first + amount + width - 1) / width);
      tile.assign((last - column) * width, 0);
      make(static_cast<int64_t>(column), static_cast<int64_t>(last), tile.data());
      const uint64_t done = std::min(amount, tile.size() - within);
      std::memcpy(out, tile.data() + within, done);
      out += done;
      first += done;
      amount -= done;
    }
  }

  void put(uint8_t* column, int64_t place, uint8_t value) const {
    if (bits() == 8)
      column[place] = value;
    else
      column[place / 2] |= static_cast<uint8_t>(value << (place % 2 * 4));
  }

  [[nodiscard]] Weight packed() const {
    const Dims dims{matrix->columns(), count, size * matrix->format().bits / 8};
    const auto width = static_cast<uint64_t>(dims[1] * dims[2]);
    return Weight::computed(
        DType::u8, dims, "packed" + matrix->key(),
        [self = *this, width](uint64_t first, uint64_t amount, std::byte* out) {
          self.read(width, first, amount, out, [&](int64_t column, int64_t last, uint8_t* tile) {
            std::array<uint8_t, kColumnTile> row{};
            for (int64_t place = 0; place < self.matrix->rows(); ++place) {
              const int64_t k = self.order.empty() ? place : self.order[static_cast<size_t>(place)];
              self.matrix->integers(k, column, last, row.data());
              for (int64_t n = 0; n < last - column; ++n)
                self.put(tile + static_cast<uint64_t>(n) * width, place, row.at(static_cast<size_t>(n)));
            }
          });
        });
  }

  [[nodiscard]] Weight zeros() const {
    const uint64_t width = (static_cast<uint64_t>(count) * bits() + 7) / 8;
    return Weight::computed(
        DType::u8, {matrix->columns(), static_cast<int64_t>(width)}, "zeros" + matrix->key(),
        [self = *this, width](uint64_t first, uint64_t amount, std::byte* out) {
          self.read(width, first, amount, out, [&](int64_t column, int64_t last, uint8_t* tile) {
            std::array<uint8_t, kColumnTile> row{};
            for (int64_t block = 0; block < self.count; ++block) {
              self.matrix->zeros(self.group_of(block), column, last, row.data());
              for (int64_t n = 0; n < last - column; ++n)
                self.put(tile + static_cast<uint64_t>(n) * width, block, row.at(static_cast<size_t>(n)));
            }
          });
        });
  }

  // A group's scale, once for each of its blocks.
  [[nodiscard]] Weight scales() const {
    const int64_t groups = matrix->groups(), columns = matrix->columns();
    const Weight each = matrix->scales().cast(DType::f32).transpose();
    const int64_t copies = groups == 1 ? count : matrix->group_size() / size;
    if (copies == 1) return each;
    const std::vector<Weight> parts(static_cast<size_t>(copies), each.reshape({columns, groups, 1}));
    return Weight::concat(parts, 2).reshape({columns, groups * copies}).slice(1, 0, count);
  }
};

// One matrix among those that a weight is made of, and which of its columns.
struct Part {
  std::shared_ptr<const Grouped> matrix;
  int64_t first = 0, last = 0;
};

// Takes apart what lies along N: axis 1, or 0 of a matrix that is to be `turned`.
bool collect(const Node& node, bool turned, std::vector<Part>& out) {
  const size_t along = turned ? 0 : 1;
  if (const auto* grouped = dynamic_cast<const GroupedNode*>(&node)) {
    if (grouped->turned == turned) return false;
    out.push_back({grouped->matrix, 0, grouped->matrix->columns()});
    return true;
  }
  if (node.dims.size() != 2) return false;
  if (const auto* cast = dynamic_cast<const Elementwise*>(&node))
    return cast->what == "cast" && collect(*cast->children[0], turned, out);
  if (const auto* permuted = dynamic_cast<const Permuted*>(&node))
    return permuted->perm[0] == 1 && collect(*permuted->child, !turned, out);
  if (const auto* joined = dynamic_cast<const Concatenated*>(&node)) {
    return joined->axis == along &&
           std::all_of(joined->parts.begin(), joined->parts.end(),
                       [&](const auto& part) { return collect(*part, turned, out); });
  }
  const auto* sliced = dynamic_cast<const Sliced*>(&node);
  std::vector<Part> whole;
  if (sliced == nullptr || sliced->axis != along || !collect(*sliced->child, turned, whole)) return false;
  const int64_t begin = sliced->begin, end = begin + sliced->dims[along];
  int64_t at = 0;
  for (const Part& part : whole) {
    const int64_t length = part.last - part.first;
    const int64_t first = std::max(begin - at, int64_t{0}), last = std::min(end - at, length);
    if (first < last) out.push_back({part.matrix, part.first + first, part.first + last});
    at += length;
  }
  return true;
}

Weight columns_of(const Weight& weight, const Part& part) {
  const bool all = part.first == 0 && part.last == part.matrix->columns();
  return all ? weight : weight.slice(0, part.first, part.last);
}

}  // namespace

std::vector<BlockMatrix> stored_blocks(const Weight& matrix) {
  std::vector<Part> parts;
  const bool wide = matrix.dtype() == DType::f32 || matrix.dtype() == DType::f16;
  if (!wide || matrix.dims().size() != 2 || !collect(*matrix.node(), false, parts)) return {};
  std::vector<BlockMatrix> out;
  const bool symmetric = std::all_of(parts.begin(), parts.end(),
                                     [](const Part& part) { return part.matrix->zeros_in_the_middle(); });
  for (const Part& part : parts) {
    Blocks blocks{part.matrix, block_size_of(*part.matrix), 0, part.matrix->order()};
    if (blocks.size == 0 || !part.matrix->are_groups_whole()) return {};
    blocks.count = (part.matrix->rows() + blocks.size - 1) / blocks.size;
    BlockMatrix made{{part.matrix->format().bits, blocks.size, symmetric},
                     {columns_of(blocks.packed(), part),
                      columns_of(blocks.scales().cast(matrix.dtype()), part), std::nullopt},
                     std::nullopt};
    if (!symmetric) made.weights.zero_points = columns_of(blocks.zeros(), part);
    if (!blocks.order.empty()) made.order = Weight::from_i64({part.matrix->rows()}, blocks.order);
    out.push_back(std::move(made));
  }
  return out;
}

}  // namespace ferry
