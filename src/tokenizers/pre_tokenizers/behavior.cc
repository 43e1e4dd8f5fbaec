#include "tokenizers/pre_tokenizers/behavior.h"

#include <algorithm>

namespace ferry::tokenizers {
namespace {

constexpr std::pair<std::string_view, Behavior> kBehaviors[] = {
    {"Removed", Behavior::removed},
    {"Isolated", Behavior::isolated},
    {"MergedWithPrevious", Behavior::merged_with_previous},
    {"MergedWithNext", Behavior::merged_with_next},
    {"Contiguous", Behavior::contiguous},
};

// Keeps m[i] or joins it to the last one kept; `joins(is_match, previous_was_match)` decides.
template <typename Joins>
void fold(std::vector<Match>& matches, Joins joins, bool backwards) {
  if (backwards) std::reverse(matches.begin(), matches.end());
  size_t kept = 0;
  bool previous = false;
  for (const Match m : matches) {
    if (joins(m.is_match, previous) && kept > 0) {
      Match& last = matches[kept - 1];
      if (backwards) {
        last.begin = m.begin;
      } else {
        last.end = m.end;
      }
    } else {
      matches[kept++] = m;
    }
    previous = m.is_match;
  }
  matches.resize(kept);
  if (backwards) std::reverse(matches.begin(), matches.end());
}
}  // namespace

Behavior read_behavior(const Spec& spec, std::string_view key) {
  const std::string name = spec.string(key);
  for (const auto& [known, behavior] : kBehaviors) {
    if (known == name) return behavior;
  }
  spec.fail(key, "must be Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

void apply_behavior(Behavior behavior, std::vector<Match>& matches) {
  switch (behavior) {
    case Behavior::removed:
      std::erase_if(matches, [](const Match& m) { return m.is_match; });
      return;
    case Behavior::isolated:
      return;
    case Behavior::contiguous:
      return fold(
          matches, [](bool is_match, bool previous) { return is_match == previous; }, false);
    case Behavior::merged_with_previous:
      return fold(
          matches, [](bool is_match, bool previous) { return is_match && !previous; }, false);
    case Behavior::merged_with_next:
      return fold(
          matches, [](bool is_match, bool previous) { return is_match && !previous; }, true);
  }
}

}  // namespace ferry::tokenizers
