// ferry run TASK FOLDER: an exported model with its tokenizer and pipeline.
#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "ferry/pipelines.h"

namespace ferry::cli {
namespace {
using Json = nlohmann::ordered_json;

struct Flags {
  std::string task, model;
  std::string text, text_pair, question, context, query;
  std::vector<std::string> candidate_labels, documents;
  std::string input, output;
  std::string options = "{}";
  std::optional<int64_t> top_k;
  size_t batch_size = 1;
  int threads = 0;
  std::string provider, onnxruntime;
};

// The input that the flags describe; null if they describe none.
Json input_of(const Flags& flags) {
  Json out = Json::object();
  const auto put = [&](const char* name, const std::string& value) {
    if (!value.empty()) out[name] = value;
  };
  put("text", flags.text);
  put("text_pair", flags.text_pair);
  put("question", flags.question);
  put("context", flags.context);
  put("query", flags.query);
  if (!flags.documents.empty()) out["documents"] = flags.documents;
  if (out.empty()) return nullptr;
  return out.size() == 1 && out.contains("text") ? out["text"] : out;
}

Json options_of(const Flags& flags) {
  Json out = parse_json(flags.options, "--options");
  if (!out.is_object()) throw Error(ErrorCode::usage, "--options is not a JSON object");
  if (flags.top_k) out["top_k"] = *flags.top_k;
  if (!flags.candidate_labels.empty()) out["candidate_labels"] = flags.candidate_labels;
  return out;
}

void run_lines(const Flags& flags, const Pipeline& pipe, const Json& options, const Context& context) {
  std::ifstream file;
  if (flags.input != "-") {
    file.open(flags.input);
    if (!file) throw Error(ErrorCode::not_found, "cannot open " + printable(flags.input));
  }
  std::ofstream target;
  if (!flags.output.empty() && flags.output != "-") {
    target.open(flags.output);
    if (!target) throw Error(ErrorCode::io, "cannot write " + printable(flags.output));
  }
  std::ostream& out = target.is_open() ? target : context.out();
  for_each_batch(flags.input == "-" ? std::cin : file, flags.input, flags.batch_size,
                 [&](std::vector<Json>& values, const std::vector<bool>& broken) {
                   std::vector<Json> good;
                   for (size_t i = 0; i < values.size(); ++i) {
                     if (!broken[i]) good.push_back(values[i]);
                   }
                   const auto results = pipe.batch(good, options);
                   size_t next = 0;
                   for (size_t i = 0; i < values.size(); ++i) {
                     const Json& line = broken[i] ? values[i] : results[next++];
                     out << line.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
                   }
                   if (!out)
                     throw Error(
                         ErrorCode::io,
                         "cannot write " + printable(flags.output.empty() ? "the output" : flags.output));
                 });
  out.flush();
}

void run(const Flags& flags, Context& context) {
  const Json input = input_of(flags);
  if (input.is_null() == flags.input.empty()) {
    throw Error(ErrorCode::usage,
                "give either one input (--text, --question and --context, ...) or --input FILE.jsonl");
  }
  if (flags.batch_size < 1 || flags.batch_size > 4096)
    throw Error(ErrorCode::usage, "--batch-size is between 1 and 4096");
  LoadOptions load;
  load.intra_op_threads = flags.threads;
  if (!flags.provider.empty()) load.providers = {flags.provider};
  load.onnxruntime = flags.onnxruntime.empty() ? context.variable("FERRY_ONNXRUNTIME") : flags.onnxruntime;
  load.environment = context.environment();
  load.log = &context.log();
  const Json options = options_of(flags);
  const Pipeline pipe = pipeline(flags.task, flags.model, load);
  if (!flags.input.empty()) return run_lines(flags, pipe, options, context);
  context.out()
      << pipe(input, options).dump(context.json() ? -1 : 2, ' ', false, Json::error_handler_t::replace)
      << '\n';
}

}  // namespace

void add_run(CLI::App& parent, Context& context) {
  auto flags = std::make_shared<Flags>();
  CLI::App* app = context.command(parent, "run", "Run a pipeline on an exported folder: text in, answer out",
                                  [flags, &context] { run(*flags, context); });
  app->add_option("task", flags->task,
                  "question-answering, text-classification, fill-mask, token-classification, "
                  "feature-extraction, zero-shot-classification, text-ranking")
      ->required();
  app->add_option("model", flags->model, "Exported folder, or a model on the Hub")->required();
  app->add_option("--text", flags->text, "The text");
  app->add_option("--text-pair", flags->text_pair, "The second text of a pair");
  app->add_option("--question", flags->question, "The question");
  app->add_option("--context", flags->context, "The text that holds the answer");
  app->add_option("--query", flags->query, "The query that documents are ranked for");
  app->add_option("--document", flags->documents, "A document to rank (repeatable)");
  app->add_option("--candidate-label", flags->candidate_labels,
                  "A label of zero-shot-classification (repeatable)");
  app->add_option(
      "--input", flags->input,
      "JSON Lines file of inputs, - for standard input: texts, or objects as the flags name them");
  app->add_option("--output", flags->output, "Where results go, one line each; standard output if left out");
  app->add_option("--batch-size", flags->batch_size, "Inputs computed at once")->capture_default_str();
  app->add_option("--options", flags->options, "Options of the pipeline as JSON, with transformers' names")
      ->capture_default_str();
  app->add_option("--top-k,--top_k", flags->top_k, "How many results");
  app->add_option("--threads", flags->threads, "Threads of ONNX Runtime; 0: one a core")
      ->capture_default_str();
  app->add_option("--provider", flags->provider, "Execution provider of ONNX Runtime");
  app->add_option("--onnxruntime", flags->onnxruntime, "ONNX Runtime's library");
}

}  // namespace ferry::cli
