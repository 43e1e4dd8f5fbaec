#pragma once
// One MessagePack item at a time. Private to flax_msgpack.cc.
#include <cstdint>
#include <optional>
#include <string_view>

#include "checkpoint/byte_reader.h"

namespace ferry::checkpoint {

struct MsgpackItem {
  enum class Kind : uint8_t { nil, boolean, whole, negative, real, text, binary, array, map, extension };
  Kind kind = Kind::nil;
  uint64_t number = 0;       ///< boolean, whole: the value. array, map: how many elements follow.
  int8_t extension = 0;      ///< extension: its type.
  std::string_view content;  ///< text, binary, extension: the bytes.
  size_t offset = 0;         ///< Of the content in what was read.
};

/// The next item; of an array or map only its head. Nothing if the bytes are truncated or no MessagePack.
std::optional<MsgpackItem> next_msgpack(ByteReader& reader);

}  // namespace ferry::checkpoint
