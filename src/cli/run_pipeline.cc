#include "cli/run_pipeline.h"

#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "cli/lines.h"
#include "ferry/pipelines.h"
#include "ferry/vision.h"

namespace ferry::cli {
namespace {
using Json = nlohmann::ordered_json;

std::string line_of(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace) + '\n';
}

// One line a value, in order; broken ones hold their error already.
void write_results(const Pipeline& pipe, const std::vector<Json>& values, const std::vector<bool>& broken,
                   const Json& options, std::ostream& out) {
  std::vector<Json> good;
  for (size_t i = 0; i < values.size(); ++i) {
    if (!broken[i]) good.push_back(values[i]);
  }
  const auto results = pipe.batch(good, options);
  size_t next = 0;
  for (size_t i = 0; i < values.size(); ++i) out << line_of(broken[i] ? values[i] : results[next++], -1);
}

void run_lines(const RunRequest& request, const Pipeline& pipe, const Json& options,
               std::ostream& standard_output) {
  std::ifstream file;
  if (request.input != "-") {
    file.open(request.input);
    if (!file) throw Error(ErrorCode::not_found, "cannot open " + printable(request.input));
  }
  std::ofstream target;
  if (!request.output.empty() && request.output != "-") {
    target.open(request.output);
    if (!target) throw Error(ErrorCode::io, "cannot write " + printable(request.output));
  }
  std::ostream& out = target.is_open() ? target : standard_output;
  for_each_batch(request.input == "-" ? std::cin : file, request.input, request.batch_size,
                 [&](std::vector<Json>& values, const std::vector<bool>& broken) {
                   write_results(pipe, values, broken, options, out);
                   if (out) return;
                   const std::string name = request.output.empty() ? "the output" : request.output;
                   throw Error(ErrorCode::io, "cannot write " + printable(name));
                 });
  out.flush();
}

void write_drawing(const std::string& file, const std::string& picture, const Json& result) {
  const std::string png = encode_png(draw(load_image(picture), result));
  std::ofstream out(file, std::ios::binary);
  out << png;
  out.close();
  if (!out) throw Error(ErrorCode::io, "cannot write " + printable(file));
}

}  // namespace

void run_pipeline(const RunRequest& request, const Json& value, const Json& options, std::ostream& out) {
  if (value.empty() == request.input.empty()) {
    throw Error(ErrorCode::usage,
                "give either one input (--text, --question and --context, ...) or --input FILE.jsonl");
  }
  if (!request.draw.empty() && !value.contains("image"))
    throw Error(ErrorCode::usage, "--draw draws on the picture of --image");
  if (request.stream && !request.input.empty())
    throw Error(ErrorCode::usage, "--stream takes one prompt, not a file of them");
  const Pipeline pipe = pipeline(request.task, request.model, request.load);
  if (!request.input.empty()) return run_lines(request, pipe, options, out);
  const bool text_alone = value.size() == 1 && value.contains("text");
  const Json& one = text_alone ? value.at("text") : value;
  if (request.stream) {
    pipe.stream(one, options, [&](std::string_view text) { out << text << std::flush; });
    out << '\n';
    return;
  }
  const Json result = pipe(one, options);
  if (!request.draw.empty()) write_drawing(request.draw, value.at("image").get<std::string>(), result);
  out << line_of(result, request.compact ? -1 : 2);
}

}  // namespace ferry::cli
