// Reading tokenizer_config.json and its neighbours.
// Source: transformers 4.57.6, tokenization_utils_base.py _from_pretrained().
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "tokenizers/pretrained/pretrained.h"

namespace ferry::tokenizers {
namespace {
using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

Json read_optional(const fs::path& file) {
  Json json = ferry::is_regular_file(file) ? read_json(file) : Json::object();
  if (!json.is_object())
    throw Error(ErrorCode::invalid_file, fmt::format("{}: must be a JSON object", file.string()));
  return json;
}

AddedToken read_added_token(const Spec& spec, std::optional<bool> special) {
  AddedToken token;
  token.content = spec.string("content");
  token.single_word = spec.boolean("single_word", false);
  token.lstrip = spec.boolean("lstrip", false);
  token.rstrip = spec.boolean("rstrip", false);
  token.special = special.value_or(spec.boolean("special", false));
  token.normalized = spec.boolean("normalized", !token.special);
  return token;
}

AddedToken plain_token(std::string content) {
  AddedToken token;
  token.content = std::move(content);
  token.special = true;
  token.normalized = false;
  return token;
}

// A token by name or with options. `known`: tokens with options, by content, that a name stands for.
SpecialToken read_special_token(const Json& value, const std::string& where, std::optional<bool> special,
                                const std::map<uint32_t, AddedToken>& known) {
  if (value.is_object()) return {read_added_token(Spec(value, where), special), false};
  if (!value.is_string())
    throw Error(ErrorCode::invalid_config, fmt::format("{}: must be a string or a token", where));
  const auto content = value.get<std::string>();
  for (const auto& [id, token] : known) {
    if (token.content == content) return {token, false};
  }
  return {plain_token(content), true};
}

std::optional<Side> read_side(const Spec& spec, std::string_view key) {
  const auto side = spec.optional_string(key);
  if (!side) return std::nullopt;
  if (*side != "left" && *side != "right") spec.fail(key, "must be left or right");
  return *side == "left" ? Side::left : Side::right;
}

std::string find_class(const Json& config, const fs::path& folder) {
  if (config.contains("tokenizer_class") && config["tokenizer_class"].is_string())
    return config["tokenizer_class"].get<std::string>();
  const Json model = read_optional(folder / "config.json");
  if (model.contains("tokenizer_class") && model["tokenizer_class"].is_string())
    return model["tokenizer_class"].get<std::string>();
  if (model.contains("model_type") && model["model_type"].is_string()) {
    return std::string(class_of_model_type(model["model_type"].get<std::string>()));
  }
  return {};
}

void read_special_tokens(const Json& json, const std::string& what, bool from_map, Configuration& out) {
  const std::optional<bool> special = from_map ? std::optional<bool>(true) : std::nullopt;
  for (const std::string_view role : kRoles) {
    const auto found = json.find(role);
    if (found == json.end()) continue;
    if (found->is_null()) {
      if (!from_map) out.special.erase(std::string(role));
      continue;
    }
    out.special[std::string(role)] =
        read_special_token(*found, fmt::format("{}: {}", what, role), special, out.added_tokens_decoder);
  }
  const auto additional = json.find("additional_special_tokens");
  if (additional == json.end() || additional->is_null()) return;
  if (!additional->is_array())
    throw Error(ErrorCode::invalid_config,
                fmt::format("{}: additional_special_tokens: must be a list", what));
  out.additional_special_tokens.clear();
  for (const Json& item : *additional) {
    out.additional_special_tokens.push_back(
        read_special_token(item, fmt::format("{}: additional_special_tokens", what), special, {}));
  }
}

void read_decoder(const Json& config, const std::string& what, Configuration& out) {
  const auto found = config.find("added_tokens_decoder");
  if (found == config.end() || !found->is_object()) return;
  for (const auto& [key, value] : found->items()) {
    const bool number = !key.empty() && key.size() <= 8 &&
                        std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!number)
      throw Error(ErrorCode::invalid_config,
                  fmt::format("{}: added_tokens_decoder: \"{}\" is not an id", what, printable(key, 40)));
    out.added_tokens_decoder[static_cast<uint32_t>(std::stoul(key))] =
        read_added_token(Spec(value, fmt::format("{}: added_tokens_decoder.{}", what, key)), std::nullopt);
  }
}

void read_templates(const Json& config, const std::string& what, const fs::path& folder, Configuration& out) {
  const auto found = config.find("chat_template");
  if (found != config.end() && found->is_string()) {
    out.chat_templates["default"] = found->get<std::string>();
  } else if (found != config.end() && found->is_array()) {
    for (const Json& item : *found) {
      const Spec spec(item, fmt::format("{}: chat_template", what));
      out.chat_templates[spec.string("name")] = spec.string("template");
    }
  }
  constexpr uint64_t kMost = 4 << 20;
  if (ferry::is_regular_file(folder / "chat_template.jinja"))
    out.chat_templates["default"] = read_text(folder / "chat_template.jinja", kMost);
}

uint64_t read_length(const Json& config, std::string_view key) {
  const auto found = config.find(key);
  if (found == config.end() || !found->is_number()) return UINT64_MAX;
  const double value = found->get<double>();
  return value >= 1e18 || value < 0 ? UINT64_MAX : static_cast<uint64_t>(value);
}
}  // namespace

