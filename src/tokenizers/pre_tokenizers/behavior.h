#pragma once
// What a splitting pre-tokenizer does with what it found. Source: tokenizers 0.22.2, tokenizer/normalizer.rs
// split().
#include <utility>
#include <vector>

#include "tokenizers/regex/regex.h"
#include "tokenizers/spec.h"

namespace ferry::tokenizers {

enum class Behavior : uint8_t { removed, isolated, merged_with_previous, merged_with_next, contiguous };

/// Errors: Error{invalid_config}.
Behavior read_behavior(const Spec& spec, std::string_view key);

/// Turns matches into the pieces that stay, in place.
void apply_behavior(Behavior behavior, std::vector<Match>& matches);

}  // namespace ferry::tokenizers
