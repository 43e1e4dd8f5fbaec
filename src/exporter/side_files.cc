#include "exporter/side_files.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "ferry/tokenizer.h"

namespace ferry::exporter {
namespace {
namespace fs = std::filesystem;

constexpr std::array kCopied = {"generation_config.json",
                                "tokenizer.json",
                                "tokenizer_config.json",
                                "special_tokens_map.json",
                                "added_tokens.json",
                                "vocab.txt",
                                "vocab.json",
                                "merges.txt",
                                "spiece.model",
                                "sentencepiece.bpe.model",
                                "sentencepiece.model",
                                "tokenizer.model",
                                "source.spm",
                                "target.spm",
                                "spm.model",
                                "bpe.codes",
                                "vocab.bpe",
                                "entity_vocab.json",
                                "normalizer.json",
                                "target_vocab.json",
                                "preprocessor_config.json",
                                "processor_config.json",
                                "video_preprocessor_config.json",
                                "chat_template.jinja",
                                "chat_template.json"};

std::string_view hf_name(DType dtype) {
  switch (dtype) {
    case DType::f16:
      return "float16";
    case DType::bf16:
      return "bfloat16";
    default:
      return "float32";
  }
}

// As Optimum writes it: the dtype of the export, without the place that the model came from. transformers.js
// has to be told which models have a file of weights.
std::string exported_config(const ModelSource& source, DType dtype,
                            const std::vector<std::string>& external) {
  nlohmann::ordered_json config = *source.config;
  config.erase("_name_or_path");
  config.erase("torch_dtype");
  config["dtype"] = hf_name(dtype);
  if (source.library == "sentence_transformers") config["export_model_type"] = "transformer";
  if (source.library == "timm" && config.contains("architecture"))
    config["export_model_type"] = config.at("architecture");
  for (const auto& file : external) config["transformers.js_config"]["use_external_data_format"][file] = 1;
  return config.dump(2, ' ', false) + "\n";
}

// Beside the weights, or in the model's root for a subfolder.
fs::path find_file(const ModelSource& source, const std::string& name) {
  for (const fs::path& folder : {source.folder, source.root}) {
    if (ferry::is_regular_file(folder / name)) return folder / name;
  }
  return {};
}

// The files of the list that are there. That of a cross-encoder says what becomes of its score.
std::vector<std::string> copied_files(const ModelSource& source) {
  std::vector<std::string> names;
  for (const char* name : kCopied) {
    if (!find_file(source, name).empty()) names.emplace_back(name);
  }
  if (is_cross_encoder(source.root)) names.emplace_back("config_sentence_transformers.json");
  return names;
}

// What a fast tokenizer is saved as.
constexpr std::array kTokenizerFiles = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"};

bool is_speech_vocabulary(const fs::path& vocab) {
  const fs::path config = vocab.parent_path() / "tokenizer_config.json";
  if (!ferry::is_regular_file(config)) return false;
  const auto json = read_json(config);
  const auto name = json.find("tokenizer_class");
  return name != json.end() && *name == "Wav2Vec2CTCTokenizer";
}

// Where the tokenizer lies that has a vocabulary in an older form and no tokenizer.json; empty if there is
// none such.
fs::path older_tokenizer(const ModelSource& source) {
  if (!find_file(source, "tokenizer.json").empty()) return {};
  for (const char* name :
       {"vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model"}) {
    const fs::path file = find_file(source, name);
    // A vocabulary without merges is that of a speech model: it has no fast form.
    if (file.empty() || (file.filename() == "vocab.json" && is_speech_vocabulary(file))) continue;
    return file.parent_path();
  }
  return {};
}

// As Optimum, which loads the tokenizer as a fast one and saves that.
void stage_converted_tokenizer(const fs::path& folder, StagingFolder& staging,
                               std::vector<std::string>& names, const Log& log) {
  try {
    const Tokenizer tokenizer = AutoTokenizer::from_pretrained(folder);
    for (const char* name : kTokenizerFiles) {
      staging.file(name);
      if (std::find(names.begin(), names.end(), name) == names.end()) names.emplace_back(name);
    }
    tokenizer.save_pretrained(staging.path());
  } catch (const Error& error) {
    log.warning(std::string("no tokenizer.json is written: ") + error.what());
  }
}

}  // namespace

std::vector<std::string> side_file_names(const ModelSource& source) {
  std::vector<std::string> names = copied_files(source);
  names.insert(names.begin(), "config.json");
  if (!older_tokenizer(source).empty()) {
    for (const char* name : kTokenizerFiles) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.emplace_back(name);
    }
  }
  return names;
}

void copy_side_files(const fs::path& folder, StagingFolder& staging) {
  if (ferry::is_regular_file(folder / "config.json")) staging.copy(folder / "config.json", "config.json");
  for (const char* name : kCopied) {
    if (ferry::is_regular_file(folder / name)) staging.copy(folder / name, name);
  }
}

std::vector<std::string> stage_side_files(const ModelSource& source, DType dtype,
                                          const std::vector<std::string>& external, StagingFolder& staging,
                                          const Log& log) {
  std::vector<std::string> names = {"config.json"};
  staging.write("config.json", exported_config(source, dtype, external));
  for (const std::string& name : copied_files(source)) {
    staging.copy(find_file(source, name), name);
    names.push_back(name);
  }
  if (const fs::path folder = older_tokenizer(source); !folder.empty()) {
    stage_converted_tokenizer(folder, staging, names, log);
  }
  return names;
}

}  // namespace ferry::exporter
