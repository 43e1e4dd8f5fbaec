#include "tokenizers/unicode/graphemes.h"

#include <vector>

#include "tokenizers/unicode/tables.h"
#include "tokenizers/unicode/utf8.h"

namespace ferry::tokenizers {
namespace {

// Grapheme_Cluster_Break, in the order of the generated table.
enum Break : uint8_t {
  other,
  cr,
  lf,
  control,
  extend,
  zwj,
  regional,
  prepend,
  spacing_mark,
  l,
  v,
  t,
  lv,
  lvt
};
enum Conjunct : uint8_t { none, linker, consonant, extender };

// Break in the low four bits, Indic_Conjunct_Break in two more, Extended_Pictographic in the seventh.
const std::vector<uint8_t>& table() {
  static const std::vector<uint8_t> result = [] {
    std::vector<uint8_t> out(0x110000);
    tables::for_each_run(tables::grapheme_runs, [&](uint32_t first, uint32_t last, uint32_t value) {
      for (uint32_t c = first; c <= last; ++c) out[c] = static_cast<uint8_t>(value);
    });
    tables::for_each_run(tables::conjunct_runs, [&](uint32_t first, uint32_t last, uint32_t value) {
      for (uint32_t c = first; c <= last; ++c) out[c] |= static_cast<uint8_t>(value << 4);
    });
    tables::for_each_run(tables::pictographic_runs, [&](uint32_t first, uint32_t last, uint32_t) {
      for (uint32_t c = first; c <= last; ++c) out[c] |= 64;
    });
    return out;
  }();
  return result;
}

bool hangul_joins(uint8_t a, uint8_t b) {
  if (a == l) return b == l || b == v || b == lv || b == lvt;
  if (a == lv || a == v) return b == v || b == t;
  return (a == lvt || a == t) && b == t;
}
}  // namespace

const char* next_grapheme(const char* p, const char* end) {
  static const std::vector<uint8_t>& classes = table();
  const auto class_at = [&](const char* q) { return classes[decode_utf8(q)]; };
  uint8_t before = class_at(p);
  p += utf8_length(static_cast<unsigned char>(*p));
  bool odd_regional = (before & 15) == regional;
  bool after_pictographic = (before & 64) != 0;    // Pictographic Extend*
  bool conjunct = (before >> 4 & 3) == consonant;  // Consonant [Extend Linker]*
  bool linked = false;                             // ... with a linker among them.
  while (p < end) {
    const uint8_t here = class_at(p);
    const uint8_t a = before & 15;
    const uint8_t b = here & 15;
    const uint8_t c = here >> 4 & 3;
    bool joins = false;
    if (a == cr) {
      joins = b == lf;
    } else if (a == lf || a == control || b == cr || b == lf || b == control) {
      joins = false;
    } else {
      joins = hangul_joins(a, b) || b == extend || b == zwj || b == spacing_mark || a == prepend ||
              (conjunct && linked && c == consonant) ||
              (a == zwj && after_pictographic && (here & 64) != 0) || (odd_regional && b == regional);
    }
    if (!joins) return p;
    odd_regional = b == regional && !odd_regional;
    if (b != extend && b != zwj) after_pictographic = (here & 64) != 0;
    if (c == consonant) {
      conjunct = true;
      linked = false;
    } else if (c == linker) {
      linked = conjunct;
    } else if (c != extender) {
      conjunct = linked = false;
    }
    before = here;
    p += utf8_length(static_cast<unsigned char>(*p));
  }
  return p;
}

}  // namespace ferry::tokenizers
