#include "tokenizers/unicode/normalization.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "tokenizers/unicode/tables.h"

namespace ferry::tokenizers {
namespace {

constexpr char32_t kSBase = 0xAC00, kLBase = 0x1100, kVBase = 0x1161, kTBase = 0x11A7;
constexpr uint32_t kLCount = 19, kVCount = 21, kTCount = 28, kSCount = kLCount * kVCount * kTCount;

// What a character needs, by form. "Joins" = may reorder or compose with what stands before it; "stable" =
// decomposes, but alone composes to itself again.
enum Need : uint8_t {
  kJoinsDecomposed = 1,
  kJoinsComposed = 2,
  kCanonical = 4,
  kCompatible = 8,
  kStable = 16
};

struct Tables {
  std::vector<uint8_t> combining = std::vector<uint8_t>(0x110000);
  std::vector<uint8_t> needs = std::vector<uint8_t>(0x110000);
  std::unordered_map<char32_t, uint32_t> canonical;   // Position of {n, c1 .. cn} in tables::canonical.
  std::unordered_map<char32_t, uint32_t> compatible;  // The same in tables::compatible.
  std::unordered_map<uint64_t, char32_t> compositions;
};

uint64_t pair_key(char32_t a, char32_t b) {
  return uint64_t{a} << 32 | b;
}

const Tables& tables_of_forms() {
  static const Tables result = [] {
    Tables t;
    tables::for_each_run(tables::combining_runs, [&](uint32_t first, uint32_t last, uint32_t value) {
      for (uint32_t c = first; c <= last; ++c) {
        t.combining[c] = static_cast<uint8_t>(value);
        t.needs[c] |= kJoinsDecomposed | kJoinsComposed;
      }
    });
    for (size_t i = 0; i < tables::compositions.size(); i += 3) {
      const char32_t second = tables::compositions[i + 1];
      t.compositions[pair_key(tables::compositions[i], second)] = tables::compositions[i + 2];
      t.needs[second] |= kJoinsComposed;
      t.needs[tables::compositions[i + 2]] |= kStable;
    }
    for (char32_t c = kVBase; c < kVBase + kVCount; ++c) t.needs[c] |= kJoinsComposed;
    for (char32_t c = kTBase + 1; c < kTBase + kTCount; ++c) t.needs[c] |= kJoinsComposed;
    for (char32_t c = kSBase; c < kSBase + kSCount; ++c) t.needs[c] |= kCanonical | kStable;
    const auto read = [&](std::span<const uint32_t> list, auto& map, uint8_t need) {
      for (size_t i = 0; i < list.size(); i += 2 + list[i + 1]) {
        map[list[i]] = static_cast<uint32_t>(i + 1);
        t.needs[list[i]] |= need;
        // A character joins as the first of its decomposition does.
        t.needs[list[i]] |= t.needs[list[i + 2]] & (kJoinsDecomposed | kJoinsComposed);
      }
    };
    read(tables::canonical, t.canonical, kCanonical);
    read(tables::compatible, t.compatible, kCompatible);
    return t;
  }();
  return result;
}

// A character on its way: how many source characters it stands for, in the reference's terms. 1: none, it was
// inserted; 0: one; -n: one and the n that follow.
struct Unit {
  char32_t c;
  int32_t change;
};

class Segment {
 public:
  explicit Segment(const Tables& tables) : t_(tables) {}

  [[nodiscard]] const std::vector<Unit>& units() const { return units_; }
  void clear() { units_.clear(); }

  void decompose(char32_t c, bool compatible) {
    if (c >= kSBase && c < kSBase + kSCount) return decompose_hangul(c - kSBase);
    const uint8_t needs = t_.needs[c];
    if (compatible && (needs & kCompatible) != 0) return add(tables::compatible.subspan(t_.compatible.at(c)));
    if ((needs & kCanonical) != 0) return add(tables::canonical.subspan(t_.canonical.at(c)));
    units_.push_back({c, 0});
  }

  // Canonical order: runs of marks are sorted by class, stably.
  void reorder() {
    for (size_t i = 0; i < units_.size();) {
      if (combining(i) == 0) {
        ++i;
        continue;
      }
      size_t end = i;
      while (end < units_.size() && combining(end) != 0) ++end;
      std::stable_sort(units_.begin() + static_cast<ptrdiff_t>(i),
                       units_.begin() + static_cast<ptrdiff_t>(end),
                       [&](const Unit& a, const Unit& b) { return t_.combining[a.c] < t_.combining[b.c]; });
      i = end;
    }
  }

  void recompose() {
    size_t written = 0;
    size_t starter = SIZE_MAX;
    uint8_t last_class = 0;
    bool between = false;  // Something stands between the starter and the unit that is looked at.
    for (size_t i = 0; i < units_.size(); ++i) {
      const Unit unit = units_[i];
      const uint8_t cls = t_.combining[unit.c];
      const bool blocked = between && last_class >= cls;
      if (starter != SIZE_MAX && !blocked) {
        if (const char32_t composed = compose(units_[starter].c, unit.c); composed != 0) {
          units_[starter].c = composed;
          units_[starter].change += unit.change - 1;
          continue;
        }
      }
      if (cls == 0) {
        starter = written;
        between = false;
      } else {
        between = true;
        last_class = cls;
      }
      units_[written++] = unit;
    }
    units_.resize(written);
  }

