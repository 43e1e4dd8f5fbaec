#pragma once
// Decoders turn tokens back into text; each has the name and the options it has in tokenizer.json.
#include <memory>
#include <string>
#include <vector>

#include "tokenizers/spec.h"

namespace ferry::tokenizers {

class Decoder {
 public:
  virtual ~Decoder() = default;
  /// The pieces of text; joined, they are the result.
  [[nodiscard]] virtual std::vector<std::string> decode(std::vector<std::string> tokens) const = 0;
};

/// Errors: Error{invalid_config}, Error{unsupported} for an unknown type.
std::unique_ptr<Decoder> make_decoder(const Spec& spec);

/// `text` with " ." as "." and the like: what WordPiece's "cleanup" does.
std::string clean_up(std::string text);
/// The same for transformers' clean_up_tokenization(), which knows one step less.
std::string clean_up_tokenization(std::string text);
/// Every `from` by `to`; an empty `from` stands between all characters.
std::string replace_all(std::string_view text, std::string_view from, std::string_view to);
/// Malformed UTF-8 as U+FFFD, one for each maximal subpart.
std::string to_utf8_lossy(std::string_view bytes);

}  // namespace ferry::tokenizers
