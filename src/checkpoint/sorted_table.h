#pragma once
// TensorFlow's (LevelDB's) sorted table: blocks of keys and values, an index block, a footer.
// Source: tensorflow 2.19, core/lib/io/table_format.txt, block.cc.
#include <functional>
#include <string>
#include <string_view>

namespace ferry::checkpoint {

/// A varint at the start of `bytes`, cut off it. False if there is none of at most 64 bits.
bool take_varint(std::string_view& bytes, uint64_t& value);

/// Calls `entry` with every key and value, in order. Views live during the call.
/// Errors: Error{invalid_file}; Error{unsupported} for compressed blocks; each names `file`.
void walk_sorted_table(std::string_view text, std::string_view file,
                       const std::function<void(std::string_view key, std::string_view value)>& entry);

}  // namespace ferry::checkpoint
