#include "tokenizers/unicode/properties.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <unordered_map>

#include "tokenizers/unicode/tables.h"

namespace ferry::tokenizers {
namespace {
#include "tokenizers/unicode/tables.inc"  // NOLINT: generated data.

using Ranges = std::vector<CodePointRange>;

constexpr char32_t kEnd = 0x110000;

const char* const kCategoryNames[] = {"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl",
                                      "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc",
                                      "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn"};

struct NamedRuns {
  std::string_view name;
  std::span<const uint32_t> runs;
};

const NamedRuns kProperties[] = {
    {"alphabetic", kPropertyAlphabeticRuns},
    {"uppercase", kPropertyUppercaseRuns},
    {"lowercase", kPropertyLowercaseRuns},
    {"whitespace", kPropertyWhiteSpaceRuns},
    {"emoji", kPropertyEmojiRuns},
    {"extendedpictographic", kPropertyExtendedPictographicRuns},
    {"emojipresentation", kPropertyEmojiPresentationRuns},
    {"emojimodifier", kPropertyEmojiModifierRuns},
    {"emojimodifierbase", kPropertyEmojiModifierBaseRuns},
    {"emojicomponent", kPropertyEmojiComponentRuns},
    {"ideographic", kPropertyIdeographicRuns},
    {"hexdigit", kPropertyHexDigitRuns},
};

const NamedRuns kPosix[] = {
    {"alnum", kPosixAlnumRuns}, {"alpha", kPosixAlphaRuns}, {"blank", kPosixBlankRuns},
    {"cntrl", kPosixCntrlRuns}, {"digit", kPosixDigitRuns}, {"graph", kPosixGraphRuns},
    {"lower", kPosixLowerRuns}, {"print", kPosixPrintRuns}, {"punct", kPosixPunctRuns},
    {"space", kPosixSpaceRuns}, {"upper", kPosixUpperRuns}, {"xdigit", kPosixXdigitRuns},
    {"word", kPosixWordRuns},
};

// Long names of categories and their groups, as Oniguruma has them.
const std::pair<std::string_view, std::string_view> kLongNames[] = {
    {"letter", "l"},
    {"uppercaseletter", "lu"},
    {"lowercaseletter", "ll"},
    {"titlecaseletter", "lt"},
    {"modifierletter", "lm"},
    {"otherletter", "lo"},
    {"mark", "m"},
    {"combiningmark", "m"},
    {"nonspacingmark", "mn"},
    {"spacingmark", "mc"},
    {"enclosingmark", "me"},
    {"number", "n"},
    {"decimalnumber", "nd"},
    {"letternumber", "nl"},
    {"othernumber", "no"},
    {"punctuation", "p"},
    {"connectorpunctuation", "pc"},
    {"dashpunctuation", "pd"},
    {"openpunctuation", "ps"},
    {"closepunctuation", "pe"},
    {"initialpunctuation", "pi"},
    {"finalpunctuation", "pf"},
    {"otherpunctuation", "po"},
    {"symbol", "s"},
    {"mathsymbol", "sm"},
    {"currencysymbol", "sc"},
    {"modifiersymbol", "sk"},
    {"othersymbol", "so"},
    {"separator", "z"},
    {"spaceseparator", "zs"},
    {"lineseparator", "zl"},
    {"paragraphseparator", "zp"},
    {"other", "c"},
    {"control", "cc"},
    {"format", "cf"},
    {"surrogate", "cs"},
    {"privateuse", "co"},
    {"unassigned", "cn"},
};

// Lower case letters and digits of a name: "White_Space" and "white space" are one.
std::string plain(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == ' ' || c == '_' || c == '-') continue;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

void add(Ranges& out, char32_t first, char32_t last) {
  if (!out.empty() && out.back().second + 1 == first) {
    out.back().second = last;
  } else {
    out.emplace_back(first, last);
  }
}

template <typename Keep>
Ranges category_ranges(Keep keep) {
  Ranges out;
  for (char32_t c = 0; c < kEnd; ++c) {
    if (keep(properties(c).category())) add(out, c, c);
  }
  return out;
}

std::optional<Ranges> find_category(std::string_view name) {
  if (name.empty() || name.size() > 2) return std::nullopt;
  std::vector<bool> wanted(std::size(kCategoryNames));
  bool any = false;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const bool lc = name == "lc" && i <= static_cast<size_t>(Category::Lt);
    wanted[i] = lc || plain(kCategoryNames[i]).substr(0, name.size()) == name;
    any |= wanted[i];
  }
  if (!any) return std::nullopt;
  return category_ranges([&](Category c) { return wanted[static_cast<size_t>(c)]; });
}

Ranges of_runs(std::span<const uint32_t> runs) {
  Ranges out;
  tables::for_each_run(runs, [&](uint32_t first, uint32_t last, uint32_t) { add(out, first, last); });
  return out;
}

std::optional<Ranges> find_script(std::string_view name) {
  for (uint32_t i = 0; i < std::size(kScriptNames); ++i) {
    if (plain(kScriptNames[i]) != name) continue;
    Ranges out;
    tables::for_each_run(kScriptRuns, [&](uint32_t first, uint32_t last, uint32_t value) {
      if (value == i + 1) add(out, first, last);
    });
    return out;
  }
  return std::nullopt;
}

std::vector<uint8_t> expand(std::span<const uint32_t> runs) {
  std::vector<uint8_t> out(kEnd);
  tables::for_each_run(runs, [&](uint32_t first, uint32_t last, uint32_t value) {
    std::fill(out.begin() + first, out.begin() + last + 1, static_cast<uint8_t>(value));
  });
  return out;
}
}  // namespace

