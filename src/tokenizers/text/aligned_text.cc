#include "tokenizers/text/aligned_text.h"

#include <algorithm>

#include "base/error.h"

namespace ferry::tokenizers {

Rewriter::Rewriter(const AlignedText& in, AlignedText& out) : in_(in), out_(out) {
  out_.text_.clear();
  out_.sources_.clear();
  out_.changed_ = true;
  out_.in_place_ = in_.in_place_;
  out_.text_.reserve(in.text().size());
  limit_ = std::min(kMaxTextBytes, 16 * in.original().size() + (size_t{64} << 20));
}

void Rewriter::leave_place() {
  if (!out_.in_place_) return;
  out_.in_place_ = false;
  out_.sources_.reserve(std::max(out_.text_.capacity(), in_.text().size()));
  out_.sources_.resize(out_.text_.size());
  uint32_t begin = 0;
  for (uint32_t i = 0; i < out_.sources_.size(); ++i) {
    if (!is_continuation(out_.original_[i])) begin = i;
    out_.sources_[i] = begin;
  }
}

void Rewriter::check_size() const {
  if (out_.text_.size() > limit_) {
    throw Error(ErrorCode::unsupported, "the tokenizer's normalizer makes the text too long");
  }
}

void Rewriter::copy(uint32_t begin, uint32_t end) {
  if (begin >= end) return;
  if (out_.in_place_ && size() != begin) leave_place();
  out_.text_.append(in_.text(), begin, end - begin);
  check_size();
  if (!out_.in_place_) copy_sources(begin, end);
}

void Rewriter::copy_sources(uint32_t begin, uint32_t end) {
  if (!in_.in_place_) {
    out_.sources_.insert(out_.sources_.end(), in_.sources_.begin() + begin, in_.sources_.begin() + end);
    return;
  }
  if (begin == end) return;
  uint32_t start = in_.source_begin(begin);
  for (uint32_t i = begin; i < end; ++i) {
    if (!is_continuation(in_.original_[i])) start = i;
    out_.sources_.push_back(start);
  }
}

void Rewriter::put(std::string_view characters, uint32_t from) {
  if (out_.in_place_) {
    const bool stays =
        size() == from && characters.size() == utf8_length(static_cast<unsigned char>(in_.text()[from]));
    if (!stays) leave_place();
  }
  out_.text_.append(characters);
  check_size();
  if (!out_.in_place_) {
    const uint32_t source = in_.in_place_ ? in_.source_begin(from) : in_.sources_[from];
    out_.sources_.insert(out_.sources_.end(), characters.size(), source);
  }
}

void Rewriter::put_nowhere(std::string_view characters, uint32_t original_at) {
  leave_place();
  out_.text_.append(characters);
  check_size();
  out_.sources_.insert(out_.sources_.end(), characters.size(), original_at | AlignedText::kNothing);
}

char* Rewriter::replace_ascii(uint32_t begin, uint32_t n) {
  if (out_.in_place_ && size() != begin) leave_place();
  const size_t at = out_.text_.size();
  out_.text_.resize(at + n);
  check_size();
  if (!out_.in_place_) copy_sources(begin, begin + n);
  return out_.text_.data() + at;
}

}  // namespace ferry::tokenizers
