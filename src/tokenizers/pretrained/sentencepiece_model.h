#pragma once
// The fields of a sentencepiece model file (a ModelProto) that a conversion needs.
#include <cstdint>
#include <string_view>
#include <vector>

namespace ferry::tokenizers {

struct SentencePieceModel {
  enum class Kind : uint32_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
  struct Piece {
    std::string_view text;
    float score = 0;
    Kind kind = Kind::normal;
  };
  std::vector<Piece> pieces;
  uint32_t model_type = 1;  ///< 1: Unigram, 2: BPE.
  uint32_t unk_id = 0;
  std::string_view unk_piece = "<unk>";
  bool byte_fallback = false;
  std::string_view precompiled_charsmap;
};

/// Views of `bytes`. Errors: Error{invalid_file} that starts with `what`.
SentencePieceModel parse_sentencepiece(std::string_view bytes, std::string_view what);

}  // namespace ferry::tokenizers
