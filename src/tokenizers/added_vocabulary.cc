#include "tokenizers/added_vocabulary.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "tokenizers/unicode/properties.h"

namespace ferry::tokenizers {
namespace {

// A token is looked for at each position, so its length bounds the work; real ones have some dozens of bytes.
constexpr size_t kLongestToken = 8192;

bool is_word(const char* p) {
  return properties(decode_utf8(p)).has(regex_word);
}
bool is_space(const char* p) {
  return properties(decode_utf8(p)).has(white_space);
}
}  // namespace

void AddedVocabulary::add(const std::vector<AddedToken>& tokens, const Model& model) {
  for (const AddedToken& token : tokens) {
    if (token.content.size() > kLongestToken) {
      throw Error(ErrorCode::invalid_file, fmt::format("the added token \"{}\" is longer than {} bytes",
                                                       printable(token.content, 60), kLongestToken));
    }
    if (token.special && !token.content.empty() && special_.insert(token.content).second)
      special_tokens_.push_back(token);
  }
  uint64_t next = model.size();
  if (!by_id_.empty() && (by_id_.rbegin()->first >= next || next == 0))
    next = uint64_t{by_id_.rbegin()->first} + 1;
  for (const AddedToken& token : tokens) {
    if (token.content.empty()) continue;
    std::optional<uint32_t> id = find(token.content);
    if (id) {
      // The very same token again changes nothing.
      if (const AddedToken* there = this->token(*id); there != nullptr && *there == token) continue;
    } else {
      id = model.vocabulary().find(token.content);
    }
    if (!id) {
      if (next > kMaxTokenId) throw Error(ErrorCode::invalid_file, "too many added tokens");
      id = static_cast<uint32_t>(next++);
    }
    ids_[token.content] = *id;
    by_id_[*id] = token;
    if (!special_.contains(token.content)) other_tokens_.push_back(token);
  }
}

std::optional<uint32_t> AddedVocabulary::find(std::string_view content) const {
  const auto found = ids_.find(std::string(content));
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

const AddedToken* AddedVocabulary::token(uint32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &found->second;
}

void AddedVocabulary::insert(Set& set, std::string_view pattern, uint32_t id, const AddedToken& token) {
  if (pattern.empty()) return;
  uint32_t there = 0;
  const char* end = pattern.data() + pattern.size();
  if (set.trie.longest(pattern.data(), end, there) == pattern.size())
    return;  // The first one of equals counts.
  set.trie.insert(pattern, static_cast<uint32_t>(set.ids.size()));
  set.ids.push_back(id);
  set.tokens.push_back(&token);
  set.starts[static_cast<unsigned char>(pattern[0])] = true;
}

void AddedVocabulary::refresh(const Model&, const Normalizer* normalizer) {
  plain_ = Set();
  normalized_ = Set();
  for (const auto* list : {&special_tokens_, &other_tokens_}) {
    for (const AddedToken& token : *list) {
      const auto id = find(token.content);
      if (!id) continue;
      // What a match does is said by the token that has the id now.
      const AddedToken& current = by_id_.at(*id);
      if (!token.normalized) {
        insert(plain_, token.content, *id, current);
      } else if (normalizer == nullptr) {
        insert(normalized_, token.content, *id, current);
      } else {
        PreTokenized text(token.content);
        normalizer->normalize(text);
        insert(normalized_, text.text(), *id, current);
      }
    }
  }
}

void AddedVocabulary::split(PreTokenized& text, const Set& set) const {
  if (set.ids.empty()) return;
  const char* base = text.text().data();
  text.split([&](const Piece& piece, auto&& emit) {
    const char* begin = base + piece.begin;
    const char* end = base + piece.end;
    const char* done = begin;  // Everything before is in a piece.
    const auto at = [&](const char* p) { return static_cast<uint32_t>(p - base); };
    for (const char* p = begin; p < end;) {
      if (!set.starts[static_cast<unsigned char>(*p)]) {
        ++p;
        continue;
      }
      uint32_t which = 0;
      const uint32_t length = set.trie.longest(p, end, which);
      if (length == 0) {
        ++p;
        continue;
      }
      const AddedToken& token = *set.tokens[which];
      const char* start = p;
      const char* stop = p + length;
      p = stop;  // The search goes on here, even if the match does not count or takes the spaces that follow.
      if (encode_special_tokens_ && special_.contains(token.content)) continue;
      if (token.single_word &&
          ((start > begin && is_word(previous_utf8(start))) || (stop < end && is_word(stop))))
        continue;
      if (token.lstrip) {
        while (start > begin && is_space(previous_utf8(start))) start = previous_utf8(start);
        start = std::max(start, done);
      }
      while (token.rstrip && stop < end && is_space(stop))
        stop += utf8_length(static_cast<unsigned char>(*stop));
      if (done < start) emit(at(done), at(start));
      emit(at(start), at(stop), set.ids[which]);
      done = stop;
    }
    if (done < end) emit(at(done), piece.end);
  });
}

}  // namespace ferry::tokenizers
