// Any text is the index of a sharded checkpoint or an Error; every shard name that is accepted stays below
// the folder.
// Seeds: tests/data/checkpoint/**/*.index.json.
#include <string_view>

#include "base/error.h"
#include "checkpoint/shard_index.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto map =
        ferry::checkpoint::parse_shard_index({reinterpret_cast<const char*>(data), size}, "fuzz");
    for (const auto& [name, shard] : map) {
      const bool leaves = shard.empty() || shard[0] == '/' || shard == ".." || shard.rfind("../", 0) == 0 ||
                          shard.find("/../") != std::string::npos || shard.find('\0') != std::string::npos;
      if (leaves) __builtin_trap();
    }
  } catch (const ferry::Error& error) {
    if (error.code() == ferry::ErrorCode::internal) __builtin_trap();
  }
  return 0;
}
