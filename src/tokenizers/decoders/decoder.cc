#include "tokenizers/decoders/decoder.h"

#include <algorithm>

#include "base/text.h"
#include "tokenizers/regex/split_pattern.h"
#include "tokenizers/text/pre_tokenized.h"

namespace ferry::tokenizers {
namespace {
using Strings = std::vector<std::string>;

class ByteLevel final : public Decoder {
 public:
  [[nodiscard]] Strings decode(Strings tokens) const override {
    std::string bytes;
    for (const std::string& token : tokens) append(token, bytes);
    return {to_utf8_lossy(bytes)};
  }

 private:
  // A token with a character outside of the alphabet is taken as it is.
  static void append(const std::string& token, std::string& bytes) {
    const ByteAlphabet& alphabet = byte_alphabet();
    const size_t before = bytes.size();
    for (size_t i = 0; i < token.size(); i += utf8_length(static_cast<unsigned char>(token[i]))) {
      const char32_t c = decode_utf8(token.data() + i);
      const int16_t byte = c < 512 ? alphabet.byte_of[c] : int16_t{-1};
      if (byte < 0) {
        bytes.resize(before);
        bytes += token;
        return;
      }
      bytes += static_cast<char>(byte);
    }
  }
};

class WordPiece final : public Decoder {
 public:
  explicit WordPiece(const Spec& spec) : prefix_(spec.string("prefix")), cleanup_(spec.boolean("cleanup")) {}
  [[nodiscard]] Strings decode(Strings tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i) {
      std::string& token = tokens[i];
      if (i != 0) {
        if (token.starts_with(prefix_)) {
          token.erase(0, prefix_.size());
        } else {
          token.insert(token.begin(), ' ');
        }
      }
      if (cleanup_) token = clean_up(std::move(token));
    }
    return tokens;
  }

 private:
  std::string prefix_;
  bool cleanup_;
};

class Metaspace final : public Decoder {
 public:
  explicit Metaspace(const Spec& spec) {
    append_utf8(replacement_, spec.character("replacement"));
    const auto scheme = spec.optional_string("prepend_scheme");
    if (scheme && *scheme != "always" && *scheme != "first" && *scheme != "never")
      spec.fail("prepend_scheme", "must be always, first or never");
    prepends_ = scheme.value_or("always") != "never";
    if (!spec.boolean("add_prefix_space", true) && prepends_)
      spec.fail("add_prefix_space", "does not match prepend_scheme");
  }
  [[nodiscard]] Strings decode(Strings tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i)
      tokens[i] = replace_all(tokens[i], replacement_, i == 0 && prepends_ ? "" : " ");
    return tokens;
  }

 private:
  std::string replacement_;
  bool prepends_ = true;
};

class BpeDecoder final : public Decoder {
 public:
  explicit BpeDecoder(const Spec& spec) : suffix_(spec.string("suffix")) {}
  [[nodiscard]] Strings decode(Strings tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i)
      tokens[i] = replace_all(tokens[i], suffix_, i + 1 == tokens.size() ? "" : " ");
    return tokens;
  }

 private:
  std::string suffix_;
};

class Ctc final : public Decoder {
 public:
  explicit Ctc(const Spec& spec)
      : pad_(spec.string("pad_token")),
        delimiter_(spec.string("word_delimiter_token")),
        cleanup_(spec.boolean("cleanup")) {}
  [[nodiscard]] Strings decode(Strings tokens) const override {
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    Strings out;
    for (const std::string& token : tokens) {
      std::string text = replace_all(token, pad_, "");
      if (cleanup_) text = replace_all(clean_up(std::move(text)), delimiter_, " ");
      if (!text.empty()) out.push_back(std::move(text));
    }
    return out;
  }

 private:
  std::string pad_;
  std::string delimiter_;
  bool cleanup_;
};

