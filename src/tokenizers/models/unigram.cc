// Unigram: the pieces with the best sum of scores (Viterbi).
// Source: tokenizers 0.22.2, models/unigram/model.rs encode_optimized() and tokenize().
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "tokenizers/models/cached.h"
#include "tokenizers/models/trie.h"
#include "tokenizers/unicode/utf8.h"

namespace ferry::tokenizers {
namespace {

constexpr double kUnknownPenalty = 10.0;
constexpr uint32_t kNowhere = UINT32_MAX;

class Unigram final : public Model {
 public:
  Unigram(const std::vector<ScoredPiece>& pieces, std::optional<uint64_t> unk_id, bool byte_fallback)
      : byte_fallback_(byte_fallback) {
    if (unk_id) {
      if (*unk_id >= pieces.size())
        throw Error(ErrorCode::invalid_file, "Unigram: unk_id is not in the vocabulary");
      unk_ = static_cast<uint32_t>(*unk_id);
    }
    double lowest = std::numeric_limits<double>::infinity();
    size_t bytes = 0;
    for (const ScoredPiece& p : pieces) bytes += p.piece.size();
    vocabulary_.reserve(pieces.size(), bytes);
    trie_.reserve(bytes / 3);
    scores_.reserve(pieces.size());
    for (const ScoredPiece& p : pieces) {
      const auto id = static_cast<uint32_t>(scores_.size());
      vocabulary_.add(p.piece, id);
      if (!p.piece.empty()) trie_.insert(p.piece, id);
      scores_.push_back(p.score);
      if (p.score < lowest) lowest = p.score;
    }
    unknown_score_ = lowest - kUnknownPenalty;
    for (unsigned b = 0; b < 256; ++b) {
      const auto id = vocabulary_.find(fmt::format("<0x{:02X}>", b));
      bytes_[b] = id.value_or(kNowhere);
    }
  }

  [[nodiscard]] size_t size() const override { return scores_.size(); }

  void tokenize(std::string_view word, bool, ModelScratch& scratch, WordTokens& out) const override {
    tokenize_cached(word, scratch, out, [&] { compute(word, scratch, out); });
  }

  [[nodiscard]] std::string to_json() const override {
    std::string out = "{\"type\":\"Unigram\",\"unk_id\":";
    out += unk_ ? fmt::format("{}", *unk_) : "null";
    out += ",\"vocab\":[";
    for (uint32_t id = 0; id < scores_.size(); ++id) {
      out += id == 0 ? "[" : ",[";
      append_json_string(out, vocabulary_.token(id));
      out += fmt::format(",{}", scores_[id]);
      if (scores_[id] == std::floor(scores_[id]) && std::abs(scores_[id]) < 1e15) out += ".0";
      out += "]";
    }
    out += fmt::format("],\"byte_fallback\":{}", byte_fallback_);
    return out + "}";
  }

 private:
  void compute(std::string_view word, ModelScratch& scratch, WordTokens& out) const {
    search(word, scratch);
    // Backwards along the best path; unknown pieces that follow one another are one token.
    std::vector<uint32_t>& ends = scratch.c;
    std::vector<uint32_t>& begins = scratch.d;
    ends.clear();
    begins.clear();
    bool in_unknown = false;
    for (auto at = static_cast<uint32_t>(word.size()); at > 0;) {
      const bool unknown = unk_ && scratch.b[at] == *unk_;
      const uint32_t begin = scratch.a[at];
      if (unknown && in_unknown) {
        begins.back() = begin;
      } else {
        begins.push_back(begin);
        ends.push_back(at);
      }
      in_unknown = unknown;
      at = begin;
    }
    for (size_t i = begins.size(); i-- > 0;) add(word, begins[i], ends[i], out);
  }

  // scratch.a: where the best piece that ends here starts; scratch.b: its id.
  void search(std::string_view word, ModelScratch& scratch) const {
    const size_t size = word.size();
    scratch.a.assign(size + 1, kNowhere);
    scratch.b.assign(size + 1, 0);
    scratch.scores.assign(size + 1, 0.0);
    const char* base = word.data();
    for (uint32_t start = 0; start < size;) {
      const uint32_t length = utf8_length(static_cast<unsigned char>(base[start]));
      const double so_far = scratch.scores[start];
      const auto offer = [&](uint32_t end, double score, uint32_t id) {
        const double candidate = score + so_far;
        if (scratch.a[end] == kNowhere || candidate > scratch.scores[end]) {
          scratch.scores[end] = candidate;
          scratch.a[end] = start;
          scratch.b[end] = id;
        }
      };
      bool has_single = false;
      uint32_t node = 0;
      for (uint32_t at = start; at < size;) {
        node = trie_.step(node, static_cast<unsigned char>(base[at++]));
        if (node == Trie::kNone) break;
        const uint32_t id = trie_.value(node);
        if (id == Trie::kNone) continue;
        offer(at, scores_[id], id);
        has_single |= at - start == length;
      }
      if (!has_single) {
        const uint32_t end = start + length;
        const bool better = scratch.a[end] == kNowhere || unknown_score_ + so_far > scratch.scores[end];
        if (better && !unk_) missing_unk();
        offer(end, unknown_score_, unk_.value_or(0));
      }
      start += length;
    }
  }

  [[noreturn]] static void missing_unk() {
    throw Error(ErrorCode::invalid_config,
                "Unigram: the text has an unknown character and the model has no unk_id");
  }

  void add(std::string_view word, uint32_t begin, uint32_t end, WordTokens& out) const {
    const std::string_view piece = word.substr(begin, end - begin);
    if (const auto id = vocabulary_.find(piece)) {
      out.tokens.push_back({*id, begin, end});
      return;
    }
    if (byte_fallback_ &&
        std::all_of(piece.begin(), piece.end(), [&](char c) { return byte_id(c) != kNowhere; })) {
      for (const char c : piece) out.tokens.push_back({byte_id(c), begin, end});
      return;
    }
    if (!unk_) missing_unk();
    out.named.emplace_back(static_cast<uint32_t>(out.tokens.size()), piece);
    out.tokens.push_back({*unk_, begin, end});
  }

  [[nodiscard]] uint32_t byte_id(char c) const { return bytes_[static_cast<unsigned char>(c)]; }

  std::vector<double> scores_;
  Trie trie_;
  std::optional<uint32_t> unk_;
  double unknown_score_ = 0;
  bool byte_fallback_;
  std::array<uint32_t, 256> bytes_{};
};
}  // namespace

std::unique_ptr<Model> make_unigram(const std::vector<ScoredPiece>& pieces, std::optional<uint64_t> unk_id,
                                    bool byte_fallback) {
  return std::make_unique<Unigram>(pieces, unk_id, byte_fallback);
}

}  // namespace ferry::tokenizers
