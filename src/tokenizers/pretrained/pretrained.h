#pragma once
// A tokenizer with what its folder's configuration says: the C++ side of transformers'
// PreTrainedTokenizerFast.
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "ferry/tokenizer.h"
#include "tokenizers/engine.h"
#include "tokenizers/pretrained/classes.h"

namespace ferry::tokenizers {

/// A special token as the configuration has it: a string, or a token with options.
struct SpecialToken {
  AddedToken token;
  bool plain = true;
};

/// The roles in transformers' order, without additional_special_tokens.
inline constexpr std::string_view kRoles[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                              "pad_token", "cls_token", "mask_token"};

struct Configuration {
  std::string json = "{}";                ///< tokenizer_config.json as it was, for save_pretrained.
  std::string tokenizer_class;            ///< Without "Fast".
  const TokenizerClass* known = nullptr;  ///< Never null once read.
  std::map<std::string, SpecialToken, std::less<>> special;
  std::vector<SpecialToken> additional_special_tokens;
  std::map<uint32_t, AddedToken> added_tokens_decoder;
  uint64_t model_max_length = UINT64_MAX;
  std::optional<Side> padding_side;
  std::optional<Side> truncation_side;
  bool clean_up_tokenization_spaces = false;
  bool split_special_tokens = false;
  uint32_t pad_token_type_id = 0;
  std::vector<std::string> model_input_names;
  std::map<std::string, std::string> chat_templates;  ///< By name; "default" is the only one of most.

  /// A boolean of the configuration, or `missing`.
  [[nodiscard]] bool flag(std::string_view key, bool missing) const;
  [[nodiscard]] std::optional<bool> optional_flag(std::string_view key) const;
  [[nodiscard]] std::optional<std::string> text_of(std::string_view role) const;
};

/// The object behind ferry::Tokenizer. Immutable once made.
struct Pretrained {
  std::unique_ptr<Engine> engine;
  Configuration configuration;
};

/// Reads tokenizer_config.json, special_tokens_map.json and config.json of `folder`; all may be missing.
/// Errors: Error{invalid_file}, Error{invalid_config}.
Configuration read_configuration(const std::filesystem::path& folder);

/// Builds the engine from the vocabulary files of models without tokenizer.json, as transformers'
/// convert_slow_tokenizer.py does. Errors: Error{not_found} if there are none, Error{unsupported} for other
/// classes.
std::unique_ptr<Engine> convert_slow_tokenizer(const std::filesystem::path& folder,
                                               Configuration& configuration);

/// The vocabulary file of a sentencepiece model in `folder`, or an empty path.
std::filesystem::path find_sentencepiece(const std::filesystem::path& folder);
std::unique_ptr<Engine> convert_sentencepiece(const std::filesystem::path& file,
                                              Configuration& configuration);

/// What the constructors of the classes change in a tokenizer that was read or converted.
void apply_class(Engine& engine, const Configuration& configuration);
/// Adds the tokens of the configuration that the engine lacks.
void add_configured_tokens(Engine& engine, const Configuration& configuration);

}  // namespace ferry::tokenizers
