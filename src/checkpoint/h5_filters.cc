// The filters that h5py's users turn on: gzip, shuffle, fletcher32.
#include <fmt/format.h>
#include <zlib.h>

#include <cstring>

#include "checkpoint/h5_dataset.h"

namespace ferry::checkpoint {
namespace {

// Inflates to exactly `size` bytes.
bool inflate_exactly(std::string_view in, uint64_t size, std::vector<std::byte>& out) {
  out.resize(size);
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return false;
  // zlib does not write to its input. Both sizes are below 4 GB: chunk sizes are 32-bit numbers.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = inflate(&stream, Z_FINISH);
  const bool whole = result == Z_STREAM_END && stream.avail_out == 0;
  inflateEnd(&stream);
  return whole;
}

// Byte i of every element lies together; puts them back.
std::vector<std::byte> unshuffle(const std::vector<std::byte>& in, size_t element) {
  std::vector<std::byte> out(in.size());
  const size_t count = in.size() / element;
  for (size_t byte = 0; byte < element; ++byte) {
    for (size_t i = 0; i < count; ++i) out[i * element + byte] = in[byte * count + i];
  }
  std::copy(in.begin() + static_cast<std::ptrdiff_t>(count * element), in.end(),
            out.begin() + static_cast<std::ptrdiff_t>(count * element));
  return out;
}

}  // namespace

std::string decode_h5_chunk(std::string_view stored, const std::vector<uint16_t>& filters, uint32_t skipped,
                            size_t element, uint64_t size, std::vector<std::byte>& out) {
  bool copied = false;
  for (size_t i = filters.size(); i-- > 0;) {
    if ((skipped >> i & 1) != 0) continue;
    if (filters[i] == 3) {
      // Applied last by h5py, so its four bytes stand at the end of what is stored.
      if (copied || stored.size() < 4) return "its checksum is out of place";
      stored.remove_suffix(4);
    } else if (filters[i] == 1) {
      if (copied) return "its filters are in an order that ferry does not undo";
      if (!inflate_exactly(stored, size, out))
        return fmt::format("a chunk does not inflate to {} bytes", size);
      copied = true;
    } else {
      if (!copied)
        out.assign(reinterpret_cast<const std::byte*>(stored.data()),
                   reinterpret_cast<const std::byte*>(stored.data()) + stored.size());
      copied = true;
      out = unshuffle(out, element);
    }
  }
  if (!copied)
    out.assign(reinterpret_cast<const std::byte*>(stored.data()),
               reinterpret_cast<const std::byte*>(stored.data()) + stored.size());
  return out.size() == size ? "" : fmt::format("a chunk has {} bytes, expected {}", out.size(), size);
}

}  // namespace ferry::checkpoint
