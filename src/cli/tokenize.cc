// ferry tokenize FOLDER: ids, tokens and offsets of a text, or of JSON Lines.
#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/lines.h"
#include "ferry/tokenizer.h"

namespace ferry::cli {
namespace {
using Json = nlohmann::ordered_json;

struct Flags {
  std::string model, text;
  std::optional<std::string> text_pair;
  bool jsonl = false;
  bool no_special_tokens = false;
  bool truncation = false;
  bool padding = false;
  std::optional<uint64_t> max_length;
};

EncodeOptions encode_options(const Flags& flags) {
  EncodeOptions out;
  out.text_pair = flags.text_pair;
  out.add_special_tokens = !flags.no_special_tokens;
  out.max_length = flags.max_length;
  out.truncation = flags.truncation ? Truncation::longest_first : Truncation::none;
  if (flags.padding) out.padding = flags.max_length ? Padding::max_length : Padding::longest;
  return out;
}

Json to_json(const Encoding& encoding) {
  Json offsets = Json::array();
  for (const Offset& offset : encoding.offsets) offsets.push_back({offset.begin, offset.end});
  return {{"input_ids", encoding.ids},
          {"token_type_ids", encoding.type_ids},
          {"attention_mask", encoding.attention_mask},
          {"tokens", encoding.tokens()},
          {"offsets", std::move(offsets)}};
}

Json tokenize_line(const Tokenizer& tokenizer, const Json& line, EncodeOptions options) {
  if (line.is_string()) return to_json(tokenizer(line.get_ref<const std::string&>(), options).encodings[0]);
  const auto text = line.is_object() ? line.find("text") : line.end();
  if (!line.is_object() || text == line.end() || !text->is_string()) {
    return {{"error", "a line is a JSON string, or an object with \"text\" and maybe \"text_pair\""}};
  }
  if (const auto pair = line.find("text_pair"); pair != line.end() && pair->is_string())
    options.text_pair = pair->get<std::string>();
  return to_json(tokenizer(text->get_ref<const std::string&>(), options).encodings[0]);
}

void tokenize_lines(const Tokenizer& tokenizer, const EncodeOptions& options, std::ostream& out) {
  for_each_batch(std::cin, "standard input", 1,
                 [&](std::vector<Json>& values, const std::vector<bool>& broken) {
                   Json result = values[0];
                   if (!broken[0]) {
                     try {
                       result = tokenize_line(tokenizer, values[0], options);
                     } catch (const Error& error) {
                       result = {{"error", error.what()}};
                     }
                   }
                   out << result.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
                 });
  out.flush();
}

void tokenize(const Flags& flags, Context& context) {
  if (flags.jsonl != flags.text.empty()) throw Error(ErrorCode::usage, "give either a text or --jsonl");
  const Tokenizer tokenizer = AutoTokenizer::from_pretrained(flags.model);
  const EncodeOptions options = encode_options(flags);
  if (flags.jsonl) return tokenize_lines(tokenizer, options, context.out());
  const Encoding encoding = tokenizer(flags.text, options).encodings[0];
  if (context.json()) {
    context.print_json(to_json(encoding));
    return;
  }
  for (size_t i = 0; i < encoding.size(); ++i) {
    context.out() << fmt::format("{:>8}  {:>5}-{:<5}  {}\n", encoding.ids[i], encoding.offsets[i].begin,
                                 encoding.offsets[i].end, encoding.token(i));
  }
}

}  // namespace

void add_tokenize(CLI::App& parent, Context& context) {
  auto flags = std::make_shared<Flags>();
  CLI::App* app =
      context.command(parent, "tokenize", "Show the tokens of a text: ids, offsets in code points, tokens",
                      [flags, &context] { tokenize(*flags, context); });
  app->add_option("model", flags->model, "Folder with a tokenizer")->required();
  app->add_option("text", flags->text, "The text");
  app->add_option("--text-pair", flags->text_pair, "The second text of a pair");
  app->add_flag(
      "--jsonl", flags->jsonl,
      "Lines from standard input: a JSON string, or {\"text\", \"text_pair\"}; a JSON object a line out");
  app->add_flag("--no-special-tokens", flags->no_special_tokens, "Leave out what the model's template adds");
  app->add_flag("--truncation", flags->truncation, "Cut to --max-length, or to what the model takes");
  app->add_flag("--padding", flags->padding, "Pad to --max-length");
  app->add_option("--max-length,--max_length", flags->max_length, "Tokens");
}

}  // namespace ferry::cli
