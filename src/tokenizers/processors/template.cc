// TemplateProcessing: a list of texts and special tokens, for one text and for a pair.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "tokenizers/processors/post_processor.h"

namespace ferry::tokenizers {
namespace {

constexpr size_t kMostPieces = 1000;

struct Tokens {
  std::vector<uint32_t> ids;
  std::vector<std::string> tokens;
};

struct TemplatePiece {
  int sequence = -1;  // 0: A, 1: B, -1: special tokens.
  const Tokens* special = nullptr;
  uint32_t type_id = 0;
};

class TemplateProcessing final : public PostProcessor {
 public:
  explicit TemplateProcessing(const Spec& spec) {
    const Spec tokens = spec.child("special_tokens");
    if (!tokens.json().is_object()) tokens.fail("", "must be an object");
    for (const auto& [name, unused] : tokens.json().items()) {
      const Spec token = tokens.child(name);
      Tokens& entry = tokens_[name];
      entry = {token.ids("ids"), token.strings("tokens")};
      if (entry.ids.size() != entry.tokens.size()) token.fail("", "\"ids\" and \"tokens\" differ in length");
    }
    single_ = read(spec, "single");
    pair_ = read(spec, "pair");
    for (const TemplatePiece& piece : single_) {
      if (piece.sequence == 1) spec.fail("single", "uses the second text");
    }
  }

  [[nodiscard]] size_t added_tokens(bool is_pair) const override {
    size_t n = 0;
    for (const TemplatePiece& piece : is_pair ? pair_ : single_)
      n += piece.special != nullptr ? piece.special->ids.size() : 0;
    return n;
  }

  std::vector<Encoding> process(std::vector<Encoding> encodings, bool add_special_tokens) const override {
    const std::vector<TemplatePiece>& pieces = encodings.size() > 1 ? pair_ : single_;
    std::shared_ptr<const TokenNames> names = EncodingAccess::names(encodings[0]);
    std::vector<Encoding> out;
    out.reserve(pieces.size());
    for (size_t i = 0; i < pieces.size(); ++i) {
      const TemplatePiece& piece = pieces[i];
      if (piece.sequence >= 0) {
        Encoding& e = encodings[static_cast<size_t>(piece.sequence)];
        std::fill(e.type_ids.begin(), e.type_ids.end(), piece.type_id);
        set_sequence(e, piece.sequence);
        const bool again =
            std::any_of(pieces.begin() + static_cast<ptrdiff_t>(i) + 1, pieces.end(),
                        [&](const TemplatePiece& other) { return other.sequence == piece.sequence; });
        out.push_back(again ? e : std::move(e));
      } else if (add_special_tokens) {
        out.push_back(special(piece, names));
      }
    }
    return out;
  }

 private:
  static Encoding special(const TemplatePiece& piece, const std::shared_ptr<const TokenNames>& names) {
    const Tokens& t = *piece.special;
    Encoding e;
    e.ids = t.ids;
    e.type_ids.assign(t.ids.size(), piece.type_id);
    e.attention_mask.assign(t.ids.size(), 1);
    e.special_tokens_mask.assign(t.ids.size(), 1);
    e.offsets.assign(t.ids.size(), {});
    e.word_ids.assign(t.ids.size(), -1);
    EncodingAccess::names(e) = names;
    for (size_t i = 0; i < t.ids.size(); ++i) {
      if (names == nullptr || names->name(t.ids[i]) != t.tokens[i])
        EncodingAccess::named(e).emplace_back(static_cast<uint32_t>(i), t.tokens[i]);
    }
    return e;
  }

  std::vector<TemplatePiece> read(const Spec& spec, std::string_view key) const {
    std::vector<TemplatePiece> out;
    for (const Spec& item : spec.children(key)) {
      TemplatePiece piece;
      if (item.has("Sequence")) {
        const Spec sequence = item.child("Sequence");
        const std::string id = sequence.string("id");
        if (id != "A" && id != "B") sequence.fail("id", "must be A or B");
        piece.sequence = id == "A" ? 0 : 1;
        piece.type_id = static_cast<uint32_t>(sequence.number("type_id", UINT32_MAX));
      } else {
        const Spec token = item.child("SpecialToken");
        const std::string id = token.string("id");
        const auto found = tokens_.find(id);
        if (found == tokens_.end())
          token.fail("id", fmt::format("\"{}\" is not among special_tokens", printable(id, 60)));
        piece.special = &found->second;
        piece.type_id = static_cast<uint32_t>(token.number("type_id", UINT32_MAX));
      }
      out.push_back(piece);
    }
    if (out.size() > kMostPieces) spec.fail(key, "has too many pieces");
    return out;
  }

  std::map<std::string, Tokens> tokens_;
  std::vector<TemplatePiece> single_;
  std::vector<TemplatePiece> pair_;
};
}  // namespace

std::unique_ptr<PostProcessor> make_template_processing(const Spec& spec) {
  return std::make_unique<TemplateProcessing>(spec);
}

}  // namespace ferry::tokenizers
