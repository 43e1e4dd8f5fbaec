// BPE: characters, then merges of neighbours in the order in which they were learnt.
// Source: tokenizers 0.22.2, models/bpe/model.rs.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text.h"
#include "tokenizers/models/cached.h"
#include "tokenizers/models/merge_table.h"
#include "tokenizers/text/pre_tokenized.h"
#include "tokenizers/unicode/utf8.h"

namespace ferry::tokenizers {
namespace {

constexpr uint32_t kNone = UINT32_MAX;
constexpr std::string_view kMetaspace = "\xE2\x96\x81";

bool is_byte_token(std::string_view token) {
  return token.size() == 6 && token.starts_with("<0x") && token.ends_with('>');
}

class Bpe final : public Model {
 public:
  Bpe(Vocabulary vocabulary, const Merges& merges, BpeOptions options)
      : options_(std::move(options)),
        merges_(merges.size()),
        has_prefix_(!affix(options_.continuing_subword_prefix).empty()),
        has_suffix_(!affix(options_.end_of_word_suffix).empty()) {
    vocabulary_ = std::move(vocabulary);
    read_merges(merges);
    fill_tables();
    find_cuts();
  }

  // Where characters may be dropped, the reference's offsets depend on how the others are written.
  [[nodiscard]] bool reads_bytes() const override {
    return !options_.byte_fallback && (unk_.has_value() || has_alphabet_);
  }

  void tokenize(std::string_view word, bool bytes, ModelScratch& scratch, WordTokens& out) const override {
    if (bytes || !cuts_) {
      tokenize_cached(word, scratch, out, [&] { compute(word, bytes, scratch, out); });
      return;
    }
    // No merge reaches across these cuts, so each part stands alone, and most are words that were seen
    // before.
    size_t begin = 0;
    for (size_t at = word.find(kMetaspace, 1);; at = word.find(kMetaspace, at + kMetaspace.size())) {
      const bool last = at == std::string_view::npos;
      if (!last && !may_cut(word, at)) continue;
      const std::string_view part = word.substr(begin, (last ? word.size() : at) - begin);
      const size_t first = out.tokens.size();
      tokenize_cached(part, scratch, out, [&] { compute(part, false, scratch, out); });
      for (size_t i = first; begin > 0 && i < out.tokens.size(); ++i) {
        out.tokens[i].begin += static_cast<uint32_t>(begin);
        out.tokens[i].end += static_cast<uint32_t>(begin);
      }
      if (last) return;
      begin = at;
    }
  }

  [[nodiscard]] std::string to_json() const override;

 private:
  static std::string_view affix(const std::optional<std::string>& text) {
    return text ? std::string_view(*text) : std::string_view();
  }

  void read_merges(const Merges& merges) {
    const size_t prefix = affix(options_.continuing_subword_prefix).size();
    new_id_of_rank_.reserve(merges.size());
    std::string merged;
    for (const auto& merge : merges) {
      const std::string_view left = merge.first;
      const std::string_view right = merge.second;
      const auto fail = [&](std::string_view token) {
        throw Error(ErrorCode::invalid_file,
                    fmt::format("BPE: merge {} (\"{}\" \"{}\"): the token \"{}\" is not in the vocabulary",
                                new_id_of_rank_.size(), printable(left, 40), printable(right, 40),
                                printable(token, 80)));
      };
      const auto a = vocabulary_.find(left);
      const auto b = vocabulary_.find(right);
      if (!a) fail(left);
      if (!b) fail(right);
      if (right.size() < prefix) fail(right);
      merged.assign(left).append(right.substr(prefix));
      const auto c = vocabulary_.find(merged);
      if (!c) fail(merged);
      merges_.insert(*a, *b, {static_cast<uint32_t>(new_id_of_rank_.size()), *c});
      new_id_of_rank_.push_back(*c);
    }
  }

