#pragma once
// The four normalization forms, with the alignment that Hugging Face tokenizers gives their result.
#include "tokenizers/text/pre_tokenized.h"

namespace ferry::tokenizers {

enum class Form : uint8_t { nfc, nfd, nfkc, nfkd };

/// Writes piece `piece` of `in` in `form`.
void normalize(std::string_view text, const Piece& piece, Form form, Rewriter& out);

/// A character and the byte it comes from.
struct Sourced {
  char32_t c;
  uint32_t from;
};

/// Replaces characters that follow one another by their canonical decomposition.
void decompose(std::vector<Sourced>& characters, std::vector<Sourced>& scratch);

}  // namespace ferry::tokenizers
