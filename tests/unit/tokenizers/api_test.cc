// The public interface: batches, padding, truncation, streams, threads.
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "base/error.h"
#include "ferry/tokenizer.h"

namespace ferry {
namespace {
const std::filesystem::path kSlow = std::filesystem::path(FERRY_TEST_DATA) / "tokenizers/slow";

TEST(Tokenizer, PadsABatchToARectangle) {
  const Tokenizer tok = AutoTokenizer::from_pretrained(kSlow / "bert");
  const std::vector<std::string> texts{"hello world", "the quick brown fox"};
  EXPECT_THROW(static_cast<void>(tok(texts).tensor("input_ids")), Error);
  const BatchEncoding batch = tok(texts, {.padding = Padding::longest, .pad_to_multiple_of = 8});
  const TokenTensor mask = batch.tensor("attention_mask");
  EXPECT_EQ(mask.rows, 2u);
  EXPECT_EQ(mask.columns, 8u);
  EXPECT_EQ(std::vector<int64_t>(mask.values.begin(), mask.values.begin() + 8),
            (std::vector<int64_t>{1, 1, 1, 1, 0, 0, 0, 0}));
  EXPECT_EQ(batch.names(), (std::vector<std::string>{"input_ids", "token_type_ids", "attention_mask"}));
}

TEST(Tokenizer, TruncationLeavesTheRestAsOverflow) {
  const Tokenizer tok = AutoTokenizer::from_pretrained(kSlow / "bert");
  const EncodeOptions options{.text_pair = "the quick brown fox the lazy dog",
                              .truncation = Truncation::only_second,
                              .max_length = 9,
                              .stride = 1,
                              .return_overflowing_tokens = true};
  const BatchEncoding batch = tok("hello world", options);
  ASSERT_GT(batch.encodings.size(), 1u);
  for (const Encoding& e : batch.encodings) EXPECT_LE(e.size(), 9u);
  EXPECT_EQ(batch.overflow_to_sample_mapping, std::vector<size_t>(batch.encodings.size(), 0));
  EXPECT_EQ(batch.encodings[0].sequence_ids()[1], 0);
  EXPECT_THROW(static_cast<void>(
                   tok("hello", {.truncation = Truncation::longest_first, .max_length = 4, .stride = 7})),
               Error);
}

TEST(Tokenizer, OffsetsAreInCodePointsAndInBytes) {
  const Tokenizer tok = AutoTokenizer::from_pretrained(kSlow / "bert");
  const Encoding e = tok("\xC3\xA9\xC3\xA9 hello").encodings[0];
  EXPECT_EQ(e.offsets[e.size() - 2], (Offset{3, 8}));
  EXPECT_EQ(e.byte_offsets[e.size() - 2], (Offset{5, 10}));
  EXPECT_EQ(e.char_to_token(4), e.size() - 2);
}

TEST(Tokenizer, StreamsTextAsCharactersAreFinished) {
  const Tokenizer tok = AutoTokenizer::from_pretrained(kSlow / "qwen2");
  const std::string text = "hello w\xC3\xB6rld \xF0\x9F\x98\x80!";
  DecodeStream stream = tok.decode_stream();
  std::string out;
  const BatchEncoding encoded = tok(text);
  for (const uint32_t id : encoded.encodings[0].ids) out += stream.step(id).value_or("");
  EXPECT_EQ(out, text);
}

// One tokenizer of each model kind, eight threads, texts that collide in its caches.
TEST(Tokenizer, ThreadsShareOneTokenizer) {
  for (const char* kind : {"bert", "roberta", "llama", "t5"}) {
    const Tokenizer tok = AutoTokenizer::from_pretrained(kSlow / kind);
    std::vector<std::string> texts;
    for (int i = 0; i < 16; ++i)
      texts.push_back("Hello world, it's tokenization time " + std::string(static_cast<size_t>(i), 'a') +
                      " \u00e9\u4e2d again");
    std::vector<std::vector<uint32_t>> expected;
    for (const auto& text : texts)
      expected.push_back(AutoTokenizer::from_pretrained(kSlow / kind)(text).encodings[0].ids);
    std::vector<std::jthread> threads;
    std::vector<int> wrong(8);
    for (size_t t = 0; t < wrong.size(); ++t) {
      threads.emplace_back([&, t] {
        for (size_t i = 0; i < 64; ++i) {
          const size_t which = (i + t) % texts.size();
          const Encoding encoding = tok(texts[which]).encodings[0];
          wrong[t] += encoding.ids != expected[which] || tok.decode(encoding.ids).empty();
        }
      });
    }
    threads.clear();
    EXPECT_EQ(wrong, std::vector<int>(8)) << kind;
  }
}

TEST(AutoTokenizer, AFolderWithoutATokenizerIsNamed) {
  try {
    AutoTokenizer::from_pretrained(kSlow);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::not_found);
    EXPECT_NE(error.message().find("slow"), std::string::npos);
  }
}
}  // namespace
}  // namespace ferry
