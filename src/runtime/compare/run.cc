#include "runtime/compare/run.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "exporter/graph_inputs.h"
#include "onnx/reader.h"
#include "runtime/model_impl.h"

namespace ferry::runtime {
namespace fs = std::filesystem;

ModelFile open_model_file(const fs::path& model, const LoadOptions& options) {
  std::error_code ignored;
  if (!fs::exists(model, ignored))
    throw Error(ErrorCode::not_found, fmt::format("there is no {}", printable(model.string(), 1000)));
  ModelFile out;
  if (fs::is_directory(model, ignored)) {
    ModelFolder folder = open_model_folder(model.string(), options, "auto");
    out.file = folder.model;
    out.folder = folder.path;
    out.temporary = folder.temporary;
  } else {
    out.file = model;
    out.folder = folder_of_model(model);
  }
  out.config = read_config(out.folder);
  onnx::ReadOptions reading;
  reading.log = options.log;
  out.graph =
      with_context(printable(out.file.string(), 1000), [&] { return onnx::read_model(out.file, reading); });
  return out;
}

ort::SessionOptions turn_taking(const LoadOptions& options, const ort::Runtime& runtime) {
  ort::SessionOptions out = session_options(options, runtime);
  out.spinning = false;
  return out;
}

std::vector<HostTensor> run_on(const ort::Session& session, const Sample& sample,
                               const std::vector<std::string>& outputs) {
  std::vector<ort::NamedTensor> feeds;
  for (const auto& declared : session.inputs()) {
    const auto found = sample.find(declared.name);
    if (found == sample.end()) {
      throw Error(ErrorCode::not_found, fmt::format("the input \"{}\" is missing", printable(declared.name)));
    }
    feeds.emplace_back(declared.name, in_dtype(found->second, declared.dtype));
  }
  return session.run(feeds, outputs);
}

Outputs named_outputs(const ort::Session& session, const Sample& sample) {
  auto results = run_on(session, sample);
  Outputs out;
  for (size_t i = 0; i < results.size(); ++i) out.emplace(session.outputs()[i].name, std::move(results[i]));
  return out;
}

std::vector<Sample> samples_for(const ModelFile& model, const fs::path& tokenizer_folder,
                                const fs::path& jsonl, const SampleOptions& options, const Log& log) {
  if (!jsonl.empty()) return read_samples(jsonl, sample_inputs(model.graph), tokenizer_folder, options);
  log.info("No --input: the models are compared on random inputs, which tell less than real ones.");
  auto made = exporter::graph_inputs(model.graph, parse_json(model.config, "config.json"));
  return {std::make_move_iterator(made.begin()), std::make_move_iterator(made.end())};
}

}  // namespace ferry::runtime
