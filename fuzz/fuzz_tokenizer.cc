// Bytes as a tokenizer.json and a text: up to the first NUL byte, the tokenizer; then the text. Bytes without
// "{" at the start are a text for built-in tokenizers. Whatever comes, there is a result or a ferry::Error.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "tokenizers/pretrained/sentencepiece_model.h"
#include "tokenizers/tokenizer_json.h"

namespace {
using ferry::tokenizers::Engine;

void use(const Engine& engine, std::string_view text) {
  try {
    ferry::tokenizers::Input input;
    input.text = text;
    ferry::tokenizers::EngineOptions options;
    const ferry::Encoding whole = engine.encode(input, nullptr, options);
    static_cast<void>(engine.decode(whole.ids, false));
    static_cast<void>(whole.tokens());
    options.truncation =
        ferry::tokenizers::TruncationParameters{8, ferry::Truncation::longest_first, 1, ferry::Side::right};
    static_cast<void>(engine.encode(input, &input, options));
  } catch (const ferry::Error&) {
  }
}

const Engine& built_in(size_t which) {
  static const auto bert = ferry::tokenizers::parse_tokenizer_json(
      R"({"normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true},
          "pre_tokenizer":{"type":"BertPreTokenizer"},"added_tokens":[{"id":0,"content":"[UNK]","single_word":false,"lstrip":true,"rstrip":false,"normalized":false,"special":true}],
          "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":{"[UNK]":0,"a":1,"##a":2,"b":3,"##b":4}}})",
      "built-in");
  static const auto unicode = ferry::tokenizers::parse_tokenizer_json(
      R"({"normalizer":{"type":"Sequence","normalizers":[{"type":"NFKD"},{"type":"NFC"},{"type":"Lowercase"}]},
          "pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Metaspace","replacement":"_","prepend_scheme":"first","split":true},
            {"type":"Split","pattern":{"Regex":"\\p{L}+|\\d"},"behavior":"MergedWithNext","invert":false},{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true}]},
          "model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]},"decoder":{"type":"ByteLevel"},
          "post_processor":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true}})",
      "built-in");
  return which % 2 == 0 ? *bert : *unicode;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (!bytes.starts_with('{')) {
    use(built_in(0), bytes);
    use(built_in(1), bytes);
    try {
      static_cast<void>(ferry::tokenizers::parse_sentencepiece(bytes, "fuzz"));
    } catch (const ferry::Error&) {
    }
    return 0;
  }
  const size_t nul = bytes.find('\0');
  const std::string_view json = bytes.substr(0, nul);
  const std::string_view text =
      nul == std::string_view::npos ? "Hello, ab aab 12 \xC3\xA9" : bytes.substr(nul + 1);
  try {
    const auto engine = ferry::tokenizers::parse_tokenizer_json(json, "fuzz");
    use(*engine, text);
    static_cast<void>(engine->to_json());
  } catch (const ferry::Error&) {
  }
  return 0;
}
