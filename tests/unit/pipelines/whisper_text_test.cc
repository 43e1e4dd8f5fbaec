// Whisper's tokens as text, against transformers' _decode_asr (tools/oracle/make_whisper_goldens.py).
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "ferry/tokenizer.h"
#include "pipelines/whisper_text.h"

namespace ferry::pipelines {
namespace {
using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

TEST(WhisperText, IsThatOfTransformers) {
  const fs::path data = FERRY_TEST_DATA;
  const Tokenizer tokenizer = AutoTokenizer::from_pretrained(data / "pipelines" / "speech-recognition");
  WhisperVocabulary vocabulary;
  const auto id = [&](const char* token) { return int64_t{tokenizer.token_to_id(token).value()}; };
  vocabulary.timestamp_begin = id("<|notimestamps|>") + 1;
  vocabulary.start_of_previous = id("<|startofprev|>");
  vocabulary.start_of_transcript = id("<|startoftranscript|>");
  for (const uint32_t special : tokenizer.all_special_ids()) vocabulary.special_ids.insert(special);
  vocabulary.decode = [&](std::span<const int64_t> ids) {
    return tokenizer.decode(std::vector<uint32_t>(ids.begin(), ids.end()));
  };
  const Json cases = read_json(data / "whisper" / "text.json");
  for (const Json& entry : cases) {
    std::vector<HeardTokens> parts;
    for (const Json& part : entry.at("parts")) {
      HeardTokens heard{part.at("tokens").get<std::vector<int64_t>>(), std::nullopt};
      if (part.contains("stride")) {
        const auto s = part.at("stride").get<std::vector<double>>();
        heard.stride = {s[0], s[1], s[2]};
      }
      parts.push_back(std::move(heard));
    }
    const bool timestamps = entry.at("timestamps").get<bool>();
    Json actual = Json::array();
    std::string text;
    for (const auto& chunk : whisper_chunks(parts, vocabulary, timestamps, 0.02)) {
      Json one = {{"language", chunk.language ? Json(*chunk.language) : Json(nullptr)}};
      if (timestamps)
        one["timestamp"] = {chunk.start ? Json(*chunk.start) : Json(nullptr),
                            chunk.end ? Json(*chunk.end) : Json(nullptr)};
      one["text"] = chunk.text;
      text += chunk.text;
      actual.push_back(one);
    }
    EXPECT_EQ(text, entry.at("text").get<std::string>()) << entry.at("parts").dump();
    EXPECT_EQ(actual, entry.at("chunks")) << entry.at("parts").dump();
  }
}

}  // namespace
}  // namespace ferry::pipelines
