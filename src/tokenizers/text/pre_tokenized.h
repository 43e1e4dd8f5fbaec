#pragma once
// A text on its way through the pipeline, cut into pieces.
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizers/text/aligned_text.h"

namespace ferry::tokenizers {

/// Bytes [begin, end) of the current text.
struct Piece {
  uint32_t begin = 0;
  uint32_t end = 0;
  uint32_t original_begin = 0;  ///< Where the piece started in the original when it was cut.
  int64_t added_token = -1;     ///< The id of the added token that the piece is, or -1.
};

/// All pieces lie in one buffer, so that cutting copies nothing; only a change of the text does.
class PreTokenized {
 public:
  explicit PreTokenized(std::string_view original) : current_(original), spare_(original) { reset(original); }

  /// Starts over with another text; storage is kept.
  void reset(std::string_view original) {
    current_.reset(original);
    spare_.reset(original);
    byte_level_ = false;
    pieces_.clear();
    if (!original.empty()) pieces_.push_back({0, static_cast<uint32_t>(original.size()), 0, -1});
  }

  /// Forgets pieces that a normalizer has emptied; the others start where their first character comes from.
  void settle() {
    std::erase_if(pieces_, [](const Piece& p) { return p.begin == p.end; });
    for (Piece& p : pieces_) p.original_begin = current_.source_begin(p.begin);
  }

  [[nodiscard]] const AlignedText& aligned() const { return current_; }
  [[nodiscard]] std::string_view text() const { return current_.text(); }
  [[nodiscard]] std::string_view text(const Piece& piece) const {
    return text().substr(piece.begin, piece.end - piece.begin);
  }
  [[nodiscard]] const std::vector<Piece>& pieces() const { return pieces_; }

  /// True after ByteLevel: the text is meant byte by byte, each byte standing for the character that
  /// ByteLevel writes for it. Models that can, read the bytes; for all others write_byte_level() writes the
  /// characters.
  [[nodiscard]] bool byte_level() const { return byte_level_; }
  void set_byte_level() { byte_level_ = true; }
  void write_byte_level();

  /// Rewrites each piece that is not an added token: f(const Piece&, Rewriter&).
  template <typename F>
  void rewrite(F&& f) {
    {
      Rewriter out(current_, spare_);
      for (Piece& piece : pieces_) {
        const Piece old = piece;
        piece.begin = out.size();
        if (piece.added_token >= 0) {
          out.copy(old.begin, old.end);
        } else {
          f(old, out);
        }
        piece.end = out.size();
      }
    }
    std::swap(current_, spare_);
  }

  /// Cuts each piece that is not an added token: f(const Piece&, emit), with emit(begin, end, token = -1) for
  /// each new piece, in positions of the whole text. Empty ones are dropped.
  template <typename F>
  void split(F&& f) {
    next_.clear();
    next_.reserve(pieces_.size());
    for (const Piece& piece : pieces_) {
      if (piece.added_token >= 0) {
        next_.push_back(piece);
        continue;
      }
      f(piece, [&](uint32_t begin, uint32_t end, int64_t token = -1) {
        if (begin >= end) return;
        next_.push_back({begin, end, current_.source_begin(begin), token});
      });
    }
    pieces_.swap(next_);
  }

 private:
  AlignedText current_;
  AlignedText spare_;
  std::vector<Piece> pieces_;
  std::vector<Piece> next_;
  bool byte_level_ = false;
};

/// The character that ByteLevel writes for each byte, and the way back.
struct ByteAlphabet {
  char32_t character[256];
  char utf8[256][2];
  uint8_t utf8_size[256];
  int16_t byte_of[512];  ///< -1 where a character stands for no byte.
};
const ByteAlphabet& byte_alphabet();

/// The bytes of `text` written with the alphabet.
std::string to_byte_level(std::string_view text);

}  // namespace ferry::tokenizers
