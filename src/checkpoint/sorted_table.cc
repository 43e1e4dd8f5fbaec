#include "checkpoint/sorted_table.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "checkpoint/byte_reader.h"
#include "checkpoint/limits.h"
#include "checkpoint/tensor_file.h"

namespace ferry::checkpoint {
namespace {

constexpr uint64_t kMagic = 0xdb4775248b80fb57ull;
constexpr size_t kFooterBytes = 48;
constexpr size_t kTrailerBytes = 5;  // Compression, checksum.

struct BlockHandle {
  uint64_t offset = 0;
  uint64_t size = 0;
};

bool take_handle(std::string_view& bytes, BlockHandle& out) {
  return take_varint(bytes, out.offset) && take_varint(bytes, out.size);
}

std::string_view block_at(std::string_view text, const BlockHandle& handle, std::string_view file) {
  if (handle.offset > text.size() || handle.size > text.size() - handle.offset ||
      text.size() - handle.offset - handle.size < kTrailerBytes) {
    throw_invalid(file, fmt::format("a block of {} bytes at {} does not lie within the {} bytes there are",
                                    handle.size, handle.offset, text.size()));
  }
  const auto compression = static_cast<uint8_t>(text[handle.offset + handle.size]);
  if (compression != 0) {
    throw Error(ErrorCode::unsupported,
                fmt::format("{}: the table is compressed (method {})", printable(file, 300), compression))
        .with_hint("load the checkpoint in TensorFlow and save it again");
  }
  return text.substr(handle.offset, handle.size);
}

// Entries share the start of their key with the one before; restart points at the end allow a search, which
// is not needed here.
void walk_block(std::string_view block, std::string_view file,
                const std::function<void(std::string_view, std::string_view)>& entry) {
  if (block.size() < 4) throw_invalid(file, "a block is too short");
  const uint64_t restarts = number_at<uint32_t>(block, block.size() - 4);
  if (restarts > block.size() / 4 - 1) throw_invalid(file, "a block has more restart points than bytes");
  std::string_view rest = block.substr(0, block.size() - 4 * (restarts + 1));
  std::string key;
  while (!rest.empty()) {
    uint64_t shared = 0, own = 0, value = 0;
    const bool whole = take_varint(rest, shared) && take_varint(rest, own) && take_varint(rest, value);
    if (!whole || shared > key.size() || own > rest.size() || value > rest.size() - own)
      throw_invalid(file, "a broken entry in a block");
    if (shared + own > kMaxNameBytes)
      throw_invalid(file, fmt::format("a key longer than {} bytes", kMaxNameBytes));
    key.resize(shared);
    key += rest.substr(0, own);
    entry(key, rest.substr(own, value));
    rest.remove_prefix(own + value);
  }
}

}  // namespace

bool take_varint(std::string_view& bytes, uint64_t& value) {
  value = 0;
  for (size_t i = 0; i < bytes.size() && i < 10; ++i) {
    const auto byte = static_cast<uint8_t>(bytes[i]);
    if (i == 9 && byte > 1) return false;
    value |= uint64_t{byte & 0x7Fu} << (7 * i);
    if (byte >= 0x80) continue;
    bytes.remove_prefix(i + 1);
    return true;
  }
  return false;
}

void walk_sorted_table(std::string_view text, std::string_view file,
                       const std::function<void(std::string_view key, std::string_view value)>& entry) {
  if (text.size() < kFooterBytes || number_at<uint64_t>(text, text.size() - 8) != kMagic)
    throw_invalid(file, "not the index of a TensorFlow checkpoint: its magic number is missing");
  std::string_view footer = text.substr(text.size() - kFooterBytes, kFooterBytes - 8);
  BlockHandle meta, index;
  if (!take_handle(footer, meta) || !take_handle(footer, index)) throw_invalid(file, "a broken footer");
  // Blocks lie end to end: one that is listed twice or out of order would cost its entries again.
  uint64_t at = 0;
  walk_block(block_at(text, index, file), file, [&](std::string_view, std::string_view value) {
    BlockHandle handle;
    if (!take_handle(value, handle) || handle.offset < at)
      throw_invalid(file, "a broken entry in the index block");
    at = handle.offset + handle.size;
    walk_block(block_at(text, handle, file), file, entry);
  });
}

}  // namespace ferry::checkpoint
