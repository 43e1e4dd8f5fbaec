#include "tokenizers/processors/post_processor.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tokenizers/unicode/properties.h"
#include "tokenizers/unicode/utf8.h"

namespace ferry::tokenizers {
namespace {

bool is_edge_space(const char* p) {
  const char32_t c = decode_utf8(p);
  return c == 0x120 || properties(c).has(white_space);  // U+0120 is ByteLevel's space.
}

// Takes the spaces at the edges of tokens out of their offsets.
void trim_offsets(Encoding& e, bool add_prefix_space) {
  for (Encoding& o : e.overflowing) trim_offsets(o, add_prefix_space);
  for (size_t i = 0; i < e.size(); ++i) {
    const std::string_view token = token_view(e, i);
    if (token.empty()) continue;
    const char* begin = token.data();
    const char* end = begin + token.size();
    uint32_t leading = 0;
    uint32_t trailing = 0;
    for (const char* p = begin; p < end && is_edge_space(p); p += utf8_length(static_cast<unsigned char>(*p)))
      ++leading;
    for (const char* p = end; p > begin && is_edge_space(previous_utf8(p)); p = previous_utf8(p)) ++trailing;
    Offset& offset = e.offsets[i];
    if (leading > 0) {
      const bool is_first = i == 0 || offset.begin == 0;
      if (is_first && add_prefix_space && leading == 1) leading = 0;
      offset.begin = std::min(offset.begin + leading, offset.end);
    }
    if (trailing > 0 && offset.end >= trailing) offset.end = std::max(offset.end - trailing, offset.begin);
  }
}

struct Special {
  std::string token;
  uint32_t id;
};

Special read_special(const Spec& spec, std::string_view key) {
  const auto& value = spec.child(key).json();
  if (!value.is_array() || value.size() != 2 || !value[0].is_string() || !value[1].is_number_unsigned() ||
      value[1].get<uint64_t>() > UINT32_MAX) {
    spec.fail(key, "must be [token, id]");
  }
  return {value[0].get<std::string>(), value[1].get<uint32_t>()};
}

// Puts one special token before or after `e`.
void add_special(Encoding& e, const Special& special, bool before, uint32_t type_id) {
  const auto put = [&](auto& to, auto value) { to.insert(before ? to.begin() : to.end(), value); };
  const size_t at = before ? 0 : e.size();
  auto& named = EncodingAccess::named(e);
  if (before) {
    for (auto& [index, text] : named) ++index;
  }
  const auto& names = EncodingAccess::names(e);
  if (names == nullptr || names->name(special.id) != special.token)
    named.emplace_back(static_cast<uint32_t>(at), special.token);
  put(e.ids, special.id);
  put(e.type_ids, type_id);
  put(e.attention_mask, uint8_t{1});
  put(e.special_tokens_mask, uint8_t{1});
  put(e.offsets, Offset{});
  put(e.word_ids, int32_t{-1});
}

// Frames the text with `before` (may be null) and `after`, and its overflow.
void frame(Encoding& e, int sequence, const Special* before, const Special& after, uint32_t type_id) {
  for (Encoding& o : e.overflowing) frame(o, sequence, before, after, type_id);
  const auto size = static_cast<uint32_t>(e.size());
  if (before != nullptr) add_special(e, *before, true, type_id);
  add_special(e, after, false, type_id);
  const uint32_t begin = before != nullptr ? 1 : 0;
  for (int i = 0; i < 2; ++i) EncodingAccess::sequences(e)[i] = {};
  EncodingAccess::sequences(e)[sequence] = {begin, begin + size, true};
  std::fill(e.attention_mask.begin(), e.attention_mask.end(), uint8_t{1});
  std::fill(e.special_tokens_mask.begin() + begin, e.special_tokens_mask.begin() + begin + size, uint8_t{0});
}

class BertProcessing final : public PostProcessor {
 public:
  explicit BertProcessing(const Spec& spec)
      : sep_(read_special(spec, "sep")), cls_(read_special(spec, "cls")) {}
  [[nodiscard]] size_t added_tokens(bool is_pair) const override { return is_pair ? 3 : 2; }
  std::vector<Encoding> process(std::vector<Encoding> encodings, bool add_special_tokens) const override {
    if (!add_special_tokens) return encodings;
    for (size_t i = 0; i < encodings.size(); ++i) {
      frame(encodings[i], i == 0 ? 0 : 1, i == 0 ? &cls_ : nullptr, sep_, i == 0 ? 0 : 1);
    }
    return encodings;
  }

