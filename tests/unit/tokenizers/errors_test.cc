// Malformed tokenizers and texts end in a named error.
#include <gtest/gtest.h>

#include "base/error.h"
#include "tokenizers/pretrained/sentencepiece_model.h"
#include "tokenizers/tokenizer_json.h"

namespace ferry::tokenizers {
namespace {

// The message of the error that parsing `json` ends in.
std::string message_of(const std::string& json, ErrorCode code) {
  try {
    parse_tokenizer_json(json, "t.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error for " << json;
  return {};
}

const std::string kModel = R"("model":{"type":"WordLevel","vocab":{"a":0,"<unk>":1},"unk_token":"<unk>"})";

TEST(TokenizerJson, SaysWhichKeyIsWrong) {
  EXPECT_NE(message_of("nonsense", ErrorCode::invalid_file).find("t.json"), std::string::npos);
  EXPECT_NE(message_of("{}", ErrorCode::invalid_config).find("model"), std::string::npos);
  EXPECT_NE(
      message_of(R"({"normalizer":{"type":"NFX"},)" + kModel + "}", ErrorCode::unsupported).find("NFKC"),
      std::string::npos);
  EXPECT_NE(message_of(R"({"normalizer":{"type":"Strip","strip_left":1,"strip_right":true},)" + kModel + "}",
                       ErrorCode::invalid_config)
                .find("normalizer.strip_left"),
            std::string::npos);
  EXPECT_NE(message_of(R"({"model":{"type":"WordLevel","vocab":{"a":-1},"unk_token":"a"}})",
                       ErrorCode::invalid_config)
                .find("whole number"),
            std::string::npos);
  EXPECT_NE(message_of(R"({"model":{"type":"WordLevel","vocab":{"a":4000000000},"unk_token":"a"}})",
                       ErrorCode::invalid_file)
                .find("4000000000"),
            std::string::npos);
  EXPECT_NE(
      message_of(R"({"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}})", ErrorCode::invalid_file)
          .find("not in the vocabulary"),
      std::string::npos);
  EXPECT_NE(message_of(R"({"model":{"type":"BPE","dropout":0.1,"vocab":{"a":0},"merges":[]}})",
                       ErrorCode::unsupported)
                .find("dropout"),
            std::string::npos);
  EXPECT_NE(
      message_of(R"({"model":{"type":"Unigram","unk_id":7,"vocab":[["a",0.0]]}})", ErrorCode::invalid_file)
          .find("unk_id"),
      std::string::npos);
  EXPECT_NE(
      message_of(
          R"({"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x","type_id":0}}],"pair":[],"special_tokens":{}},)" +
              kModel + "}",
          ErrorCode::invalid_config)
          .find("special_tokens"),
      std::string::npos);
  EXPECT_NE(
      message_of(R"({"normalizer":{"type":"Precompiled","precompiled_charsmap":"////"},)" + kModel + "}",
                 ErrorCode::invalid_config)
          .find("precompiled_charsmap"),
      std::string::npos);
}

TEST(TokenizerJson, DeepNestingIsRefused) {
  std::string nested;
  for (int i = 0; i < 100; ++i) nested += R"({"type":"Sequence","normalizers":[)";
  for (int i = 0; i < 100; ++i) nested += "]}";
  message_of("{\"normalizer\":" + nested + "," + kModel + "}", ErrorCode::invalid_file);
}

TEST(Engine, TextThatIsNotUtf8IsRefused) {
  const auto engine = parse_tokenizer_json("{" + kModel + "}", "t.json");
  Input input;
  input.text = "a\xFF";
  EXPECT_THROW(static_cast<void>(engine->encode(input, nullptr, {})), Error);
}

TEST(Engine, ANormalizerThatBlowsUpIsStopped) {
  const auto engine = parse_tokenizer_json(
      R"({"normalizer":{"type":"Sequence","normalizers":[{"type":"Replace","pattern":{"String":"a"},"content":")" +
          std::string(2000, 'a') + R"("},{"type":"Replace","pattern":{"String":"a"},"content":")" +
          std::string(2000, 'a') + R"("}]},)" + kModel + "}",
      "t.json");
  const std::string text(100, 'a');
  Input input;
  input.text = text;
  EXPECT_THROW(static_cast<void>(engine->encode(input, nullptr, {})), Error);
}

TEST(SentencePiece, CutOffFilesAreRefused) {
  EXPECT_THROW(parse_sentencepiece(std::string("\x0a\xff\xff\xff\xff\x0f", 6), "x.model"), Error);
  EXPECT_THROW(parse_sentencepiece("", "x.model"), Error);
}
}  // namespace
}  // namespace ferry::tokenizers
