#include "tokenizers/tokenizer_json.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

namespace ferry::tokenizers {
namespace {
namespace dom = simdjson::dom;

constexpr size_t kMostBytes = size_t{1} << 30;
constexpr size_t kDeepest = 64;

// The members of tokenizer.json, read with simdjson: vocabularies are long, and it is an order of magnitude
// faster than a reader that builds a tree of values.
class Reader {
 public:
  Reader(std::string_view text, std::string_view what) : what_(what) {
    if (text.size() > kMostBytes) fail(ErrorCode::invalid_file, "", "is longer than 1 GB");
    padded_ = simdjson::padded_string(text);
    const auto error = parser_.allocate(std::max<size_t>(text.size(), 64), kDeepest);
    if (error) fail(ErrorCode::io, "", "cannot be parsed: out of memory");
    const auto parsed = parser_.parse(padded_).get(root_);
    if (parsed)
      fail(ErrorCode::invalid_file, "", fmt::format("not valid JSON: {}", simdjson::error_message(parsed)));
    if (!root_.is_object()) fail(ErrorCode::invalid_file, "", "must be a JSON object");
  }

  std::unique_ptr<Engine> engine(FileDefaults* defaults);
  Vocabulary vocabulary_of(dom::element element, std::string_view key) const;
  [[nodiscard]] dom::element root() const { return root_; }

 private:
  [[noreturn]] void fail(ErrorCode code, std::string_view key, std::string_view reason) const {
    throw Error(code, fmt::format("{}: {}{}{}", what_, key, key.empty() ? "" : ": ", reason));
  }
  [[nodiscard]] std::string part(std::string_view key) const {
    dom::element value;
    if (root_[key].get(value)) return "null";
    return simdjson::minify(value);
  }
  // A member that is null counts as missing.
  static bool find(dom::element object, std::string_view key, dom::element& value) {
    return !object[key].get(value) && !value.is_null();
  }
  std::optional<std::string> string(dom::element object, std::string_view key) const;
  bool boolean(dom::element object, std::string_view key) const;

  std::string model_type(dom::element model) const;
  std::unique_ptr<Model> model() const;
  std::unique_ptr<Model> bpe(dom::element model) const;
  std::unique_ptr<Model> word_piece(dom::element model) const;
  std::unique_ptr<Model> unigram(dom::element model) const;
  [[nodiscard]] std::vector<AddedToken> added_tokens() const;
  void read_defaults(FileDefaults& defaults) const;

