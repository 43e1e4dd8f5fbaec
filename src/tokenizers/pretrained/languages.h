#pragma once
// Tokenizers for translations: the language of a text is a special token beside it.
// Source: transformers 4.57.6, models/{mbart,mbart50,nllb,seamless_m4t,xglm}/tokenization_*_fast.py.
#include "tokenizers/pretrained/pretrained.h"

namespace ferry::tokenizers {

/// The languages among the additional special tokens, as the constructors put them there.
void name_languages(Configuration& configuration);
/// A post-processor for texts in "src_lang". A class without languages keeps its own.
void update_language(Engine& engine, const Configuration& configuration);

}  // namespace ferry::tokenizers
