#include "exporter/model_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "checkpoint/checkpoint.h"
#include "hub/hub.h"
#include "nn/task.h"

namespace ferry::exporter {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// Optimum's name for all that timm has.
constexpr const char* kTimmModelType = "default-timm-config";

bool looks_like_a_path(const std::string& model) {
  return starts_with(model, "/") || starts_with(model, "./") || starts_with(model, "../") ||
         ends_with(model, "/") || std::count(model.begin(), model.end(), '/') > 1;
}

fs::path find_folder(const MainExportOptions& options, const Log& log) {
  if (options.model.empty()) throw Error(ErrorCode::usage, "no model is given");
  std::error_code ignored;
  const fs::path local(options.model);
  if (fs::is_directory(local, ignored)) return local;
  if (fs::exists(local, ignored)) {
    throw Error(ErrorCode::not_found, fmt::format("the model {} is not a folder", printable(options.model)));
  }
  if (looks_like_a_path(options.model)) {
    throw Error(ErrorCode::not_found, fmt::format("there is no model folder {}", printable(options.model)));
  }
  hub::HubOptions hub_options = hub::HubOptions::from_environment(
      options.environment ? options.environment : [](const char*) -> const char* { return nullptr; });
  if (!options.cache_dir.empty()) hub_options.cache_dir = options.cache_dir;
  if (!options.token.empty()) hub_options.token = hub::clean_token(options.token);
  if (options.offline) hub_options.offline = true;
  hub_options.log = log;
  const hub::ModelId id = hub::parse_model_id(options.model, options.revision);
  hub::ExportFilesOptions files;
  files.framework = options.framework;
  files.variant = options.variant == "default" ? "" : options.variant;
  files.subfolder = options.subfolder;
  return hub::Hub(std::move(hub_options)).download_for_export(id.repo_id, id.revision, files);
}

Json read_config(const fs::path& folder) {
  if (!ferry::is_regular_file(folder / "config.json")) {
    Error error(ErrorCode::not_found,
                fmt::format("there is no config.json in {}", printable(folder.string())));
    if (ferry::is_regular_file(folder / "adapter_config.json")) {
      error.with_hint("this is an adapter: export its base model with --adapter and this folder");
    } else if (ferry::is_regular_file(folder / "saved_model.pb")) {
      error.with_hint("this is a TensorFlow SavedModel: save it with save_pretrained() first");
    }
    throw error;
  }
  Json config = read_json(folder / "config.json", {.max_bytes = 16u << 20});
  if (!config.is_object())
    throw Error(ErrorCode::invalid_config, (folder / "config.json").string() + ": not a JSON object");
  return config;
}

std::string string_of(const Json& config, const char* key, const fs::path& file) {
  const auto found = config.find(key);
  if (found == config.end()) return {};
  if (!found->is_string())
    throw Error(ErrorCode::invalid_config,
                fmt::format("{}: \"{}\" is not a string", printable(file.string()), key));
  return found->get<std::string>();
}

bool is_sentence_transformers(const fs::path& folder) {
  if (is_cross_encoder(folder)) return false;
  if (ferry::is_regular_file(folder / "config_sentence_transformers.json") ||
      ferry::is_regular_file(folder / "modules.json"))
    return true;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (starts_with(entry.path().filename().string(), "sentence_")) return true;
  }
  return false;
}

std::string infer_library(const fs::path& root, const MainExportOptions& options) {
  if (!options.library.empty()) {
    if (options.library != "transformers" && options.library != "sentence_transformers" &&
        options.library != "timm") {
      throw Error(ErrorCode::unsupported,
                  fmt::format("the library \"{}\" is not supported", printable(options.library)))
          .with_hint("supported: transformers, sentence_transformers, timm");
    }
    return options.library;
  }
  if (ferry::is_regular_file(root / "model_index.json")) {
    throw Error(ErrorCode::unsupported,
                fmt::format("{} is a diffusers pipeline (model_index.json), which is not supported yet",
                            printable(root.string())));
  }
  return is_sentence_transformers(root) ? "sentence_transformers" : "transformers";
}

