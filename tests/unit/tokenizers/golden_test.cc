// What Hugging Face tokenizers and transformers make of small tokenizers
// (tools/oracle/make_tokenizer_goldens.py, make_slow_tokenizers.py), component by component.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "ferry/tokenizer.h"
#include "tokenizers/tokenizer_json.h"

namespace {
using Json = nlohmann::json;
namespace fs = std::filesystem;
using ferry::tokenizers::Input;

const fs::path kData = fs::path(FERRY_TEST_DATA) / "tokenizers";

Json read(const fs::path& file) {
  std::ifstream in(file);
  return Json::parse(in);
}

std::vector<uint32_t> flat(const std::vector<ferry::Offset>& offsets) {
  std::vector<uint32_t> out;
  for (const ferry::Offset& o : offsets) {
    out.push_back(o.begin);
    out.push_back(o.end);
  }
  return out;
}

Json result(const ferry::Encoding& e) {
  return {{"ids", e.ids},         {"type_ids", e.type_ids},
          {"tokens", e.tokens()}, {"offsets", flat(e.offsets)},
          {"words", e.word_ids},  {"special", e.special_tokens_mask}};
}

TEST(Golden, EveryComponentMakesWhatTheReferenceMakes) {
  const Json models = read(kData / "models.json");
  std::ifstream in(kData / "pipelines.jsonl");
  int checked = 0;
  for (std::string line; std::getline(in, line);) {
    Json entry = Json::parse(line);
    Json& spec = entry["tokenizer"];
    spec["model"] = models[spec["model"].get<size_t>()];
    SCOPED_TRACE(entry["name"].get<std::string>());
    const auto engine = ferry::tokenizers::parse_tokenizer_json(spec.dump(), "golden");
    // What is written back makes the same tokens.
    const auto again = ferry::tokenizers::parse_tokenizer_json(engine->to_json(), "written back");
    for (const Json& c : entry["cases"]) {
      const auto text = c["text"].get<std::string>();
      SCOPED_TRACE(text);
      const std::string pair = c.value("pair", "");
      Input first;
      first.text = text;
      Input second;
      second.text = pair;
      const ferry::Encoding e = engine->encode(first, pair.empty() ? nullptr : &second, {});
      Json expected = c;
      for (const char* key : {"text", "pair", "decoded"}) expected.erase(key);
      EXPECT_EQ(result(e), expected);
      EXPECT_EQ(engine->decode(e.ids, false), c["decoded"].get<std::string>());
      EXPECT_EQ(result(again->encode(first, pair.empty() ? nullptr : &second, {})), expected);
      ++checked;
    }
  }
  EXPECT_GT(checked, 500);
}

TEST(Golden, OlderFilesAreConvertedAsTransformersConvertsThem) {
  int folders = 0;
  for (const auto& folder : fs::directory_iterator(kData / "slow")) {
    SCOPED_TRACE(folder.path().filename().string());
    const Json expected = read(folder.path() / "expected.json");
    const ferry::Tokenizer tok = ferry::AutoTokenizer::from_pretrained(folder.path());
    EXPECT_EQ(tok.model_input_names(), expected["model_input_names"].get<std::vector<std::string>>());
    EXPECT_EQ(tok.padding_side() == ferry::Side::left ? "left" : "right",
              expected["padding_side"].get<std::string>());
    const fs::path out = fs::temp_directory_path() / ("ferry-" + folder.path().filename().string());
    fs::create_directories(out);
    tok.save_pretrained(out);
    Json written = read(out / "tokenizer.json");
    for (const auto& [key, value] : expected["tokenizer"].items()) EXPECT_EQ(written[key], value) << key;
    const ferry::Tokenizer again = ferry::AutoTokenizer::from_pretrained(out);
    for (const Json& c : expected["cases"]) {
      SCOPED_TRACE(c["text"].get<std::string>());
      ferry::EncodeOptions options;
      if (c.contains("text_pair")) options.text_pair = c["text_pair"].get<std::string>();
      const auto text = c["text"].get<std::string>();
      const ferry::Encoding e = tok(text, options).encodings[0];
      Json offsets = Json::array();
      for (const ferry::Offset& o : e.offsets) offsets.push_back({o.begin, o.end});
      EXPECT_EQ(Json(e.ids), c["ids"]);
      EXPECT_EQ(Json(e.type_ids), c["type_ids"]);
      EXPECT_EQ(offsets, c["offsets"]);
      EXPECT_EQ(tok.decode(e.ids, {.skip_special_tokens = true}), c["decoded"].get<std::string>());
      EXPECT_EQ(again(text, options).encodings[0].ids, e.ids);
    }
    fs::remove_all(out);
    ++folders;
  }
  EXPECT_GE(folders, 12);
}
}  // namespace
