#include "tokenizers/encoding.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace ferry {

std::string Encoding::token(size_t index) const {
  return std::string(tokenizers::token_view(*this, index));
}

std::vector<std::string> Encoding::tokens() const {
  std::vector<std::string> out;
  out.reserve(size());
  for (const uint32_t id : ids) out.emplace_back(names_ ? names_->name(id) : std::string_view());
  for (const auto& [index, text] : named_) out[index] = text;
  return out;
}

std::vector<int32_t> Encoding::sequence_ids() const {
  std::vector<int32_t> out(size(), -1);
  const int present = static_cast<int>(sequences_[0].present) + static_cast<int>(sequences_[1].present);
  for (int i = 0; i < std::max(present, 1); ++i) {
    const Range range = sequences_[i].present ? sequences_[i] : Range{0, static_cast<uint32_t>(size()), true};
    std::fill(out.begin() + range.begin, out.begin() + range.end, i);
  }
  return out;
}

std::optional<size_t> Encoding::char_to_token(uint32_t position, int32_t sequence) const {
  const std::vector<int32_t> sequences = sequence_ids();
  for (size_t i = 0; i < size(); ++i) {
    if (sequences[i] == sequence && position >= offsets[i].begin && position < offsets[i].end) return i;
  }
  return std::nullopt;
}

std::optional<std::pair<size_t, size_t>> Encoding::word_to_tokens(int32_t word, int32_t sequence) const {
  const std::vector<int32_t> sequences = sequence_ids();
  std::optional<std::pair<size_t, size_t>> found;
  for (size_t i = 0; i < size(); ++i) {
    if (sequences[i] != sequence || word_ids[i] != word) continue;
    found = {found ? found->first : i, i + 1};
  }
  return found;
}