  std::string what_;
  simdjson::padded_string padded_;
  dom::parser parser_;
  dom::element root_;
};

std::optional<std::string> Reader::string(dom::element object, std::string_view key) const {
  dom::element value;
  if (!find(object, key, value)) return std::nullopt;
  std::string_view text;
  if (value.get(text)) fail(ErrorCode::invalid_config, fmt::format("model.{}", key), "must be a string");
  return std::string(text);
}

bool Reader::boolean(dom::element object, std::string_view key) const {
  dom::element value;
  if (!find(object, key, value)) return false;
  bool result = false;
  if (value.get(result))
    fail(ErrorCode::invalid_config, fmt::format("model.{}", key), "must be true or false");
  return result;
}

Vocabulary Reader::vocabulary_of(dom::element element, std::string_view key) const {
  dom::object tokens;
  if (element.get(tokens)) fail(ErrorCode::invalid_config, key, "must be an object of tokens and ids");
  Vocabulary out;
  out.reserve(tokens.size(), tokens.size() * 8);
  for (const auto field : tokens) {
    uint64_t id = 0;
    if (field.value.get(id)) {
      fail(ErrorCode::invalid_config, key,
           fmt::format("the id of \"{}\" must be a whole number", printable(field.key, 60)));
    }
    with_context(what_, [&] { out.add(field.key, id); });
  }
  return out;
}

std::unique_ptr<Model> Reader::bpe(dom::element model) const {
  dom::element dropout;
  double probability = 0;
  if (find(model, "dropout", dropout) && (dropout.get(probability) || probability != 0)) {
    throw Error(
        ErrorCode::unsupported,
        fmt::format("{}: model.dropout: only null or 0 is supported: with dropout, ids are random", what_))
        .with_hint("set model.dropout to null: dropout is for training");
  }
  BpeOptions options;
  options.unk_token = string(model, "unk_token");
  options.continuing_subword_prefix = string(model, "continuing_subword_prefix");
  options.end_of_word_suffix = string(model, "end_of_word_suffix");
  options.fuse_unk = boolean(model, "fuse_unk");
  options.byte_fallback = boolean(model, "byte_fallback");
  options.ignore_merges = boolean(model, "ignore_merges");
  dom::element vocab;
  dom::array list;
  if (model["vocab"].get(vocab)) fail(ErrorCode::invalid_config, "model.vocab", "is missing");
  if (model["merges"].get(list)) fail(ErrorCode::invalid_config, "model.merges", "must be a list");
  Merges merges;
  merges.reserve(list.size());
  for (const dom::element merge : list) {
    std::string_view text;
    dom::array pair;
    std::string_view left;
    std::string_view right;
    if (!merge.get(text)) {
      if (text.starts_with("#version")) continue;
      const size_t space = text.find(' ');
      if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
        fail(ErrorCode::invalid_config, "model.merges",
             fmt::format("\"{}\" is not two tokens", printable(text, 60)));
      }
      merges.emplace_back(text.substr(0, space), text.substr(space + 1));
    } else if (!merge.get(pair) && pair.size() == 2 && !pair.at(0).get(left) && !pair.at(1).get(right)) {
      merges.emplace_back(left, right);
    } else {
      fail(ErrorCode::invalid_config, "model.merges", "must hold \"a b\" or [\"a\", \"b\"]");
    }
  }
  return with_context(what_, [&] { return make_bpe(vocabulary_of(vocab, "model.vocab"), merges, options); });
}

std::unique_ptr<Model> Reader::word_piece(dom::element model) const {
  WordPieceOptions options;
  const auto need = [&](std::string_view key) {
    auto value = string(model, key);
    if (!value) fail(ErrorCode::invalid_config, fmt::format("model.{}", key), "is missing");
    return *value;
  };
  options.unk_token = need("unk_token");
  options.continuing_subword_prefix = need("continuing_subword_prefix");
  if (model["max_input_chars_per_word"].get(options.max_input_chars_per_word)) {
    fail(ErrorCode::invalid_config, "model.max_input_chars_per_word", "must be a whole number");
  }
  dom::element vocab;
  if (model["vocab"].get(vocab)) fail(ErrorCode::invalid_config, "model.vocab", "is missing");
  return make_word_piece(vocabulary_of(vocab, "model.vocab"), std::move(options));
}

std::unique_ptr<Model> Reader::unigram(dom::element model) const {
  dom::array list;
  if (model["vocab"].get(list))
    fail(ErrorCode::invalid_config, "model.vocab", "must be a list of [piece, score]");
  std::vector<ScoredPiece> pieces;
  pieces.reserve(list.size());
  for (const dom::element item : list) {
    dom::array pair;
    ScoredPiece piece{};
    if (item.get(pair) || pair.size() != 2 || pair.at(0).get(piece.piece) || pair.at(1).get(piece.score)) {
      fail(ErrorCode::invalid_config, "model.vocab", "must be a list of [piece, score]");
    }
    pieces.push_back(piece);
  }
  std::optional<uint64_t> unk_id;
  dom::element value;
  if (find(model, "unk_id", value)) {
    uint64_t id = 0;
    if (value.get(id)) fail(ErrorCode::invalid_config, "model.unk_id", "must be a whole number");
    unk_id = id;
  }
  const bool byte_fallback = boolean(model, "byte_fallback");
  return with_context(what_, [&] { return make_unigram(pieces, unk_id, byte_fallback); });
}

// Files from before "type" was written are told apart by their members, as in the reference.
std::string Reader::model_type(dom::element model) const {
  if (auto type = string(model, "type")) return *type;
  dom::element value;
  if (find(model, "merges", value)) return "BPE";
  if (find(model, "continuing_subword_prefix", value)) return "WordPiece";
  if (find(model, "vocab", value) && value.is_array()) return "Unigram";
  return "WordLevel";
}

std::unique_ptr<Model> Reader::model() const {
  dom::element model;
  if (root_["model"].get(model) || !model.is_object())
    fail(ErrorCode::invalid_config, "model", "must be an object");
  const std::string type = model_type(model);
  if (type == "BPE") return bpe(model);
  if (type == "WordPiece") return word_piece(model);
  if (type == "Unigram") return unigram(model);
  if (type == "WordLevel") {
    dom::element vocab;
    if (model["vocab"].get(vocab)) fail(ErrorCode::invalid_config, "model.vocab", "is missing");
    const auto unk = string(model, "unk_token");
    if (!unk) fail(ErrorCode::invalid_config, "model.unk_token", "is missing");
    return make_word_level(vocabulary_of(vocab, "model.vocab"), *unk);
  }
  throw Error(ErrorCode::unsupported, fmt::format("{}: model.type: \"{}\" is not a type that is known here",
                                                  what_, printable(type, 60)))
      .with_hint("known types: BPE, WordPiece, Unigram, WordLevel");
}

std::vector<AddedToken> Reader::added_tokens() const {
  std::vector<AddedToken> out;
  dom::element value;
  if (!find(root_, "added_tokens", value)) return out;
  dom::array list;
  if (value.get(list)) fail(ErrorCode::invalid_config, "added_tokens", "must be a list");
  for (const dom::element item : list) {
    AddedToken token;
    std::string_view content;
    uint64_t id = 0;
    const bool bad = !item.is_object() || item["content"].get(content) || item["id"].get(id) ||
                     item["single_word"].get(token.single_word) || item["lstrip"].get(token.lstrip) ||
                     item["rstrip"].get(token.rstrip) || item["normalized"].get(token.normalized) ||
                     item["special"].get(token.special);
    if (bad) {
      fail(ErrorCode::invalid_config, fmt::format("added_tokens[{}]", out.size()),
           "must have id, content, single_word, lstrip, rstrip, normalized and special");
    }
    token.content = content;
    out.push_back(std::move(token));
  }
  return out;
}

void Reader::read_defaults(FileDefaults& defaults) const {
  const nlohmann::ordered_json truncation = parse_json(part("truncation"), what_);
  if (!truncation.is_null()) {
    const Spec spec(truncation, fmt::format("{}: truncation", what_));
    TruncationParameters& p = defaults.truncation.emplace();
    p.max_length = spec.number("max_length", UINT64_MAX);
    p.stride = spec.number("stride", UINT64_MAX);
    const std::string strategy = spec.string("strategy");
    p.strategy = strategy == "OnlyFirst"    ? Truncation::only_first
                 : strategy == "OnlySecond" ? Truncation::only_second
                                            : Truncation::longest_first;
    p.side = spec.optional_string("direction") == "Left" ? Side::left : Side::right;
  }
  const nlohmann::ordered_json padding = parse_json(part("padding"), what_);
  if (!padding.is_null()) {
    const Spec spec(padding, fmt::format("{}: padding", what_));
    PaddingParameters& p = defaults.padding.emplace();
    p.side = spec.string("direction") == "Left" ? Side::left : Side::right;
    p.id = static_cast<uint32_t>(spec.number("pad_id", UINT32_MAX));
    p.type_id = static_cast<uint32_t>(spec.number("pad_type_id", UINT32_MAX));
    p.token = spec.string("pad_token");
  }
}

std::unique_ptr<Engine> Reader::engine(FileDefaults* defaults) {
  const auto version = string(root_, "version");
  if (version && *version != "1.0")
    fail(ErrorCode::unsupported, "version", fmt::format("\"{}\" is not 1.0", printable(*version, 20)));
  if (defaults != nullptr) read_defaults(*defaults);
  PipelineJson pipeline{part("normalizer"), part("pre_tokenizer"), part("post_processor"), part("decoder")};
  return std::make_unique<Engine>(model(), pipeline, added_tokens(), what_);
}
}  // namespace

std::unique_ptr<Engine> parse_tokenizer_json(std::string_view text, std::string_view what,
                                             FileDefaults* defaults) {
  return Reader(text, what).engine(defaults);
}

std::unique_ptr<Engine> read_tokenizer_json(const std::filesystem::path& file, FileDefaults* defaults) {
  const auto mapped = MappedFile::open(file);
  return parse_tokenizer_json(mapped->text(), file.string(), defaults);
}

Vocabulary parse_vocab_json(std::string_view text, std::string_view what) {
  const Reader reader(text, what);
  return reader.vocabulary_of(reader.root(), "vocabulary");
}

}  // namespace ferry::tokenizers
