#include "hub/export_files.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

namespace ferry::hub {
namespace {

using Names = std::set<std::string>;  // The files of one folder, without the folder's name.

// Configuration, tokenizers and processors, as shell patterns over the name without its folder.
constexpr std::array kSmallFiles = {"config.json",
                                    "generation_config.json",
                                    "tokenizer*",
                                    "vocab*",
                                    "merges.txt",
                                    "special_tokens_map.json",
                                    "added_tokens.json",
                                    "*.model",
                                    "*.spm",
                                    "*.tiktoken",
                                    "tekken.json",
                                    "bpe.codes",
                                    "normalizer.json",
                                    "emoji.json",
                                    "entity_vocab.json",
                                    "prophetnet.tokenizer",
                                    "preprocessor_config.json",
                                    "processor_config.json",
                                    "video_preprocessor_config.json",
                                    "chat_template*",
                                    "modules.json",
                                    "config_sentence_transformers.json",
                                    "sentence_*_config.json",
                                    "adapter_config.json",
                                    "quantize_config.json"};

// One way in which weights are stored: a file, or an index and its shards.
struct Weights {
  std::string_view stem;       // "model"
  std::string_view extension;  // "safetensors"
};
constexpr Weights kSafetensors{"model", "safetensors"};
constexpr Weights kBin{"pytorch_model", "bin"};
constexpr Weights kH5{"tf_model", "h5"};
constexpr Weights kFlax{"flax_model", "msgpack"};
constexpr std::array kAdapters = {Weights{"adapter_model", "safetensors"}, Weights{"adapter_model", "bin"}};

bool is_small(const std::string& name) {
  if (ends_with(name, ".py") || ends_with(name, ".safetensors") || ends_with(name, ".bin"))
    return name == "vocab.bin";
  return std::any_of(kSmallFiles.begin(), kSmallFiles.end(),
                     [&](const char* pattern) { return ::fnmatch(pattern, name.c_str(), 0) == 0; });
}

// "1_Pooling", "0_Transformer": a module of Sentence Transformers.
bool is_module_folder(std::string_view folder) {
  const size_t digits = folder.find_first_not_of("0123456789");
  return digits != 0 && digits != std::string_view::npos && folder[digits] == '_' &&
         folder.find('/') == std::string_view::npos;
}

// The number of shards in "model-00001-of-00005.safetensors" (prefix "model", suffix ".safetensors"); 0 for
// another name.
size_t shard_count(std::string_view name, std::string_view prefix, std::string_view suffix) {
  constexpr std::string_view kShape = "-#####-of-#####";
  if (name.size() != prefix.size() + kShape.size() + suffix.size()) return 0;
  if (!starts_with(name, prefix) || !ends_with(name, suffix)) return 0;
  const std::string_view middle = name.substr(prefix.size(), kShape.size());
  size_t count = 0;
  for (size_t i = 0; i < kShape.size(); ++i) {
    const bool digit = middle[i] >= '0' && middle[i] <= '9';
    if (kShape[i] == '#' ? !digit : middle[i] != kShape[i]) return 0;
    if (i >= 10) count = 10 * count + static_cast<size_t>(middle[i] - '0');
  }
  return count;
}

std::vector<std::string> shards(const Names& names, const std::string& prefix, const std::string& suffix) {
  std::vector<std::string> out;
  size_t count = 0;
  for (const auto& name : names) count = std::max(count, shard_count(name, prefix, suffix));
  if (count > 10'000) return out;  // Nobody's; the index will say what there is.
  for (size_t i = 1; i <= count; ++i)
    out.push_back(fmt::format("{}-{:05}-of-{:05}{}", prefix, i, count, suffix));
  return out;
}

// The files of `weights` among `names`; empty if they are not stored that way.
std::vector<std::string> find(const Names& names, const Weights& weights, const std::string& variant) {
  const std::string dot = variant.empty() ? "" : "." + variant;
  const std::string single = fmt::format("{}{}.{}", weights.stem, dot, weights.extension);
  if (names.count(single) > 0) return {single};
  const std::string index = fmt::format("{}.{}.index{}.json", weights.stem, weights.extension, dot);
  if (names.count(index) == 0) return {};
  // Shards of a variant were once named model-00001-of-00002.fp16.safetensors.
  auto files = shards(names, std::string(weights.stem) + dot, fmt::format(".{}", weights.extension));
  if (files.empty())
    files = shards(names, std::string(weights.stem), fmt::format("{}.{}", dot, weights.extension));
  files.push_back(index);
  return files;
}

// A TensorFlow 1 checkpoint: <stem>.ckpt.index and <stem>.ckpt.data-00000-of-00001.
std::vector<std::string> find_tf1(const Names& names) {
  std::vector<std::string> out;
  for (const auto& name : names) {
    const bool is_part = ends_with(name, ".ckpt.index") || name.find(".ckpt.data-") != std::string::npos;
    if (is_part) out.push_back(name);
  }
  return out;
}

std::vector<std::string> find_weights(const Names& names, const ExportFilesOptions& options) {
  std::vector<Weights> order{kSafetensors, kBin, kH5, kFlax};
  if (options.framework == "tf") order = {kH5, kSafetensors, kBin, kFlax};
  for (const Weights& weights : order) {
    if (auto files = find(names, weights, options.variant); !files.empty()) return files;
  }
  return options.variant.empty() ? find_tf1(names) : std::vector<std::string>{};
}

std::vector<std::string> find_adapter(const Names& names) {
  if (names.count("adapter_config.json") == 0) return {};
  for (const Weights& weights : kAdapters) {
    if (auto files = find(names, weights, ""); !files.empty()) return files;
  }
  return {};
}

std::map<std::string, Names> by_folder(const std::vector<RepoSibling>& siblings) {
  std::map<std::string, Names> folders;
  for (const auto& sibling : siblings) {
    const size_t slash = sibling.rfilename.rfind('/');
    const std::string folder = slash == std::string::npos ? "" : sibling.rfilename.substr(0, slash);
    folders[folder].insert(sibling.rfilename.substr(slash == std::string::npos ? 0 : slash + 1));
  }
  return folders;
}

[[noreturn]] void throw_no_weights(const Names& names, const ExportFilesOptions& options) {
  std::vector<std::string> others;
  for (const auto& name : names) {
    for (const char* extension :
         {".safetensors", ".bin", ".h5", ".msgpack", ".gguf", ".onnx", ".pt", ".pth", ".ckpt", ".keras"}) {
      if (ends_with(name, extension)) others.push_back(printable(name, 80));
    }
  }
  std::string message = "no weights";
  if (!options.variant.empty()) message += fmt::format(" of the variant {}", printable(options.variant, 40));
  if (!options.subfolder.empty()) message += fmt::format(" in {}", printable(options.subfolder, 80));
  Error error(ErrorCode::not_found,
              message +
                  ": neither safetensors nor PyTorch, TensorFlow or Flax weights by the names "
                  "that from_pretrained looks for");
  if (!others.empty()) error.with_hint("found " + join(others, ", ", 5));
  throw error;
}

}  // namespace

std::vector<std::string> export_files(const std::vector<RepoSibling>& siblings,
                                      const ExportFilesOptions& options) {
  if (!options.framework.empty() && options.framework != "pt" && options.framework != "tf") {
    throw Error(ErrorCode::usage, fmt::format("no such framework: {}", printable(options.framework, 40)))
        .with_hint("pt or tf");
  }
  std::string subfolder = options.subfolder;
  while (ends_with(subfolder, "/")) subfolder.pop_back();
  const auto folders = by_folder(siblings);
  std::vector<std::string> out;
  const auto add = [&](const std::string& folder, const std::string& name) {
    out.push_back(folder.empty() ? name : folder + "/" + name);
  };
  for (const auto& [folder, names] : folders) {
    const bool is_module = is_module_folder(folder);
    const bool wanted =
        folder.empty() || folder == subfolder || is_module || folder == "additional_chat_templates";
    if (!wanted) continue;
    for (const auto& name : names) {
      if (is_small(name) || (folder == "additional_chat_templates" && ends_with(name, ".jinja")))
        add(folder, name);
    }
    if (!is_module) continue;
    for (const auto& name : find_weights(names, {options.framework, "", ""})) add(folder, name);
  }
  const auto main = folders.find(subfolder);
  const Names names = main == folders.end() ? Names{} : main->second;
  const auto weights = find_weights(names, options);
  const auto adapter = find_adapter(names);
  for (const auto& name : weights) add(subfolder, name);
  for (const auto& name : adapter) add(subfolder, name);
  // The oldest Sentence Transformers keep the model itself in 0_Transformer.
  const bool in_module = std::any_of(folders.begin(), folders.end(), [&](const auto& folder) {
    return starts_with(folder.first, "0_") && is_module_folder(folder.first) &&
           !find_weights(folder.second, {}).empty();
  });
  if (weights.empty() && adapter.empty() && !(in_module && subfolder.empty()))
    throw_no_weights(names, options);
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> index_shards(const std::filesystem::path& folder, std::string_view file) {
  const auto json = with_context(printable(file), [&] { return read_json(folder / file); });
  const auto map = json.find("weight_map");
  if (!json.is_object() || map == json.end() || !map->is_object()) {
    throw Error(ErrorCode::invalid_file, fmt::format("{} has no \"weight_map\"", printable(file)));
  }
  const size_t slash = file.rfind('/');
  const std::string prefix(slash == std::string_view::npos ? "" : file.substr(0, slash + 1));
  std::set<std::string> out;
  for (const auto& shard : *map) {
    if (!shard.is_string())
      throw Error(ErrorCode::invalid_file, fmt::format("{}: a shard's name is not text", printable(file)));
    const auto& name = shard.get_ref<const std::string&>();
    if (out.count(prefix + name) > 0) continue;
    check_relative_name(name, printable(file));
    out.insert(prefix + name);
  }
  return {out.begin(), out.end()};
}

bool is_weights_index(std::string_view file) {
  return ends_with(file, ".json") && file.find(".index.") != std::string_view::npos;
}

bool matches_any(const std::string& name, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [&](std::string pattern) {
    if (ends_with(pattern, "/")) pattern += "*";
    return ::fnmatch(pattern.c_str(), name.c_str(), FNM_NOESCAPE) == 0;
  });
}

}  // namespace ferry::hub
