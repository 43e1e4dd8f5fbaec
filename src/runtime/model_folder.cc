#include "runtime/model_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "exporter/variants.h"
#include "ferry/export.h"
#include "hub/hub.h"
#include "models/registry.h"
#include "runtime/model_impl.h"

namespace ferry::runtime {
namespace {
namespace fs = std::filesystem;

const Log& log_of(const LoadOptions& options) {
  static const Log silent;
  return options.log != nullptr ? *options.log : silent;
}

std::string suffix_of(const LoadOptions& options) {
  return options.dtype.empty() ? "" : exporter::dtype_suffix(options.dtype);
}

// The names that Optimum gives, now and in older versions.
std::vector<std::string> standard_names(std::string_view task) {
  if (starts_with(task, "text-generation"))
    return {"model.onnx", "decoder_model_merged.onnx", "decoder_model.onnx"};
  for (const std::string_view with_encoder :
       {"text2text-generation", "automatic-speech-recognition-with-past", "image-to-text"}) {
    if (starts_with(task, with_encoder)) return {"encoder_model.onnx"};
  }
  return {"model.onnx"};
}

// Empty if the folder has no model.
fs::path choose_model(const fs::path& folder, const LoadOptions& options, std::string_view task) {
  if (!options.file_name.empty()) {
    check_relative_name(options.file_name, "file_name");
    if (ferry::is_regular_file(folder / options.file_name)) return folder / options.file_name;
    throw Error(ErrorCode::not_found, fmt::format("there is no {} in {}", printable(options.file_name),
                                                  printable(folder.string())));
  }
  const std::string suffix = suffix_of(options);
  for (const auto& plain : standard_names(task)) {
    const fs::path file = folder / exporter::with_suffix(plain, suffix);
    if (ferry::is_regular_file(file)) return file;
  }
  if (!suffix.empty()) return {};
  const auto files = files_with_extension(folder, ".onnx");
  if (files.empty()) return {};
  if (files.size() > 1) {
    std::vector<std::string> names;
    for (const auto& file : files) names.push_back(file.filename().string());
    throw Error(ErrorCode::usage,
                fmt::format("{} holds several models: {}", printable(folder.string()), join(names)))
        .with_hint("choose one with file_name");
  }
  return files.front();
}

hub::HubOptions hub_options(const LoadOptions& options) {
  auto out = hub::HubOptions::from_environment(
      options.environment ? options.environment : [](const char*) -> const char* { return nullptr; });
  if (!options.cache_dir.empty()) out.cache_dir = options.cache_dir;
  if (!options.token.empty()) out.token = hub::clean_token(options.token);
  if (options.local_files_only) out.offline = true;
  out.log = log_of(options);
  return out;
}

// The .onnx files of a repository, their data, and the small files beside them; of several precisions the one
// that is asked for.
std::vector<std::string> runtime_files(const std::vector<hub::RepoSibling>& siblings,
                                       const std::string& suffix) {
  const auto has_suffix = [&](const std::string& name) {
    return exporter::suffix_in(name.substr(0, name.rfind(".onnx"))) == suffix;
  };
  const bool there = std::any_of(siblings.begin(), siblings.end(), [&](const hub::RepoSibling& sibling) {
    return ends_with(sibling.rfilename, ".onnx") && has_suffix(sibling.rfilename);
  });
  std::vector<std::string> out;
  for (const auto& sibling : siblings) {
    const std::string& name = sibling.rfilename;
    const bool model =
        (ends_with(name, ".onnx") || ends_with(name, ".onnx_data")) && (!there || has_suffix(name));
    const bool small = ends_with(name, ".json") || ends_with(name, ".txt") || ends_with(name, ".model") ||
                       ends_with(name, ".jinja");
    if (model || small) out.push_back(name);
  }
  return out;
}

fs::path locate(const std::string& model, const LoadOptions& options) {
  std::error_code ignored;
  if (fs::is_directory(model, ignored)) return model;
  if (fs::exists(model, ignored) || starts_with(model, "/") || starts_with(model, ".") ||
      ends_with(model, "/")) {
    throw Error(ErrorCode::not_found, fmt::format("there is no model folder {}", printable(model)));
  }
  const auto id = hub::parse_model_id(model, options.revision);
  return hub::Hub(hub_options(options))
      .snapshot_download(id.repo_id, id.revision, [&](const std::vector<hub::RepoSibling>& siblings) {
        return runtime_files(siblings, suffix_of(options));
      });
}

ModelFolder export_to_temporary(const std::string& model, const LoadOptions& options, std::string_view task) {
  std::string pattern = (fs::temp_directory_path() / "ferry-model-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr)
    throw Error(ErrorCode::io, "cannot make a temporary folder for the exported model");
  const fs::path folder = pattern;
  std::shared_ptr<const void> remover(nullptr, [folder](const void*) {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  });
  MainExportOptions exporting;
  exporting.model = model;
  exporting.output = folder;
  exporting.task = options.task.empty() ? std::string(task) : options.task;
  exporting.cache_if_any = options.task.empty();
  exporting.subfolder = options.subfolder;
  exporting.revision = options.revision;
  exporting.cache_dir = options.cache_dir;
  exporting.token = options.token;
  exporting.offline = options.local_files_only;
  exporting.environment = options.environment;
  if (!options.dtype.empty()) exporting.dtypes = {options.dtype};
  exporting.validate = false;  // As Optimum's classes; main_export proves an export that is kept.
  exporting.onnxruntime = options.onnxruntime;
  exporting.log = options.log;
  main_export(exporting);
  LoadOptions made;
  made.dtype = options.dtype;
  return {folder, choose_model(exporter::models_folder(exporting), made, task), std::move(remover),
          suffix_of(options)};
}

bool holds_models(const fs::path& folder) {
  return !files_with_extension(folder, ".onnx").empty() ||
         !files_with_extension(folder / "onnx", ".onnx").empty();
}

}  // namespace

fs::path ModelFolder::beside(const std::string& name) const {
  return model.parent_path() / exporter::with_suffix(name, suffix);
}

ModelFolder open_model_folder(const std::string& model, const LoadOptions& options, std::string_view task) {
  if (options.export_model) return export_to_temporary(model, options, task);
  const fs::path root = locate(model, options);
  fs::path folder = root;
  if (!options.subfolder.empty()) {
    check_relative_name(options.subfolder, "subfolder");
    folder /= options.subfolder;
  }
  fs::path file = choose_model(folder, options, task);
  // transformers.js repositories keep their graphs in onnx/.
  if (file.empty() && options.subfolder.empty()) file = choose_model(root / "onnx", options, task);
  if (!file.empty()) return {folder, std::move(file), nullptr, suffix_of(options)};
  if (!options.dtype.empty() && holds_models(folder)) {
    throw Error(ErrorCode::not_found, fmt::format("{} holds no model of dtype {}, but others",
                                                  printable(folder.string()), options.dtype))
        .with_hint("`ferry export onnx --dtypes` makes several");
  }
  if (!ferry::is_regular_file(folder / "config.json")) {
    throw Error(ErrorCode::not_found,
                fmt::format("{} holds neither an ONNX model nor a checkpoint", printable(folder.string())));
  }
  log_of(options).warning(fmt::format(
      "No ONNX files were found for {}, setting export_model = true to convert the model to ONNX.",
      printable(model)));
  return export_to_temporary(model, options, task);
}

bool is_encoder_decoder(const std::string& model, const LoadOptions& options, std::string_view task) {
  const fs::path root = locate(model, options);
  if (!options.subfolder.empty()) check_relative_name(options.subfolder, "subfolder");
  const fs::path folder = root / options.subfolder;
  for (const fs::path& place : {folder, options.subfolder.empty() ? root / "onnx" : folder}) {
    const auto graphs = files_with_extension(place, ".onnx");
    if (options.export_model || graphs.empty()) continue;
    return std::any_of(graphs.begin(), graphs.end(), [](const fs::path& file) {
      return starts_with(file.filename().string(), "encoder_model");  // Or with a dtype's ending.
    });
  }
  const auto config = nlohmann::ordered_json::parse(read_config(folder), nullptr, false);
  const auto type = config.find("model_type");
  if (type == config.end() || !type->is_string()) return false;  // Opening it says what is wrong.
  const auto registry = models::Registry::builtin();
  const nn::TaskEntry* entry = registry.get(type->get<std::string>()).find_task(task);
  return entry != nullptr && entry->merges_decoders;
}

std::vector<fs::path> files_to_save(const ModelFolder& folder) {
  std::vector<fs::path> models = {folder.model};
  // An encoder has its decoders beside it.
  if (folder.model == folder.beside("encoder_model.onnx")) {
    for (const char* name :
         {"decoder_model.onnx", "decoder_with_past_model.onnx", "decoder_model_merged.onnx"}) {
      if (ferry::is_regular_file(folder.beside(name))) models.push_back(folder.beside(name));
    }
  }
  std::vector<fs::path> out;
  for (const auto& model : models) {
    out.push_back(model);
    const fs::path data = model.string() + "_data";
    if (ferry::is_regular_file(data)) out.push_back(data);
  }
  std::error_code ignored;
  std::vector<fs::path> small;
  for (const auto& entry : fs::directory_iterator(folder.path, ignored)) {
    const std::string extension = entry.path().extension().string();
    const bool wanted =
        extension == ".json" || extension == ".txt" || extension == ".model" || extension == ".jinja";
    if (wanted && ferry::is_regular_file(entry.path())) small.push_back(entry.path());
  }
  std::sort(small.begin(), small.end());
  out.insert(out.end(), small.begin(), small.end());
  return out;
}

}  // namespace ferry::runtime
