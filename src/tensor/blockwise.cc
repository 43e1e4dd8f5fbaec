#include "tensor/blockwise.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <span>

#include "base/error.h"
#include "base/parallel.h"
#include "tensor/block_fit.h"
#include "tensor/convert.h"

namespace ferry {
namespace {

// One column of the matrix at a time, with the scales of its blocks.
class Columns {
 public:
  Columns(const Weight& matrix, const BlockFormat& format)
      : rows_(matrix.transpose()),
        format_(format),
        length_(static_cast<uint64_t>(matrix.dims()[0])),
        size_(static_cast<uint64_t>(format.block_size)),
        count_(static_cast<uint64_t>(matrix.dims()[1])) {}

  [[nodiscard]] uint64_t count() const { return count_; }

  [[nodiscard]] uint64_t blocks() const { return (length_ + size_ - 1) / size_; }
  [[nodiscard]] uint64_t block_bytes() const { return size_ * static_cast<uint64_t>(format_.bits) / 8; }
  [[nodiscard]] uint64_t zero_bytes() const {
    return (blocks() * static_cast<uint64_t>(format_.bits) + 7) / 8;
  }
  [[nodiscard]] const BlockFormat& format() const { return format_; }

  // The elements of column `n`.
  [[nodiscard]] std::vector<float> column(uint64_t n) const {
    std::vector<std::byte> raw(*byte_size(rows_.dtype(), length_));
    rows_.read(n * length_, length_, raw.data());
    std::vector<float> out(length_);
    to_floats(raw.data(), rows_.dtype(), length_, out.data());
    if (!std::all_of(out.begin(), out.end(), [](float x) { return std::isfinite(x); }))
      throw Error(ErrorCode::invalid_file, "the weight holds infinite numbers or NaN");
    return out;
  }

  [[nodiscard]] Block block(const std::vector<float>& column, uint64_t index) const {
    const auto [first, last] = bounds(index);
    return fit_block(std::span(column).subspan(static_cast<size_t>(first), static_cast<size_t>(last - first)),
                     format_);
  }

  // Integers of one block, in their bits.
  void pack(const std::vector<float>& column, uint64_t index, const Block& with, uint8_t* out) const {
    const auto [first, last] = bounds(index);
    const float inverse = with.scale == 0 ? 0.0f : 1.0f / with.scale;
    const float most = static_cast<float>((1 << format_.bits) - 1);
    std::fill_n(out, block_bytes(), uint8_t{0});
    for (auto i = first; i < last; ++i) {
      const float q =
          std::clamp(std::floor(column[static_cast<size_t>(i)] * inverse + with.zero + 0.5f), 0.0f, most);
      const auto at = static_cast<uint64_t>(i - first);
      if (format_.bits == 8) {
        out[at] = static_cast<uint8_t>(q);
      } else {
        out[at / 2] |= static_cast<uint8_t>(static_cast<uint8_t>(q) << (4 * (at % 2)));
      }
    }
  }

 private:
  [[nodiscard]] std::pair<std::ptrdiff_t, std::ptrdiff_t> bounds(uint64_t index) const {
    return {static_cast<std::ptrdiff_t>(index * size_),
            static_cast<std::ptrdiff_t>(std::min(length_, (index + 1) * size_))};
  }

  Weight rows_;
  BlockFormat format_;
  uint64_t length_;
  uint64_t size_;
  uint64_t count_;
};

// The blocks of all columns, one column after the other.
using Blocks = std::vector<Block>;

// The blocks of a matrix whose search is dear: made when one is asked for, and let go when all who read the
// matrix (packed, scales, zero points) have come to its end.
class Table {
 public:
  explicit Table(const Columns& columns) : columns_(columns), readers_(columns.format().symmetric ? 2 : 3) {}

  [[nodiscard]] std::shared_ptr<const Blocks> blocks() {
    const std::lock_guard lock(mutex_);
    if (made_ != nullptr) return made_;
    constexpr uint64_t kColumns = 16;
    auto made = std::make_shared<Blocks>(columns_.count() * columns_.blocks());
    parallel_for((columns_.count() + kColumns - 1) / kColumns, [&](size_t chunk) {
      const uint64_t end = std::min(columns_.count(), (chunk + 1) * kColumns);
      for (uint64_t n = chunk * kColumns; n < end; ++n) {
        const auto column = columns_.column(n);
        for (uint64_t b = 0; b < columns_.blocks(); ++b)
          (*made)[n * columns_.blocks() + b] = columns_.block(column, b);
      }
    });
    return made_ = std::move(made);
  }

  void came_to_end() {
    const std::lock_guard lock(mutex_);
    if (++ended_ < readers_) return;
    ended_ = 0;
    made_.reset();
  }

 private:
  const Columns columns_;
  const int readers_;
  std::mutex mutex_;
  std::shared_ptr<const Blocks> made_;
  int ended_ = 0;
};

// Reads columns with their blocks, which are found where they are needed if that is cheap.
class Reader {
 public:
  Reader(const Columns& columns, Table* table)
      : columns_(columns), blocks_(table != nullptr ? table->blocks() : nullptr) {}

