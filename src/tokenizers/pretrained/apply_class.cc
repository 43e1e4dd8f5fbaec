// What the constructors of transformers' fast classes do to the tokenizer they were given.
// Source: transformers 4.57.6, tokenization_utils_fast.py and models/*/tokenization_*_fast.py.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "tokenizers/pretrained/languages.h"
#include "tokenizers/pretrained/pretrained.h"
#include "tokenizers/pretrained/templates.h"

namespace ferry::tokenizers {
namespace {
using Json = nlohmann::ordered_json;
constexpr std::string_view kWhat = "tokenizer";

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Sets `key` if the part has it with another value. Returns true if it changed.
bool change(Json& part, std::string_view key, const Json& value) {
  const auto found = part.find(key);
  if (found == part.end() || *found == value) return false;
  *found = value;
  return true;
}

void update_bert_normalizer(Engine& engine, const Configuration& c, bool chinese) {
  Json normalizer = parse_json(engine.pipeline().normalizer, kWhat);
  if (!normalizer.is_object()) return;
  const auto accents = c.optional_flag("strip_accents");
  bool changed = change(normalizer, "lowercase", c.flag("do_lower_case", true));
  changed |= change(normalizer, "strip_accents", accents ? Json(*accents) : Json());
  if (chinese) changed |= change(normalizer, "handle_chinese_chars", c.flag("tokenize_chinese_chars", true));
  if (changed) engine.set_part(&PipelineJson::normalizer, normalizer.dump(), kWhat);
}

// add_bos_token and add_eos_token decide the template, whatever the file had.
void update_bos_eos(Engine& engine, const Configuration& c, bool bos_by_default) {
  const bool add_bos = c.flag("add_bos_token", bos_by_default);
  const bool add_eos = c.flag("add_eos_token", false);
  const auto bos = c.text_of("bos_token");
  const auto eos = c.text_of("eos_token");
  if ((add_bos && !bos) || (add_eos && !eos)) {
    throw Error(ErrorCode::invalid_config,
                "tokenizer_config.json: add_bos_token or add_eos_token is set, and there is no such token");
  }
  std::vector<TemplateItem> single;
  std::vector<TemplateItem> pair;
  if (add_bos) single.push_back({*bos, 0});
  single.push_back({"$A", 0});
  if (add_eos) single.push_back({*eos, 0});
  pair = single;
  if (add_bos) pair.push_back({*bos, 1});
  pair.push_back({"$B", 1});
  if (add_eos) pair.push_back({*eos, 1});
  engine.set_part(&PipelineJson::post_processor, template_processing(engine, single, pair), kWhat);
}

void update_prefix_space(Engine& engine, const Configuration& c) {
  Json pre_tokenizer = parse_json(engine.pipeline().pre_tokenizer, kWhat);
  if (!pre_tokenizer.is_object() || pre_tokenizer.value("type", "") != "ByteLevel") return;
  if (change(pre_tokenizer, "add_prefix_space", c.flag("add_prefix_space", false))) {
    engine.set_part(&PipelineJson::pre_tokenizer, pre_tokenizer.dump(), kWhat);
  }
}

void update_roberta_processor(Engine& engine, const Configuration& c) {
  Json processor = parse_json(engine.pipeline().post_processor, kWhat);
  if (!processor.is_object()) return;
  bool changed = change(processor, "add_prefix_space", c.flag("add_prefix_space", false));
  changed |= change(processor, "trim_offsets", c.flag("trim_offsets", true));
  if (changed) engine.set_part(&PipelineJson::post_processor, processor.dump(), kWhat);
}
}  // namespace

void apply_class(Engine& engine, const Configuration& c) {
  const std::string_view name = c.known->name;
  update_prefix_space(engine, c);
  update_language(engine, c);
  if (is_one_of(name,
                {"BertTokenizer", "ConvBertTokenizer", "DistilBertTokenizer", "DPRQuestionEncoderTokenizer",
                 "DPRContextEncoderTokenizer", "DPRReaderTokenizer", "ElectraTokenizer", "FunnelTokenizer",
                 "LayoutLMTokenizer", "LxmertTokenizer", "MobileBertTokenizer", "SqueezeBertTokenizer"})) {
    update_bert_normalizer(engine, c, true);
  } else if (is_one_of(name, {"MPNetTokenizer", "LayoutLMv2Tokenizer", "SplinterTokenizer"})) {
    update_bert_normalizer(engine, c, false);
  } else if (is_one_of(name, {"LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer", "CohereTokenizer"})) {
    update_bos_eos(engine, c, true);
  } else if (name == "GPTNeoXTokenizer") {
    update_bos_eos(engine, c, false);
  } else if (is_one_of(name,
                       {"RobertaTokenizer", "BartTokenizer", "BlenderbotTokenizer", "LEDTokenizer",
                        "LongformerTokenizer", "LayoutLMv3Tokenizer", "MarkupLMTokenizer", "MvpTokenizer"})) {
    update_roberta_processor(engine, c);
  }
}

void add_configured_tokens(Engine& engine, const Configuration& c) {
  const auto& there = engine.added().by_id();
  const auto is_there = [&](const AddedToken& token) {
    return std::any_of(there.begin(), there.end(), [&](const auto& entry) { return entry.second == token; });
  };
  std::vector<AddedToken> add;
  for (const auto& [id, token] : c.added_tokens_decoder) {
    if (!is_there(token)) add.push_back(token);
  }
  const size_t from_decoder = add.size();
  std::vector<std::string> special;  // Their contents.
  const auto consider = [&](const SpecialToken& s) {
    if (std::find(special.begin(), special.end(), s.token.content) != special.end()) return;
    special.push_back(s.token.content);
    if (s.plain) {
      const bool among = std::any_of(add.begin(), add.begin() + static_cast<ptrdiff_t>(from_decoder),
                                     [&](const AddedToken& t) { return t.content == s.token.content; });
      if (among || engine.added().find(s.token.content)) return;
    } else if (std::find(add.begin(), add.end(), s.token) != add.end()) {
      return;
    }
    add.push_back(s.token);
  };
  for (const std::string_view role : kRoles) {
    if (const auto found = c.special.find(role); found != c.special.end()) consider(found->second);
  }
  for (const SpecialToken& s : c.additional_special_tokens) consider(s);
  for (AddedToken& token : add) {
    token.special =
        token.special || std::find(special.begin(), special.end(), token.content) != special.end();
  }
  if (!add.empty()) engine.add_tokens(add);
}

}  // namespace ferry::tokenizers
