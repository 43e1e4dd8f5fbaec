// Tokenizers from sentencepiece models.
// Source: transformers 4.57.6, convert_slow_tokenizer.py SpmConverter and its subclasses.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "tokenizers/pretrained/pretrained.h"
#include "tokenizers/pretrained/sentencepiece_model.h"
#include "tokenizers/pretrained/templates.h"
#include "tokenizers/text/base64.h"
#include "tokenizers/unicode/utf8.h"

namespace ferry::tokenizers {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Kind = SentencePieceModel::Kind;

constexpr std::string_view kWhat = "converted tokenizer";
constexpr std::string_view kMetaspace = "\xE2\x96\x81";
constexpr size_t kLongestPiece = 4096;

// Names and scores of the vocabulary; the strings that the file does not have are kept here.
struct Pieces {
  std::vector<ScoredPiece> list;
  std::vector<std::unique_ptr<std::string>> names;
  void add(std::string_view piece, double score) { list.push_back({piece, score}); }
  void add_name(std::string name, double score) {
    names.push_back(std::make_unique<std::string>(std::move(name)));
    list.push_back({*names.back(), score});
  }
  void add_model(const SentencePieceModel& model, size_t from) {
    for (size_t i = from; i < model.pieces.size(); ++i)
      add(model.pieces[i].text, static_cast<double>(model.pieces[i].score));
  }
};

class Converter {
 public:
  Converter(const SentencePieceModel& model, Configuration& c, std::string what)
      : model_(model), c_(c), name_(c.known->name), what_(std::move(what)) {}

  std::unique_ptr<Engine> convert() {
    read_vocabulary();
    PipelineJson pipeline;
    pipeline.normalizer = normalizer();
    pipeline.pre_tokenizer = pre_tokenizer();
    pipeline.decoder = decoder();
    auto engine = std::make_unique<Engine>(make_model(), pipeline, added_tokens(), what_);
    if (const std::string processor = post_processor(*engine); !processor.empty())
      engine->set_part(&PipelineJson::post_processor, processor, kWhat);
    return engine;
  }

 private:
  [[nodiscard]] bool is(std::initializer_list<std::string_view> names) const {
    return std::find(names.begin(), names.end(), name_) != names.end();
  }
  [[nodiscard]] bool is_llama() const { return is({"LlamaTokenizer", "CodeLlamaTokenizer"}); }
  [[nodiscard]] bool is_t5() const { return is({"T5Tokenizer", "MT5Tokenizer"}); }
  [[nodiscard]] bool is_xlm_roberta() const { return is({"XLMRobertaTokenizer", "LayoutXLMTokenizer"}); }
  /// Named by fairseq, which has four tokens of its own before those of the file.
  [[nodiscard]] bool is_fairseq() const {
    return is({"MBartTokenizer", "MBart50Tokenizer", "NllbTokenizer", "XGLMTokenizer"});
  }
  [[nodiscard]] bool is_seamless() const { return name_ == "SeamlessM4TTokenizer"; }
  [[nodiscard]] bool falls_back() const { return is_llama() || name_ == "GemmaTokenizer"; }
  [[nodiscard]] bool legacy() const {
    if (is_seamless()) return false;
    return !is_llama() && !is_t5() ? true : c_.flag("legacy", true);
  }
  [[nodiscard]] bool adds_prefix_space() const {
    return is_llama() || is_t5() || is_seamless() ? c_.flag("add_prefix_space", true) : true;
  }

  void read_vocabulary();
  void read_pegasus();
  void read_fairseq();
  [[nodiscard]] std::unique_ptr<Model> make_model() const;
  [[nodiscard]] Merges make_merges(const std::unordered_map<std::string_view, uint32_t>& ids,
                                   std::vector<std::string>& storage) const;
  [[nodiscard]] std::vector<AddedToken> added_tokens() const;
  [[nodiscard]] std::string normalizer() const;
  [[nodiscard]] std::string pre_tokenizer() const;
  [[nodiscard]] std::string decoder() const;
  [[nodiscard]] std::string post_processor(const Engine& engine) const;
  [[nodiscard]] std::string metaspace() const;