  [[nodiscard]] Blocks blocks(uint64_t n, const std::vector<float>& column) const {
    Blocks out;
    for (uint64_t b = 0; b < columns_.blocks(); ++b)
      out.push_back(blocks_ != nullptr ? (*blocks_)[n * columns_.blocks() + b] : columns_.block(column, b));
    return out;
  }
  // The same where the elements are not needed.
  [[nodiscard]] Blocks blocks(uint64_t n) const {
    return blocks(n, blocks_ != nullptr ? std::vector<float>() : columns_.column(n));
  }

 private:
  const Columns& columns_;
  std::shared_ptr<const Blocks> blocks_;
};

// Elements [first, first + count) of rows of `width` elements of `size` bytes, each row made by make(row,
// out).
template <typename Make>
void read_rows(uint64_t first, uint64_t count, uint64_t width, size_t size, std::byte* out,
               const Make& make) {
  std::vector<std::byte> row(width * size);
  while (count > 0) {
    const uint64_t at = first % width, amount = std::min(count, width - at);
    make(first / width, row.data());
    std::copy_n(row.data() + at * size, amount * size, out);
    out += amount * size;
    first += amount;
    count -= amount;
  }
}

void pack_column(const Columns& columns, const Reader& reader, uint64_t n, uint8_t* out) {
  const auto column = columns.column(n);
  const auto blocks = reader.blocks(n, column);
  for (uint64_t b = 0; b < columns.blocks(); ++b)
    columns.pack(column, b, blocks[b], out + b * columns.block_bytes());
}

void scales_of_column(const Columns&, const Reader& reader, uint64_t n, float* out) {
  for (const Block& block : reader.blocks(n)) *out++ = block.scale;
}

void zeros_of_column(const Columns& columns, const Reader& reader, uint64_t n, uint8_t* out) {
  // What fills up the last byte is the middle, as the reference writes it.
  std::fill_n(out, columns.zero_bytes(), columns.format().bits == 4 ? uint8_t{0x88} : uint8_t{0});
  uint64_t b = 0;
  for (const Block& block : reader.blocks(n)) {
    if (columns.format().bits == 8) {
      out[b] = block.zero;
    } else {
      out[b / 2] = static_cast<uint8_t>(b % 2 == 0 ? (out[b / 2] & 0xF0) | block.zero
                                                   : (out[b / 2] & 0x0F) | (block.zero << 4));
    }
    ++b;
  }
}

}  // namespace

BlockWeights quantize_blocks(const Weight& matrix, const BlockFormat& format) {
  if (matrix.dims().size() != 2)
    throw Error(ErrorCode::shape_mismatch,
                fmt::format("{} is no matrix: blocks are taken along columns", to_string(matrix.dims())));
  if (format.algorithm == BlockAlgorithm::hqq && format.symmetric)
    throw Error(ErrorCode::usage, "half-quadratic blocks have zero points: they are not symmetric");
  const Columns columns(matrix, format);
  const auto table = format.algorithm == BlockAlgorithm::rtn ? nullptr : std::make_shared<Table>(columns);
  const auto blocks = static_cast<int64_t>(columns.blocks()), count = matrix.dims()[1];
  // Rows of `width` elements of T, one a column, each made by make(reader, column, row).
  const auto rows = [&]<typename T>(const char* what, DType dtype, Dims dims, uint64_t width,
                                    void (*make)(const Columns&, const Reader&, uint64_t, T*)) {
    std::string identity =
        fmt::format("{}{}x{}{}{}({})", what, format.bits, format.block_size, format.symmetric ? "" : "z",
                    static_cast<int>(format.algorithm), matrix.key());
    return Weight::computed(
        dtype, std::move(dims), std::move(identity),
        [columns, table, width, make](uint64_t first, uint64_t amount, std::byte* out) {
          const Reader reader(columns, table.get());
          read_rows(first, amount, width, sizeof(T), out, [&](uint64_t n, std::byte* row) {
            make(columns, reader, n, reinterpret_cast<T*>(row));  // NOLINT: the bytes are those of a T.
          });
          if (table != nullptr && first + amount == width * columns.count()) table->came_to_end();
        });
  };
  const auto zero_bytes = static_cast<int64_t>(columns.zero_bytes());
  const auto block_bytes = static_cast<int64_t>(columns.block_bytes());
  BlockWeights out{rows("packed", DType::u8, {count, blocks, block_bytes},
                        columns.blocks() * columns.block_bytes(), pack_column),
                   rows("scales", DType::f32, {count, blocks}, columns.blocks(), scales_of_column),
                   std::nullopt};
  if (!format.symmetric)
    out.zero_points = rows("zeros", DType::u8, {count, zero_bytes}, columns.zero_bytes(), zeros_of_column);
  return out;
}

}  // namespace ferry
