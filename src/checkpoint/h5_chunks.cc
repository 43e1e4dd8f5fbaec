#include "checkpoint/h5_chunks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "base/checked.h"
#include "base/text.h"
#include "checkpoint/limits.h"
#include "checkpoint/tensor_file.h"

namespace ferry::checkpoint {
namespace {

constexpr uint64_t kMaxChunkBytes = 256u << 20;
constexpr uint64_t kBandBytes = 64u << 20;  // Decoded at once, or one row of chunks if that is more.
constexpr uint64_t kMaxBandBytes = uint64_t{1} << 30;
constexpr uint64_t kMaxRatio = 1040;  // Deflate cannot do better.
constexpr size_t kMaxDepth = 32;

class ChunkIndex {
 public:
  ChunkIndex(const H5Bytes& bytes, H5ChunkedData& data) : bytes_(bytes), data_(data) {}

  void read(ByteReader& layout, uint8_t version) {
    version == 3 ? layout3(layout) : layout4(layout);
    for (const H5Chunk& chunk : data_.chunks) {
      if (chunk.size == 0) fail("a chunk was never written");
      (void)bytes_.at(chunk.address, chunk.size, "a chunk");
    }
  }

 private:
  [[noreturn]] void fail(std::string_view reason) const {
    bytes_.fail(fmt::format("{}: {}", in_quotes(data_.path), reason));
  }

  // Dimensionality counts one dimension more: the bytes of an element.
  void layout3(ByteReader& layout) {
    const auto rank = layout.number<uint8_t>();
    const auto tree = layout.number<uint64_t>();
    if (!tree) fail("its layout is broken");
    read_dims(layout, *rank, 4);
    if (*tree == kH5Undefined) fail("a chunk was never written");
    node(*tree, 0);
  }

  void layout4(ByteReader& layout) {
    const auto flags = layout.number<uint8_t>();
    const auto rank = layout.number<uint8_t>();
    const auto width = layout.number<uint8_t>();
    if (!width || *width < 1 || *width > 8) fail("its layout is broken");
    read_dims(layout, *rank, *width);
    const auto index = layout.number<uint8_t>();
    if (index == 1) {
      H5Chunk chunk{0, data_.chunk_bytes, 0};
      if ((*flags & 2) != 0) {
        chunk.size = layout.number<uint64_t>().value_or(0);
        chunk.skipped = layout.number<uint32_t>().value_or(0);
      }
      chunk.address = layout.number<uint64_t>().value_or(kH5Undefined);
      if (data_.chunks.size() != 1) fail("more than one chunk where one is listed");
      data_.chunks[0] = chunk;
    } else if (index == 2) {
      const auto address = layout.number<uint64_t>().value_or(kH5Undefined);
      for (size_t i = 0; i < data_.chunks.size(); ++i)
        data_.chunks[i] = {address + i * data_.chunk_bytes, data_.chunk_bytes, 0};
    } else {
      bytes_.refuse(fmt::format(
          "{}: chunks in an index of kind {}; save the file with libver=\"earliest\", h5py's default",
          in_quotes(data_.path), index.value_or(0)));
    }
  }

  void read_dims(ByteReader& layout, uint8_t rank, size_t width) {
    if (rank != data_.dims.size() + 1) fail("its chunks have another rank");
    uint64_t bytes = data_.element, count = 1;
    for (const int64_t dim : data_.dims) {
      const auto chunk = h5_number(layout, width).value_or(0);
      const auto next = checked_mul(bytes, chunk);
      if (!next || *next == 0 || *next > kMaxChunkBytes)
        fail(fmt::format("its chunks have more than {} bytes, or none", kMaxChunkBytes));
      bytes = *next;
      data_.chunk.push_back(static_cast<int64_t>(chunk));
      count *= (static_cast<uint64_t>(dim) - 1) / chunk + 1;  // At most the number of elements.
    }
    if (h5_number(layout, width) != data_.element) fail("its chunks have another element size");
    data_.chunk_bytes = bytes;
    // Each chunk takes a key in the index; what is stored bounds what can be decoded.
    const auto total = static_cast<uint64_t>(element_count(data_.dims)) * data_.element;
    if (count > bytes_.size() / 8 || total / kMaxRatio > bytes_.size())
      fail(fmt::format("{} chunks cannot lie in a file of {} bytes", count, bytes_.size()));
    data_.chunks.resize(count);
  }

