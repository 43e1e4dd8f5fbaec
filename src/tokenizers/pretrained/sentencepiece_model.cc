#include "tokenizers/pretrained/sentencepiece_model.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "base/error.h"
#include "base/text.h"

namespace ferry::tokenizers {
namespace {

// Reads the wire format of protocol buffers: (number << 3 | type) and a value, again and again.
class Fields {
 public:
  Fields(std::string_view bytes, std::string_view what) : bytes_(bytes), what_(what) {}

  // The next field; false at the end.
  bool next() {
    if (at_ >= bytes_.size()) return false;
    const uint64_t tag = varint();
    number_ = static_cast<uint32_t>(tag >> 3);
    switch (tag & 7) {
      case 0:
        value_ = varint();
        break;
      case 1:
        text_ = take(8);
        break;
      case 2:
        text_ = take(varint());
        break;
      case 5:
        text_ = take(4);
        std::memcpy(&fixed32_, text_.data(), 4);
        break;
      default:
        fail();
    }
    return true;
  }

  [[nodiscard]] uint32_t number() const { return number_; }
  [[nodiscard]] uint64_t value() const { return value_; }
  [[nodiscard]] std::string_view text() const { return text_; }
  [[nodiscard]] float real() const { return std::bit_cast<float>(fixed32_); }

 private:
  [[noreturn]] void fail() const {
    throw Error(ErrorCode::invalid_file, fmt::format("{}: not a sentencepiece model", what_));
  }
  std::string_view take(uint64_t n) {
    if (n > bytes_.size() - at_) fail();
    const std::string_view out = bytes_.substr(at_, n);
    at_ += n;
    return out;
  }
  uint64_t varint() {
    uint64_t out = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      out |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return out;
    }
    fail();
  }

  std::string_view bytes_;
  std::string_view what_;
  size_t at_ = 0;
  uint32_t number_ = 0;
  uint64_t value_ = 0;
  uint32_t fixed32_ = 0;
  std::string_view text_;
};

SentencePieceModel::Piece parse_piece(std::string_view bytes, std::string_view what) {
  SentencePieceModel::Piece piece;
  for (Fields f(bytes, what); f.next();) {
    if (f.number() == 1) piece.text = f.text();
    if (f.number() == 2) piece.score = f.real();
    if (f.number() == 3) piece.kind = static_cast<SentencePieceModel::Kind>(f.value());
  }
  if (!is_utf8(piece.text))
    throw Error(ErrorCode::invalid_file, fmt::format("{}: a piece is not UTF-8", what));
  return piece;
}

void parse_trainer(std::string_view bytes, std::string_view what, SentencePieceModel& out) {
  for (Fields f(bytes, what); f.next();) {
    if (f.number() == 3) out.model_type = static_cast<uint32_t>(f.value());
    if (f.number() == 35) out.byte_fallback = f.value() != 0;
    if (f.number() == 40) out.unk_id = static_cast<uint32_t>(f.value());
    if (f.number() == 45) out.unk_piece = f.text();
  }
}
}  // namespace

SentencePieceModel parse_sentencepiece(std::string_view bytes, std::string_view what) {
  SentencePieceModel out;
  for (Fields f(bytes, what); f.next();) {
    if (f.number() == 1) out.pieces.push_back(parse_piece(f.text(), what));
    if (f.number() == 2) parse_trainer(f.text(), what, out);
    if (f.number() == 3) {
      for (Fields n(f.text(), what); n.next();) {
        if (n.number() == 2) out.precompiled_charsmap = n.text();
      }
    }
  }
  if (out.pieces.empty()) throw Error(ErrorCode::invalid_file, fmt::format("{}: holds no pieces", what));
  return out;
}

}  // namespace ferry::tokenizers