// The module's class without its package: both "sentence_transformers.models.Pooling" and
// "...models.pooling.Pooling".
std::string class_name(const Json& module, const fs::path& file) {
  const auto type = module.is_object() ? module.find("type") : module.end();
  if (!module.is_object() || type == module.end() || !type->is_string()) {
    throw Error(ErrorCode::invalid_config,
                fmt::format("{}: a module without a \"type\"", printable(file.string())));
  }
  const auto text = type->get<std::string>();
  return text.substr(text.rfind('.') + 1);
}

fs::path module_folder(const Json& module, const fs::path& root, const fs::path& file) {
  const auto found = module.find("path");
  const std::string name = found != module.end() && found->is_string() ? found->get<std::string>() : "";
  if (name.empty()) return root;
  check_relative_name(name, file.string());
  return root / name;
}

void read_modules(ModelSource& source) {
  const fs::path file = source.root / "modules.json";
  if (!ferry::is_regular_file(file)) {
    source.modules.push_back(models::read_sentence_module("Pooling", Json::object(), "the default Pooling"));
    return;
  }
  const Json modules = read_json(file, {.max_bytes = 1u << 20});
  if (!modules.is_array() || modules.empty())
    throw Error(ErrorCode::invalid_config,
                fmt::format("{}: not a list of modules", printable(file.string())));
  if (class_name(modules[0], file) != "Transformer") {
    throw Error(ErrorCode::unsupported,
                fmt::format("{}: the first module is \"{}\", only Transformer is implemented",
                            printable(file.string()), printable(class_name(modules[0], file))));
  }
  source.folder = module_folder(modules[0], source.root, file);
  for (size_t i = 1; i < modules.size(); ++i) {
    const std::string type = class_name(modules[i], file);
    if (type == "Dropout") continue;
    const fs::path folder = module_folder(modules[i], source.root, file);
    const bool has_config = ferry::is_regular_file(folder / "config.json") && folder != source.root;
    const Json config =
        has_config ? read_json(folder / "config.json", {.max_bytes = 1u << 20}) : Json::object();
    auto module = models::read_sentence_module(type, config, (folder / "config.json").string());
    const bool has_weights = std::holds_alternative<models::Dense>(module.kind) ||
                             std::holds_alternative<models::SentenceLayerNorm>(module.kind);
    if (has_weights) module.state = open_checkpoint(folder).state;
    source.modules.push_back(std::move(module));
  }
}

// "TFBertForMaskedLM" and "FlaxBertForMaskedLM" are BertForMaskedLM.
std::string pytorch_class(std::string name) {
  for (const std::string_view prefix : {"TF", "Flax"}) {
    if (starts_with(name, prefix)) return name.substr(prefix.size());
  }
  return name;
}

// Whether the model's configuration lets it have a task of its architecture.
bool is_available(const ModelSource& source, const nn::Architecture& architecture,
                  const nn::TaskEntry& task) {
  if (!task.unavailable) return true;
  nn::ConfigReader reader(*source.config, printable((source.folder / "config.json").string()));
  return !task.unavailable(architecture.read_config(reader));
}

std::string task_of_class(const ModelSource& source, const nn::Architecture& architecture, bool past) {
  const bool has_body = architecture.find_task("feature-extraction") != nullptr;
  const std::string other = has_body ? "feature-extraction" : architecture.tasks.front().task;
  const auto names = source.config->find("architectures");
  if (names == source.config->end() || !names->is_array() || names->empty() || !names->front().is_string())
    return other;
  const std::string wanted = pytorch_class(names->front().get<std::string>());
  for (const auto& entry : architecture.tasks) {
    if (entry.hf_class != wanted) continue;
    const nn::TaskEntry* with_past = architecture.find_task(entry.task + std::string(kWithPast));
    return past && with_past != nullptr && is_available(source, architecture, *with_past) ? with_past->task
                                                                                          : entry.task;
  }
  return other;
}

}  // namespace

