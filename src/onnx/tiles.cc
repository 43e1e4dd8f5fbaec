#include "onnx/tiles.h"

#include <algorithm>
#include <atomic>
#include <memory>

#include "base/error.h"
#include "base/parallel.h"
#include "base/text.h"

namespace ferry::onnx {
namespace {

// Stored bytes pass through a buffer that stays in the cache: write() straight from a mapping takes twice as
// long, as the kernel then looks up the pages one by one.
constexpr uint64_t kStoredTile = 512u << 10;
constexpr uint64_t kTile = 4u << 20;
constexpr uint64_t kLargestTile = 16u << 20;
// A transposed matrix is read in strips as high as the tile: whole cache lines of the source, several each.
constexpr uint64_t kFewestRows = 64;

struct Tile {
  const Placement* placement = nullptr;
  uint64_t first = 0;  // Elements.
  uint64_t count = 0;
};

uint64_t bytes_of(const Weight& weight, uint64_t elements) {
  return elements * bits_of(weight.dtype()) / 8;
}

// How many elements a tile takes: whole rows, where rows are short enough.
uint64_t tile_elements(const Weight& weight) {
  const uint64_t bits = bits_of(weight.dtype());
  if (weight.stored_bytes()) return kStoredTile * 8 / bits;
  const uint64_t columns = weight.dims().empty() ? 1 : static_cast<uint64_t>(weight.dims().back());
  const uint64_t row_bytes = std::max<uint64_t>(1, columns * bits / 8);
  uint64_t rows = std::max(kFewestRows, kTile / row_bytes / kFewestRows * kFewestRows);
  rows = std::min(rows, kLargestTile / row_bytes);
  if (rows == 0) return kTile * 8 / bits;
  return rows * columns + (bits < 8 ? rows * columns % 2 : 0);
}

std::vector<Tile> tiles_of(const std::vector<Placement>& placements) {
  std::vector<Tile> tiles;
  for (const Placement& placement : placements) {
    const uint64_t count = placement.value->weight->count();
    const uint64_t step = tile_elements(*placement.value->weight);
    for (uint64_t first = 0; first < count; first += step)
      tiles.push_back({&placement, first, std::min(step, count - first)});
  }
  return tiles;
}

void write_tile(const Tile& tile, std::vector<std::byte>& buffer) {
  const Weight& weight = *tile.placement->value->weight;
  const uint64_t begin = bytes_of(weight, tile.first);
  const uint64_t length = *byte_size(weight.dtype(), tile.count);
  const uint64_t offset = tile.placement->offset + begin;
  buffer.resize(std::max(buffer.size(), length));
  with_context(printable(tile.placement->value->name, 200),
               [&] { weight.read(tile.first, tile.count, buffer.data()); });
  tile.placement->file->write(std::span(buffer).first(length), offset);
}

}  // namespace

void write_weights(const std::vector<Placement>& placements, size_t threads, const Log* log,
                   std::string_view progress) {
  const std::vector<Tile> tiles = tiles_of(placements);
  uint64_t total = 0;
  for (const Placement& placement : placements) total += placement.value->weight->size_bytes();
  if (threads == 0) threads = default_threads();
  threads = std::max<size_t>(1, std::min(threads, tiles.size()));
  std::atomic<size_t> next{0};
  std::atomic<uint64_t> done{0};
  std::atomic<bool> failed{false};
  // One call a thread, so that each has one buffer for all of its tiles.
  parallel_for(
      threads,
      [&](size_t) {
        std::vector<std::byte> buffer;
        try {
          for (size_t i = next++; i < tiles.size() && !failed; i = next++) {
            write_tile(tiles[i], buffer);
            const uint64_t length = *byte_size(tiles[i].placement->value->weight->dtype(), tiles[i].count);
            if (log != nullptr) log->progress(progress, done += length, total);
          }
        } catch (...) {
          failed = true;
          throw;
        }
      },
      threads);
}

}  // namespace ferry::onnx
