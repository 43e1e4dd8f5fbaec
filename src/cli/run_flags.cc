#include "cli/run_flags.h"

#include <charconv>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ferry::cli {
namespace {
using Json = nlohmann::ordered_json;
using Texts = std::vector<std::string>;

constexpr RunFlag kInputs[] = {
    {"--text", "text", RunFlagKind::text, "The text"},
    {"--prompt", "text", RunFlagKind::text, "The text to continue"},
    {"--text-pair", "text_pair", RunFlagKind::text, "The second text of a pair"},
    {"--question", "question", RunFlagKind::text, "The question"},
    {"--context", "context", RunFlagKind::text, "The text that holds the answer"},
    {"--query", "query", RunFlagKind::text, "The query that documents are ranked for"},
    {"--image", "image", RunFlagKind::text, "The picture: a JPEG, PNG or WebP file"},
    {"--audio", "audio", RunFlagKind::text, "The recording: a WAV, FLAC, MP3 or Ogg file"},
    {"--document", "documents", RunFlagKind::texts, "A document to rank (repeatable)"},
};

constexpr RunFlag kOptions[] = {
    {"--top-k,--top_k", "top_k", RunFlagKind::integer, "How many results"},
    {"--max-new-tokens,--max_new_tokens", "max_new_tokens", RunFlagKind::integer,
     "The most tokens to generate"},
    {"--do-sample,--do_sample", "do_sample", RunFlagKind::boolean,
     "Draw tokens; --do-sample=false takes the likeliest"},
    {"--temperature", "temperature", RunFlagKind::number, "Of sampling; 0 takes the likeliest token"},
    {"--top-p,--top_p", "top_p", RunFlagKind::number,
     "Draw from the likeliest tokens of so much probability"},
    {"--repetition-penalty,--repetition_penalty", "repetition_penalty", RunFlagKind::number,
     "Above 1: tokens that came already come less often"},
    {"--num-beams,--num_beams", "num_beams", RunFlagKind::integer, "Beams of beam search"},
    {"--num-return-sequences,--num_return_sequences", "num_return_sequences", RunFlagKind::integer,
     "How many continuations"},
    {"--seed", "seed", RunFlagKind::integer, "The same seed draws the same tokens"},
    {"--candidate-label", "candidate_labels", RunFlagKind::texts,
     "A label of zero-shot-classification or zero-shot-image-classification (repeatable)"},
    {"--threshold", "threshold", RunFlagKind::number, "Scores below are left out (pictures)"},
    {"--return-timestamps,--return_timestamps", "return_timestamps", RunFlagKind::text,
     "When each word or char was heard (speech)"},
    {"--chunk-length-s,--chunk_length_s", "chunk_length_s", RunFlagKind::number,
     "Hear a long recording in chunks of so many seconds"},
};

template <typename Number>
bool set_number(Json& into, const std::string& text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return false;
  into = value;
  return true;
}

// False if the texts are no such value.
bool set_value(Json& into, RunFlagKind kind, const Texts& texts) {
  switch (kind) {
    case RunFlagKind::text:
      into = texts.back();
      return true;
    case RunFlagKind::texts:
      into = texts;
      return true;
    case RunFlagKind::integer:
      return set_number<int64_t>(into, texts.back());
    case RunFlagKind::number:
      return set_number<double>(into, texts.back());
    case RunFlagKind::boolean:
      into = texts.back() == "true";
      return true;
  }
  return false;
}

const char* type_name(RunFlagKind kind) {
  switch (kind) {
    case RunFlagKind::integer:
      return "N";
    case RunFlagKind::number:
      return "X";
    default:
      return "TEXT";
  }
}

}  // namespace

std::span<const RunFlag> run_input_flags() {
  return kInputs;
}

std::span<const RunFlag> run_option_flags() {
  return kOptions;
}

void add_run_flags(CLI::App& app, std::span<const RunFlag> flags, Json& values) {
  for (const RunFlag& flag : flags) {
    const CLI::callback_t set = [&flag, &values](const Texts& texts) {
      return set_value(values[flag.name], flag.kind, texts);
    };
    CLI::Option* option = app.add_option(flag.flags, set, flag.help);
    option->type_name(type_name(flag.kind));
    if (flag.kind == RunFlagKind::texts) option->expected(1)->take_all();
    if (flag.kind == RunFlagKind::boolean) option->type_size(0)->expected(0)->default_str("");
  }
}

}  // namespace ferry::cli
