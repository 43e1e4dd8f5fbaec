#include "tokenizers/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

namespace ferry::tokenizers {
namespace {

constexpr size_t kSparesKept = 16;

// Keeps the model's vocabulary alive for the encodings that were made with it.
class Names final : public TokenNames {
 public:
  Names(std::shared_ptr<const Model> model, const AddedVocabulary& added) : model_(std::move(model)) {
    for (const auto& [id, token] : added.by_id()) added_[id] = token.content;
  }
  [[nodiscard]] std::string_view name(uint32_t id) const override {
    if (!added_.empty()) {
      if (const auto found = added_.find(id); found != added_.end()) return found->second;
    }
    return model_->vocabulary().token(id);
  }

 private:
  std::shared_ptr<const Model> model_;
  std::unordered_map<uint32_t, std::string> added_;
};

// Turns byte positions of one text into code points. Fast while positions grow.
class CodePoints {
 public:
  explicit CodePoints(std::string_view text)
      : text_(text), ascii_(ascii_run(text.data(), text.data() + text.size()) == text.size()) {}

  // As the reference converts: a start outside of the text leaves both as they are.
  Offset convert(Offset bytes) {
    if (bytes.begin >= text_.size()) return bytes;
    if (ascii_) return {bytes.begin, bytes.end <= text_.size() ? bytes.end : bytes.begin + 2};
    const uint32_t begin = count(bytes.begin);
    uint32_t end = 0;
    if (bytes.end < text_.size()) {
      end = count(bytes.end);
    } else if (bytes.end == text_.size()) {
      end = count(bytes.end - 1) + 1;
    } else {
      end = begin + 2;
    }
    return {begin, end};
  }

 private:
  // The number of the character that byte `at` belongs to.
  uint32_t count(uint32_t at) {
    while (at_ < at) characters_ += is_continuation(text_[++at_]) ? 0 : 1;
    while (at_ > at) characters_ -= is_continuation(text_[at_--]) ? 0 : 1;
    return characters_;
  }

  std::string_view text_;
  bool ascii_;
  uint32_t at_ = 0;
  uint32_t characters_ = 0;
};

void check_text(std::string_view text) {
  if (text.size() > kMaxTextBytes) throw Error(ErrorCode::unsupported, "the text is longer than 2 GB");
  if (!is_utf8(text)) throw Error(ErrorCode::invalid_file, "the text is not UTF-8");
}

// Where code points start in a text, to write offsets in bytes as well.
class ByteOffsets {
 public:
  explicit ByteOffsets(std::string_view text) : size_(static_cast<uint32_t>(text.size())) {
    if (ascii_run(text.data(), text.data() + text.size()) == text.size()) return;
    for (uint32_t i = 0; i < text.size(); ++i) {
      if (!is_continuation(text[i])) starts_.push_back(i);
    }
  }
  [[nodiscard]] Offset convert(Offset o) const { return {at(o.begin), at(o.end)}; }

 private:
  [[nodiscard]] uint32_t at(uint32_t character) const {
    if (starts_.empty()) return std::min(character, size_);
    return character < starts_.size() ? starts_[character] : size_;
  }
  uint32_t size_;
  std::vector<uint32_t> starts_;
};

class ByteOffsetsOf {
 public:
  explicit ByteOffsetsOf(const Input& input) {
    if (!input.is_words) {
      parts_.emplace_back(input.text);
    } else {
      for (const std::string& word : input.words) parts_.emplace_back(word);
    }
    is_words_ = input.is_words;
  }
  [[nodiscard]] Offset convert(Offset o, int32_t word) const {
    const size_t part = is_words_ ? static_cast<size_t>(std::max(word, 0)) : 0;
    return part < parts_.size() ? parts_[part].convert(o) : Offset{};
  }

