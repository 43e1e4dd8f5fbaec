#pragma once
// Properties of characters, as Hugging Face tokenizers 0.22 sees them (tools/unicode/make_tables.py says how
// the data was made). A look-up is one load from a flat table that is filled on first use.
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace ferry::tokenizers {

/// General categories, in the order of the generated tables.
// clang-format off
enum class Category : uint8_t {
  Lu, Ll, Lt, Lm, Lo, Mn, Mc, Me, Nd, Nl, No, Pc, Pd, Ps, Pe, Pi, Pf, Po, Sm, Sc, Sk, So, Zs, Zl, Zp, Cc, Cf, Cs, Co, Cn
};

/// Sets of characters that one component or another asks for. The same name means different sets in different
/// libraries, so each says whose it is.
enum Flag : uint32_t {
  white_space = 1u << 5,     ///< char::is_whitespace: WhitespaceSplit, Strip, BERT, added tokens.
  bert_removed = 1u << 6,    ///< What BertNormalizer's clean_text drops.
  bert_accent = 1u << 7,     ///< What BertNormalizer's strip_accents drops after NFD.
  punctuation = 1u << 8,     ///< Punctuation and BertPreTokenizer.
  numeric = 1u << 9,         ///< Digits.
  regex_word = 1u << 10,     ///< \w of the Whitespace pre-tokenizer and of single_word added tokens.
  combining_mark = 1u << 11, ///< StripAccents.
  onig_space = 1u << 12,     ///< \s of Split and Replace patterns.
  onig_word = 1u << 13,      ///< \w of Split and Replace patterns.
  onig_class_word = 1u << 14,  ///< \w inside of [...], which differs in Latin-1.
};
// clang-format on

namespace detail {
/// For each code point, its record: a category in the low five bits, flags above. Two tables, because a
/// record is 4 bytes and there are few of them.
struct PropertyTable {
  std::unique_ptr<uint8_t[]> record_of;
  uint32_t records[256];
};
const PropertyTable& property_table();
}  // namespace detail

/// Category and flags of one character.
class Properties {
 public:
  explicit Properties(uint32_t record) : record_(record) {}
  [[nodiscard]] Category category() const { return static_cast<Category>(record_ & 31); }
  [[nodiscard]] bool has(uint32_t flags) const { return (record_ & flags) != 0; }
  [[nodiscard]] bool is_letter() const { return category() <= Category::Lo; }
  [[nodiscard]] bool is_mark() const { return category() >= Category::Mn && category() <= Category::Me; }
  [[nodiscard]] bool is_number() const { return category() >= Category::Nd && category() <= Category::No; }

 private:
  uint32_t record_;
};

inline Properties properties(char32_t c) {
  static const detail::PropertyTable& table = detail::property_table();
  return Properties(table.records[table.record_of[c]]);
}

/// The class of a character in the UnicodeScripts pre-tokenizer; 0 is "any".
uint32_t script_class(char32_t c);

/// char::to_lowercase: up to three characters. Returns how many were written to `out`.
uint32_t to_lower(char32_t c, char32_t out[3]);

using CodePointRange = std::pair<char32_t, char32_t>;  // Both ends included.

/// The characters of \p{name} as Hugging Face's Oniguruma knows them: categories, their groups, scripts and
/// the binary properties that patterns use. Spaces, '-', '_' and case of the name do not matter. Nothing if
/// unknown.
std::optional<std::vector<CodePointRange>> property_ranges(std::string_view name);

/// The characters of [:name:]. Nothing if unknown.
std::optional<std::vector<CodePointRange>> posix_ranges(std::string_view name);

}  // namespace ferry::tokenizers
