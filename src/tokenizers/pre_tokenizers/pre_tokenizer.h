#pragma once
// Pre-tokenizers cut the text into words; each has the name and the options it has in tokenizer.json.
#include <memory>

#include "tokenizers/spec.h"
#include "tokenizers/text/pre_tokenized.h"

namespace ferry::tokenizers {

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  /// Cuts each piece that is not an added token. Const: many threads may call it at once.
  virtual void pre_tokenize(PreTokenized& text) const = 0;
};

/// Errors: Error{invalid_config}, Error{unsupported} for an unknown type.
std::unique_ptr<PreTokenizer> make_pre_tokenizer(const Spec& spec);

// One source file each.
std::unique_ptr<PreTokenizer> make_byte_level(const Spec& spec);
std::unique_ptr<PreTokenizer> make_metaspace(const Spec& spec);
std::unique_ptr<PreTokenizer> make_split(const Spec& spec);
/// BertPreTokenizer, Whitespace, WhitespaceSplit, Punctuation, Digits, CharDelimiterSplit; null for other
/// types.
std::unique_ptr<PreTokenizer> make_character_splitter(const Spec& spec);

}  // namespace ferry::tokenizers
