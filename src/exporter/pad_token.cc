#include "exporter/pad_token.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"

namespace ferry::exporter {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

Json read_object(const fs::path& file) {
  if (!ferry::is_regular_file(file)) return Json::object();
  Json json = read_json(file);
  return json.is_object() ? json : Json::object();
}

// A token is its text, or an object that holds it.
std::string text_of(const Json& token) {
  if (token.is_string()) return token.get<std::string>();
  const auto content = token.is_object() ? token.find("content") : token.end();
  return token.is_object() && content != token.end() && content->is_string() ? content->get<std::string>()
                                                                             : "";
}

std::string pad_token(const fs::path& folder) {
  for (const char* file : {"tokenizer_config.json", "special_tokens_map.json"}) {
    const Json json = read_object(folder / file);
    const auto found = json.find("pad_token");
    if (found != json.end() && !text_of(*found).empty()) return text_of(*found);
  }
  return "";
}

// {"50256": {"content": "<|endoftext|>"}} of tokenizer_config.json.
std::optional<int64_t> id_among_added(const Json& config, const std::string& token) {
  const auto added = config.find("added_tokens_decoder");
  if (added == config.end() || !added->is_object()) return std::nullopt;
  for (const auto& [key, value] : added->items()) {
    int64_t id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (text_of(value) == token && error == std::errc() && end == key.data() + key.size()) return id;
  }
  return std::nullopt;
}

// [{"id": 50256, "content": "<|endoftext|>"}] of tokenizer.json, or its vocabulary.
std::optional<int64_t> id_in_tokenizer(const Json& tokenizer, const std::string& token) {
  const auto added = tokenizer.find("added_tokens");
  if (added != tokenizer.end() && added->is_array()) {
    for (const Json& entry : *added) {
      if (text_of(entry) == token && entry.contains("id") && entry["id"].is_number_integer())
        return entry["id"].get<int64_t>();
    }
  }
  const auto model = tokenizer.find("model");
  if (model == tokenizer.end() || !model->is_object()) return std::nullopt;
  const auto vocab = model->find("vocab");
  if (vocab == model->end() || !vocab->is_object()) return std::nullopt;
  const auto found = vocab->find(token);
  if (found == vocab->end() || !found->is_number_integer()) return std::nullopt;
  return found->get<int64_t>();
}

std::optional<int64_t> tokenizer_pad_id(const fs::path& folder) {
  const std::string token = pad_token(folder);
  if (token.empty()) return std::nullopt;
  if (const auto id = id_among_added(read_object(folder / "tokenizer_config.json"), token)) return id;
  return id_in_tokenizer(read_object(folder / "tokenizer.json"), token);
}

}  // namespace

void complete_pad_token(ModelSource& source, const std::string& task, std::optional<int64_t> asked,
                        const Log& log) {
  if (task != "text-classification") return;
  const auto own = source.config->find("pad_token_id");
  const bool says = own != source.config->end() && !own->is_null();
  if (says && !asked) return;
  const auto id = asked ? asked : tokenizer_pad_id(source.folder);
  if (!id) return;
  if (!asked) log.info(fmt::format("config.json has no pad_token_id: the tokenizer's {} is taken", *id));
  Json config = *source.config;
  config["pad_token_id"] = *id;
  source.config = std::make_shared<const Json>(std::move(config));
}

}  // namespace ferry::exporter