namespace tokenizers {
namespace {

constexpr size_t kMostOverflow = 1u << 20;

template <typename T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

// Tokens [begin, end), without overflow and sequences.
Encoding part(const Encoding& e, size_t begin, size_t end) {
  const auto cut = [&](const auto& from) {
    return std::remove_cvref_t<decltype(from)>(from.begin() + static_cast<ptrdiff_t>(begin),
                                               from.begin() + static_cast<ptrdiff_t>(end));
  };
  Encoding out;
  out.ids = cut(e.ids);
  out.type_ids = cut(e.type_ids);
  out.attention_mask = cut(e.attention_mask);
  out.special_tokens_mask = cut(e.special_tokens_mask);
  out.offsets = cut(e.offsets);
  out.word_ids = cut(e.word_ids);
  auto& source = const_cast<Encoding&>(e);
  EncodingAccess::names(out) = EncodingAccess::names(source);
  for (const auto& [index, text] : EncodingAccess::named(source)) {
    if (index >= begin && index < end)
      EncodingAccess::named(out).emplace_back(static_cast<uint32_t>(index - begin), text);
  }
  return out;
}

template <typename T>
void add_padding(std::vector<T>& to, size_t n, T value, Side side) {
  to.insert(side == Side::left ? to.begin() : to.end(), n, value);
}

void pad_one(Encoding& e, size_t length, const PaddingParameters& p) {
  for (Encoding& o : e.overflowing) pad_one(o, length, p);
  if (e.size() >= length) return;
  const size_t n = length - e.size();
  auto& named = EncodingAccess::named(e);
  if (p.side == Side::left) {
    for (auto& [index, text] : named) index += static_cast<uint32_t>(n);
    for (int i = 0; i < 2; ++i) {
      auto& range = EncodingAccess::sequences(e)[i];
      range.begin += static_cast<uint32_t>(n);
      range.end += static_cast<uint32_t>(n);
    }
  }
  const auto& names = EncodingAccess::names(e);
  if (names == nullptr || names->name(p.id) != p.token) {
    const size_t first = p.side == Side::left ? 0 : e.size();
    for (size_t i = 0; i < n; ++i) named.emplace_back(static_cast<uint32_t>(first + i), p.token);
  }
  add_padding(e.ids, n, p.id, p.side);
  add_padding(e.type_ids, n, p.type_id, p.side);
  add_padding(e.attention_mask, n, uint8_t{0}, p.side);
  add_padding(e.special_tokens_mask, n, uint8_t{1}, p.side);
  add_padding(e.offsets, n, Offset{}, p.side);
  if (e.byte_offsets.size() + n == e.size()) add_padding(e.byte_offsets, n, Offset{}, p.side);
  add_padding(e.word_ids, n, int32_t{-1}, p.side);
}
}  // namespace

std::string_view token_view(const Encoding& e, size_t index) {
  auto& mutable_view = const_cast<Encoding&>(e);
  const auto& named = EncodingAccess::named(mutable_view);
  if (!named.empty()) {
    for (const auto& [at, text] : named) {
      if (at == index) return text;
    }
  }
  const auto& names = EncodingAccess::names(mutable_view);
  return names ? names->name(e.ids[index]) : std::string_view();
}

void set_sequence(Encoding& e, int sequence) {
  EncodingAccess::sequences(e)[sequence] = {0, static_cast<uint32_t>(e.size()), true};
}

void merge(Encoding& e, Encoding&& pair) {
  const auto shift = static_cast<uint32_t>(e.size());
  std::vector<Encoding> overflow;
  if (!e.overflowing.empty() || !pair.overflowing.empty()) {
    const size_t combinations = (e.overflowing.size() + 1) * (pair.overflowing.size() + 1);
    if (combinations > kMostOverflow) throw Error(ErrorCode::unsupported, "too many overflowing encodings");
    const auto combine = [&](const Encoding& a, const Encoding& b) {
      Encoding left = a;
      Encoding right = b;
      // What overflows of the parts is combined here, not again inside.
      left.overflowing.clear();
      right.overflowing.clear();
      merge(left, std::move(right));
      overflow.push_back(std::move(left));
    };
    for (const Encoding& own : e.overflowing) {
      combine(own, pair);
      for (const Encoding& other : pair.overflowing) combine(own, other);
    }
    for (const Encoding& other : pair.overflowing) combine(e, other);
  }
  auto& named = EncodingAccess::named(e);
  for (auto& [index, text] : EncodingAccess::named(pair)) named.emplace_back(index + shift, std::move(text));
  for (int i = 0; i < 2; ++i) {
    const auto& range = EncodingAccess::sequences(pair)[i];
    if (range.present) EncodingAccess::sequences(e)[i] = {range.begin + shift, range.end + shift, true};
  }
  if (EncodingAccess::names(e) == nullptr) EncodingAccess::names(e) = EncodingAccess::names(pair);
  if (e.ids.empty()) {
    e.ids = std::move(pair.ids);
    e.type_ids = std::move(pair.type_ids);
    e.attention_mask = std::move(pair.attention_mask);
    e.special_tokens_mask = std::move(pair.special_tokens_mask);
    e.offsets = std::move(pair.offsets);
    e.word_ids = std::move(pair.word_ids);
  } else {
    append(e.ids, pair.ids);
    append(e.type_ids, pair.type_ids);
    append(e.attention_mask, pair.attention_mask);
    append(e.special_tokens_mask, pair.special_tokens_mask);
    append(e.offsets, pair.offsets);
    append(e.word_ids, pair.word_ids);
  }
  e.overflowing = std::move(overflow);
}

void truncate(Encoding& e, size_t max_length, size_t stride, Side side) {
  const size_t size = e.size();
  if (max_length >= size) return;
  if (max_length == 0) {
    Encoding empty;
    EncodingAccess::names(empty) = EncodingAccess::names(e);
    empty.overflowing.push_back(std::move(e));
    e = std::move(empty);
    return;
  }
  if (stride >= max_length) {
    throw Error(ErrorCode::usage, fmt::format("stride must be less than the {} tokens that truncation leaves "
                                              "(max_length without special tokens)",
                                              max_length));
  }
  const size_t step = max_length - stride;
  std::vector<std::pair<size_t, size_t>> parts;
  if (side == Side::right) {
    for (size_t begin = 0;; begin += step) {
      parts.emplace_back(begin, std::min(begin + max_length, size));
      if (parts.back().second == size) break;
    }
  } else {
    for (size_t end = size;; end -= step) {
      parts.emplace_back(end > max_length ? end - max_length : 0, end);
      if (parts.back().first == 0) break;
    }
  }
  Encoding cut = part(e, parts[0].first, parts[0].second);
  for (size_t i = 1; i < parts.size(); ++i)
    cut.overflowing.push_back(part(e, parts[i].first, parts[i].second));
  e = std::move(cut);
}

void pad(std::span<Encoding> encodings, const PaddingParameters& parameters) {
  uint64_t length = parameters.length.value_or(0);
  if (!parameters.length) {
    for (const Encoding& e : encodings) length = std::max<uint64_t>(length, e.size());
  }
  if (const uint64_t multiple = parameters.multiple_of.value_or(0); multiple > 0 && length % multiple > 0) {
    length += multiple - length % multiple;
  }
  if (length > (uint64_t{1} << 32))
    throw Error(ErrorCode::usage, fmt::format("padding to {} tokens is too much", length));
  for (Encoding& e : encodings) pad_one(e, length, parameters);
}

void truncate(Encoding& first, Encoding* second, const TruncationParameters& p) {
  if (p.strategy == Truncation::none) return;
  if (p.max_length == 0) {
    truncate(first, 0, p.stride, p.side);
    if (second != nullptr) truncate(*second, 0, p.stride, p.side);
    return;
  }
  const size_t total = first.size() + (second != nullptr ? second->size() : 0);
  if (total <= p.max_length) return;
  const size_t remove = total - p.max_length;
  if (p.strategy == Truncation::longest_first) {
    if (second == nullptr) return truncate(first, total - remove, p.stride, p.side);
    // The shorter text keeps its length if the other can give all; else both get half.
    size_t n1 = first.size();
    size_t n2 = second->size();
    const bool swapped = n1 > n2;
    if (swapped) std::swap(n1, n2);
    n2 = n1 > p.max_length ? n1 : std::max<size_t>(n1, p.max_length - n1);
    if (n1 + n2 > p.max_length) {
      n1 = p.max_length / 2;
      n2 = n1 + p.max_length % 2;
    }
    if (swapped) std::swap(n1, n2);
    truncate(first, n1, p.stride, p.side);
    truncate(*second, n2, p.stride, p.side);
    return;
  }
  Encoding* target = p.strategy == Truncation::only_first ? &first : second;
  if (target == nullptr) throw Error(ErrorCode::usage, "truncation only_second needs a pair of texts");
  if (target->size() <= remove) {
    throw Error(ErrorCode::usage, "the text to truncate is too short to reach max_length");
  }
  truncate(*target, target->size() - remove, p.stride, p.side);
}

}  // namespace tokenizers
}  // namespace ferry
