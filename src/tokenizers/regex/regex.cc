#include "tokenizers/regex/regex.h"

#include <fmt/format.h>
#include <oniguruma.h>

#include <cstring>
#include <mutex>

#include "base/error.h"
#include "base/text.h"
#include "tokenizers/unicode/utf8.h"

namespace ferry::tokenizers {
namespace {

constexpr size_t kMaxPatternBytes = 64 << 10;
constexpr unsigned long kStepsPerMatch = 10'000'000;  // Oniguruma's own limit, which the reference keeps.
constexpr unsigned long kStepsPerSearch = 100'000'000;

std::string onig_message(int code, OnigErrorInfo* info) {
  OnigUChar text[ONIG_MAX_ERROR_MESSAGE_LEN + 1] = {};
  const int n =
      info != nullptr ? onig_error_code_to_str(text, code, info) : onig_error_code_to_str(text, code);
  return std::string(reinterpret_cast<char*>(text), static_cast<size_t>(std::max(n, 0)));
}

std::shared_ptr<const void> compile(std::string_view pattern) {
  static std::mutex mutex;  // onig_new touches global state.
  const std::lock_guard lock(mutex);
  static const bool ready = [] {
    OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
    return onig_initialize(encodings, 1) == ONIG_NORMAL;
  }();
  if (!ready) throw Error(ErrorCode::internal, "Oniguruma does not start");
  if (pattern.size() > kMaxPatternBytes || !is_utf8(pattern)) {
    throw Error(ErrorCode::invalid_config, "the regular expression is too long or not UTF-8");
  }
  const std::string expanded = expand_classes(pattern);
  const auto* bytes = reinterpret_cast<const OnigUChar*>(expanded.data());
  regex_t* regex = nullptr;
  OnigErrorInfo info{};
  const int code = onig_new(&regex, bytes, bytes + expanded.size(), ONIG_OPTION_NONE, ONIG_ENCODING_UTF8,
                            ONIG_SYNTAX_DEFAULT, &info);
  if (code != ONIG_NORMAL) {
    throw Error(ErrorCode::invalid_config, fmt::format("the regular expression \"{}\" does not compile: {}",
                                                       printable(pattern, 120), onig_message(code, &info)));
  }
  return {regex, [](const void* p) { onig_free(static_cast<regex_t*>(const_cast<void*>(p))); }};
}

// One search after the other over one text.
class Search {
 public:
  Search(const void* regex, std::string_view text)
      : regex_(static_cast<regex_t*>(const_cast<void*>(regex))), text_(text) {
    region_.reset(onig_region_new());
    parameters_.reset(onig_new_match_param());
    onig_initialize_match_param(parameters_.get());
    onig_set_retry_limit_in_match_of_match_param(parameters_.get(), kStepsPerMatch);
    onig_set_retry_limit_in_search_of_match_param(parameters_.get(), kStepsPerSearch);
  }

  // The first match at or after `from`.
  bool find(size_t from, size_t& begin, size_t& end) {
    const auto* first = reinterpret_cast<const OnigUChar*>(text_.data());
    const auto* last = first + text_.size();
    const int found = onig_search_with_param(regex_, first, last, first + from, last, region_.get(),
                                             ONIG_OPTION_NONE, parameters_.get());
    if (found == ONIG_MISMATCH) return false;
    if (found < 0) {
      throw Error(ErrorCode::unsupported,
                  fmt::format("a regular expression of the tokenizer gives up on this text: {}",
                              onig_message(found, nullptr)));
    }
    begin = static_cast<size_t>(region_->beg[0]);
    end = static_cast<size_t>(region_->end[0]);
    return true;
  }

 private:
  struct FreeRegion {
    void operator()(OnigRegion* r) const { onig_region_free(r, 1); }
  };
  struct FreeParameters {
    void operator()(OnigMatchParam* p) const { onig_free_match_param(p); }
  };
  regex_t* regex_;
  std::string_view text_;
  std::unique_ptr<OnigRegion, FreeRegion> region_;
  std::unique_ptr<OnigMatchParam, FreeParameters> parameters_;
};
}  // namespace

Regex::Regex(std::string_view pattern) : compiled_(compile(pattern)) {}

void Regex::find_matches(std::string_view text, uint32_t base, std::vector<Match>& out) const {
  if (text.empty()) return;
  Search search(compiled_.get(), text);
  size_t previous = 0;
  size_t from = 0;
  size_t last_end = std::string_view::npos;  // Of the last match.
  size_t begin = 0;
  size_t end = 0;
  while (from <= text.size() && search.find(from, begin, end)) {
    from = end;
    if (begin == end) {
      from += end < text.size() ? utf8_length(static_cast<unsigned char>(text[end])) : 1;
      if (end == last_end) continue;  // As the reference: no empty match right after a match.
    }
    last_end = end;
    if (previous != begin)
      out.push_back({base + static_cast<uint32_t>(previous), base + static_cast<uint32_t>(begin), false});
    out.push_back({base + static_cast<uint32_t>(begin), base + static_cast<uint32_t>(end), true});
    previous = end;
  }
  if (previous != text.size()) {
    out.push_back({base + static_cast<uint32_t>(previous), base + static_cast<uint32_t>(text.size()), false});
  }
}

void find_literal(std::string_view text, std::string_view literal, uint32_t base, std::vector<Match>& out) {
  if (literal.empty()) return Regex("").find_matches(text, base, out);
  size_t previous = 0;
  while (previous < text.size()) {
    const size_t found = text.find(literal, previous);
    if (found == std::string_view::npos) break;
    if (found != previous)
      out.push_back({base + static_cast<uint32_t>(previous), base + static_cast<uint32_t>(found), false});
    previous = found + literal.size();
    out.push_back({base + static_cast<uint32_t>(found), base + static_cast<uint32_t>(previous), true});
  }
  if (previous != text.size()) {
    out.push_back({base + static_cast<uint32_t>(previous), base + static_cast<uint32_t>(text.size()), false});
  }
}

}  // namespace ferry::tokenizers