  const SentencePieceModel& model_;
  Configuration& c_;
  std::string_view name_;
  std::string what_;
  Pieces pieces_;
  uint64_t unk_id_ = 0;
};

// A piece like "5," is avoided by models of the XLNet family.
bool is_number_comma(std::string_view piece) {
  return piece.size() >= 2 && piece.back() == ',' && piece[piece.size() - 2] >= '0' &&
         piece[piece.size() - 2] <= '9';
}

void Converter::read_vocabulary() {
  unk_id_ = model_.unk_id;
  if (is_xlm_roberta() || name_ == "CamembertTokenizer") {
    const bool camembert = name_ == "CamembertTokenizer";
    pieces_.add(camembert ? "<s>NOTUSED" : "<s>", 0);
    pieces_.add("<pad>", 0);
    pieces_.add(camembert ? "</s>NOTUSED" : "</s>", 0);
    pieces_.add("<unk>", 0);
    if (camembert) pieces_.add("<unk>NOTUSED", -100);
    pieces_.add_model(model_, camembert ? 1 : 3);
    pieces_.add("<mask>", 0);
    unk_id_ = 3;
  } else if (falls_back()) {
    // The first three are named by the configuration.
    if (name_ == "GemmaTokenizer") {
      for (const std::string_view role : {"pad_token", "eos_token", "bos_token"})
        pieces_.add_name(c_.text_of(role).value_or(""), 0);
    } else {
      for (size_t i = 0; i < 3 && i < model_.pieces.size(); ++i) pieces_.add(model_.pieces[i].text, 0);
    }
    pieces_.add_model(model_, 3);
    unk_id_ = name_ == "GemmaTokenizer" ? 3 : 0;
  } else if (is_fairseq()) {
    read_fairseq();
  } else if (is_seamless()) {
    for (const char* piece : {"<pad>", "<unk>", "<s>", "</s>"}) pieces_.add(piece, 0);
    pieces_.add_model(model_, 3);
    unk_id_ = 1;
  } else if (name_ == "PegasusTokenizer") {
    read_pegasus();
  } else {
    pieces_.add_model(model_, 0);
    if (is({"AlbertTokenizer", "FNetTokenizer", "XLNetTokenizer"})) {
      for (ScoredPiece& p : pieces_.list) {
        if (is_number_comma(p.piece)) p.score -= 100;
      }
    }
    if (is_t5()) {
      for (int i = 99; i >= 0; --i) pieces_.add_name(fmt::format("<extra_id_{}>", i), 0);
    }
    if (name_ == "BarthezTokenizer") unk_id_ = 3;
  }
}

void Converter::read_fairseq() {
  for (const char* piece : {"<s>", "<pad>", "</s>", "<unk>"}) pieces_.add(piece, 0);
  pieces_.add_model(model_, 3);
  unk_id_ = 3;
  if (name_ == "XGLMTokenizer") {
    for (int i = 0; i < 7; ++i) pieces_.add_name(fmt::format("<madeupword{}>", i), 0);
  } else if (name_ != "NllbTokenizer") {
    for (std::string& code : split(language_codes(name_), ' ')) pieces_.add_name(std::move(code), 0);
    pieces_.add("<mask>", 0);
  }
}

void Converter::read_pegasus() {
  constexpr int kOffset = 103;
  pieces_.add_name(c_.text_of("pad_token").value_or("<pad>"), 0);
  pieces_.add_name(c_.text_of("eos_token").value_or("</s>"), 0);
  pieces_.add_name("<mask_1>", 0);
  pieces_.add_name(c_.text_of("mask_token").value_or("<mask_2>"), 0);
  for (int i = 2; i < kOffset; ++i) pieces_.add_name(fmt::format("<unk_{}>", i), -100);
  pieces_.add_model(model_, 2);
  unk_id_ = model_.unk_id + kOffset;
}

// All ways to make each piece of two others, by the score of the piece, then by the lengths of the parts.
Merges Converter::make_merges(const std::unordered_map<std::string_view, uint32_t>& ids,
                              std::vector<std::string>& storage) const {
  static_cast<void>(storage);
  struct Candidate {
    double score;
    uint32_t left_length;  // In characters, as Python compares them.
    uint32_t right_length;
    std::string_view left;
    std::string_view right;
  };
  std::unordered_map<std::string_view, double> scores;
  std::vector<std::string_view> order;
  for (const ScoredPiece& p : pieces_.list) {
    if (scores.insert_or_assign(p.piece, p.score).second) order.push_back(p.piece);
  }
  std::vector<Candidate> all;
  for (const std::string_view piece : order) {
    if (piece.size() > kLongestPiece)
      throw Error(ErrorCode::invalid_file,
                  fmt::format("{}: a piece is longer than {} bytes", what_, kLongestPiece));
    uint32_t characters = 0;
    for (const char c : piece) characters += is_continuation(c) ? 0 : 1;
    std::vector<std::pair<std::pair<uint32_t, uint32_t>, Candidate>> local;
    uint32_t left = 0;
    for (size_t i = utf8_length(static_cast<unsigned char>(piece.empty() ? 'a' : piece[0])); i < piece.size();
         i += utf8_length(static_cast<unsigned char>(piece[i]))) {
      ++left;
      const auto a = ids.find(piece.substr(0, i));
      const auto b = ids.find(piece.substr(i));
      if (a == ids.end() || b == ids.end()) continue;
      local.push_back({{a->second, b->second},
                       {scores[piece], left, characters - left, piece.substr(0, i), piece.substr(i)}});
    }
    std::stable_sort(local.begin(), local.end(),
                     [](const auto& x, const auto& y) { return x.first < y.first; });
    for (const auto& [key, candidate] : local) all.push_back(candidate);
  }
  // Python sorts by (score, length, length) in reverse and keeps the order of equals.
  std::stable_sort(all.begin(), all.end(), [](const Candidate& x, const Candidate& y) {
    if (x.score != y.score) return x.score > y.score;
    if (x.left_length != y.left_length) return x.left_length > y.left_length;
    return x.right_length > y.right_length;
  });
  Merges out;
  out.reserve(all.size());
  for (const Candidate& c : all) out.emplace_back(c.left, c.right);
  return out;
}

std::unique_ptr<Model> Converter::make_model() const {
  if (model_.model_type == 1) return make_unigram(pieces_.list, unk_id_, falls_back());
  if (model_.model_type != 2) {
    throw Error(
        ErrorCode::unsupported,
        fmt::format("{}: sentencepiece model type {} is neither Unigram nor BPE", what_, model_.model_type));
  }
  // Merges are looked up among the pieces of the file, and made of the vocabulary.
  std::unordered_map<std::string_view, uint32_t> ids;
  for (uint32_t i = 0; i < model_.pieces.size(); ++i) ids[model_.pieces[i].text] = i;
  if (name_ == "GemmaTokenizer" && !ids.contains("\t") && ids.contains("<0x09>")) ids["\t"] = ids["<0x09>"];
  Vocabulary vocabulary;
  for (const ScoredPiece& p : pieces_.list) vocabulary.add(p.piece, vocabulary.id_end());
  BpeOptions options;
  options.unk_token = std::string(model_.unk_piece);
  options.fuse_unk = true;
  options.byte_fallback = falls_back();
  std::vector<std::string> storage;
  const Merges merges = make_merges(ids, storage);
  return make_bpe(std::move(vocabulary), merges, options);
}

std::vector<AddedToken> Converter::added_tokens() const {
  std::vector<AddedToken> out;
  for (const SentencePieceModel::Piece& p : model_.pieces) {
    if (p.kind != Kind::control && p.kind != Kind::user_defined) continue;
    AddedToken token;
    token.content = p.text;
    token.normalized = false;
    token.special = p.kind == Kind::control;
    if (name_ == "GemmaTokenizer") token.special |= p.text == "<start_of_turn>" || p.text == "<end_of_turn>";
    out.push_back(std::move(token));
  }
  return out;
}

std::string Converter::normalizer() const {
  const auto replace = [](const char* kind, std::string_view pattern, std::string_view content) -> Json {
    return {{"type", "Replace"}, {"pattern", {{kind, pattern}}}, {"content", content}};
  };
  if (name_ == "GemmaTokenizer") return replace("String", " ", kMetaspace).dump();
  Json list = Json::array();
  if (is_llama()) {
    if (!legacy()) return "null";
    if (c_.flag("add_prefix_space", true)) list.push_back({{"type", "Prepend"}, {"prepend", kMetaspace}});
    list.push_back(replace("String", " ", kMetaspace));
    return Json{{"type", "Sequence"}, {"normalizers", list}}.dump();
  }
  const bool albert = is({"AlbertTokenizer", "FNetTokenizer", "XLNetTokenizer", "RemBertTokenizer"});
  const bool rembert = name_ == "RemBertTokenizer";
  if (albert) {
    list.push_back(replace("String", "``", "\""));
    list.push_back(replace("String", "''", "\""));
    if (rembert) list.push_back(replace("Regex", " {2,}", " "));
    const bool keeps_accents = c_.flag("keep_accents", rembert);
    if (!keeps_accents) {
      list.push_back({{"type", "NFKD"}});
      list.push_back({{"type", "StripAccents"}});
    }
    const bool lower = c_.flag("do_lower_case", name_ == "AlbertTokenizer");
    if (lower) list.push_back({{"type", "Lowercase"}});
  } else if (name_ == "DebertaV2Tokenizer") {
    if (c_.flag("do_lower_case", false)) list.push_back({{"type", "Lowercase"}});
    list.push_back({{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}});
  }
  if (!model_.precompiled_charsmap.empty()) {
    list.push_back(
        {{"type", "Precompiled"}, {"precompiled_charsmap", encode_base64(model_.precompiled_charsmap)}});
  }
  if (!rembert) {
    const bool plain = !albert && name_ != "DebertaV2Tokenizer";
    if (plain) list.push_back({{"type", "Strip"}, {"strip_left", false}, {"strip_right", true}});
    list.push_back(replace("Regex", " {2,}", plain ? kMetaspace : " "));
  }
  return Json{{"type", "Sequence"}, {"normalizers", list}}.dump();
}

std::string Converter::metaspace() const {
  const char* scheme = !adds_prefix_space() ? "never" : legacy() ? "always" : "first";
  return Json{
      {"type", "Metaspace"}, {"replacement", kMetaspace}, {"prepend_scheme", scheme}, {"split", !is_llama()}}
      .dump();
}

std::string Converter::pre_tokenizer() const {
  if (name_ == "GemmaTokenizer")
    return R"({"type":"Split","pattern":{"String":" "},"behavior":"MergedWithPrevious","invert":false})";
  if (is_llama() && legacy()) return "null";
  std::string before;
  if (name_ == "PegasusTokenizer") before = R"({"type":"WhitespaceSplit"},)";
  if (name_ == "DebertaV2Tokenizer") {
    if (c_.flag("split_by_punct", false)) before = R"({"type":"Punctuation","behavior":"Isolated"},)";
    return fmt::format(R"({{"type":"Sequence","pretokenizers":[{}{}]}})", before, metaspace());
  }
  return before.empty() ? metaspace()
                        : fmt::format(R"({{"type":"Sequence","pretokenizers":[{}{}]}})", before, metaspace());
}

std::string Converter::decoder() const {
  if (!falls_back()) return metaspace();
  Json list = {{{"type", "Replace"}, {"pattern", {{"String", kMetaspace}}}, {"content", " "}},
               {{"type", "ByteFallback"}},
               {{"type", "Fuse"}}};
  if (is_llama() && adds_prefix_space())
    list.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return Json{{"type", "Sequence"}, {"decoders", list}}.dump();
}

std::string Converter::post_processor(const Engine& engine) const {
  const TemplateItem a{"$A", 0};
  const TemplateItem b{"$B", 1};
  if (is({"AlbertTokenizer", "FNetTokenizer", "RemBertTokenizer", "BigBirdTokenizer",
          "DebertaV2Tokenizer"})) {
    return template_processing(engine, {{"[CLS]", 0}, a, {"[SEP]", 0}},
                               {{"[CLS]", 0}, a, {"[SEP]", 0}, b, {"[SEP]", 1}});
  }
  if (is_xlm_roberta() || is({"CamembertTokenizer", "BarthezTokenizer"})) {
    return template_processing(engine, {{"<s>", 0}, a, {"</s>", 0}},
                               {{"<s>", 0}, a, {"</s>", 0}, {"</s>", 0}, {"$B", 0}, {"</s>", 0}});
  }
  if (is_t5() || name_ == "UdopTokenizer")
    return template_processing(engine, {a, {"</s>", 0}}, {a, {"</s>", 0}, {"$B", 0}, {"</s>", 0}});
  if (name_ == "XLNetTokenizer") {
    return template_processing(engine, {a, {"<sep>", 0}, {"<cls>", 2}},
                               {a, {"<sep>", 0}, b, {"<sep>", 1}, {"<cls>", 2}});
  }
  if (name_ == "XGLMTokenizer") {
    return template_processing(engine, {{"</s>", 0}, a},
                               {{"</s>", 0}, a, {"</s>", 0}, {"</s>", 0}, {"$B", 0}}, {"<s>"});
  }
  if (name_ == "PegasusTokenizer") {
    const std::string eos = c_.text_of("eos_token").value_or("</s>");
    return template_processing(engine, {a, {eos, 0}}, {a, {"$B", 0}, {eos, 0}});
  }
  return {};
}
}  // namespace