  // A B-tree (version 1) of chunks: key {stored bytes, filters that were skipped, offsets...}, child.
  void node(uint64_t address, size_t depth) {
    bytes_.step();
    if (depth > kMaxDepth) fail("its index is too deep");
    const std::string_view head = bytes_.at(address, 24, "an index of chunks");
    if (!starts_with(head, "TREE") || head[4] != 1) fail("no index of chunks where its layout says it is");
    const auto level = static_cast<uint8_t>(head[5]);
    const uint64_t children = number_at<uint16_t>(head, 6);
    const uint64_t key = 8 + 8 * (data_.dims.size() + 1);
    const std::string_view body =
        bytes_.at(address, 24 + children * (key + 8), "an index of chunks").substr(24);
    bytes_.step(children);
    for (uint64_t i = 0; i < children; ++i) {
      const std::string_view entry = body.substr(i * (key + 8), key + 8);
      const auto child = number_at<uint64_t>(entry, key);
      level == 0 ? add(entry, child) : node(child, depth + 1);
    }
  }

  void add(std::string_view key, uint64_t address) {
    uint64_t place = 0;
    for (size_t i = 0; i < data_.dims.size(); ++i) {
      const auto offset = number_at<uint64_t>(key, 8 + 8 * i);
      const auto chunk = static_cast<uint64_t>(data_.chunk[i]), dim = static_cast<uint64_t>(data_.dims[i]);
      if (offset % chunk != 0 || offset >= dim) fail("a chunk outside of its shape");
      place = place * ((dim - 1) / chunk + 1) + offset / chunk;
    }
    H5Chunk& chunk = data_.chunks[place];
    if (chunk.size != 0) fail("a chunk is listed twice");
    chunk = {address, number_at<uint32_t>(key, 0), number_at<uint32_t>(key, 4)};
  }

  const H5Bytes& bytes_;
  H5ChunkedData& data_;
};

// Decodes whole rows of chunks. One band is kept for all datasets: readers go through one after the other.
class BandReader {
 public:
  BandReader(std::shared_ptr<const H5Bytes> bytes, H5ChunkedData data)
      : bytes_(std::move(bytes)), data_(std::move(data)) {
    const auto rows = static_cast<uint64_t>(data_.dims[0]),
               chunk_rows = static_cast<uint64_t>(data_.chunk[0]);
    row_bytes_ = static_cast<uint64_t>(element_count(data_.dims)) / rows * data_.element;
    const uint64_t wanted = kBandBytes / row_bytes_ / chunk_rows * chunk_rows;
    band_ = std::min(rows, std::max(chunk_rows, wanted));
    if (band_ * row_bytes_ > kMaxBandBytes)
      bytes_->refuse(fmt::format("{}: a row of its chunks takes more than {} bytes", in_quotes(data_.path),
                                 kMaxBandBytes));
  }

  void read(uint64_t at, uint64_t amount, std::byte* out) const {
    static std::mutex mutex;
    static Band cached;
    const std::scoped_lock lock(mutex);
    const uint64_t band_bytes = band_ * row_bytes_;
    while (amount > 0) {
      const uint64_t first = at / band_bytes * band_;
      if (cached.owner.lock() != bytes_ || cached.chunks != data_.chunks.data() || cached.first != first) {
        cached = {};
        cached = {bytes_, data_.chunks.data(), first, decode(first)};
      }
      const uint64_t within = at % band_bytes;
      const uint64_t done = std::min(amount, cached.bytes.size() - within);
      std::memcpy(out, cached.bytes.data() + within, done);
      out += done;
      at += done;
      amount -= done;
    }
  }

