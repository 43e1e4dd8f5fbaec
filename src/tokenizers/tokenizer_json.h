#pragma once
// Reading tokenizer.json.
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>

#include "tokenizers/engine.h"

namespace ferry::tokenizers {

/// What the file says about calls; transformers takes some of it over.
struct FileDefaults {
  std::optional<TruncationParameters> truncation;
  std::optional<PaddingParameters> padding;
};

/// Reads a whole tokenizer. `what` names the file in errors.
/// Errors: Error{invalid_file} for malformed JSON or a vocabulary that contradicts itself,
/// Error{invalid_config} for a key of the wrong type, Error{unsupported} for types and options that are not
/// known here.
std::unique_ptr<Engine> parse_tokenizer_json(std::string_view text, std::string_view what,
                                             FileDefaults* defaults = nullptr);
std::unique_ptr<Engine> read_tokenizer_json(const std::filesystem::path& file,
                                            FileDefaults* defaults = nullptr);

/// Reads an object of tokens and ids (vocab.json). Errors: as above.
Vocabulary parse_vocab_json(std::string_view text, std::string_view what);

}  // namespace ferry::tokenizers