bool is_cross_encoder(const fs::path& folder) {
  const fs::path file = folder / "config_sentence_transformers.json";
  if (!ferry::is_regular_file(file)) return false;
  const Json config = read_json(file, {.max_bytes = 1u << 20});
  const auto type = config.find("model_type");
  if (type == config.end() || *type != "CrossEncoder") return false;
  const fs::path modules = folder / "modules.json";
  return !ferry::is_regular_file(modules) || read_json(modules, {.max_bytes = 1u << 20}).size() == 1;
}

ModelSource open_source(const MainExportOptions& options, const Log& log) {
  ModelSource source;
  source.root = find_folder(options, log);
  source.library = infer_library(source.root, options);
  source.folder = source.root;
  if (!options.subfolder.empty()) {
    check_relative_name(options.subfolder, "--subfolder");
    source.folder = source.root / options.subfolder;
  }
  if (source.library == "sentence_transformers") read_modules(source);
  Json config = read_config(source.folder);
  source.model_type = string_of(config, "model_type", source.folder / "config.json");
  const bool of_timm = config.contains("pretrained_cfg") || config.contains("architecture");
  if (options.library.empty() && source.model_type.empty() && of_timm) source.library = "timm";
  if (source.library == "timm") source.model_type = kTimmModelType;
  if (source.model_type.empty()) {
    throw Error(ErrorCode::invalid_config, fmt::format("{}: \"model_type\" is missing",
                                                       printable((source.folder / "config.json").string())))
        .with_hint("it names the architecture: \"bert\", \"distilbert\", ...");
  }
  source.config = std::make_shared<const Json>(std::move(config));
  return source;
}

std::string select_task(const MainExportOptions& options, const ModelSource& source,
                        const nn::Architecture& architecture, const Log& log) {
  const std::string& asked = options.task;
  std::vector<std::string> known = architecture.task_names();
  if (source.library == "sentence_transformers") known = {"feature-extraction"};
  if (asked == "auto") {
    const std::string task = source.library == "sentence_transformers"
                                 ? "feature-extraction"
                                 : task_of_class(source, architecture, !options.monolith);
    const auto synonyms = task_synonyms(task);
    log.info(
        fmt::format("Automatic task detection to {}{}.", task,
                    synonyms.empty() ? "" : fmt::format(" (possible synonyms are: {})", join(synonyms))));
    return task;
  }
  std::string task = canonical_task(asked);
  if (options.monolith && ends_with(task, kWithPast)) {
    const std::string plain = task.substr(0, task.size() - kWithPast.size());
    throw Error(ErrorCode::usage,
                fmt::format("The task {} is not compatible with the --monolith argument", printable(task)))
        .with_hint(fmt::format("`--task {} --monolith`, or `--task {}` without it", plain, task));
  }
  if (std::find(known.begin(), known.end(), task) != known.end()) {
    if (options.cache_if_any && ends_with(task, kWithPast) &&
        !is_available(source, architecture, *architecture.find_task(task)))
      return task.substr(0, task.size() - kWithPast.size());
    const std::string with_past = task + std::string(kWithPast);
    if (std::find(known.begin(), known.end(), with_past) != known.end() &&
        is_available(source, architecture, *architecture.find_task(with_past))) {
      log.info(
          fmt::format("The task `{}` was manually specified, and past key values will not be reused in the "
                      "decoding. if needed, please pass "
                      "`--task {}` to export using the past key values.",
                      asked, with_past));
    }
    return task;
  }
  std::sort(known.begin(), known.end());
  Error error(
      ErrorCode::unsupported,
      fmt::format(
          "Asked to export a {} model for the task {}, but ferry only supports the tasks {} for {}",
          source.model_type, printable(asked), join(known, ", ", 100),
          source.library == "sentence_transformers" ? "sentence-transformers folders" : source.model_type));
  if (source.library == "sentence_transformers")
    error.with_hint("--library-name transformers exports the transformer alone");
  throw error;
}

}  // namespace ferry::exporter
