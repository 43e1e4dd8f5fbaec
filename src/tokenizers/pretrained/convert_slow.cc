// Tokenizers of models without tokenizer.json, from vocab.txt or vocab.json and merges.txt.
// Source: transformers 4.57.6, convert_slow_tokenizer.py.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "tokenizers/pretrained/pretrained.h"
#include "tokenizers/pretrained/templates.h"
#include "tokenizers/tokenizer_json.h"

namespace ferry::tokenizers {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::string_view kWhat = "converted tokenizer";
constexpr uint64_t kMostBytes = 256u << 20;

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string need(const Configuration& c, std::string_view role) {
  const auto token = c.text_of(role);
  if (!token)
    throw Error(ErrorCode::invalid_config,
                fmt::format("tokenizer_config.json: {} is needed to convert the tokenizer", role));
  return *token;
}

// One token a line; the line's number is the id.
Vocabulary read_vocab_txt(const fs::path& file) {
  const std::string text = read_text(file, kMostBytes);
  if (!is_utf8(text)) throw Error(ErrorCode::invalid_file, fmt::format("{}: not UTF-8", file.string()));
  Vocabulary out;
  uint64_t id = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view token = std::string_view(text).substr(at, end - at);
    if (token.ends_with('\r')) token.remove_suffix(1);  // Python reads with universal newlines.
    out.add(token, id++);
    at = end + 1;
  }
  return out;
}

std::unique_ptr<Engine> convert_bert(const fs::path& file, const Configuration& c) {
  WordPieceOptions options;
  options.unk_token = need(c, "unk_token");
  PipelineJson pipeline;
  const auto accents = c.optional_flag("strip_accents");
  pipeline.normalizer = Json{{"type", "BertNormalizer"},
                             {"clean_text", true},
                             {"handle_chinese_chars", c.flag("tokenize_chinese_chars", true)},
                             {"strip_accents", accents ? Json(*accents) : Json()},
                             {"lowercase", c.flag("do_lower_case", true)}}
                            .dump();
  pipeline.pre_tokenizer = R"({"type":"BertPreTokenizer"})";
  pipeline.decoder = R"({"type":"WordPiece","prefix":"##","cleanup":true})";
  auto engine = std::make_unique<Engine>(make_word_piece(read_vocab_txt(file), options), pipeline,
                                         std::vector<AddedToken>{}, file.string());
  const std::string cls = need(c, "cls_token");
  const std::string sep = need(c, "sep_token");
  const uint32_t first = c.known->name == "FunnelTokenizer" ? 2 : 0;  // Funnel's [CLS] has a type of its own.
  std::vector<TemplateItem> pair{{cls, first}, {"$A", 0}, {sep, 0}};
  if (c.known->name == "MPNetTokenizer") pair.push_back({sep, 0});
  pair.push_back({"$B", 1});
  pair.push_back({sep, 1});
  engine->set_part(&PipelineJson::post_processor,
                   template_processing(*engine, {{cls, first}, {"$A", 0}, {sep, 0}}, pair), kWhat);
  return engine;
}

struct BpeFiles {
  Vocabulary vocabulary;
  std::string merges_text;
  Merges merges;
};

void read_merges(const fs::path& file, BpeFiles& out) {
  out.merges_text = read_text(file, kMostBytes);
  if (!is_utf8(out.merges_text))
    throw Error(ErrorCode::invalid_file, fmt::format("{}: not UTF-8", file.string()));
  const std::string_view text = out.merges_text;
  size_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    at = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    // The first line is a comment; Python's readers drop it unseen.
    if (number++ == 0 || line.empty()) continue;
    const size_t space = line.find(' ');
    if (space == std::string_view::npos)
      throw Error(ErrorCode::invalid_file,
                  fmt::format("{}: line {} is not two tokens", file.string(), number));
    out.merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
}

std::string byte_level(bool add_prefix_space, bool trim_offsets, bool use_regex) {
  return Json{{"type", "ByteLevel"},
              {"add_prefix_space", add_prefix_space},
              {"trim_offsets", trim_offsets},
              {"use_regex", use_regex}}
      .dump();
}

