#include "tokenizers/decoders/decoder.h"
#include "tokenizers/unicode/utf8.h"

namespace ferry::tokenizers {

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  if (from.empty()) {
    for (const char c : text) {
      if (!is_continuation(c)) out += to;
      out += c;
    }
    return out.append(to);
  }
  size_t done = 0;
  for (size_t at = text.find(from); at != std::string_view::npos; at = text.find(from, done)) {
    out.append(text, done, at - done).append(to);
    done = at + from.size();
  }
  return out.append(text, done);
}

namespace {
std::string clean(std::string text, bool contracts_do_not) {
  static constexpr std::pair<std::string_view, std::string_view> kSteps[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kSteps) {
    if (!contracts_do_not && from == " do not") continue;
    if (text.find(from) != std::string::npos) text = replace_all(text, from, to);
  }
  return text;
}
}  // namespace

std::string clean_up(std::string text) {
  return clean(std::move(text), true);
}
std::string clean_up_tokenization(std::string text) {
  return clean(std::move(text), false);
}

namespace {
// Bytes of the well-formed character at `p`, or 0 with `bad` = length of the maximal subpart.
size_t well_formed(const unsigned char* p, size_t left, size_t& bad) {
  bad = 1;
  const unsigned char lead = p[0];
  if (lead < 0x80) return 1;
  size_t length = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return 0;
  }
  for (size_t i = 1; i < length; ++i) {
    if (i >= left || p[i] < low || p[i] > high) return 0;
    bad = i + 1;
    low = 0x80;
    high = 0xBF;
  }
  return length;
}
}  // namespace

std::string to_utf8_lossy(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  const auto* p = reinterpret_cast<const unsigned char*>(bytes.data());
  for (size_t i = 0; i < bytes.size();) {
    size_t bad = 0;
    const size_t n = well_formed(p + i, bytes.size() - i, bad);
    if (n > 0) {
      out.append(bytes, i, n);
    } else {
      out += "\xEF\xBF\xBD";
    }
    i += n > 0 ? n : bad;
  }
  return out;
}

}  // namespace ferry::tokenizers
