#include "tokenizers/normalizers/normalizer.h"

#include "tokenizers/unicode/normalization.h"
#include "tokenizers/unicode/properties.h"

namespace ferry::tokenizers {
namespace {

class UnicodeForm final : public Normalizer {
 public:
  explicit UnicodeForm(Form form) : form_(form) {}
  void normalize(PreTokenized& text) const override {
    text.rewrite(
        [&](const Piece& piece, Rewriter& out) { tokenizers::normalize(text.text(), piece, form_, out); });
  }

 private:
  Form form_;
};

class Sequence final : public Normalizer {
 public:
  explicit Sequence(const Spec& spec) {
    for (const Spec& child : spec.children("normalizers")) normalizers_.push_back(make_normalizer(child));
  }
  void normalize(PreTokenized& text) const override {
    for (const auto& normalizer : normalizers_) normalizer->normalize(text);
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> normalizers_;
};

class Strip final : public Normalizer {
 public:
  explicit Strip(const Spec& spec) : left_(spec.boolean("strip_left")), right_(spec.boolean("strip_right")) {}
  void normalize(PreTokenized& text) const override {
    text.rewrite([&](const Piece& piece, Rewriter& out) {
      const char* base = text.text().data();
      const char* begin = base + piece.begin;
      const char* end = base + piece.end;
      const auto is_space = [](const char* p) { return properties(decode_utf8(p)).has(white_space); };
      while (left_ && begin < end && is_space(begin))
        begin += utf8_length(static_cast<unsigned char>(*begin));
      while (right_ && begin < end && is_space(previous_utf8(end))) end = previous_utf8(end);
      out.copy(static_cast<uint32_t>(begin - base), static_cast<uint32_t>(end - base));
    });
  }

 private:
  bool left_;
  bool right_;
};

// Writes each character as `map` says: itself, another, or none (kDropped).
constexpr char32_t kDropped = 0xFFFFFFFF;
template <typename Map>
void map_characters(PreTokenized& text, Map map) {
  text.rewrite([&](const Piece& piece, Rewriter& out) {
    const char* base = text.text().data();
    uint32_t copied = piece.begin;
    for (uint32_t at = piece.begin; at < piece.end;) {
      const char32_t c = decode_utf8(base + at);
      const uint32_t next = at + utf8_length(static_cast<unsigned char>(base[at]));
      if (const char32_t to = map(c); to != c) {
        out.copy(copied, at);
        if (to != kDropped) out.put(to, at);
        copied = next;
      }
      at = next;
    }
    out.copy(copied, piece.end);
  });
}

class StripAccents final : public Normalizer {
 public:
  void normalize(PreTokenized& text) const override {
    map_characters(text, [](char32_t c) { return properties(c).has(combining_mark) ? kDropped : c; });
  }
};

class Nmt final : public Normalizer {
 public:
  void normalize(PreTokenized& text) const override {
    map_characters(text, [](char32_t c) -> char32_t {
      if ((c >= 1 && c <= 8) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F)
        return kDropped;
      const bool space = c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 ||
                         (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                         c == 0xFEFF || c == 0xFFFD;
      return space ? U' ' : c;
    });
  }
};

class Prepend final : public Normalizer {
 public:
  explicit Prepend(const Spec& spec) : prepend_(spec.string("prepend")) {}
  void normalize(PreTokenized& text) const override {
    text.rewrite([&](const Piece& piece, Rewriter& out) {
      if (piece.begin == piece.end) return;
      if (prepend_.empty()) {  // The reference then loses where the first character came from.
        const std::string_view all = text.text(piece);
        const uint32_t n = utf8_length(static_cast<unsigned char>(all[0]));
        out.put_nowhere(all.substr(0, n), piece.original_begin);
        out.copy(piece.begin + n, piece.end);
        return;
      }
      out.put(prepend_, piece.begin);
      out.copy(piece.begin, piece.end);
    });
  }

 private:
  std::string prepend_;
};

class ByteLevel final : public Normalizer {
 public:
  void normalize(PreTokenized& text) const override {
    text.set_byte_level();
    text.write_byte_level();
  }
};

constexpr std::string_view kTypes[] = {"BertNormalizer", "Strip",   "StripAccents", "NFC",       "NFD",
                                       "NFKC",           "NFKD",    "Sequence",     "Lowercase", "Nmt",
                                       "Precompiled",    "Replace", "Prepend",      "ByteLevel"};
}  // namespace

std::unique_ptr<Normalizer> make_normalizer(const Spec& spec) {
  const std::string type = spec.type();
  if (type == "BertNormalizer") return make_bert_normalizer(spec);
  if (type == "Strip") return std::make_unique<Strip>(spec);
  if (type == "StripAccents") return std::make_unique<StripAccents>();
  if (type == "NFC") return std::make_unique<UnicodeForm>(Form::nfc);
  if (type == "NFD") return std::make_unique<UnicodeForm>(Form::nfd);
  if (type == "NFKC") return std::make_unique<UnicodeForm>(Form::nfkc);
  if (type == "NFKD") return std::make_unique<UnicodeForm>(Form::nfkd);
  if (type == "Sequence") return std::make_unique<Sequence>(spec);
  if (type == "Lowercase") return make_lowercase();
  if (type == "Nmt") return std::make_unique<Nmt>();
  if (type == "Precompiled") return make_precompiled(spec);
  if (type == "Replace") return make_replace(spec);
  if (type == "Prepend") return std::make_unique<Prepend>(spec);
  if (type == "ByteLevel") return std::make_unique<ByteLevel>();
  spec.fail_type(kTypes);
}

}  // namespace ferry::tokenizers
