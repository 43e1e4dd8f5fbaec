#include "tokenizers/chat_template.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "tokenizers/jinja/ast.h"
#include "tokenizers/pretrained/pretrained.h"

namespace ferry::tokenizers {

std::string apply_chat_template(const Configuration& configuration, std::string_view messages_json,
                                bool add_generation_prompt, std::string_view options_json) {
  const auto& templates = configuration.chat_templates;
  if (templates.empty()) {
    throw Error(ErrorCode::not_found, "the tokenizer has no chat template")
        .with_hint("tokenizer_config.json has no \"chat_template\", and there is no chat_template.jinja");
  }
  nlohmann::ordered_json variables = parse_json(options_json, "options of the chat template");
  if (!variables.is_object())
    throw Error(ErrorCode::usage, "the options of a chat template must be a JSON object");
  const bool has_tools = variables.contains("tools") && !variables["tools"].is_null();
  auto chosen = templates.find(has_tools ? "tool_use" : "default");
  if (chosen == templates.end()) chosen = templates.find("default");
  if (chosen == templates.end())
    throw Error(ErrorCode::not_found,
                "the tokenizer has several chat templates, and none is called \"default\"");
  nlohmann::ordered_json messages = parse_json(messages_json, "messages");
  if (!messages.is_array()) throw Error(ErrorCode::usage, "messages must be a JSON list");
  variables["messages"] = std::move(messages);
  variables["add_generation_prompt"] = add_generation_prompt;
  for (const char* missing : {"tools", "documents"}) {
    if (!variables.contains(missing)) variables[missing] = nullptr;
  }
  for (const auto& [role, token] : configuration.special) {
    if (!variables.contains(role)) variables[role] = token.token.content;
  }
  return jinja::render(jinja::parse(chosen->second), variables);
}

}  // namespace ferry::tokenizers