 private:
  struct Band {
    std::weak_ptr<const H5Bytes> owner;
    const H5Chunk* chunks = nullptr;  // Of which dataset.
    uint64_t first = 0;               // Row.
    std::vector<std::byte> bytes;
  };

  [[nodiscard]] std::vector<std::byte> decode(uint64_t first_row) const {
    const auto rows = std::min(band_, static_cast<uint64_t>(data_.dims[0]) - first_row);
    std::vector<std::byte> band(rows * row_bytes_), chunk;
    const auto chunk_rows = static_cast<uint64_t>(data_.chunk[0]);
    const uint64_t grid_rows = (static_cast<uint64_t>(data_.dims[0]) - 1) / chunk_rows + 1;
    const uint64_t per_row = data_.chunks.size() / grid_rows;
    for (uint64_t row = first_row / chunk_rows; row * chunk_rows < first_row + rows; ++row) {
      for (uint64_t i = 0; i < per_row; ++i) {
        const H5Chunk& place = data_.chunks[row * per_row + i];
        const std::string problem =
            decode_h5_chunk(bytes_->at(place.address, place.size, "a chunk"), data_.filters, place.skipped,
                            data_.element, data_.chunk_bytes, chunk);
        if (!problem.empty()) bytes_->fail(fmt::format("{}: {}", in_quotes(data_.path), problem));
        copy(chunk, row * chunk_rows - first_row, i, rows, band);
      }
    }
    return band;
  }

  // Copies the part of a chunk that lies within the dataset, run by run along the last dimension. `index` is
  // the chunk's place in its row of the grid.
  void copy(const std::vector<std::byte>& chunk, uint64_t row, uint64_t index, uint64_t rows,
            std::vector<std::byte>& band) const {
    const size_t rank = data_.dims.size();
    std::vector<uint64_t> begin(rank), size(rank), at(rank, 0);
    begin[0] = row;
    size[0] = std::min(static_cast<uint64_t>(data_.chunk[0]), rows - row);
    for (size_t i = rank; i-- > 1;) {
      const auto step = static_cast<uint64_t>(data_.chunk[i]), dim = static_cast<uint64_t>(data_.dims[i]);
      const uint64_t grid = (dim - 1) / step + 1;
      begin[i] = index % grid * step;
      size[i] = std::min(step, dim - begin[i]);
      index /= grid;
    }
    const uint64_t run = size[rank - 1] * data_.element;
    while (true) {
      uint64_t from = 0, to = 0;
      for (size_t i = 0; i < rank; ++i) {
        from = from * static_cast<uint64_t>(data_.chunk[i]) + at[i];
        to = to * static_cast<uint64_t>(data_.dims[i]) + begin[i] + at[i];
      }
      std::memcpy(band.data() + to * data_.element, chunk.data() + from * data_.element, run);
      size_t axis = rank - 1;
      do {
        if (axis == 0) return;
        --axis;
        at[axis] = (at[axis] + 1) % size[axis];
      } while (at[axis] == 0);
    }
  }

  std::shared_ptr<const H5Bytes> bytes_;
  H5ChunkedData data_;
  uint64_t row_bytes_ = 0;
  uint64_t band_ = 0;  // Rows.
};

}  // namespace

void read_h5_chunks(const H5Bytes& bytes, ByteReader& layout, uint8_t version, H5ChunkedData& data) {
  ChunkIndex(bytes, data).read(layout, version);
}

Weight chunked_h5_weight(const std::shared_ptr<const H5Bytes>& bytes, DType dtype, H5ChunkedData data) {
  const std::string identity = fmt::format("h5:{}:{}", static_cast<const void*>(bytes.get()), data.path);
  const Dims dims = data.dims;
  const uint64_t element = data.element;
  const auto reader = std::make_shared<const BandReader>(bytes, std::move(data));
  return Weight::computed(dtype, dims, identity,
                          [reader, element](uint64_t first, uint64_t count, std::byte* out) {
                            reader->read(first * element, count * element, out);
                          });
}

}  // namespace ferry::checkpoint
