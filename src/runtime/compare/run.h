#pragma once
// A model that is compared, and how it is run on samples.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "ferry/modeling.h"
#include "ir/graph.h"
#include "ort/session.h"
#include "runtime/compare/agreement.h"
#include "runtime/samples.h"

namespace ferry::runtime {

struct ModelFile {
  std::filesystem::path file;
  std::filesystem::path folder;           ///< Of its configuration and tokenizer.
  std::shared_ptr<const void> temporary;  ///< Keeps an export that was made for this.
  ir::Graph graph;
  std::string config;  ///< config.json; "{}": none.
};

/// `model` is an .onnx file or a folder. Errors: Error{not_found}; those of reading the graph.
ModelFile open_model_file(const std::filesystem::path& model, const LoadOptions& options);

/// Sessions that take turns: idle threads of one must not keep the cores from the other.
ort::SessionOptions turn_taking(const LoadOptions& options, const ort::Runtime& runtime);

/// Results in the order of `outputs` (all, if there are none). Inputs follow the dtypes that the session
/// declares.
std::vector<HostTensor> run_on(const ort::Session& session, const Sample& sample,
                               const std::vector<std::string>& outputs = {});
Outputs named_outputs(const ort::Session& session, const Sample& sample);

/// Samples for `model` from `jsonl`, or random ones if that is empty.
std::vector<Sample> samples_for(const ModelFile& model, const std::filesystem::path& tokenizer_folder,
                                const std::filesystem::path& jsonl, const SampleOptions& options,
                                const Log& log);

}  // namespace ferry::runtime
