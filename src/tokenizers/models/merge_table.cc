#include "tokenizers/models/merge_table.h"

#include <algorithm>
#include <functional>

namespace ferry::tokenizers {
namespace {

constexpr size_t kShort = 40;
constexpr uint32_t kEnd = UINT32_MAX;

// A few symbols: look at all ranks each time.
void merge_short(const MergeTable& merges, std::vector<uint32_t>& ids, std::vector<uint32_t>& lengths) {
  MergeTable::Merge pairs[kShort];
  size_t n = ids.size();
  for (size_t i = 0; i + 1 < n; ++i) pairs[i] = merges.find(ids[i], ids[i + 1]);
  while (n > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < n; ++i) {
      if (pairs[i].rank < pairs[best].rank) best = i;
    }
    if (pairs[best].rank == UINT32_MAX) break;
    ids[best] = pairs[best].new_id;
    lengths[best] += lengths[best + 1];
    for (size_t i = best + 1; i + 1 < n; ++i) {
      ids[i] = ids[i + 1];
      lengths[i] = lengths[i + 1];
      pairs[i] = pairs[i + 1];
    }
    --n;
    if (best > 0) pairs[best - 1] = merges.find(ids[best - 1], ids[best]);
    if (best + 1 < n) pairs[best] = merges.find(ids[best], ids[best + 1]);
  }
  ids.resize(n);
  lengths.resize(n);
}
}  // namespace

void merge_all(const MergeTable& merges, const std::vector<uint32_t>& new_id_of_rank,
               std::vector<uint32_t>& ids, std::vector<uint32_t>& lengths, std::vector<uint32_t>& previous,
               std::vector<uint32_t>& next, std::vector<uint64_t>& queue) {
  const auto n = static_cast<uint32_t>(ids.size());
  if (n < 2) return;
  if (n <= kShort) return merge_short(merges, ids, lengths);
  previous.resize(n);
  next.resize(n);
  queue.clear();
  const auto offer = [&](uint32_t at, uint32_t right) {
    const auto merge = merges.find(ids[at], ids[right]);
    if (merge.rank != UINT32_MAX) queue.push_back(uint64_t{merge.rank} << 32 | at);
    return merge.rank != UINT32_MAX;
  };
  for (uint32_t i = 0; i < n; ++i) {
    previous[i] = i == 0 ? kEnd : i - 1;
    next[i] = i + 1 == n ? kEnd : i + 1;
    if (i + 1 < n) offer(i, i + 1);
  }
  const auto later = std::greater<>();
  std::make_heap(queue.begin(), queue.end(), later);
  const auto push = [&](uint32_t at, uint32_t right) {
    if (offer(at, right)) std::push_heap(queue.begin(), queue.end(), later);
  };
  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end(), later);
    const uint64_t top = queue.back();
    queue.pop_back();
    const auto at = static_cast<uint32_t>(top);
    const uint32_t new_id = new_id_of_rank[top >> 32];
    const uint32_t right = lengths[at] == 0 ? kEnd : next[at];
    if (right == kEnd) continue;
    const auto merge = merges.find(ids[at], ids[right]);
    if (merge.rank == UINT32_MAX || merge.new_id != new_id) continue;  // The pair has changed since.
    ids[at] = new_id;
    lengths[at] += lengths[right];
    lengths[right] = 0;
    next[at] = next[right];
    if (next[at] != kEnd) previous[next[at]] = at;
    if (previous[at] != kEnd) push(previous[at], at);
    if (next[at] != kEnd) push(at, next[at]);
  }
  uint32_t kept = 0;
  for (uint32_t i = 0; i < n; ++i) {
    if (lengths[i] == 0) continue;
    ids[kept] = ids[i];
    lengths[kept++] = lengths[i];
  }
  ids.resize(kept);
  lengths.resize(kept);
}

}  // namespace ferry::tokenizers
