#pragma once
// What is behind an ORTModel, and how sessions are opened from LoadOptions.
#include <string>

#include "ferry/modeling.h"
#include "ort/session.h"
#include "runtime/model_folder.h"

namespace ferry {

struct ORTModel::Impl {
  runtime::ModelFolder folder;
  std::string config;
  ort::Runtime runtime;
  ort::Session session;
  Log log;
};

namespace runtime {

ort::Runtime open_runtime(const LoadOptions& options);
/// Errors: Error{not_found} for a provider that this ONNX Runtime lacks.
ort::SessionOptions session_options(const LoadOptions& options, const ort::Runtime& runtime);
/// config.json as text; "{}" if there is none.
std::string read_config(const std::filesystem::path& folder);
/// The same numbers in another width, where nothing is lost by it.
HostTensor in_dtype(const HostTensor& tensor, DType wanted);
/// Errors: Error{not_found} that lists the outputs.
HostTensor take_output(std::map<std::string, HostTensor>& outputs, const std::string& name);

}  // namespace runtime
}  // namespace ferry
