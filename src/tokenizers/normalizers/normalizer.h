#pragma once
// Normalizers change the text of the pieces; each has the name and the options it has in tokenizer.json.
#include <memory>

#include "tokenizers/spec.h"
#include "tokenizers/text/pre_tokenized.h"

namespace ferry::tokenizers {

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  /// Changes each piece that is not an added token. Const: many threads may call it at once.
  virtual void normalize(PreTokenized& text) const = 0;
};

/// Errors: Error{invalid_config}, Error{unsupported} for an unknown type.
std::unique_ptr<Normalizer> make_normalizer(const Spec& spec);

// One source file each.
std::unique_ptr<Normalizer> make_bert_normalizer(const Spec& spec);
std::unique_ptr<Normalizer> make_precompiled(const Spec& spec);
std::unique_ptr<Normalizer> make_replace(const Spec& spec);
std::unique_ptr<Normalizer> make_lowercase();

}  // namespace ferry::tokenizers
