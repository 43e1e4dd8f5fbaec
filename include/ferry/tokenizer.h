#pragma once
// Text to token ids and back, identical to Hugging Face's tokenizers 0.22 and transformers' fast tokenizers.
//
//   auto tok = ferry::AutoTokenizer::from_pretrained("bert-base-uncased/");
//   auto inputs = tok("What am I using?", {.text_pair = "Using DistilBERT!", .truncation =
//   ferry::Truncation::only_second,
//                                          .max_length = 384});
//   inputs.encodings[0].ids;                      // [101, 2054, ...]
//   inputs.tensor("input_ids");                   // i64[1, S]
//   tok.decode(inputs.encodings[0].ids, {.skip_special_tokens = true});
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ferry {

namespace tokenizers {
class TokenNames;
struct EncodingAccess;
struct Pretrained;
}  // namespace tokenizers

/// [begin, end) of a text; the field that holds it says in which unit.
struct Offset {
  uint32_t begin = 0;
  uint32_t end = 0;
  friend bool operator==(const Offset&, const Offset&) = default;
};

/// The tokens of one input (a text, or a text and its pair), all vectors of the same length.
/// Lifetime  Owns its memory and outlives the tokenizer.
class Encoding {
 public:
  std::vector<uint32_t> ids;
  std::vector<uint32_t> type_ids;            ///< 0 or 1, as the post-processor says.
  std::vector<uint8_t> attention_mask;       ///< 1 = attend, 0 = padding.
  std::vector<uint8_t> special_tokens_mask;  ///< 1 = added by the post-processor, or padding.
  std::vector<Offset>
      offsets;  ///< In code points of the text it comes from, as Python; {0, 0} for special tokens.
  std::vector<Offset> byte_offsets;  ///< The same in bytes of the UTF-8 text.
  std::vector<int32_t> word_ids;     ///< The word of its sequence; -1 = none.
  std::vector<Encoding>
      overflowing;  ///< What truncation cut off, each as long as the rest, overlapping by `stride`.

  [[nodiscard]] size_t size() const { return ids.size(); }
  /// The token at `index` as the vocabulary writes it; unknown pieces as the text has them.
  [[nodiscard]] std::string token(size_t index) const;
  [[nodiscard]] std::vector<std::string> tokens() const;
  /// 0: first text, 1: its pair, -1: special token or padding.
  [[nodiscard]] std::vector<int32_t> sequence_ids() const;
  /// The token that covers code point `position` of text `sequence`.
  [[nodiscard]] std::optional<size_t> char_to_token(uint32_t position, int32_t sequence = 0) const;
  /// [first, last + 1) of the tokens of a word.
  [[nodiscard]] std::optional<std::pair<size_t, size_t>> word_to_tokens(int32_t word,
                                                                        int32_t sequence = 0) const;

 private:
  friend struct tokenizers::EncodingAccess;
  struct Range {
    uint32_t begin = 0;
    uint32_t end = 0;
    bool present = false;
  };
  std::shared_ptr<const tokenizers::TokenNames> names_;
  std::vector<std::pair<uint32_t, std::string>> named_;  // Tokens that are not written as their id is.
  Range sequences_[2];
};

enum class Padding : uint8_t { none, longest, max_length };
enum class Truncation : uint8_t { none, longest_first, only_first, only_second };
enum class Side : uint8_t { left, right };

/// The keyword arguments of transformers' tokenizer(...).
struct EncodeOptions {
  std::optional<std::string> text_pair;  ///< The second text, for a single input.
  bool add_special_tokens = true;
  Padding padding = Padding::none;
  std::optional<Truncation> truncation;  ///< Unset: none, or longest_first if max_length is given.
  std::optional<uint64_t> max_length;    ///< Tokens. Unset: model_max_length of the tokenizer.
  uint64_t stride = 0;                   ///< Tokens that overflowing encodings share.
  std::optional<uint64_t> pad_to_multiple_of;
  std::optional<Side> padding_side;
  std::optional<bool> return_token_type_ids;  ///< Unset: if the model takes them.
  std::optional<bool> return_attention_mask;  ///< Unset: if the model takes it.
  bool return_overflowing_tokens = false;
  size_t threads = 0;  ///< For batches; 0: all processors.
};

struct DecodeOptions {
  bool skip_special_tokens = false;
  std::optional<bool> clean_up_tokenization_spaces;  ///< Unset: as the tokenizer's configuration says.
};

/// A rectangular i64 tensor, row-major.
struct TokenTensor {
  size_t rows = 0;
  size_t columns = 0;
  std::vector<int64_t> values;
};

/// What a call of the tokenizer returns: one encoding an input, or more if overflowing tokens were asked for.
struct BatchEncoding {
  std::vector<Encoding> encodings;
  std::vector<size_t> overflow_to_sample_mapping;  ///< For each encoding, the input it comes from.
  bool has_token_type_ids = false;
  bool has_attention_mask = true;

  /// The names that a model gets: input_ids, and token_type_ids and attention_mask if present.
  [[nodiscard]] std::vector<std::string> names() const;
  /// The tensor of that name [B, S]; also "special_tokens_mask".
  /// Errors: Error{not_found} for another name; Error{usage} if the encodings differ in length (ask for
  /// padding).
  [[nodiscard]] TokenTensor tensor(std::string_view name) const;
};

/// A token that is kept whole, whatever the model's vocabulary says.
struct AddedToken {
  std::string content;
  bool single_word = false;
  bool lstrip = false;
  bool rstrip = false;
  bool normalized = true;
  bool special = false;
  friend bool operator==(const AddedToken&, const AddedToken&) = default;
};

struct TokenizerOptions {
  std::string subfolder;
  std::optional<Side> padding_side;
  std::optional<Side> truncation_side;
  std::optional<uint64_t> model_max_length;
  std::optional<bool> clean_up_tokenization_spaces;
};

class DecodeStream;

/// A tokenizer, ready to use. Copies share one immutable object.
/// Threads   Every member is const and may be called from several threads at once.
/// Errors    Error{invalid_config} where the tokenizer's own files make a text impossible to encode (an
/// unknown
///           character without an unknown token), Error{usage} for options that contradict each other,
///           Error{invalid_file} for text that is not UTF-8, Error{unsupported} for text beyond 2 GB or
///           patterns that take absurdly long.
class Tokenizer {
 public:
  explicit Tokenizer(std::shared_ptr<const tokenizers::Pretrained> data) : data_(std::move(data)) {}

  /// One text, with its pair in the options.
  [[nodiscard]] BatchEncoding operator()(std::string_view text, const EncodeOptions& options = {}) const;
  /// A batch; `pairs` is empty or as long as `texts`.
  [[nodiscard]] BatchEncoding operator()(std::span<const std::string> texts,
                                         std::span<const std::string> pairs,
                                         const EncodeOptions& options = {}) const;
  [[nodiscard]] BatchEncoding operator()(std::span<const std::string> texts,
                                         const EncodeOptions& options = {}) const;
  /// Texts that are cut into words already (is_split_into_words); offsets are those within each word.
  [[nodiscard]] BatchEncoding encode_words(std::span<const std::vector<std::string>> texts,
                                           const EncodeOptions& options = {}) const;

  [[nodiscard]] std::string decode(std::span<const uint32_t> ids, const DecodeOptions& options = {}) const;
  /// Text piece by piece, as ids arrive.
  [[nodiscard]] DecodeStream decode_stream(bool skip_special_tokens = false) const;

  [[nodiscard]] std::optional<uint32_t> token_to_id(std::string_view token) const;
  [[nodiscard]] std::optional<std::string> id_to_token(uint32_t id) const;
  /// How many tokens there are, added ones included (len(tokenizer) in Python).
  [[nodiscard]] size_t vocab_size() const;

  [[nodiscard]] uint64_t model_max_length() const;  ///< Tokens; UINT64_MAX if the configuration gives none.
  [[nodiscard]] Side padding_side() const;
  [[nodiscard]] Side truncation_side() const;
  /// A special token by its role: "pad_token", "cls_token", "mask_token", "bos_token", ...
  [[nodiscard]] std::optional<std::string> special_token(std::string_view role) const;
  [[nodiscard]] std::optional<uint32_t> special_token_id(std::string_view role) const;
  [[nodiscard]] std::vector<uint32_t> all_special_ids() const;
  [[nodiscard]] const std::vector<std::string>& model_input_names() const;
  /// What pieces inside a word begin with ("##"); empty if the model marks none.
  [[nodiscard]] std::string_view continuing_subword_prefix() const;

  /// The conversation as the model wants it. `messages_json` is a JSON list of {"role", "content"}.
  /// Errors: Error{not_found} if the tokenizer has no such template; Error{invalid_config} if it does not
  /// run.
  [[nodiscard]] std::string apply_chat_template(std::string_view messages_json,
                                                bool add_generation_prompt = false,
                                                std::string_view options_json = "{}") const;

  /// Writes tokenizer.json, tokenizer_config.json and special_tokens_map.json into `folder`, which exists.
  /// Errors: Error{io}.
  void save_pretrained(const std::filesystem::path& folder) const;

 private:
  std::shared_ptr<const tokenizers::Pretrained> data_;
};

/// Turns ids into text as they arrive. Not shared between threads.
class DecodeStream {
 public:
  DecodeStream(std::shared_ptr<const tokenizers::Pretrained> data, bool skip_special_tokens)
      : data_(std::move(data)), skip_special_tokens_(skip_special_tokens) {}
  /// The text that `id` completes; nothing while a character is unfinished.
  std::optional<std::string> step(uint32_t id);

 private:
  std::shared_ptr<const tokenizers::Pretrained> data_;
  bool skip_special_tokens_;
  std::vector<uint32_t> ids_;
  std::string prefix_;
  size_t prefix_index_ = 0;
};

/// Opens the tokenizer of a model's folder.
class AutoTokenizer {
 public:
  /// Reads tokenizer.json, or the vocabulary files of older models (vocab.txt, vocab.json and merges.txt, a
  /// sentencepiece model), with tokenizer_config.json and special_tokens_map.json.
  /// Errors: Error{not_found}, Error{invalid_file}, Error{invalid_config}, Error{unsupported}, each naming
  /// file and key.
  static Tokenizer from_pretrained(const std::filesystem::path& folder, const TokenizerOptions& options = {});
};

}  // namespace ferry