 private:
  std::vector<ByteOffsets> parts_;
  bool is_words_;
};

void fill_byte_offsets(Encoding& e, const ByteOffsetsOf& first, const ByteOffsetsOf* second) {
  e.byte_offsets.resize(e.size());
  const auto* ranges = EncodingAccess::sequences(e);
  for (size_t i = 0; i < e.size(); ++i) {
    const bool in_second =
        second != nullptr && ranges[1].present && i >= ranges[1].begin && i < ranges[1].end;
    e.byte_offsets[i] = (in_second ? *second : first).convert(e.offsets[i], e.word_ids[i]);
  }
  for (Encoding& o : e.overflowing) fill_byte_offsets(o, first, second);
}
}  // namespace

struct Engine::Scratch {
  ModelScratch model;
  PreTokenized text{std::string_view()};
};

// Takes a scratch for one call and gives it back.
class Engine::Lease {
 public:
  explicit Lease(const Engine& engine) : engine_(engine) {
    const std::lock_guard lock(engine.scratch_mutex_);
    if (!engine.scratches_.empty()) {
      scratch_ = std::move(engine.scratches_.back());
      engine.scratches_.pop_back();
    }
    if (!scratch_) scratch_ = std::make_unique<Scratch>();
  }
  ~Lease() {
    const std::lock_guard lock(engine_.scratch_mutex_);
    if (engine_.scratches_.size() < kSparesKept) engine_.scratches_.push_back(std::move(scratch_));
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  Scratch& operator*() { return *scratch_; }

 private:
  const Engine& engine_;
  std::unique_ptr<Scratch> scratch_;
};

Engine::~Engine() = default;

Engine::Engine(std::unique_ptr<Model> model, const PipelineJson& pipeline,
               const std::vector<AddedToken>& added, std::string_view what)
    : json_(pipeline), model_(std::move(model)) {
  for (const auto part : {&PipelineJson::normalizer, &PipelineJson::pre_tokenizer,
                          &PipelineJson::post_processor, &PipelineJson::decoder}) {
    build_part(part, what);
  }
  with_context(what, [&] { added_.add(added, *model_); });
  refresh();
}

void Engine::build_part(std::string PipelineJson::*part, std::string_view what) {
  const nlohmann::ordered_json json = parse_json(json_.*part, what);
  const auto build = [&](auto& to, std::string_view key, auto make) {
    to.reset();
    if (!json.is_null()) to = make(Spec(json, fmt::format("{}: {}", what, key)));
  };
  if (part == &PipelineJson::normalizer) build(normalizer_, "normalizer", make_normalizer);
  if (part == &PipelineJson::pre_tokenizer) build(pre_tokenizer_, "pre_tokenizer", make_pre_tokenizer);
  if (part == &PipelineJson::post_processor) build(post_processor_, "post_processor", make_post_processor);
  if (part == &PipelineJson::decoder) build(decoder_, "decoder", make_decoder);
}

void Engine::set_part(std::string PipelineJson::*part, std::string json, std::string_view what) {
  json_.*part = std::move(json);
  build_part(part, what);
  if (part == &PipelineJson::normalizer) refresh();
}

void Engine::add_tokens(const std::vector<AddedToken>& tokens) {
  added_.add(tokens, *model_);
  refresh();
}

void Engine::refresh() {
  added_.refresh(*model_, normalizer_.get());
  names_ = std::make_shared<Names>(model_, added_);
}

void Engine::add_piece_tokens(const PreTokenized& text, size_t index, Scratch& scratch, uint32_t type_id,
                              int32_t word, Encoding& out) const {
  const Piece& piece = text.pieces()[index];
  WordTokens& tokens = scratch.model.word;
  tokens.clear();
  if (piece.added_token >= 0) {
    const auto id = static_cast<uint32_t>(piece.added_token);
    const std::string_view value = text.text(piece);
    tokens.tokens.push_back({id, 0, piece.end - piece.begin});
    if (names_->name(id) != value) tokens.named.emplace_back(0, value);
  } else {
    model_->tokenize(text.text(piece), text.byte_level(), scratch.model, tokens);
  }
  for (auto& [at, value] : tokens.named) {
    EncodingAccess::named(out).emplace_back(static_cast<uint32_t>(out.ids.size() + at), std::move(value));
  }
  const AlignedText& aligned = text.aligned();
  const uint32_t size = piece.end - piece.begin;
  const auto word_id = word >= 0 ? word : static_cast<int32_t>(index);
  for (const ModelToken& token : tokens.tokens) {
    Offset offset{token.begin, token.end};
    if (token.begin < token.end && token.end <= size) {
      offset = {aligned.source_begin(piece.begin + token.begin),
                aligned.source_end(piece.begin + token.end - 1)};
    }
    out.ids.push_back(token.id);
    out.type_ids.push_back(type_id);
    out.offsets.push_back(offset);
    out.word_ids.push_back(word_id);
  }
}

void Engine::encode_text(std::string_view input, uint32_t type_id, int32_t word, Scratch& scratch,
                         Encoding& out) const {
  PreTokenized& text = scratch.text;
  text.reset(input);
  added_.extract(text);
  if (normalizer_) {
    normalizer_->normalize(text);
    text.settle();
  }
  added_.extract_normalized(text);
  if (pre_tokenizer_) pre_tokenizer_->pre_tokenize(text);
  if (text.byte_level() && !model_->reads_bytes()) text.write_byte_level();
  const size_t first = out.ids.size();
  for (size_t i = 0; i < text.pieces().size(); ++i) add_piece_tokens(text, i, scratch, type_id, word, out);
  CodePoints code_points(input);
  for (size_t i = first; i < out.offsets.size(); ++i) out.offsets[i] = code_points.convert(out.offsets[i]);
}

Encoding Engine::encode_sequence(const Input& input, uint32_t type_id) const {
  Lease scratch(*this);
  Encoding out;
  EncodingAccess::names(out) = names_;
  if (!input.is_words) {
    check_text(input.text);
    const size_t guess = input.text.size() / 4 + 8;
    out.ids.reserve(guess);
    out.offsets.reserve(guess);
    encode_text(input.text, type_id, -1, *scratch, out);
  } else {
    for (size_t i = 0; i < input.words.size(); ++i) {
      check_text(input.words[i]);
      encode_text(input.words[i], type_id, static_cast<int32_t>(i), *scratch, out);
    }
  }
  out.attention_mask.assign(out.ids.size(), 1);
  out.special_tokens_mask.assign(out.ids.size(), 0);
  return out;
}

size_t Engine::added_by_post_processor(bool is_pair) const {
  return post_processor_ ? post_processor_->added_tokens(is_pair) : 0;
}

Encoding Engine::encode(const Input& first, const Input* second, const EngineOptions& options) const {
  std::vector<Encoding> encodings;
  encodings.push_back(encode_sequence(first, 0));
  if (second != nullptr) encodings.push_back(encode_sequence(*second, 1));
  if (options.truncation) {
    TruncationParameters parameters = *options.truncation;
    const size_t added = options.add_special_tokens ? added_by_post_processor(second != nullptr) : 0;
    if (added > parameters.max_length) {
      throw Error(ErrorCode::usage, fmt::format("max_length {} leaves no room for the {} special tokens",
                                                parameters.max_length, added));
    }
    parameters.max_length -= added;
    truncate(encodings[0], second != nullptr ? &encodings[1] : nullptr, parameters);
  }
  Encoding out = post_process(post_processor_.get(), std::move(encodings), options.add_special_tokens);
  const ByteOffsetsOf first_bytes(first);
  if (second != nullptr) {
    const ByteOffsetsOf second_bytes(*second);
    fill_byte_offsets(out, first_bytes, &second_bytes);
  } else {
    fill_byte_offsets(out, first_bytes, nullptr);
  }
  return out;
}

std::string Engine::decode(std::span<const uint32_t> ids, bool skip_special_tokens) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const uint32_t id : ids) {
    const std::string_view token = id_to_token(id);
    if (token.data() == nullptr || (skip_special_tokens && added_.is_special(token))) continue;
    tokens.emplace_back(token);
  }
  std::string out;
  if (decoder_) {
    for (const std::string& piece : decoder_->decode(std::move(tokens))) out += piece;
    return out;
  }
  for (size_t i = 0; i < tokens.size(); ++i) out.append(i == 0 ? "" : " ").append(tokens[i]);
  return out;
}

std::optional<uint32_t> Engine::token_to_id(std::string_view token) const {
  if (const auto id = added_.find(token)) return id;
  return model_->vocabulary().find(token);
}

size_t Engine::vocab_size() const {
  size_t n = model_->vocabulary().size();
  for (const auto& [content, id] : added_.ids()) n += model_->vocabulary().find(content) ? 0 : 1;
  return n;
}

std::string Engine::to_json() const {
  std::string out = "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[";
  bool first = true;
  for (const auto& [id, token] : added_.by_id()) {
    out += fmt::format("{}{{\"id\":{},\"content\":", first ? "" : ",", id);
    first = false;
    append_json_string(out, token.content);
    out += fmt::format(",\"single_word\":{},\"lstrip\":{},\"rstrip\":{},\"normalized\":{},\"special\":{}}}",
                       token.single_word, token.lstrip, token.rstrip, token.normalized, token.special);
  }
  out +=
      fmt::format("],\"normalizer\":{},\"pre_tokenizer\":{},\"post_processor\":{},\"decoder\":{},\"model\":",
                  json_.normalizer, json_.pre_tokenizer, json_.post_processor, json_.decoder);
  return out + model_->to_json() + "}";
}

}  // namespace ferry::tokenizers
