#include "tokenizers/pretrained/templates.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"

namespace ferry::tokenizers {

std::string template_processing(const Engine& engine, const std::vector<TemplateItem>& single,
                                const std::vector<TemplateItem>& pair,
                                const std::vector<std::string>& unused) {
  using Json = nlohmann::ordered_json;
  std::map<std::string, uint32_t> tokens;
  const auto take = [&](const std::string& name) {
    const auto id = engine.token_to_id(name);
    if (!id) {
      throw Error(ErrorCode::invalid_config,
                  fmt::format("the special token \"{}\" is not in the vocabulary", printable(name, 60)));
    }
    tokens[name] = *id;
  };
  const auto list = [&](const std::vector<TemplateItem>& items) {
    Json out = Json::array();
    for (const TemplateItem& item : items) {
      if (item.name == "$A" || item.name == "$B") {
        out.push_back({{"Sequence", {{"id", item.name.substr(1)}, {"type_id", item.type_id}}}});
        continue;
      }
      take(item.name);
      out.push_back({{"SpecialToken", {{"id", item.name}, {"type_id", item.type_id}}}});
    }
    return out;
  };
  for (const std::string& name : unused) take(name);
  Json json = {{"type", "TemplateProcessing"},
               {"single", list(single)},
               {"pair", list(pair)},
               {"special_tokens", Json::object()}};
  for (const auto& [name, id] : tokens)
    json["special_tokens"][name] = {{"id", name}, {"ids", {id}}, {"tokens", {name}}};
  return json.dump();
}

}  // namespace ferry::tokenizers