// The pipeline before the post-processor, by class.
PipelineJson bpe_pipeline(std::string_view name, bool add_prefix_space) {
  PipelineJson p;
  p.decoder = byte_level(true, true, true);
  p.pre_tokenizer = byte_level(add_prefix_space, true, true);
  if (name == "CLIPTokenizer") {
    p.normalizer =
        R"({"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Replace","pattern":{"Regex":"\\s+"},"content":" "},{"type":"Lowercase"}]})";
    p.pre_tokenizer =
        R"({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+"},"behavior":"Removed","invert":true},{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}]})";
  } else if (name == "Qwen2Tokenizer") {
    p.normalizer = R"({"type":"NFC"})";
    p.pre_tokenizer =
        R"({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},"behavior":"Isolated","invert":false},)" +
        byte_level(add_prefix_space, true, false) + "]}";
  }
  return p;
}

std::string roberta_processing(const Engine& engine, const std::string& cls, const std::string& sep,
                               bool trim_offsets, bool add_prefix_space) {
  const auto entry = [&](const std::string& token) -> Json {
    const auto id = engine.token_to_id(token);
    if (!id)
      throw Error(ErrorCode::invalid_config,
                  fmt::format("the special token \"{}\" is not in the vocabulary", printable(token, 60)));
    return Json::array({token, *id});
  };
  return Json{{"type", "RobertaProcessing"},
              {"sep", entry(sep)},
              {"cls", entry(cls)},
              {"trim_offsets", trim_offsets},
              {"add_prefix_space", add_prefix_space}}
      .dump();
}

void set_bpe_processor(Engine& engine, const Configuration& c, bool add_prefix_space) {
  const std::string_view name = c.known->name;
  std::string processor;
  if (name == "CLIPTokenizer") {
    processor = roberta_processing(engine, need(c, "bos_token"), need(c, "eos_token"), false, false);
  } else if (is_one_of(name, {"RobertaTokenizer", "BartTokenizer", "LEDTokenizer", "LongformerTokenizer",
                              "LayoutLMv3Tokenizer", "MvpTokenizer", "BlenderbotTokenizer"})) {
    processor =
        roberta_processing(engine, need(c, "cls_token"), need(c, "sep_token"), true, add_prefix_space);
  } else if (name == "DebertaTokenizer") {
    processor = template_processing(engine, {{"[CLS]", 0}, {"$A", 0}, {"[SEP]", 0}},
                                    {{"[CLS]", 0}, {"$A", 0}, {"[SEP]", 0}, {"$B", 1}, {"[SEP]", 1}});
  } else if (name == "GPT2Tokenizer" && c.flag("add_bos_token", false)) {
    const std::string bos = need(c, "bos_token");
    processor = template_processing(engine, {{bos, 0}, {"$A", 0}}, {{bos, 0}, {"$A", 0}, {"$B", 1}});
  } else {
    processor = byte_level(true, false, true);
  }
  engine.set_part(&PipelineJson::post_processor, processor, kWhat);
}

std::unique_ptr<Engine> convert_bpe(const fs::path& folder, const Configuration& c) {
  const fs::path vocab = folder / "vocab.json";
  const fs::path merges = folder / "merges.txt";
  if (!ferry::is_regular_file(merges))
    throw Error(ErrorCode::not_found, fmt::format("{} is there, {} is not", vocab.string(), merges.string()));
  BpeFiles files;
  files.vocabulary = parse_vocab_json(read_text(vocab, kMostBytes), vocab.string());
  read_merges(merges, files);
  const std::string_view name = c.known->name;
  BpeOptions options;
  options.continuing_subword_prefix = "";
  options.end_of_word_suffix = name == "CLIPTokenizer" ? "</w>" : "";
  if (name == "CLIPTokenizer") options.unk_token = need(c, "unk_token");
  const bool add_prefix_space = c.flag("add_prefix_space", false);
  auto engine = std::make_unique<Engine>(
      with_context(merges.string(),
                   [&] { return make_bpe(std::move(files.vocabulary), files.merges, options); }),
      bpe_pipeline(name, add_prefix_space), std::vector<AddedToken>{}, vocab.string());
  set_bpe_processor(*engine, c, add_prefix_space);
  return engine;
}

