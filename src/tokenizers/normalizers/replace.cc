// Replace: a literal or a regular expression by a text.
#include <optional>

#include "tokenizers/normalizers/normalizer.h"
#include "tokenizers/regex/split_pattern.h"

namespace ferry::tokenizers {
namespace {

class Replace final : public Normalizer {
 public:
  explicit Replace(const Spec& spec) : pattern_(spec.child("pattern")), content_(spec.string("content")) {}

  void normalize(PreTokenized& text) const override {
    std::vector<Match> matches;
    text.rewrite([&](const Piece& piece, Rewriter& out) {
      matches.clear();
      pattern_.find_matches(text.text(piece), piece.begin, matches);
      uint32_t copied = piece.begin;
      for (const Match& m : matches) {
        if (!m.is_match) continue;
        out.copy(copied, m.begin);
        // What is put comes from the last character that it replaces; an empty match, from the one before it.
        if (m.end == piece.begin) {
          out.put_nowhere(content_, piece.original_begin);
        } else if (!content_.empty()) {
          const char* base = text.text().data();
          out.put(content_, static_cast<uint32_t>(previous_utf8(base + m.end) - base));
        }
        copied = m.end;
      }
      out.copy(copied, piece.end);
    });
  }

 private:
  SplitPattern pattern_;
  std::string content_;
};
}  // namespace

std::unique_ptr<Normalizer> make_replace(const Spec& spec) {
  return std::make_unique<Replace>(spec);
}

}  // namespace ferry::tokenizers
