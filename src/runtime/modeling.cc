#include "ferry/modeling.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/temporary_files.h"
#include "base/text.h"
#include "runtime/model_impl.h"

namespace ferry {
namespace fs = std::filesystem;

ModelInputs::ModelInputs(const BatchEncoding& encoding) {
  for (const auto& name : encoding.names()) {
    TokenTensor tensor = encoding.tensor(name);
    tensors_.emplace(
        name, HostTensor::i64({static_cast<int64_t>(tensor.rows), static_cast<int64_t>(tensor.columns)},
                              tensor.values));
  }
}

namespace runtime {

ort::Runtime open_runtime(const LoadOptions& options) {
  ort::RuntimeOptions out;
  out.library = options.onnxruntime;
  if (options.log != nullptr) out.log = *options.log;
  out.severity = LogLevel::error;
  return ort::Runtime::open(out);
}

ort::SessionOptions session_options(const LoadOptions& options, const ort::Runtime& runtime) {
  ort::SessionOptions out;
  out.intra_op_threads = options.intra_op_threads;
  out.inter_op_threads = options.inter_op_threads;
  out.spinning = options.spinning;
  out.severity = LogLevel::error;
  const auto available = runtime.available_providers();
  for (const auto& name : options.providers) {
    if (std::find(available.begin(), available.end(), name) == available.end()) {
      throw Error(ErrorCode::not_found,
                  fmt::format("this ONNX Runtime has no provider \"{}\"", printable(name)))
          .with_hint("it has " + join(available));
    }
    if (name != "CPUExecutionProvider") out.providers.push_back({name, {}});
  }
  return out;
}

std::string read_config(const fs::path& folder) {
  const fs::path config = folder / "config.json";
  return ferry::is_regular_file(config) ? read_text(config, 16u << 20) : "{}";
}

// Integers follow the graph's width, floats its precision; what would lose meaning stays and is refused by
// the session.
HostTensor in_dtype(const HostTensor& tensor, DType wanted) {
  if (tensor.dtype == wanted) return tensor;
  if (is_floating(tensor.dtype) && is_floating(wanted)) return tensor.to_floating(wanted);
  const bool whole = is_integer(tensor.dtype) || tensor.dtype == DType::boolean;
  if (whole && wanted == DType::i64) return tensor.to_i64();
  if (whole && wanted == DType::i32) {
    const HostTensor wide = tensor.to_i64();
    const auto values = wide.as<int64_t>();
    return HostTensor::i32(tensor.dims, {values.begin(), values.end()});
  }
  return tensor;
}

std::optional<HostTensor> default_input(const std::string& name,
                                        const std::map<std::string, HostTensor>& given) {
  const auto ids = given.find("input_ids");
  if (ids == given.end()) return std::nullopt;
  const Dims& dims = ids->second.dims;
  if (name == "token_type_ids") return HostTensor::zeros(DType::i64, dims);
  if (name == "attention_mask") return HostTensor::i64(dims, std::vector<int64_t>(ids->second.count(), 1));
  if (name == "position_ids" && !dims.empty()) {
    std::vector<int64_t> positions(ids->second.count());
    for (size_t i = 0; i < positions.size(); ++i) positions[i] = static_cast<int64_t>(i) % dims.back();
    return HostTensor::i64(dims, positions);
  }
  return std::nullopt;
}

HostTensor empty_past(DType dtype, Dims declared, int64_t rows) {
  for (size_t axis = 0; axis < declared.size(); ++axis)
    declared[axis] = axis == 0 ? rows : std::max<int64_t>(declared[axis], 0);
  return HostTensor::zeros(dtype, std::move(declared));
}

HostTensor take_output(std::map<std::string, HostTensor>& outputs, const std::string& name) {
  const auto found = outputs.find(name);
  if (found == outputs.end()) {
    std::vector<std::string> names;
    for (const auto& [known, tensor] : outputs) names.push_back(known);
    throw Error(ErrorCode::not_found, fmt::format("the model gives no \"{}\"", name))
        .with_hint("it gives " + join(names) + ": was it exported for another task?");
  }
  return std::move(found->second);
}

}  // namespace runtime

ORTModel::ORTModel(std::string_view model, const LoadOptions& options, std::string_view task) {
  runtime::ModelFolder folder = runtime::open_model_folder(std::string(model), options, task);
  const auto runtime = runtime::open_runtime(options);
  ort::Session session(runtime, folder.model, runtime::session_options(options, runtime));
  std::string config = runtime::read_config(folder.path);
  impl_ = std::make_shared<const Impl>(Impl{std::move(folder), std::move(config), runtime, std::move(session),
                                            options.log != nullptr ? *options.log : Log{}});
}

ORTModel::ORTModel(ORTModel&&) noexcept = default;
ORTModel& ORTModel::operator=(ORTModel&&) noexcept = default;
ORTModel::~ORTModel() = default;

std::map<std::string, HostTensor> ORTModel::run(const ModelInputs& inputs) const {
  std::vector<ort::NamedTensor> feeds;
  const auto& given = inputs.tensors();
  for (const auto& declared : impl_->session.inputs()) {
    if (const auto found = given.find(declared.name); found != given.end()) {
      feeds.emplace_back(declared.name, runtime::in_dtype(found->second, declared.dtype));
    } else if (auto made = runtime::default_input(declared.name, given)) {
      feeds.emplace_back(declared.name, runtime::in_dtype(*made, declared.dtype));
    } else {
      throw Error(ErrorCode::not_found, fmt::format("the input \"{}\" is missing", declared.name))
          .with_hint("the model takes " + join(input_names()));
    }
  }
  auto results = impl_->session.run(feeds);
  std::map<std::string, HostTensor> out;
  for (size_t i = 0; i < results.size(); ++i)
    out.emplace(impl_->session.outputs()[i].name, std::move(results[i]));
  return out;
}

std::vector<std::string> ORTModel::input_names() const {
  std::vector<std::string> out;
  for (const auto& input : impl_->session.inputs()) out.push_back(input.name);
  return out;
}

std::vector<std::string> ORTModel::output_names() const {
  std::vector<std::string> out;
  for (const auto& output : impl_->session.outputs()) out.push_back(output.name);
  return out;
}

const std::string& ORTModel::config_json() const {
  return impl_->config;
}
const fs::path& ORTModel::folder() const {
  return impl_->folder.path;
}

std::vector<std::string> ORTModel::labels(size_t count) const {
  const auto config = parse_json(impl_->config, "config.json");
  const auto names = config.find("id2label");
  std::vector<std::string> out;
  for (size_t i = 0; i < count; ++i) {
    const std::string key = std::to_string(i);
    const bool named =
        names != config.end() && names->is_object() && names->contains(key) && names->at(key).is_string();
    out.push_back(named ? names->at(key).get<std::string>() : "LABEL_" + key);
  }
  return out;
}

void ORTModel::save_pretrained(const fs::path& folder) const {
  StagingFolder staging(folder);
  std::error_code ignored;
  if (fs::equivalent(folder, impl_->folder.path, ignored)) return;
  std::vector<std::string> models;
  for (const auto& file : runtime::files_to_save(impl_->folder)) {
    const std::string name = file.filename().string();
    staging.copy(file, name);
    if (file.extension() == ".onnx") models.push_back(name);
  }
  staging.commit(models);
}

ORTModelForCustomTasks ORTModelForCustomTasks::from_pretrained(std::string_view model,
                                                               const LoadOptions& options) {
  return {model, options, "auto"};
}

ORTModelForFeatureExtraction ORTModelForFeatureExtraction::from_pretrained(std::string_view model,
                                                                           const LoadOptions& options) {
  return {model, options, "feature-extraction"};
}

ORTModelForFeatureExtraction::Output ORTModelForFeatureExtraction::operator()(
    const ModelInputs& inputs) const {
  auto outputs = run(inputs);
  Output out;
  if (outputs.count("sentence_embedding") > 0)
    out.sentence_embedding = runtime::take_output(outputs, "sentence_embedding");
  out.last_hidden_state = runtime::take_output(
      outputs, outputs.count("token_embeddings") > 0 ? "token_embeddings" : "last_hidden_state");
  return out;
}

ORTModelForQuestionAnswering ORTModelForQuestionAnswering::from_pretrained(std::string_view model,
                                                                           const LoadOptions& options) {
  return {model, options, "question-answering"};
}

ORTModelForQuestionAnswering::Output ORTModelForQuestionAnswering::operator()(
    const ModelInputs& inputs) const {
  auto outputs = run(inputs);
  return {runtime::take_output(outputs, "start_logits"), runtime::take_output(outputs, "end_logits")};
}

ORTModelForMaskedLM ORTModelForMaskedLM::from_pretrained(std::string_view model, const LoadOptions& options) {
  return {model, options, "fill-mask"};
}

LogitsOutput ORTModelForMaskedLM::operator()(const ModelInputs& inputs) const {
  auto outputs = run(inputs);
  return {runtime::take_output(outputs, "logits")};
}

ORTModelForSequenceClassification ORTModelForSequenceClassification::from_pretrained(
    std::string_view model, const LoadOptions& options) {
  return {model, options, "text-classification"};
}

LogitsOutput ORTModelForSequenceClassification::operator()(const ModelInputs& inputs) const {
  auto outputs = run(inputs);
  return {runtime::take_output(outputs, "logits")};
}

ORTModelForTokenClassification ORTModelForTokenClassification::from_pretrained(std::string_view model,
                                                                               const LoadOptions& options) {
  return {model, options, "token-classification"};
}

LogitsOutput ORTModelForTokenClassification::operator()(const ModelInputs& inputs) const {
  auto outputs = run(inputs);
  return {runtime::take_output(outputs, "logits")};
}

ORTModelForMultipleChoice ORTModelForMultipleChoice::from_pretrained(std::string_view model,
                                                                     const LoadOptions& options) {
  return {model, options, "multiple-choice"};
}

LogitsOutput ORTModelForMultipleChoice::operator()(const ModelInputs& inputs) const {
  auto outputs = run(inputs);
  return {runtime::take_output(outputs, "logits")};
}

}  // namespace ferry