class ByteFallback final : public Decoder {
 public:
  [[nodiscard]] Strings decode(Strings tokens) const override {
    Strings out;
    std::string bytes;
    const auto flush = [&] {
      if (is_utf8(bytes)) {
        if (!bytes.empty()) out.push_back(bytes);
      } else {
        out.insert(out.end(), bytes.size(), "\xEF\xBF\xBD");
      }
      bytes.clear();
    };
    for (std::string& token : tokens) {
      if (const int byte = byte_of(token); byte >= 0) {
        bytes += static_cast<char>(byte);
        continue;
      }
      flush();
      out.push_back(std::move(token));
    }
    flush();
    return out;
  }

 private:
  static int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  }
  // The byte of "<0xE2>", or -1.
  static int byte_of(const std::string& token) {
    if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
    if (token[3] == '+') return digit(token[4]);  // As Rust's from_str_radix takes it.
    const int high = digit(token[3]);
    const int low = digit(token[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
  }
};

class Fuse final : public Decoder {
 public:
  [[nodiscard]] Strings decode(Strings tokens) const override {
    std::string all;
    for (const std::string& token : tokens) all += token;
    return {all};
  }
};

class Strip final : public Decoder {
 public:
  explicit Strip(const Spec& spec)
      : start_(spec.number("start", UINT32_MAX)), stop_(spec.number("stop", UINT32_MAX)) {
    append_utf8(content_, spec.character("content"));
  }
  [[nodiscard]] Strings decode(Strings tokens) const override {
    for (std::string& token : tokens) {
      std::string_view left = token;
      std::string_view text = token;
      for (uint64_t i = 0; i < start_ && left.starts_with(content_); ++i) left.remove_prefix(content_.size());
      for (uint64_t i = 0; i < stop_ && text.ends_with(content_); ++i) text.remove_suffix(content_.size());
      const size_t begin = token.size() - left.size();
      token = begin < text.size() ? token.substr(begin, text.size() - begin) : "";
    }
    return tokens;
  }

 private:
  std::string content_;
  uint64_t start_;
  uint64_t stop_;
};

class Replace final : public Decoder {
 public:
  explicit Replace(const Spec& spec) : pattern_(spec.child("pattern")), content_(spec.string("content")) {}
  [[nodiscard]] Strings decode(Strings tokens) const override {
    std::vector<Match> matches;
    for (std::string& token : tokens) {
      matches.clear();
      pattern_.find_matches(token, 0, matches);
      std::string out;
      for (const Match& m : matches)
        out += m.is_match ? std::string_view(content_)
                          : std::string_view(token).substr(m.begin, m.end - m.begin);
      token = std::move(out);
    }
    return tokens;
  }

 private:
  SplitPattern pattern_;
  std::string content_;
};

class Sequence final : public Decoder {
 public:
  explicit Sequence(const Spec& spec) {
    for (const Spec& child : spec.children("decoders")) parts_.push_back(make_decoder(child));
  }
  [[nodiscard]] Strings decode(Strings tokens) const override {
    for (const auto& part : parts_) tokens = part->decode(std::move(tokens));
    return tokens;
  }

 private:
  std::vector<std::unique_ptr<Decoder>> parts_;
};

constexpr std::string_view kTypes[] = {"BPEDecoder", "ByteLevel", "WordPiece", "Metaspace",    "CTC",
                                       "Sequence",   "Replace",   "Fuse",      "ByteFallback", "Strip"};
}  // namespace

std::unique_ptr<Decoder> make_decoder(const Spec& spec) {
  const std::string type = spec.type();
  if (type == "ByteLevel") return std::make_unique<ByteLevel>();
  if (type == "WordPiece") return std::make_unique<WordPiece>(spec);
  if (type == "Metaspace") return std::make_unique<Metaspace>(spec);
  if (type == "BPEDecoder") return std::make_unique<BpeDecoder>(spec);
  if (type == "CTC") return std::make_unique<Ctc>(spec);
  if (type == "ByteFallback") return std::make_unique<ByteFallback>();
  if (type == "Fuse") return std::make_unique<Fuse>();
  if (type == "Strip") return std::make_unique<Strip>(spec);
  if (type == "Replace") return std::make_unique<Replace>(spec);
  if (type == "Sequence") return std::make_unique<Sequence>(spec);
  spec.fail_type(kTypes);
}

}  // namespace ferry::tokenizers
