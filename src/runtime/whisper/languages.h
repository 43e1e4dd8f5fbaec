#pragma once
// The languages that Whisper was trained on.
#include <optional>
#include <string>
#include <string_view>

namespace ferry::whisper {

/// "english" of "en"; nothing for what is no language.
std::optional<std::string_view> language_name(std::string_view code);
/// "en" of "en", "english", "English" or "<|en|>". Errors: Error{usage} with the nearest names.
std::string language_code(std::string_view language);

}  // namespace ferry::whisper
