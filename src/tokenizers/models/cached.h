#pragma once
#include "tokenizers/models/model.h"

namespace ferry::tokenizers {

/// Appends the tokens of `word`: the remembered ones, or those that compute() appends, which are then
/// remembered. Tokens must follow one another without gaps from the word's start.
template <typename Compute>
void tokenize_cached(std::string_view word, ModelScratch& scratch, WordTokens& out, Compute&& compute) {
  if (word.size() > WordCache::kLongestWord) return compute();
  const uint64_t hash = hash_bytes(word);
  if (const WordCache::Entry* entry = scratch.cache.find(hash, word)) {
    uint32_t begin = 0;
    for (size_t i = 0; i < entry->count; ++i) {
      out.tokens.push_back({entry->ids[i], begin, entry->ends[i]});
      begin = entry->ends[i];
    }
    return;
  }
  const size_t first = out.tokens.size();
  const size_t first_named = out.named.size();
  compute();
  if (out.named.size() != first_named) return;
  uint32_t at = 0;
  for (size_t i = first; i < out.tokens.size(); ++i) {
    if (out.tokens[i].begin != at || out.tokens[i].end > 255) return;
    at = out.tokens[i].end;
  }
  scratch.cache.store(hash, word, out.tokens.data() + first, out.tokens.size() - first);
}

}  // namespace ferry::tokenizers
