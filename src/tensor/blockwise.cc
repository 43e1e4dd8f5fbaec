#include "tensor/blockwise.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "tensor/convert.h"

namespace ferry {
namespace {

struct Block {
  float scale = 0;
  uint8_t zero = 0;
};

// One column of the matrix at a time, with the scales of its blocks.
class Columns {
 public:
  Columns(const Weight& matrix, const BlockFormat& format)
      : rows_(matrix.transpose()),
        format_(format),
        length_(static_cast<uint64_t>(matrix.dims()[0])),
        size_(static_cast<uint64_t>(format.block_size)) {}

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
    const auto [low, high] = std::minmax_element(column.begin() + first, column.begin() + last);
    const float most = static_cast<float>((1 << format_.bits) - 1);
    const float middle = static_cast<float>(1 << (format_.bits - 1));
    if (format_.symmetric)
      return {(std::abs(*high) > std::abs(*low) ? *high : *low) / -middle, static_cast<uint8_t>(middle)};
    const float least = std::min(*low, 0.0f), scale = (std::max(*high, 0.0f) - least) / most;
    const float zero = scale == 0 ? least : 0.0f - least / scale;
    return {scale, static_cast<uint8_t>(std::clamp(std::nearbyint(zero), 0.0f, most))};
  }

  // Integers of one block, in their bits.
  void pack(const std::vector<float>& column, uint64_t index, uint8_t* out) const {
    const auto [first, last] = bounds(index);
    const Block with = block(column, index);
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

}  // namespace

BlockWeights quantize_blocks(const Weight& matrix, const BlockFormat& format) {
  if (matrix.dims().size() != 2)
    throw Error(ErrorCode::shape_mismatch,
                fmt::format("{} is no matrix: blocks are taken along columns", to_string(matrix.dims())));
  const Columns columns(matrix, format);
  const auto blocks = static_cast<int64_t>(columns.blocks()), count = matrix.dims()[1];
  const auto identity = [&](const char* what) {
    return fmt::format("{}{}x{}{}({})", what, format.bits, format.block_size, format.symmetric ? "" : "z",
                       matrix.key());
  };
  const auto packed = [columns](uint64_t first, uint64_t amount, std::byte* out) {
    const uint64_t width = columns.blocks() * columns.block_bytes();
    read_rows(first, amount, width, 1, out, [&](uint64_t n, std::byte* row) {
      const auto column = columns.column(n);
      for (uint64_t b = 0; b < columns.blocks(); ++b)
        columns.pack(column, b, reinterpret_cast<uint8_t*>(row) + b * columns.block_bytes());
    });
  };
  const auto scales = [columns](uint64_t first, uint64_t amount, std::byte* out) {
    read_rows(first, amount, columns.blocks(), sizeof(float), out, [&](uint64_t n, std::byte* row) {
      const auto column = columns.column(n);
      for (uint64_t b = 0; b < columns.blocks(); ++b)
        reinterpret_cast<float*>(row)[b] = columns.block(column, b).scale;
    });
  };
  const auto zeros = [columns](uint64_t first, uint64_t amount, std::byte* out) {
    read_rows(first, amount, columns.zero_bytes(), 1, out, [&](uint64_t n, std::byte* row) {
      const auto column = columns.column(n);
      auto* bytes = reinterpret_cast<uint8_t*>(row);
      // What fills up the last byte is the middle, as the reference writes it.
      std::fill_n(bytes, columns.zero_bytes(), columns.format().bits == 4 ? uint8_t{0x88} : uint8_t{0});
      for (uint64_t b = 0; b < columns.blocks(); ++b) {
        const uint8_t zero = columns.block(column, b).zero;
        if (columns.format().bits == 8) {
          bytes[b] = zero;
        } else {
          bytes[b / 2] = static_cast<uint8_t>(b % 2 == 0 ? (bytes[b / 2] & 0xF0) | zero
                                                         : (bytes[b / 2] & 0x0F) | (zero << 4));
        }
      }
    });
  };
  const auto block_bytes = static_cast<int64_t>(columns.block_bytes());
  BlockWeights out{Weight::computed(DType::u8, {count, blocks, block_bytes}, identity("packed"), packed),
                   Weight::computed(DType::f32, {count, blocks}, identity("scales"), scales), std::nullopt};
  if (!format.symmetric) {
    out.zero_points = Weight::computed(DType::u8, {count, static_cast<int64_t>(columns.zero_bytes())},
                                       identity("zeros"), zeros);
  }
  return out;
}

}  // namespace ferry