fs::path find_sentencepiece(const fs::path& folder) {
  for (const char* name :
       {"spiece.model", "tokenizer.model", "sentencepiece.bpe.model", "sentencepiece.model", "spm.model"}) {
    if (ferry::is_regular_file(folder / name)) return folder / name;
  }
  return {};
}

std::unique_ptr<Engine> convert_sentencepiece(const fs::path& file, Configuration& c) {
  constexpr std::string_view kConverters[] = {
      "AlbertTokenizer",    "BarthezTokenizer",   "BertGenerationTokenizer", "BigBirdTokenizer",
      "CamembertTokenizer", "CodeLlamaTokenizer", "DebertaV2Tokenizer",      "FNetTokenizer",
      "GemmaTokenizer",     "LayoutXLMTokenizer", "LlamaTokenizer",          "MBart50Tokenizer",
      "MBartTokenizer",     "MT5Tokenizer",       "NllbTokenizer",           "PegasusTokenizer",
      "ReformerTokenizer",  "RemBertTokenizer",   "SeamlessM4TTokenizer",    "T5Tokenizer",
      "UdopTokenizer",      "XGLMTokenizer",      "XLMRobertaTokenizer",     "XLNetTokenizer"};
  if (std::find(std::begin(kConverters), std::end(kConverters), c.known->name) == std::end(kConverters)) {
    const std::vector<std::string> all(std::begin(kConverters), std::end(kConverters));
    throw Error(ErrorCode::unsupported,
                fmt::format("{}: tokenizer_class \"{}\": no conversion of its sentencepiece model is known",
                            file.string(), printable(c.tokenizer_class, 60)))
        .with_hint(fmt::format("save the tokenizer with tokenizer.json, or give one of: {}",
                               join(all, ", ", all.size())));
  }
  const auto mapped = MappedFile::open(file);
  const SentencePieceModel model = parse_sentencepiece(mapped->text(), file.string());
  return Converter(model, c, file.string()).convert();
}

}  // namespace ferry::tokenizers
