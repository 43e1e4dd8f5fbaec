#pragma once
// Conversations as text, by the Jinja template that comes with a tokenizer.
#include <string>
#include <string_view>

namespace ferry::tokenizers {
struct Configuration;

/// Errors: Error{not_found} without a template, Error{invalid_config} if it does not parse or run,
/// Error{unsupported} for parts of Jinja that are not known here.
std::string apply_chat_template(const Configuration& configuration, std::string_view messages_json,
                                bool add_generation_prompt, std::string_view options_json);

}  // namespace ferry::tokenizers