// What the constructors of the slow classes make of the names that they are given, and the special tokens
// that they have without being told.
void name_tokens_as_slow_classes_do(Configuration& c) {
  const std::string_view name = c.known->name;
  const auto add = [&](std::string token) {
    AddedToken added;
    added.content = std::move(token);
    added.normalized = false;
    added.special = true;
    c.additional_special_tokens.push_back({added, true});
  };
  if (c.additional_special_tokens.empty()) {
    if (name == "CamembertTokenizer") {
      for (const char* token : {"<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"}) add(token);
    } else if (is_one_of(name, {"T5Tokenizer", "MT5Tokenizer"})) {
      for (int i = 0; i < 100; ++i) add(fmt::format("<extra_id_{}>", i));
    } else if (name == "XLNetTokenizer") {
      for (const char* token : {"<eop>", "<eod>"}) add(token);
    } else if (name == "PegasusTokenizer") {
      add("<mask_1>");
      for (int i = 2; i < 103; ++i) add(fmt::format("<unk_{}>", i));
    }
  }
  if (name == "RemBertTokenizer") {
    // The slow class has other defaults than the fast one.
    for (const auto& [role, token] : {std::pair{"unk_token", "[UNK]"}, std::pair{"pad_token", "[PAD]"}}) {
      if (const auto found = c.special.find(role); found != c.special.end() && found->second.plain)
        found->second.token.content = token;
    }
  }
  const bool normalizes =
      is_one_of(name, {"RobertaTokenizer", "BartTokenizer", "LEDTokenizer", "LongformerTokenizer",
                       "LayoutLMv3Tokenizer", "MvpTokenizer", "BlenderbotTokenizer", "GPT2Tokenizer",
                       "CodeGenTokenizer", "CLIPTokenizer", "WhisperTokenizer", "BigBirdTokenizer"});
  for (auto& [role, token] : c.special) {
    const bool is_mask = role == "mask_token" &&
                         (c.known->mask_lstrip || is_one_of(name, {"DebertaTokenizer", "NllbTokenizer"}));
    if (!token.plain) continue;
    if (is_mask) {
      token.plain = false;
      token.token.lstrip = true;
      token.token.normalized =
          is_one_of(name, {"BartTokenizer", "LEDTokenizer", "LongformerTokenizer", "LayoutLMv3Tokenizer",
                           "MvpTokenizer", "BlenderbotTokenizer", "BigBirdTokenizer", "DebertaTokenizer",
                           "RemBertTokenizer", "MBart50Tokenizer", "NllbTokenizer"});
    } else if (normalizes || (name == "DebertaV2Tokenizer" && role == "unk_token")) {
      token.plain = false;
      token.token.normalized = true;
    }
  }
}
}  // namespace

std::unique_ptr<Engine> convert_slow_tokenizer(const fs::path& folder, Configuration& c) {
  if (const fs::path model = find_sentencepiece(folder); !model.empty()) {
    name_tokens_as_slow_classes_do(c);
    return convert_sentencepiece(model, c);
  }
  if (ferry::is_regular_file(folder / "vocab.json")) {
    name_tokens_as_slow_classes_do(c);
    return convert_bpe(folder, c);
  }
  if (ferry::is_regular_file(folder / "vocab.txt")) {
    if (c.known->name == "PreTrainedTokenizer") c.known = &tokenizer_class("BertTokenizer");
    name_tokens_as_slow_classes_do(c);
    c.clean_up_tokenization_spaces =
        c.flag("clean_up_tokenization_spaces", true);  // The slow classes' default.
    return convert_bert(folder / "vocab.txt", c);
  }
  throw Error(ErrorCode::not_found,
              fmt::format("{}: no tokenizer: neither tokenizer.json, vocab.txt, vocab.json with merges.txt "
                          "nor a sentencepiece model "
                          "(spiece.model, tokenizer.model, sentencepiece.bpe.model, spm.model)",
                          folder.string()));
}

}  // namespace ferry::tokenizers
