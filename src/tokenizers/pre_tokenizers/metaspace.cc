// Metaspace: spaces become a visible character, which also starts each word.
#include <string>

#include "tokenizers/pre_tokenizers/pre_tokenizer.h"

namespace ferry::tokenizers {
namespace {

enum class Scheme : uint8_t { always, first, never };

Scheme read_scheme(const Spec& spec) {
  Scheme scheme = Scheme::always;
  if (spec.has("prepend_scheme")) {
    const std::string name = spec.string("prepend_scheme");
    if (name != "always" && name != "first" && name != "never") {
      spec.fail("prepend_scheme", "must be always, first or never");
    }
    scheme = name == "always" ? Scheme::always : name == "first" ? Scheme::first : Scheme::never;
  }
  if (!spec.boolean("add_prefix_space", true)) {  // As older files say it.
    if (scheme != Scheme::never && spec.has("prepend_scheme")) {
      spec.fail("add_prefix_space", "does not match prepend_scheme");
    }
    if (scheme != Scheme::never)
      spec.fail("add_prefix_space",
                "does not match prepend_scheme, which is \"always\" where it is not given");
  }
  return scheme;
}

class Metaspace final : public PreTokenizer {
 public:
  explicit Metaspace(const Spec& spec) : scheme_(read_scheme(spec)), split_(spec.boolean("split", true)) {
    append_utf8(replacement_, spec.character("replacement"));
  }

  void pre_tokenize(PreTokenized& text) const override {
    replace_spaces(text);
    if (!split_) return;
    text.split([&](const Piece& piece, auto&& emit) {
      // Merged with next: each replacement character starts a word.
      const std::string_view all = text.text();
      uint32_t begin = piece.begin;
      for (uint32_t at = piece.begin; at < piece.end;
           at += utf8_length(static_cast<unsigned char>(all[at]))) {
        if (at == begin || !all.substr(at).starts_with(replacement_)) continue;
        emit(begin, at);
        begin = at;
      }
      emit(begin, piece.end);
    });
  }

 private:
  void replace_spaces(PreTokenized& text) const {
    text.rewrite([&](const Piece& piece, Rewriter& out) {
      const std::string_view all = text.text(piece);
      if (all.empty()) return;
      const bool has_it = all.starts_with(' ') || all.starts_with(replacement_);
      const bool prepends =
          scheme_ == Scheme::always || (scheme_ == Scheme::first && piece.original_begin == 0);
      if (prepends && !has_it) out.put(replacement_, piece.begin);
      size_t copied = 0;
      for (size_t at = all.find(' '); at != std::string_view::npos; at = all.find(' ', at + 1)) {
        out.copy(piece.begin + static_cast<uint32_t>(copied), piece.begin + static_cast<uint32_t>(at));
        out.put(replacement_, piece.begin + static_cast<uint32_t>(at));
        copied = at + 1;
      }
      out.copy(piece.begin + static_cast<uint32_t>(copied), piece.end);
    });
  }

  std::string replacement_;
  Scheme scheme_;
  bool split_;
};
}  // namespace

std::unique_ptr<PreTokenizer> make_metaspace(const Spec& spec) {
  return std::make_unique<Metaspace>(spec);
}

}  // namespace ferry::tokenizers
