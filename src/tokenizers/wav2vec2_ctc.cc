// Source: transformers 4.57.6, models/wav2vec2/tokenization_wav2vec2.py (decoding).
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "ferry/audio.h"

namespace ferry {
using Json = nlohmann::ordered_json;

struct Wav2Vec2CTCTokenizer::Data {
  std::map<int64_t, std::string> tokens;
  std::string pad = "<pad>", unknown = "<unk>", word_delimiter = "|", blank = " ";
  bool do_lower_case = false;
  bool clean_up = false;
};

namespace {
using Offset = Wav2Vec2CTCTokenizer::Offset;

// A token is a text, or an object with its content.
void read_token(const Json& json, const char* key, std::string& to) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return;
  if (found->is_string()) {
    to = found->get<std::string>();
  } else if (found->is_object() && found->contains("content") && found->at("content").is_string()) {
    to = found->at("content").get<std::string>();
  } else {
    throw Error(ErrorCode::invalid_config, fmt::format("tokenizer_config.json: {} is no token", key));
  }
}

void read_flag(const Json& json, const char* key, bool& to) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return;
  if (!found->is_boolean())
    throw Error(ErrorCode::invalid_config,
                fmt::format("tokenizer_config.json: {} is not true or false", key));
  to = found->get<bool>();
}

// vocab.json; of several languages the chosen one.
void read_vocabulary(const Json& vocab, const std::string& language, std::map<int64_t, std::string>& to) {
  const Json* table = &vocab;
  if (!language.empty()) {
    if (!vocab.is_object() || !vocab.contains(language)) {
      throw Error(ErrorCode::invalid_config,
                  fmt::format("vocab.json: there is no target_lang {}", printable(language)));
    }
    table = &vocab.at(language);
  }
  if (!table->is_object()) throw Error(ErrorCode::invalid_config, "vocab.json is no object");
  for (const auto& [token, id] : table->items()) {
    if (!id.is_number_unsigned()) {
      throw Error(ErrorCode::invalid_config, fmt::format("vocab.json: the number of {} is {}",
                                                         printable(token), printable(id.dump(), 40)));
    }
    to[id.get<int64_t>()] = token;
  }
}

void read_added_tokens(const Json& config, std::map<int64_t, std::string>& to) {
  const auto added = config.find("added_tokens_decoder");
  if (added == config.end() || !added->is_object()) return;
  for (const auto& [id, token] : added->items()) {
    if (id.empty() || id.size() > 9 ||
        !std::all_of(id.begin(), id.end(), [](char c) { return c >= '0' && c <= '9'; }))
      throw Error(ErrorCode::invalid_config,
                  "tokenizer_config.json: added_tokens_decoder has a key that is no number");
    std::string content;
    read_token(Json{{"t", token}}, "t", content);
    to[std::stoll(id)] = content;
  }
}

std::vector<Offset> words_of(const std::vector<Offset>& chars, const std::string& blank) {
  std::vector<Offset> out;
  bool in_word = false;
  for (const Offset& c : chars) {
    const bool is_blank = c.text == blank;
    if (!is_blank && in_word) {
      out.back().text += c.text;
      out.back().end_offset = c.end_offset;
    } else if (!is_blank) {
      out.push_back(c);
    }
    in_word = !is_blank;
  }
  return out;
}

std::string stripped(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\n\r\f\v");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\n\r\f\v") - first + 1);
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

// clean_up_tokenization of transformers.
void clean_up(std::string& text) {
  constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},     {" ?", "?"},   {" !", "!"},   {" ,", ","},     {" ' ", "'"},
      {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kRules) replace_all(text, from, to);
}

}  // namespace

Wav2Vec2CTCTokenizer Wav2Vec2CTCTokenizer::from_pretrained(const std::filesystem::path& folder) {
  auto data = std::make_shared<Data>();
  std::string language;
  // special_tokens_map.json is older; what tokenizer_config.json says wins.
  for (const char* name : {"special_tokens_map.json", "tokenizer_config.json"}) {
    if (!ferry::is_regular_file(folder / name)) continue;
    const Json config = read_json(folder / name);
    if (!config.is_object()) throw Error(ErrorCode::invalid_config, fmt::format("{} is no object", name));
    read_token(config, "pad_token", data->pad);
    read_token(config, "unk_token", data->unknown);
    read_token(config, "word_delimiter_token", data->word_delimiter);
    read_token(config, "replace_word_delimiter_char", data->blank);
    read_token(config, "target_lang", language);
    read_flag(config, "do_lower_case", data->do_lower_case);
    read_flag(config, "clean_up_tokenization_spaces", data->clean_up);
  }
  read_vocabulary(read_json(folder / "vocab.json"), language, data->tokens);
  if (ferry::is_regular_file(folder / "tokenizer_config.json")) {
    const Json config = read_json(folder / "tokenizer_config.json");
    read_added_tokens(config, data->tokens);
  }
  Wav2Vec2CTCTokenizer out;
  out.data_ = std::move(data);
  return out;
}

Wav2Vec2CTCTokenizer::Decoded Wav2Vec2CTCTokenizer::decode(std::span<const int64_t> ids) const {
  const auto token_of = [&](int64_t id) -> const std::string& {
    const auto found = data_->tokens.find(id);
    return found == data_->tokens.end() ? data_->unknown : found->second;
  };
  Decoded out;
  for (size_t begin = 0; begin < ids.size();) {
    const std::string& token = token_of(ids[begin]);
    size_t end = begin + 1;
    while (end < ids.size() && token_of(ids[end]) == token) ++end;
    if (token != data_->pad)
      out.chars.push_back({token == data_->word_delimiter ? data_->blank : token, begin, end});
    begin = end;
  }
  for (const Offset& c : out.chars) out.text += c.text;
  out.text = stripped(out.text);
  // Only letters of ASCII: vocabularies are in capitals of English where this is set.
  if (data_->do_lower_case) out.text = to_lower(out.text);
  if (data_->clean_up) clean_up(out.text);
  out.words = words_of(out.chars, data_->blank);
  return out;
}

}  // namespace ferry
