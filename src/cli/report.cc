#include "cli/report.h"

#include <nlohmann/json.hpp>
#include <string>

namespace ferry::cli {
namespace {

using Json = nlohmann::ordered_json;

Json validation_json(const FileReport& file) {
  Json outputs = Json::array();
  for (const OutputValidation& output : file.validation) {
    outputs.push_back({{"name", output.name},
                       {"shape", output.shape},
                       {"max_difference", output.max_difference},
                       {"within_tolerance", output.within_tolerance}});
    if (output.cosine) outputs.back()["cosine"] = *output.cosine;
  }
  return outputs;
}

Json values_json(const std::vector<InputOutput>& values) {
  Json out = Json::array();
  for (const InputOutput& value : values) {
    out.push_back({{"name", value.name}, {"dtype", value.dtype}, {"axes", value.axes}});
  }
  return out;
}

}  // namespace

Json to_json(const ExportReport& report, const std::filesystem::path& output) {
  Json files = Json::array();
  for (const FileReport& file : report.files) {
    files.push_back({{"file", file.file},
                     {"bytes", file.bytes},
                     {"external_bytes", file.external_bytes},
                     {"nodes", file.nodes},
                     {"initializers", file.initializers},
                     {"validation", validation_json(file)}});
    if (!file.dtype.empty()) files.back()["dtype"] = file.dtype;
  }
  return {{"output", output.string()}, {"model_type", report.model_type}, {"task", report.task},
          {"library", report.library}, {"opset", report.opset},           {"atol", report.atol},
          {"files", std::move(files)}, {"copied", report.copied},         {"seconds", report.seconds}};
}

Json to_json(const ModelInfo& info) {
  Json weight_files = Json::array();
  for (const auto& file : info.weight_files) weight_files.push_back(file.string());
  Json files = Json::array();
  for (const InspectedFile& file : info.files) {
    files.push_back(
        {{"file", file.file}, {"inputs", values_json(file.inputs)}, {"outputs", values_json(file.outputs)}});
  }
  return {{"model_type", info.model_type},
          {"library", info.library},
          {"task", info.task},
          {"tasks", info.tasks},
          {"format", info.format},
          {"parameters", info.parameters},
          {"parameters_by_dtype", info.parameters_by_dtype},
          {"weight_files", std::move(weight_files)},
          {"files", std::move(files)}};
}

Json to_json(const Error& error) {
  return {{"error",
           {{"code", std::string(to_string(error.code()))},
            {"message", error.message()},
            {"contexts", error.contexts()},
            {"hint", error.hint()}}}};
}

}  // namespace ferry::cli