  // The ids of single characters, by whether one starts and ends its word.
  void fill_tables() {
    const ByteAlphabet& alphabet = byte_alphabet();
    for (int first = 0; first < 2; ++first) {
      for (int last = 0; last < 2; ++last) {
        std::string key;
        for (unsigned b = 0; b < 256; ++b) {
          write_key(std::string_view(alphabet.utf8[b], alphabet.utf8_size[b]), first != 0, last != 0, key);
          byte_ids_[first][last][b] = vocabulary_.find(key).value_or(kNone);
          const bool occurs = b < 0xC0 || (b >= 0xC2 && b <= 0xF4);  // In UTF-8.
          has_alphabet_ &= !occurs || byte_ids_[first][last][b] != kNone;
          const auto c = static_cast<char>(b);
          if (b >= 128) continue;
          write_key(std::string_view(&c, 1), first != 0, last != 0, key);
          ascii_ids_[first][last][b] = vocabulary_.find(key).value_or(kNone);
        }
      }
    }
    for (unsigned b = 0; b < 256; ++b)
      fallback_ids_[b] = vocabulary_.find(fmt::format("<0x{:02X}>", b)).value_or(kNone);
    if (options_.unk_token) unk_ = vocabulary_.find(*options_.unk_token);
  }

  // Whether words may be cut before a metaspace, and after which characters not.
  void find_cuts() {
    if (has_prefix_ || has_suffix_ || options_.ignore_merges || !vocabulary_.find(kMetaspace)) return;
    // Parts are put where they stand in the word, so no character may be dropped before them.
    const bool all_bytes = options_.byte_fallback && std::find(fallback_ids_.begin(), fallback_ids_.end(),
                                                               kNone) == fallback_ids_.end();
    if (!unk_ && !all_bytes) return;
    bool possible = true;
    merges_.for_each([&](uint32_t left, uint32_t right, MergeTable::Merge) {
      if (!vocabulary_.token(right).starts_with(kMetaspace)) return;
      const std::string_view token = vocabulary_.token(left);
      if (token.empty() || is_byte_token(token) || (options_.unk_token && token == *options_.unk_token)) {
        possible = false;
        return;
      }
      joining_.push_back(decode_utf8(previous_utf8(token.data() + token.size())));
    });
    std::sort(joining_.begin(), joining_.end());
    joining_.erase(std::unique(joining_.begin(), joining_.end()), joining_.end());
    cuts_ = possible;
  }

  [[nodiscard]] bool may_cut(std::string_view word, size_t at) const {
    const char32_t before = decode_utf8(previous_utf8(word.data() + at));
    return !std::binary_search(joining_.begin(), joining_.end(), before);
  }

  void write_key(std::string_view character, bool first, bool last, std::string& key) const {
    key.clear();
    if (!first && has_prefix_) key += *options_.continuing_subword_prefix;
    key += character;
    if (last && has_suffix_) key += *options_.end_of_word_suffix;
  }

  void compute(std::string_view word, bool bytes, ModelScratch& scratch, WordTokens& out) const {
    if (options_.ignore_merges) {
      const auto whole = bytes ? vocabulary_.find(to_byte_level(word)) : vocabulary_.find(word);
      if (whole) {
        out.tokens.push_back({*whole, 0, static_cast<uint32_t>(word.size())});
        return;
      }
    }
    Symbols symbols{*this, scratch.a, scratch.b, {}};
    scratch.a.clear();
    scratch.b.clear();
    if (bytes) {
      for (size_t i = 0; i < word.size(); ++i) {
        symbols.add(byte_ids_[i == 0][i + 1 == word.size()][static_cast<unsigned char>(word[i])], 1, {});
      }
    } else {
      add_characters(word, symbols);
    }
    symbols.flush();
    merge_all(merges_, new_id_of_rank_, scratch.a, scratch.b, scratch.c, scratch.d, scratch.queue);
    uint32_t at = 0;
    for (size_t i = 0; i < scratch.a.size(); ++i) {
      out.tokens.push_back({scratch.a[i], at, at + scratch.b[i]});
      at += scratch.b[i];
    }
  }

  // Collects the symbols of a word. Unknown ones wait, so that they can be fused.
  struct Symbols {
    const Bpe& model;
    std::vector<uint32_t>& ids;
    std::vector<uint32_t>& lengths;
    std::optional<uint32_t> unknown_length;

