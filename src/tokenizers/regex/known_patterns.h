#pragma once
// The split patterns that nearly all byte-level models use, matched by hand: an order of magnitude faster
// than a regular expression engine, and held to its results by tests.
#include <cstddef>
#include <string_view>

namespace ferry::tokenizers {

/// Returns where the match that starts at `p` ends; `p` itself if nothing matches there.
using Matcher = const char* (*)(const char* p, const char* end);

/// The matcher of `pattern`, or null if it is not one of the known ones.
Matcher known_pattern(std::string_view pattern);

/// GPT-2's pattern, which the ByteLevel pre-tokenizer has built in.
const char* match_gpt2(const char* p, const char* end);
extern const std::string_view kGpt2Pattern;

}  // namespace ferry::tokenizers
