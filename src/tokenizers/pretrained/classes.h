#pragma once
// transformers' tokenizer classes: what they have by default.
#include <string_view>
#include <utility>
#include <vector>

#include "ferry/tokenizer.h"

namespace ferry::tokenizers {

struct TokenizerClass {
  std::string_view name;  ///< Without "Fast".
  std::vector<std::string_view> model_input_names;
  Side padding_side;
  bool clean_up_tokenization_spaces;
  bool mask_lstrip;  ///< The mask token takes the spaces before it.
  std::vector<std::pair<std::string_view, std::string_view>> special_tokens;
};

/// The class of that name, with or without "Fast"; for unknown names PreTrainedTokenizerFast's defaults.
const TokenizerClass& tokenizer_class(std::string_view name);
/// The class of a model_type of config.json; empty if unknown.
std::string_view class_of_model_type(std::string_view model_type);
/// The languages that a class for translations names in its texts, with spaces between them; empty if none.
std::string_view language_codes(std::string_view class_name);

}  // namespace ferry::tokenizers