 private:
  [[nodiscard]] uint8_t combining(size_t i) const { return t_.combining[units_[i].c]; }

  void add(std::span<const uint32_t> counted) {
    for (uint32_t i = 0; i < counted[0]; ++i) units_.push_back({counted[1 + i], i == 0 ? 0 : 1});
  }

  void decompose_hangul(uint32_t index) {
    units_.push_back({kLBase + index / (kVCount * kTCount), 0});
    units_.push_back({kVBase + index % (kVCount * kTCount) / kTCount, 1});
    if (index % kTCount != 0) units_.push_back({kTBase + index % kTCount, 1});
  }

  [[nodiscard]] char32_t compose(char32_t a, char32_t b) const {
    if (a >= kLBase && a < kLBase + kLCount && b >= kVBase && b < kVBase + kVCount) {
      return kSBase + ((a - kLBase) * kVCount + (b - kVBase)) * kTCount;
    }
    if (a >= kSBase && a < kSBase + kSCount && (a - kSBase) % kTCount == 0 && b > kTBase &&
        b < kTBase + kTCount) {
      return a + (b - kTBase);
    }
    const auto found = t_.compositions.find(pair_key(a, b));
    return found == t_.compositions.end() ? 0 : found->second;
  }

  const Tables& t_;
  std::vector<Unit> units_;
};

// Calls put(c, index of the source character) for each unit: the reference hands out source characters in
// order, whatever the reordering did.
template <typename Put>
void hand_out(const std::vector<Unit>& units, Put&& put) {
  uint32_t next = 0;
  for (const Unit& unit : units) {
    if (unit.change > 0) {
      put(unit.c, next == 0 ? 0 : next - 1);
    } else {
      put(unit.c, next);
      next += 1 + static_cast<uint32_t>(-unit.change);
    }
  }
}
}  // namespace

void normalize(std::string_view text, const Piece& piece, Form form, Rewriter& out) {
  const Tables& t = tables_of_forms();
  const bool composes = form == Form::nfc || form == Form::nfkc;
  const bool compatible = form == Form::nfkc || form == Form::nfkd;
  const uint8_t joins = composes ? kJoinsComposed : kJoinsDecomposed;
  const auto changes = static_cast<uint8_t>(joins | kCanonical | (compatible ? kCompatible : 0));
  const char* base = text.data();

  Segment segment(t);
  std::vector<uint32_t> starts;
  uint32_t copied = piece.begin;  // Everything before is written.
  uint32_t at = piece.begin;
  uint32_t previous = piece.begin;  // Start of the character before `at`.
  while (at < piece.end) {
    if (const uint32_t ascii = ascii_run(base + at, base + piece.end); ascii > 0) {
      at += ascii;
      previous = at - 1;
      continue;
    }
    const char32_t c = decode_utf8(base + at);
    const uint32_t length = utf8_length(static_cast<unsigned char>(base[at]));
    uint8_t need = t.needs[c];
    if (composes && (need & kStable) != 0) need &= static_cast<uint8_t>(~kCanonical);
    if ((need & changes) == 0) {
      previous = at;
      at += length;
      continue;
    }
    // A segment: from the last character that joins nothing before it to the next such one.
    uint32_t begin = (need & joins) != 0 ? previous : at;
    if (begin < copied) begin = copied;
    out.copy(copied, begin);
    segment.clear();
    starts.clear();
    uint32_t end = begin;
    while (end < piece.end) {
      const char32_t next = decode_utf8(base + end);
      if (end > at && (t.needs[next] & joins) == 0) break;
      starts.push_back(end);
      segment.decompose(next, compatible);
      end += utf8_length(static_cast<unsigned char>(base[end]));
    }
    segment.reorder();
    if (composes) segment.recompose();
    hand_out(segment.units(), [&](char32_t unit, uint32_t source) { out.put(unit, starts[source]); });
    copied = end;
    previous = end;
    at = end;
  }
  out.copy(copied, piece.end);
}

void decompose(std::vector<Sourced>& characters, std::vector<Sourced>& scratch) {
  const Tables& t = tables_of_forms();
  uint8_t needs = 0;
  for (const Sourced& s : characters) needs |= t.needs[s.c];
  if ((needs & (kJoinsDecomposed | kCanonical)) == 0) return;
  Segment segment(t);
  for (const Sourced& s : characters) segment.decompose(s.c, false);
  segment.reorder();
  scratch.clear();
  hand_out(segment.units(), [&](char32_t c, uint32_t source) {
    scratch.push_back({c, characters[source].from});
  });
  characters.swap(scratch);
}

}  // namespace ferry::tokenizers
