// Reads lines of JSON, a string or {"text": ..., "text_pair": ...}, and writes for each the encoding, as
// `ferry tokenize DIR --jsonl` does. For the parity and speed comparisons of the tokenizer layer.
//
//   tokenize_jsonl TOKENIZER_JSON < in > out
//   tokenize_jsonl FOLDER < in > out               as AutoTokenizer opens it
//   tokenize_jsonl FOLDER --save OTHER_FOLDER
//   tokenize_jsonl TOKENIZER_JSON --bench FILE     speed over the lines of a file, and of loading
#include <chrono>
#include <cstring>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "ferry/tokenizer.h"
#include "tokenizers/tokenizer_json.h"

namespace {
using Json = nlohmann::ordered_json;
using ferry::tokenizers::Engine;
using ferry::tokenizers::Input;

Json to_json(const ferry::Encoding& e) {
  Json offsets = Json::array();
  for (const ferry::Offset& o : e.offsets) offsets.push_back({o.begin, o.end});
  return {{"input_ids", e.ids},
          {"token_type_ids", e.type_ids},
          {"attention_mask", e.attention_mask},
          {"tokens", e.tokens()},
          {"offsets", offsets}};
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

int bench(const char* tokenizer, const char* file) {
  auto start = std::chrono::steady_clock::now();
  const auto engine = ferry::tokenizers::read_tokenizer_json(tokenizer);
  const double load = seconds_since(start);
  std::ifstream in(file);
  std::vector<std::string> lines;
  size_t bytes = 0;
  for (std::string line; std::getline(in, line);) {
    bytes += line.size();
    lines.push_back(line);
  }
  double best = 1e9;
  size_t tokens = 0;
  for (int round = 0; round < 5; ++round) {
    start = std::chrono::steady_clock::now();
    tokens = 0;
    for (const std::string& line : lines) {
      Input input;
      input.text = line;
      tokens += engine->encode(input, nullptr, {}).size();
    }
    best = std::min(best, seconds_since(start));
  }
  std::printf(
      "{\"load_seconds\": %.4f, \"bytes\": %zu, \"tokens\": %zu, \"seconds\": %.4f, \"mb_per_second\": "
      "%.2f}\n",
      load, bytes, tokens, best, static_cast<double>(bytes) / best / 1e6);
  return 0;
}

// Lines may also have "options": padding, truncation, max_length, stride, return_overflowing_tokens, ...
int run_folder(const char* folder) {
  const ferry::Tokenizer tok = ferry::AutoTokenizer::from_pretrained(folder);
  for (std::string line; std::getline(std::cin, line);) {
    const Json json = Json::parse(line);
    ferry::EncodeOptions o;
    try {
      if (json.is_object() && json.contains("chat")) {
        std::cout << Json(tok.apply_chat_template(json["chat"].dump(),
                                                  json.value("add_generation_prompt", false),
                                                  json.value("options", Json::object()).dump()))
                         .dump()
                  << '\n';
        continue;
      }
      if (json.is_object() && json.contains("decode")) {
        ferry::DecodeOptions d;
        d.skip_special_tokens = json.value("skip_special_tokens", false);
        std::cout << Json(tok.decode(json["decode"].get<std::vector<uint32_t>>(), d)).dump() << '\n';
        continue;
      }
      std::vector<std::string> texts;
      std::vector<std::string> pairs;
      if (json.is_string()) {
        texts.push_back(json.get<std::string>());
      } else if (json["text"].is_array()) {
        texts = json["text"].get<std::vector<std::string>>();
        if (json.contains("text_pair")) pairs = json["text_pair"].get<std::vector<std::string>>();
      } else {
        texts.push_back(json["text"].get<std::string>());
        if (json.contains("text_pair")) pairs.push_back(json["text_pair"].get<std::string>());
      }
      if (json.is_object()) {
        o.add_special_tokens = json.value("add_special_tokens", true);
        const std::string padding = json.value("padding", "");
        o.padding = padding == "longest"      ? ferry::Padding::longest
                    : padding == "max_length" ? ferry::Padding::max_length
                                              : ferry::Padding::none;
        const std::string truncation = json.value("truncation", "");
        if (truncation == "longest_first") o.truncation = ferry::Truncation::longest_first;
        if (truncation == "only_first") o.truncation = ferry::Truncation::only_first;
        if (truncation == "only_second") o.truncation = ferry::Truncation::only_second;
        if (json.contains("max_length")) o.max_length = json["max_length"].get<uint64_t>();
        o.stride = json.value("stride", 0);
        if (json.contains("pad_to_multiple_of"))
          o.pad_to_multiple_of = json["pad_to_multiple_of"].get<uint64_t>();
        o.return_overflowing_tokens = json.value("return_overflowing_tokens", false);
      }
      const ferry::BatchEncoding batch = tok(texts, pairs, o);
      Json out = Json::array();
      for (const ferry::Encoding& e : batch.encodings) {
        out.push_back(to_json(e));
        out.back()["special_tokens_mask"] = e.special_tokens_mask;
        out.back()["word_ids"] = e.word_ids;
        out.back()["sequence_ids"] = e.sequence_ids();
      }
      std::cout << (json.is_string() || !json.contains("padding")
                        ? out[0]
                        : Json{{"encodings", out},
                               {"names", batch.names()},
                               {"samples", batch.overflow_to_sample_mapping}})
                       .dump()
                << '\n';
    } catch (const ferry::Error& error) {
      std::cout << Json{{"error", error.what()}}.dump() << '\n';
    }
  }
  return 0;
}

int run(int argc, char** argv) {
  if (argc == 4 && std::strcmp(argv[2], "--bench") == 0) return bench(argv[1], argv[3]);
  if (argc == 4 && std::strcmp(argv[2], "--save") == 0) {
    ferry::AutoTokenizer::from_pretrained(argv[1]).save_pretrained(argv[3]);
    return 0;
  }
  if (std::filesystem::is_directory(argv[1])) return run_folder(argv[1]);
  const auto engine = ferry::tokenizers::read_tokenizer_json(argv[1]);
  for (std::string line; std::getline(std::cin, line);) {
    const Json json = Json::parse(line);
    const std::string text = json.is_string() ? json.get<std::string>() : json.at("text").get<std::string>();
    const std::string pair = json.is_object() ? json.value("text_pair", "") : "";
    Input first;
    first.text = text;
    Input second;
    second.text = pair;
    const bool has_pair = json.is_object() && json.contains("text_pair");
    try {
      const ferry::Encoding e = engine->encode(first, has_pair ? &second : nullptr, {});
      Json out = to_json(e);
      if (argc == 3 && std::strcmp(argv[2], "--decode") == 0) {
        out["special_tokens_mask"] = e.special_tokens_mask;
        out["word_ids"] = e.word_ids;
        out["sequence_ids"] = e.sequence_ids();
        out["decoded"] = engine->decode(e.ids, false);
      }
      std::cout << out.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
    } catch (const ferry::Error& error) {
      std::cout << Json{{"error", error.what()}}.dump() << '\n';
    }
  }
  return 0;
}
}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc >= 2) return run(argc, argv);
    std::cerr << "usage: tokenize_jsonl TOKENIZER_JSON [--bench FILE]\n";
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
  }
  return 1;
}
