// Split: by a literal or a regular expression.
#include "tokenizers/pre_tokenizers/behavior.h"
#include "tokenizers/pre_tokenizers/pre_tokenizer.h"
#include "tokenizers/regex/split_pattern.h"

namespace ferry::tokenizers {
namespace {

class Split final : public PreTokenizer {
 public:
  explicit Split(const Spec& spec)
      : pattern_(spec.child("pattern")),
        behavior_(read_behavior(spec, "behavior")),
        invert_(spec.boolean("invert")) {}

  void pre_tokenize(PreTokenized& text) const override {
    std::vector<Match> matches;
    text.split([&](const Piece& piece, auto&& emit) {
      matches.clear();
      pattern_.find_matches(text.text(piece), piece.begin, matches);
      if (invert_) {
        for (Match& m : matches) m.is_match = !m.is_match;
      }
      apply_behavior(behavior_, matches);
      for (const Match& m : matches) emit(m.begin, m.end);
    });
  }

 private:
  SplitPattern pattern_;
  Behavior behavior_;
  bool invert_;
};
}  // namespace

std::unique_ptr<PreTokenizer> make_split(const Spec& spec) {
  return std::make_unique<Split>(spec);
}

}  // namespace ferry::tokenizers
