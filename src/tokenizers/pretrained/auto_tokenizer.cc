// Opening and writing the folder of a tokenizer.
#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "tokenizers/pretrained/languages.h"
#include "tokenizers/pretrained/pretrained.h"
#include "tokenizers/tokenizer_json.h"

namespace ferry {
namespace {
namespace fs = std::filesystem;
using tokenizers::Configuration;
using Json = nlohmann::ordered_json;

// Llama's and T5's classes build the tokenizer anew from the sentencepiece model if add_prefix_space is
// given.
bool wants_conversion(const Configuration& c, const fs::path& folder) {
  const bool rebuilds =
      c.known->name == "LlamaTokenizer" || c.known->name == "T5Tokenizer" || c.known->name == "MT5Tokenizer";
  return rebuilds && c.optional_flag("add_prefix_space").has_value() &&
         !tokenizers::find_sentencepiece(folder).empty();
}

void write_file(const fs::path& file, const std::string& text) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) throw Error(ErrorCode::io, fmt::format("cannot write {}", file.string()));
}

Json token_json(const tokenizers::SpecialToken& token) {
  if (token.plain) return token.token.content;
  const AddedToken& t = token.token;
  return {{"content", t.content},
          {"lstrip", t.lstrip},
          {"normalized", t.normalized},
          {"rstrip", t.rstrip},
          {"single_word", t.single_word}};
}
}  // namespace

Tokenizer AutoTokenizer::from_pretrained(const fs::path& path, const TokenizerOptions& options) {
  const fs::path folder = options.subfolder.empty() ? path : path / options.subfolder;
  std::error_code failed;
  if (!fs::is_directory(folder, failed))
    throw Error(ErrorCode::not_found, fmt::format("no folder {}", folder.string()));
  auto data = std::make_shared<tokenizers::Pretrained>();
  Configuration& c = data->configuration;
  c = tokenizers::read_configuration(folder);
  tokenizers::name_languages(c);
  tokenizers::FileDefaults defaults;
  const fs::path file = folder / "tokenizer.json";
  if (ferry::is_regular_file(file) && !wants_conversion(c, folder)) {
    data->engine = tokenizers::read_tokenizer_json(file, &defaults);
  } else {
    data->engine = tokenizers::convert_slow_tokenizer(folder, c);
  }
  if (defaults.padding) {
    if (!c.padding_side) c.padding_side = defaults.padding->side;
    if (!c.special.contains("pad_token")) {
      AddedToken token{defaults.padding->token, false, false, false, false, true};
      c.special["pad_token"] = {token, true};
    }
  }
  if (defaults.truncation && !c.truncation_side) c.truncation_side = defaults.truncation->side;
  tokenizers::add_configured_tokens(*data->engine, c);
  tokenizers::apply_class(*data->engine, c);
  data->engine->set_encode_special_tokens(c.split_special_tokens);
  c.padding_side = options.padding_side ? options.padding_side
                   : c.padding_side     ? c.padding_side
                                        : c.known->padding_side;
  c.truncation_side = options.truncation_side ? options.truncation_side
                      : c.truncation_side     ? c.truncation_side
                                              : Side::right;
  if (options.model_max_length) c.model_max_length = *options.model_max_length;
  if (options.clean_up_tokenization_spaces)
    c.clean_up_tokenization_spaces = *options.clean_up_tokenization_spaces;
  return Tokenizer(std::move(data));
}

void Tokenizer::save_pretrained(const fs::path& folder) const {
  const Configuration& c = data_->configuration;
  write_file(folder / "tokenizer.json", data_->engine->to_json());
  Json config = parse_json(c.json, "tokenizer_config.json");
  Json decoder = Json::object();
  for (const auto& [id, t] : data_->engine->added().by_id()) {
    decoder[fmt::format("{}", id)] = {{"content", t.content},         {"lstrip", t.lstrip},
                                      {"normalized", t.normalized},   {"rstrip", t.rstrip},
                                      {"single_word", t.single_word}, {"special", t.special}};
  }
  config["added_tokens_decoder"] = std::move(decoder);
  Json map = Json::object();
  for (const std::string_view role : tokenizers::kRoles) {
    const auto found = c.special.find(role);
    if (found == c.special.end()) continue;
    config[std::string(role)] = found->second.token.content;
    map[std::string(role)] = token_json(found->second);
  }
  if (!c.additional_special_tokens.empty()) {
    Json list = Json::array();
    Json names = Json::array();
    for (const auto& token : c.additional_special_tokens) {
      list.push_back(token_json(token));
      names.push_back(token.token.content);
    }
    config["additional_special_tokens"] = std::move(names);
    map["additional_special_tokens"] = std::move(list);
  }
  config["padding_side"] = *c.padding_side == Side::left ? "left" : "right";
  config["truncation_side"] = *c.truncation_side == Side::left ? "left" : "right";
  config["clean_up_tokenization_spaces"] = c.clean_up_tokenization_spaces;
  if (c.model_max_length != UINT64_MAX) config["model_max_length"] = c.model_max_length;
  config["tokenizer_class"] = c.tokenizer_class.empty() ? "PreTrainedTokenizerFast" : c.tokenizer_class;
  if (!c.chat_templates.empty() && !config.contains("chat_template")) {
    if (const auto found = c.chat_templates.find("default"); found != c.chat_templates.end())
      config["chat_template"] = found->second;
  }
  write_file(folder / "tokenizer_config.json", config.dump(2) + "\n");
  write_file(folder / "special_tokens_map.json", map.dump(2) + "\n");
}

}  // namespace ferry
