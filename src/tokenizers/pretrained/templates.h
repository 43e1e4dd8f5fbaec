#pragma once
// Writing the JSON of post-processors.
#include <string>
#include <vector>

#include "tokenizers/engine.h"

namespace ferry::tokenizers {

/// "$A", "$B" or a special token.
struct TemplateItem {
  std::string name;
  uint32_t type_id;
};

/// A TemplateProcessing as JSON, with the ids that the engine has for the special tokens, and for those of
/// `unused`. Errors: Error{invalid_config} if the engine lacks one.
std::string template_processing(const Engine& engine, const std::vector<TemplateItem>& single,
                                const std::vector<TemplateItem>& pair,
                                const std::vector<std::string>& unused = {});

}  // namespace ferry::tokenizers
