#include "tokenizers/pretrained/classes.h"

namespace ferry::tokenizers {
namespace {
#include "tokenizers/pretrained/classes.inc"  // NOLINT: generated data.
}

const TokenizerClass& tokenizer_class(std::string_view name) {
  if (name.ends_with("Fast")) name.remove_suffix(4);
  const TokenizerClass* other = nullptr;
  for (const TokenizerClass& c : kClasses) {
    if (c.name == name) return c;
    if (c.name == "PreTrainedTokenizer") other = &c;
  }
  return *other;
}

std::string_view class_of_model_type(std::string_view model_type) {
  for (const auto& [type, name] : kModelTypes) {
    if (type == model_type) return name;
  }
  return {};
}

std::string_view language_codes(std::string_view class_name) {
  for (const auto& [name, codes] : kLanguageCodes) {
    if (name == class_name) return codes;
  }
  return {};
}

}  // namespace ferry::tokenizers