namespace tables {
const std::span<const uint32_t> canonical = kCanonical;
const std::span<const uint32_t> compatible = kCompatible;
const std::span<const uint32_t> compositions = kCompositions;
const std::span<const uint32_t> combining_runs = kCombiningRuns;
const std::span<const uint32_t> grapheme_runs = kGraphemeRuns;
const std::span<const uint32_t> pictographic_runs = kPictographicRuns;
const std::span<const uint32_t> conjunct_runs = kConjunctRuns;
}  // namespace tables

const detail::PropertyTable& detail::property_table() {
  static const PropertyTable table = [] {
    PropertyTable out{std::make_unique<uint8_t[]>(kEnd), {}};
    std::copy(std::begin(kRecords), std::end(kRecords), out.records);
    tables::for_each_run(kRecordRuns, [&](uint32_t first, uint32_t last, uint32_t value) {
      std::fill(out.record_of.get() + first, out.record_of.get() + last + 1, static_cast<uint8_t>(value));
    });
    return out;
  }();
  return table;
}

uint32_t script_class(char32_t c) {
  static const std::vector<uint8_t> table = expand(kTokenizerScriptRuns);
  return table[c];
}

uint32_t to_lower(char32_t c, char32_t out[3]) {
  // Most characters that change have one lower case; what has more is looked up in the second map.
  struct Tables {
    std::vector<uint16_t> page_of = std::vector<uint16_t>(kEnd >> 8);
    std::vector<std::array<int32_t, 256>> pages{{}};
    std::unordered_map<char32_t, std::vector<char32_t>> longer;
  };
  static const Tables tables = [] {
    Tables t;
    for (size_t i = 0; i < std::size(kLower); i += 2 + kLower[i + 1]) {
      const char32_t from = kLower[i];
      const uint32_t n = kLower[i + 1];
      if (n > 1) t.longer[from] = std::vector<char32_t>(kLower + i + 2, kLower + i + 2 + n);
      auto& page = t.page_of[from >> 8];
      if (page == 0) {
        page = static_cast<uint16_t>(t.pages.size());
        t.pages.emplace_back();
      }
      t.pages[page][from & 255] =
          n > 1 ? INT32_MAX : static_cast<int32_t>(kLower[i + 2]) - static_cast<int32_t>(from);
    }
    return t;
  }();
  const int32_t delta = tables.pages[tables.page_of[c >> 8]][c & 255];
  if (delta != INT32_MAX) {
    out[0] = static_cast<char32_t>(static_cast<int32_t>(c) + delta);
    return 1;
  }
  const auto& longer = tables.longer.at(c);
  const size_t n = std::min<size_t>(longer.size(), 3);
  std::copy_n(longer.begin(), n, out);
  return static_cast<uint32_t>(n);
}

std::optional<Ranges> property_ranges(std::string_view name) {
  std::string wanted = plain(name);
  for (const auto& [longer, shorter] : kLongNames) {
    if (wanted == longer) wanted = shorter;
  }
  if (wanted == "any") return Ranges{{0, kEnd - 1}};
  if (auto found = find_category(wanted)) return found;
  if (auto found = find_script(wanted)) return found;
  for (const auto& property : kProperties) {
    if (property.name == wanted) return of_runs(property.runs);
  }
  return posix_ranges(wanted);
}

std::optional<Ranges> posix_ranges(std::string_view name) {
  const std::string wanted = plain(name);
  for (const auto& posix : kPosix) {
    if (posix.name == wanted) return of_runs(posix.runs);
  }
  return std::nullopt;
}

}  // namespace ferry::tokenizers
