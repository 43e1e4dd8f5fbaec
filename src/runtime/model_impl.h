#pragma once
// What is behind an ORTModel, and how sessions are opened from LoadOptions.
#include <map>
#include <optional>
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
/// What transformers fills in where a caller gives input_ids alone: token_type_ids, attention_mask,
/// position_ids. Nothing for another name.
std::optional<HostTensor> default_input(const std::string& name,
                                        const std::map<std::string, HostTensor>& given);
/// A cache with nothing in it, of the layout that an input declares: -1 where a size is free.
HostTensor empty_past(DType dtype, Dims declared, int64_t rows);
/// Errors: Error{not_found} that lists the outputs.
HostTensor take_output(std::map<std::string, HostTensor>& outputs, const std::string& name);

}  // namespace runtime
}  // namespace ferry
