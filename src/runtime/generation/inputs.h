#pragma once
// What generate() takes from its caller, checked.
#include <optional>
#include <string>
#include <vector>

#include "ferry/generation.h"

namespace ferry::generation {

using Rows = std::vector<std::vector<int64_t>>;

/// input_ids and attention_mask of a call, a vector a row.
struct TokenInputs {
  Rows ids, mask;
};

/// Reads "input_ids" and "attention_mask". Without a mask, tokens equal to the pad token are padding, unless
/// that is an end token as well. `vocabulary`: of the model, where it is known.
/// Errors: Error{usage} for no rows, no tokens, a mask of another shape, a row of padding alone, or a token
/// beyond the vocabulary; Error{unsupported} for a cache; Error{not_found} without input_ids;
/// Error{shape_mismatch} unless it is [B, S].
TokenInputs token_inputs(const ModelInputs& inputs, const GenerationConfig& config,
                         std::optional<int64_t> vocabulary);

/// The most tokens that a model takes, from its config.json. Linear and dynamic rope scaling extend it.
std::optional<int64_t> context_length(const std::string& config_json);
/// vocab_size of config.json.
std::optional<int64_t> vocabulary_size(const std::string& config_json);

}  // namespace ferry::generation
