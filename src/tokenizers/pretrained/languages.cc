#include "tokenizers/pretrained/languages.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"
#include "tokenizers/pretrained/templates.h"

namespace ferry::tokenizers {
namespace {

constexpr std::string_view kWhat = "tokenizer";
constexpr int kMadeUpWords = 7;  // Of XGLM.

std::vector<std::string> own_tokens(std::string_view class_name) {
  std::vector<std::string> out;
  if (class_name == "XGLMTokenizer") {
    for (int i = 0; i < kMadeUpWords; ++i) out.push_back(fmt::format("<madeupword{}>", i));
  } else if (const auto codes = language_codes(class_name); !codes.empty()) {
    out = split(codes, ' ');
  }
  return out;
}

std::string source_language(const Configuration& c) {
  const auto config = parse_json(c.json, "tokenizer_config.json");
  const auto found = config.find("src_lang");
  if (found != config.end() && found->is_string()) return found->get<std::string>();
  if (c.known->name == "NllbTokenizer") return "eng_Latn";
  return c.known->name == "SeamlessM4TTokenizer" ? "eng" : "en_XX";
}

}  // namespace

void name_languages(Configuration& c) {
  const std::string_view name = c.known->name;
  auto& named = c.additional_special_tokens;
  if (name == "NllbTokenizer" && !named.empty()) return;
  std::vector<SpecialToken> missing;
  for (std::string& token : own_tokens(name)) {
    const bool there = std::any_of(named.begin(), named.end(),
                                   [&](const SpecialToken& known) { return known.token.content == token; });
    if (there && name != "MBartTokenizer") continue;
    if (there) std::erase_if(named, [&](const SpecialToken& known) { return known.token.content == token; });
    AddedToken added;
    added.content = std::move(token);
    added.normalized = false;
    added.special = true;
    missing.push_back({added, true});
  }
  // MBart's come first, those of the others last.
  named.insert(name == "MBartTokenizer" ? named.begin() : named.end(), missing.begin(), missing.end());
}

void update_language(Engine& engine, const Configuration& c) {
  const std::string_view name = c.known->name;
  const bool seamless = name == "SeamlessM4TTokenizer";
  if (!seamless && language_codes(name).empty()) return;
  std::string language = source_language(c);
  if (seamless && language.find("__") == std::string::npos) language = fmt::format("__{}__", language);
  if (!engine.token_to_id(language)) language = c.text_of("unk_token").value_or("<unk>");
  const std::string eos = c.text_of("eos_token").value_or("</s>");
  const bool last =
      name == "MBartTokenizer" || (name == "NllbTokenizer" && c.flag("legacy_behaviour", false));
  std::vector<TemplateItem> before, after = {{eos, 0}};
  (last ? after : before).push_back({language, 0});
  const auto around = [&](std::vector<TemplateItem> texts) {
    texts.insert(texts.begin(), before.begin(), before.end());
    texts.insert(texts.end(), after.begin(), after.end());
    return texts;
  };
  engine.set_part(&PipelineJson::post_processor,
                  template_processing(engine, around({{"$A", 0}}), around({{"$A", 0}, {"$B", 0}})), kWhat);
}

}  // namespace ferry::tokenizers
