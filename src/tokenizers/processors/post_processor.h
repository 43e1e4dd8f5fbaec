#pragma once
// Post-processors put special tokens around the encodings; each has the name and options it has in
// tokenizer.json.
#include <memory>
#include <vector>

#include "tokenizers/encoding.h"
#include "tokenizers/spec.h"

namespace ferry::tokenizers {

class PostProcessor {
 public:
  virtual ~PostProcessor() = default;
  /// How many tokens are added to a text, or to a pair.
  [[nodiscard]] virtual size_t added_tokens(bool is_pair) const = 0;
  /// `encodings` is one text or a pair; what is returned is merged in order.
  virtual std::vector<Encoding> process(std::vector<Encoding> encodings, bool add_special_tokens) const = 0;
};

/// Errors: Error{invalid_config}, Error{unsupported} for an unknown type.
std::unique_ptr<PostProcessor> make_post_processor(const Spec& spec);
std::unique_ptr<PostProcessor> make_template_processing(const Spec& spec);

/// Applies `processor`, which may be null, and merges.
Encoding post_process(const PostProcessor* processor, std::vector<Encoding> encodings,
                      bool add_special_tokens);

}  // namespace ferry::tokenizers
