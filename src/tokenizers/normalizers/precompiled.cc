// Precompiled: sentencepiece's character map, a trie of byte strings and what each becomes.
// Source: tokenizers 0.22.2, normalizers/precompiled.rs; spm_precompiled 0.1.4.
#include <array>
#include <cstring>
#include <optional>

#include "base/text.h"
#include "tokenizers/normalizers/normalizer.h"
#include "tokenizers/text/base64.h"
#include "tokenizers/unicode/graphemes.h"

namespace ferry::tokenizers {
namespace {

class CharsMap {
 public:
  explicit CharsMap(const Spec& spec) {
    const auto blob = decode_base64(spec.string("precompiled_charsmap"));
    if (!blob || blob->size() < 4) spec.fail("precompiled_charsmap", "is not base64 of a character map");
    uint32_t trie_bytes = 0;
    std::memcpy(&trie_bytes, blob->data(), 4);
    if (trie_bytes < 4 || trie_bytes > blob->size() - 4)
      spec.fail("precompiled_charsmap", "its trie is cut off");
    units_.resize(trie_bytes / 4);
    std::memcpy(units_.data(), blob->data() + 4, units_.size() * 4);
    texts_ = blob->substr(4 + units_.size() * 4);
    if (!is_utf8(texts_)) spec.fail("precompiled_charsmap", "its texts are not UTF-8");
  }

  // What the shortest prefix of `chunk` that the map holds becomes.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view chunk) const {
    size_t node = 0;
    uint32_t unit = units_[0];
    node ^= offset(unit);
    for (const char c : chunk) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte == 0) return std::nullopt;
      node ^= byte;
      if (node >= units_.size()) return std::nullopt;
      unit = units_[node];
      if ((unit & (0x80000000u | 0xFFu)) != byte) return std::nullopt;
      node ^= offset(unit);
      if (node >= units_.size()) return std::nullopt;
      if ((unit >> 8 & 1) != 0) return text_at(units_[node] & 0x7FFFFFFFu);
    }
    return std::nullopt;
  }

 private:
  static size_t offset(uint32_t unit) { return size_t{unit >> 10} << ((unit & (1u << 9)) >> 6); }

  [[nodiscard]] std::optional<std::string_view> text_at(size_t at) const {
    // Positions beyond the texts or inside a character occur in damaged maps only.
    if (at > texts_.size() || (at < texts_.size() && is_continuation(texts_[at]))) return std::nullopt;
    return std::string_view(texts_).substr(at, std::min(texts_.find('\0', at), texts_.size()) - at);
  }

  std::vector<uint32_t> units_;
  std::string texts_;
};

// Hands out the source characters in order, as the reference does: each written character takes one and those
// that were removed after it; inserted ones take none. What is removed before anything is written is not
// counted there, and so not here.
class Writer {
 public:
  Writer(const char* base, const Piece& piece, Rewriter& out)
      : base_(base), piece_(piece), out_(out), source_(piece.begin), previous_(piece.begin) {}

  [[nodiscard]] bool in_step(uint32_t at) const {
    return source_ + (has_last_ ? length(source_) : 0) == at && last_change_ == 0;
  }

  void add(char32_t c, int32_t change) {
    flush();
    last_ = c;
    last_change_ = change;
    has_last_ = true;
  }

  void replace(std::string_view old_part, std::string_view new_part) {
    const int32_t diff = count(new_part) - count(old_part);
    int32_t left = count(new_part);
    for (const char* p = new_part.data(); p < new_part.data() + new_part.size();) {
      add(decode_utf8(p), diff > 0 && left <= diff ? 1 : 0);
      p += length_at(p);
      --left;
    }
    if (diff < 0 && has_last_) last_change_ += diff;
  }

  // Bytes [begin, end), each character itself; only when in_step(begin).
  void copy(uint32_t begin, uint32_t end) {
    flush();
    out_.copy(begin, end);
    previous_ = static_cast<uint32_t>(previous_utf8(base_ + end) - base_);
    source_ = end;
  }

  void flush() {
    if (!has_last_) return;
    has_last_ = false;
    if (last_change_ > 0) {
      if (source_ == piece_.begin) {
        char bytes[4];
        out_.put_nowhere(std::string_view(bytes, encode_utf8(last_, bytes)), piece_.original_begin);
      } else {
        out_.put(last_, previous_);
      }
    } else {
      out_.put(last_, source_ < piece_.end ? source_ : previous_);
      for (int32_t i = last_change_; i <= 0 && source_ < piece_.end; ++i) {
        previous_ = source_;
        source_ += length(source_);
      }
    }
    last_change_ = 0;
  }

 private:
  static uint32_t length_at(const char* p) { return utf8_length(static_cast<unsigned char>(*p)); }
  [[nodiscard]] uint32_t length(uint32_t at) const { return at < piece_.end ? length_at(base_ + at) : 0; }
  static int32_t count(std::string_view text) {
    int32_t n = 0;
    for (const char c : text) n += is_continuation(c) ? 0 : 1;
    return n;
  }

  const char* base_;
  const Piece& piece_;
  Rewriter& out_;
  uint32_t source_;    // The next source character.
  uint32_t previous_;  // The one before it.
  char32_t last_ = 0;  // Written late: a removal is counted to the character before it.
  int32_t last_change_ = 0;
  bool has_last_ = false;
};

class Precompiled final : public Normalizer {
 public:
  explicit Precompiled(const Spec& spec) : map_(spec) {
    for (int c = 0; c < 128; ++c) {
      const auto byte = static_cast<char>(c);
      // CR and LF may form a cluster of two.
      plain_[static_cast<size_t>(c)] = c != '\r' && c != '\n' && !map_.find(std::string_view(&byte, 1));
    }
  }

  void normalize(PreTokenized& text) const override {
    text.rewrite([&](const Piece& piece, Rewriter& out) {
      const char* base = text.text().data();
      const char* end = base + piece.end;
      Writer writer(base, piece, out);
      const char* p = base + piece.begin;
      while (p < end) {
        const char* run = plain_run(p, end);
        const auto at = static_cast<uint32_t>(p - base);
        if (run != p && writer.in_step(at)) {
          writer.copy(at, static_cast<uint32_t>(run - base));
          p = run;
          continue;
        }
        const char* next = next_grapheme(p, end);
        write_cluster(std::string_view(p, static_cast<size_t>(next - p)), writer);
        p = next;
      }
      writer.flush();
    });
  }

 private:
  // ASCII that stays as it is; the last one before something else may start a longer cluster, so it is left.
  const char* plain_run(const char* p, const char* end) const {
    const char* q = p;
    while (q < end && static_cast<unsigned char>(*q) < 0x80 && plain_[static_cast<unsigned char>(*q)]) ++q;
    return q == end || q == p ? q : q - 1;
  }

  void write_cluster(std::string_view cluster, Writer& writer) const {
    if (cluster.size() < 6) {
      if (const auto found = map_.find(cluster)) return writer.replace(cluster, *found);
    }
    for (size_t i = 0; i < cluster.size();) {
      const size_t n = utf8_length(static_cast<unsigned char>(cluster[i]));
      const std::string_view part = cluster.substr(i, n);
      if (const auto found = map_.find(part)) {
        writer.replace(part, *found);
      } else {
        writer.add(decode_utf8(part.data()), 0);
      }
      i += n;
    }
  }

  CharsMap map_;
  std::array<bool, 128> plain_{};
};
}  // namespace

std::unique_ptr<Normalizer> make_precompiled(const Spec& spec) {
  return std::make_unique<Precompiled>(spec);
}

}  // namespace ferry::tokenizers