 private:
  Special sep_;
  Special cls_;
};

void zero_types(Encoding& e) {
  std::fill(e.type_ids.begin(), e.type_ids.end(), 0u);
}

class RobertaProcessing final : public PostProcessor {
 public:
  explicit RobertaProcessing(const Spec& spec)
      : sep_(read_special(spec, "sep")),
        cls_(read_special(spec, "cls")),
        trim_(spec.boolean("trim_offsets")),
        add_prefix_space_(spec.boolean("add_prefix_space")) {}
  [[nodiscard]] size_t added_tokens(bool is_pair) const override { return is_pair ? 4 : 2; }
  std::vector<Encoding> process(std::vector<Encoding> encodings, bool add_special_tokens) const override {
    for (size_t i = 0; i < encodings.size(); ++i) {
      Encoding& e = encodings[i];
      if (trim_) trim_offsets(e, add_prefix_space_);
      zero_types(e);
      if (!add_special_tokens) continue;
      for (Encoding& o : e.overflowing) zero_types(o);
      frame(e, i == 0 ? 0 : 1, i == 0 ? &cls_ : &sep_, sep_, 0);
    }
    return encodings;
  }

 private:
  Special sep_;
  Special cls_;
  bool trim_;
  bool add_prefix_space_;
};

class ByteLevel final : public PostProcessor {
 public:
  explicit ByteLevel(const Spec& spec)
      : trim_(spec.boolean("trim_offsets")), add_prefix_space_(spec.boolean("add_prefix_space")) {
    static_cast<void>(spec.boolean("use_regex", true));
  }
  [[nodiscard]] size_t added_tokens(bool) const override { return 0; }
  std::vector<Encoding> process(std::vector<Encoding> encodings, bool) const override {
    for (size_t i = 0; i < encodings.size(); ++i) {
      if (trim_) trim_offsets(encodings[i], add_prefix_space_);
      set_sequence(encodings[i], static_cast<int>(std::min<size_t>(i, 1)));
    }
    return encodings;
  }

 private:
  bool trim_;
  bool add_prefix_space_;
};

class Sequence final : public PostProcessor {
 public:
  explicit Sequence(const Spec& spec) {
    for (const Spec& child : spec.children("processors")) parts_.push_back(make_post_processor(child));
  }
  [[nodiscard]] size_t added_tokens(bool is_pair) const override {
    size_t n = 0;
    for (const auto& part : parts_) n += part->added_tokens(is_pair);
    return n;
  }
  std::vector<Encoding> process(std::vector<Encoding> encodings, bool add_special_tokens) const override {
    for (const auto& part : parts_) encodings = part->process(std::move(encodings), add_special_tokens);
    return encodings;
  }

 private:
  std::vector<std::unique_ptr<PostProcessor>> parts_;
};

constexpr std::string_view kTypes[] = {"RobertaProcessing", "BertProcessing", "ByteLevel",
                                       "TemplateProcessing", "Sequence"};
}  // namespace

std::unique_ptr<PostProcessor> make_post_processor(const Spec& spec) {
  const std::string type = spec.type();
  if (type == "TemplateProcessing") return make_template_processing(spec);
  if (type == "BertProcessing") return std::make_unique<BertProcessing>(spec);
  if (type == "RobertaProcessing") return std::make_unique<RobertaProcessing>(spec);
  if (type == "ByteLevel") return std::make_unique<ByteLevel>(spec);
  if (type == "Sequence") return std::make_unique<Sequence>(spec);
  spec.fail_type(kTypes);
}

Encoding post_process(const PostProcessor* processor, std::vector<Encoding> encodings,
                      bool add_special_tokens) {
  if (processor == nullptr) {
    if (encodings.size() == 1) return std::move(encodings[0]);
    for (size_t i = 0; i < encodings.size(); ++i) set_sequence(encodings[i], static_cast<int>(i));
  } else {
    for (size_t i = 0; i < encodings.size(); ++i) {
      set_sequence(encodings[i], static_cast<int>(i));
      for (Encoding& o : encodings[i].overflowing) set_sequence(o, static_cast<int>(i));
      std::fill(encodings[i].type_ids.begin(), encodings[i].type_ids.end(), static_cast<uint32_t>(i));
    }
    encodings = processor->process(std::move(encodings), add_special_tokens);
  }
  Encoding out;
  for (Encoding& e : encodings) merge(out, std::move(e));
  return out;
}

}  // namespace ferry::tokenizers