    void push(uint32_t id, uint32_t length) const {
      ids.push_back(id);
      lengths.push_back(length);
    }
    void flush() {
      if (unknown_length) push(*model.unk_, *unknown_length);
      unknown_length.reset();
    }
    void add(uint32_t id, uint32_t length, std::string_view key) {
      if (id != kNone) {
        flush();
        return push(id, length);
      }
      if (model.options_.byte_fallback && model.has_all_bytes(key)) {
        // Unknown characters that wait stay waiting, as in the reference.
        for (const char c : key) push(model.fallback_ids_[static_cast<unsigned char>(c)], 1);
        return;
      }
      if (!model.options_.unk_token) return;
      if (!model.unk_) {
        throw Error(ErrorCode::invalid_config,
                    fmt::format("BPE: the unknown token \"{}\" is missing from the vocabulary",
                                printable(*model.options_.unk_token, 60)));
      }
      if (unknown_length && model.options_.fuse_unk) {
        *unknown_length += length;
        return;
      }
      flush();
      unknown_length = length;
    }
  };

  void add_characters(std::string_view word, Symbols& symbols) const {
    std::string key;
    const bool plain = !has_prefix_ && !has_suffix_;
    for (size_t i = 0; i < word.size();) {
      const uint32_t length = utf8_length(static_cast<unsigned char>(word[i]));
      const bool first = i == 0;
      const bool last = i + length == word.size();
      const std::string_view character = word.substr(i, length);
      if (length == 1 && ascii_ids_[first][last][static_cast<unsigned char>(word[i])] != kNone) {
        symbols.add(ascii_ids_[first][last][static_cast<unsigned char>(word[i])], 1, character);
      } else if (plain) {
        symbols.add(vocabulary_.find(character).value_or(kNone), length, character);
      } else {
        write_key(character, first, last, key);
        symbols.add(vocabulary_.find(key).value_or(kNone), length, key);
      }
      i += length;
    }
  }

  [[nodiscard]] bool has_all_bytes(std::string_view key) const {
    return std::all_of(key.begin(), key.end(),
                       [&](char c) { return fallback_ids_[static_cast<unsigned char>(c)] != kNone; });
  }

  BpeOptions options_;
  MergeTable merges_;
  std::vector<uint32_t> new_id_of_rank_;
  bool has_prefix_;
  bool has_suffix_;
  std::array<std::array<std::array<uint32_t, 256>, 2>, 2> byte_ids_{};  // [is first][is last][byte]
  std::array<std::array<std::array<uint32_t, 128>, 2>, 2> ascii_ids_{};
  std::array<uint32_t, 256> fallback_ids_{};
  std::optional<uint32_t> unk_;
  bool has_alphabet_ = true;  // All bytes of UTF-8 are tokens.
  bool cuts_ = false;
  std::vector<char32_t> joining_;  // Characters that may merge with a metaspace after them, sorted.
};

std::string Bpe::to_json() const {
  const auto optional = [](std::string& out, std::string_view key, const std::optional<std::string>& value) {
    out += fmt::format(",\"{}\":", key);
    if (value) {
      append_json_string(out, *value);
    } else {
      out += "null";
    }
  };
  std::string out = "{\"type\":\"BPE\",\"dropout\":null";
  optional(out, "unk_token", options_.unk_token);
  optional(out, "continuing_subword_prefix", options_.continuing_subword_prefix);
  optional(out, "end_of_word_suffix", options_.end_of_word_suffix);
  out += fmt::format(",\"fuse_unk\":{},\"byte_fallback\":{},\"ignore_merges\":{}", options_.fuse_unk,
                     options_.byte_fallback, options_.ignore_merges);
  append_vocab_json(out, vocabulary_);
  std::vector<std::pair<uint32_t, std::pair<uint32_t, uint32_t>>> ranked;
  merges_.for_each([&](uint32_t left, uint32_t right, MergeTable::Merge merge) {
    ranked.push_back({merge.rank, {left, right}});
  });
  std::sort(ranked.begin(), ranked.end());
  out += ",\"merges\":[";
  for (size_t i = 0; i < ranked.size(); ++i) {
    out += i == 0 ? "[" : ",[";
    append_json_string(out, vocabulary_.token(ranked[i].second.first));
    out += ',';
    append_json_string(out, vocabulary_.token(ranked[i].second.second));
    out += ']';
  }
  return out + "]}";
}
}  // namespace

std::unique_ptr<Model> make_bpe(Vocabulary vocabulary, const Merges& merges, BpeOptions options) {
  return std::make_unique<Bpe>(std::move(vocabulary), merges, std::move(options));
}

}  // namespace ferry::tokenizers