bool Configuration::flag(std::string_view key, bool missing) const {
  return optional_flag(key).value_or(missing);
}

std::optional<bool> Configuration::optional_flag(std::string_view key) const {
  const Json parsed = parse_json(json, "tokenizer_config.json");
  const auto found = parsed.find(key);
  if (found == parsed.end() || !found->is_boolean()) return std::nullopt;
  return found->get<bool>();
}

std::optional<std::string> Configuration::text_of(std::string_view role) const {
  const auto found = special.find(role);
  if (found == special.end()) return std::nullopt;
  return found->second.token.content;
}

Configuration read_configuration(const fs::path& folder) {
  const fs::path file = folder / "tokenizer_config.json";
  const std::string what = file.string();
  const Json config = read_optional(file);
  Configuration out;
  out.json = config.dump();
  out.tokenizer_class = find_class(config, folder);
  if (ends_with(out.tokenizer_class, "Fast")) out.tokenizer_class.resize(out.tokenizer_class.size() - 4);
  out.known = &tokenizer_class(out.tokenizer_class);
  for (const auto& [role, token] : out.known->special_tokens)
    out.special[std::string(role)] = {plain_token(std::string(token)), true};
  read_decoder(config, what, out);
  read_special_tokens(config, what, false, out);
  if (!config.contains("added_tokens_decoder")) {
    const fs::path map = folder / "special_tokens_map.json";
    read_special_tokens(read_optional(map), map.string(), true, out);
  }
  const Spec spec(config, what);
  out.model_max_length =
      std::min(read_length(config, "model_max_length"),
               config.contains("model_max_length") ? UINT64_MAX : read_length(config, "max_len"));
  out.padding_side = read_side(spec, "padding_side");
  out.truncation_side = read_side(spec, "truncation_side");
  out.clean_up_tokenization_spaces =
      spec.boolean("clean_up_tokenization_spaces", out.known->clean_up_tokenization_spaces);
  out.split_special_tokens = spec.boolean("split_special_tokens", false);
  if (spec.has("pad_token_type_id"))
    out.pad_token_type_id = static_cast<uint32_t>(spec.number("pad_token_type_id", UINT32_MAX));
  if (spec.has("model_input_names")) {
    out.model_input_names = spec.strings("model_input_names");
  } else {
    out.model_input_names.assign(out.known->model_input_names.begin(), out.known->model_input_names.end());
  }
  read_templates(config, what, folder, out);
  return out;
}

}  // namespace ferry::tokenizers
