// The members of ferry::Tokenizer: calls with transformers' meaning.
// Source: transformers 4.57.6, tokenization_utils_fast.py _batch_encode_plus(), tokenization_utils_base.py.
#include "ferry/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/parallel.h"
#include "base/text.h"
#include "tokenizers/chat_template.h"
#include "tokenizers/pretrained/pretrained.h"

namespace ferry {
namespace {
using tokenizers::EngineOptions;
using tokenizers::Input;
using tokenizers::PaddingParameters;
using tokenizers::Pretrained;

constexpr size_t kBytesWorthThreads = 64 << 10;

bool has_name(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Padding and truncation of one call, as _get_padding_truncation_strategies() settles them.
struct Strategies {
  EngineOptions engine;
  std::optional<PaddingParameters> padding;
};

PaddingParameters padding_of(const Tokenizer& tok, const Pretrained& data, const EncodeOptions& o,
                             std::optional<uint64_t> length) {
  PaddingParameters p;
  const auto token = tok.special_token("pad_token");
  const auto id = tok.special_token_id("pad_token");
  if (!token || !id) {
    throw Error(ErrorCode::usage, "padding was asked for and the tokenizer has no padding token")
        .with_hint("give \"pad_token\" in tokenizer_config.json");
  }
  p.token = *token;
  p.id = *id;
  p.type_id = data.configuration.pad_token_type_id;
  p.side = o.padding_side.value_or(tok.padding_side());
  p.multiple_of = o.pad_to_multiple_of;
  if (o.padding == Padding::max_length) p.length = length;
  return p;
}

Strategies settle(const Tokenizer& tok, const Pretrained& data, const EncodeOptions& o) {
  Strategies s;
  s.engine.add_special_tokens = o.add_special_tokens;
  Truncation truncation = o.truncation.value_or(Truncation::none);
  if (!o.truncation && o.max_length && o.padding == Padding::none) truncation = Truncation::longest_first;
  std::optional<uint64_t> length = o.max_length;
  if (!length && tok.model_max_length() != UINT64_MAX) length = tok.model_max_length();
  Padding padding = o.padding;
  if (!length && padding == Padding::max_length) padding = Padding::none;  // As transformers, which warns.
  if (!length) truncation = Truncation::none;
  if (padding != Padding::none) s.padding = padding_of(tok, data, o, length);
  if (truncation == Truncation::none) return s;
  if (s.padding && o.pad_to_multiple_of.value_or(0) > 0 && o.max_length &&
      *o.max_length % *o.pad_to_multiple_of != 0) {
    throw Error(ErrorCode::usage, fmt::format("max_length {} is not a multiple of pad_to_multiple_of {}",
                                              *o.max_length, *o.pad_to_multiple_of));
  }
  // enable_truncation() asks that the stride fits what the special tokens of a single text leave.
  const size_t added = data.engine->added_by_post_processor(false);
  if (*length < added || *length - added < o.stride) {
    throw Error(ErrorCode::usage, fmt::format("stride {} does not fit max_length {} with {} special tokens",
                                              o.stride, *length, added));
  }
  s.engine.truncation =
      tokenizers::TruncationParameters{*length, truncation, o.stride, tok.truncation_side()};
  return s;
}

BatchEncoding run(const Tokenizer& tok, const Pretrained& data, size_t count, size_t bytes,
                  const EncodeOptions& o,
                  const std::function<Encoding(size_t, const EngineOptions&)>& encode) {
  const Strategies s = settle(tok, data, o);
  std::vector<Encoding> encodings(count);
  const size_t threads = bytes < kBytesWorthThreads ? 1 : o.threads;
  if (threads == 1 || count == 1) {
    for (size_t i = 0; i < count; ++i) encodings[i] = encode(i, s.engine);
  } else {
    parallel_for(
        count, [&](size_t i) { encodings[i] = encode(i, s.engine); }, threads);
  }
  if (s.padding) tokenizers::pad(encodings, *s.padding);
  BatchEncoding out;
  const auto& names = data.configuration.model_input_names;
  out.has_token_type_ids = o.return_token_type_ids.value_or(has_name(names, "token_type_ids"));
  out.has_attention_mask = o.return_attention_mask.value_or(has_name(names, "attention_mask"));
  for (size_t i = 0; i < count; ++i) {
    std::vector<Encoding> overflowing;
    if (o.return_overflowing_tokens) overflowing = std::move(encodings[i].overflowing);
    out.encodings.push_back(std::move(encodings[i]));
    out.overflow_to_sample_mapping.push_back(i);
    for (Encoding& e : overflowing) {
      out.encodings.push_back(std::move(e));
      out.overflow_to_sample_mapping.push_back(i);
    }
  }
  return out;
}

Input text_input(std::string_view text) {
  Input input;
  input.text = text;
  return input;
}
}  // namespace

std::vector<std::string> BatchEncoding::names() const {
  std::vector<std::string> out{"input_ids"};
  if (has_token_type_ids) out.emplace_back("token_type_ids");
  if (has_attention_mask) out.emplace_back("attention_mask");
  return out;
}

TokenTensor BatchEncoding::tensor(std::string_view name) const {
  TokenTensor out;
  out.rows = encodings.size();
  out.columns = encodings.empty() ? 0 : encodings[0].size();
  out.values.reserve(out.rows * out.columns);
  const auto add = [&](const auto& values) {
    out.values.insert(out.values.end(), values.begin(), values.end());
  };
  for (const Encoding& e : encodings) {
    if (e.size() != out.columns) {
      throw Error(ErrorCode::usage, fmt::format("the encodings have {} and {} tokens: they make no tensor",
                                                out.columns, e.size()))
          .with_hint("ask for padding = Padding::longest, and for truncation if texts may be long");
    }
    if (name == "input_ids") {
      add(e.ids);
    } else if (name == "token_type_ids") {
      add(e.type_ids);
    } else if (name == "attention_mask") {
      add(e.attention_mask);
    } else if (name == "special_tokens_mask") {
      add(e.special_tokens_mask);
    } else {
      throw Error(
          ErrorCode::not_found,
          fmt::format(
              "no tensor \"{}\"; there are input_ids, token_type_ids, attention_mask and special_tokens_mask",
              printable(name, 60)));
    }
  }
  return out;
}

BatchEncoding Tokenizer::operator()(std::string_view text, const EncodeOptions& o) const {
  const size_t bytes = text.size() + (o.text_pair ? o.text_pair->size() : 0);
  return run(*this, *data_, 1, bytes, o, [&](size_t, const EngineOptions& options) {
    const Input first = text_input(text);
    if (!o.text_pair) return data_->engine->encode(first, nullptr, options);
    const Input second = text_input(*o.text_pair);
    return data_->engine->encode(first, &second, options);
  });
}

BatchEncoding Tokenizer::operator()(std::span<const std::string> texts, std::span<const std::string> pairs,
                                    const EncodeOptions& o) const {
  if (!pairs.empty() && pairs.size() != texts.size()) {
    throw Error(ErrorCode::usage, fmt::format("{} texts and {} pairs", texts.size(), pairs.size()));
  }
  size_t bytes = 0;
  for (const std::string& text : texts) bytes += text.size();
  for (const std::string& text : pairs) bytes += text.size();
  return run(*this, *data_, texts.size(), bytes, o, [&](size_t i, const EngineOptions& options) {
    const Input first = text_input(texts[i]);
    if (pairs.empty()) return data_->engine->encode(first, nullptr, options);
    const Input second = text_input(pairs[i]);
    return data_->engine->encode(first, &second, options);
  });
}

BatchEncoding Tokenizer::operator()(std::span<const std::string> texts, const EncodeOptions& options) const {
  return (*this)(texts, {}, options);
}

BatchEncoding Tokenizer::encode_words(std::span<const std::vector<std::string>> texts,
                                      const EncodeOptions& o) const {
  size_t bytes = 0;
  for (const auto& words : texts) {
    for (const std::string& word : words) bytes += word.size();
  }
  return run(*this, *data_, texts.size(), bytes, o, [&](size_t i, const EngineOptions& options) {
    Input input;
    input.words = texts[i];
    input.is_words = true;
    return data_->engine->encode(input, nullptr, options);
  });
}

std::string Tokenizer::decode(std::span<const uint32_t> ids, const DecodeOptions& options) const {
  std::string text = data_->engine->decode(ids, options.skip_special_tokens);
  if (data_->configuration.known->name == "CLIPTokenizer") {
    // CLIPTokenizerFast wraps its decoder so.
    text = tokenizers::replace_all(text, "</w>", " ");
    const size_t begin = text.find_first_not_of(" \t\n\r\f\v");
    text = begin == std::string::npos ? ""
                                      : text.substr(begin, text.find_last_not_of(" \t\n\r\f\v") + 1 - begin);
  }
  if (!options.clean_up_tokenization_spaces.value_or(data_->configuration.clean_up_tokenization_spaces))
    return text;
  return tokenizers::clean_up_tokenization(std::move(text));
}

DecodeStream Tokenizer::decode_stream(bool skip_special_tokens) const {
  return DecodeStream(data_, skip_special_tokens);
}

std::optional<std::string> DecodeStream::step(uint32_t id) {
  constexpr std::string_view kUnfinished = "\xEF\xBF\xBD";
  const auto decode = [&] { return data_->engine->decode(ids_, skip_special_tokens_); };
  if (prefix_.empty() && !ids_.empty()) {
    if (std::string text = decode(); !ends_with(text, kUnfinished)) {
      prefix_ = std::move(text);
      prefix_index_ = ids_.size();
    }
  }
  ids_.push_back(id);
  const std::string text = decode();
  if (text.size() <= prefix_.size() || ends_with(text, kUnfinished)) return std::nullopt;
  if (!starts_with(text, prefix_)) {
    throw Error(ErrorCode::invalid_config,
                "the decoder changes text that it has given out already: it cannot stream");
  }
  std::string fresh = text.substr(prefix_.size());
  const size_t kept = ids_.size() - prefix_index_;
  ids_.erase(ids_.begin(), ids_.begin() + static_cast<ptrdiff_t>(prefix_index_));
  prefix_ = decode();
  prefix_index_ = kept;
  return fresh;
}

std::optional<uint32_t> Tokenizer::token_to_id(std::string_view token) const {
  return data_->engine->token_to_id(token);
}

std::optional<std::string> Tokenizer::id_to_token(uint32_t id) const {
  const std::string_view token = data_->engine->id_to_token(id);
  if (token.data() == nullptr) return std::nullopt;
  return std::string(token);
}

size_t Tokenizer::vocab_size() const {
  return data_->engine->vocab_size();
}
uint64_t Tokenizer::model_max_length() const {
  return data_->configuration.model_max_length;
}
Side Tokenizer::padding_side() const {
  return *data_->configuration.padding_side;
}
Side Tokenizer::truncation_side() const {
  return *data_->configuration.truncation_side;
}
const std::vector<std::string>& Tokenizer::model_input_names() const {
  return data_->configuration.model_input_names;
}
std::string_view Tokenizer::continuing_subword_prefix() const {
  return data_->engine->model().continuing_subword_prefix();
}

std::optional<std::string> Tokenizer::special_token(std::string_view role) const {
  return data_->configuration.text_of(role);
}

std::optional<uint32_t> Tokenizer::special_token_id(std::string_view role) const {
  const auto token = special_token(role);
  return token ? token_to_id(*token) : std::nullopt;
}

std::vector<uint32_t> Tokenizer::all_special_ids() const {
  std::vector<uint32_t> out;
  const auto add = [&](const std::string& token) {
    const auto id = token_to_id(token);
    if (id && std::find(out.begin(), out.end(), *id) == out.end()) out.push_back(*id);
  };
  for (const std::string_view role : tokenizers::kRoles) {
    if (const auto token = special_token(role)) add(*token);
  }
  for (const auto& token : data_->configuration.additional_special_tokens) add(token.token.content);
  return out;
}

std::string Tokenizer::apply_chat_template(std::string_view messages_json, bool add_generation_prompt,
                                           std::string_view options_json) const {
  return tokenizers::apply_chat_template(data_->configuration, messages_json, add_generation_prompt,
                                         options_json);
}

}  // namespace ferry
