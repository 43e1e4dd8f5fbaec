#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace ferry::tokenizers {

/// The bytes that `text` encodes (RFC 4648, padded). Nothing if it is malformed.
std::optional<std::string> decode_base64(std::string_view text);
std::string encode_base64(std::string_view bytes);

}  // namespace ferry::tokenizers
