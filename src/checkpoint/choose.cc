#include "checkpoint/choose.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "checkpoint/tensor_file.h"

namespace ferry::checkpoint {
namespace {
namespace fs = std::filesystem;

struct StandardName {
  WeightsKind kind;
  bool sharded;
  std::string_view name;
  std::string_view framework;  // Empty: the file's metadata says it.
};

// The order of from_pretrained; TensorFlow's and Flax's follow PyTorch's.
constexpr std::array<StandardName, 9> kStandardNames = {{
    {WeightsKind::safetensors, false, "model.safetensors", ""},
    {WeightsKind::safetensors, true, "model.safetensors.index.json", ""},
    {WeightsKind::pytorch, false, "pytorch_model.bin", "pt"},
    {WeightsKind::pytorch, true, "pytorch_model.bin.index.json", "pt"},
    {WeightsKind::h5, false, "tf_model.h5", "tf"},
    {WeightsKind::h5, true, "tf_model.h5.index.json", "tf"},
    {WeightsKind::flax, false, "flax_model.msgpack", "flax"},
    {WeightsKind::flax, true, "flax_model.msgpack.index.json", "flax"},
    {WeightsKind::tf1, false, "model.ckpt.index", "tf"},
}};

// What a folder may hold instead of weights that ferry reads, and what to do then.
struct Foreign {
  std::string_view suffix;
  std::string_view what;
  std::string_view hint;
};
constexpr std::array<Foreign, 7> kForeign = {{
    {"saved_model.pb", "a TensorFlow SavedModel",
     "a SavedModel has no names that say which weight is which; save the model again with "
     "model.save_pretrained(folder)"},
    {".keras", "a Keras 3 archive",
     "it numbers its weights by position; load it in Keras and save the transformers model with "
     "model.save_pretrained(folder)"},
    {".weights.h5", "Keras 3 weights",
     "they are numbered by position; load them in Keras and save the transformers model with "
     "model.save_pretrained(folder)"},
    {".gguf", "a GGUF file", "export from the original checkpoint that it was made of"},
    {".ot", "a rust-bert file", "export from the PyTorch or safetensors checkpoint that it was made of"},
    {".onnx", "an ONNX model", "it is exported already"},
    {".distcp", "a distributed PyTorch checkpoint",
     "join it with python -m torch.distributed.checkpoint.format_utils dcp_to_torch"},
}};

// Files that Trainer leaves beside the weights.
constexpr std::array<std::string_view, 5> kNotWeights = {"optimizer.pt", "scheduler.pt", "scaler.pt",
                                                         "training_args.bin", "rng_state.pth"};

// from_pretrained's _add_variant: "model.safetensors" -> "model.fp16.safetensors".
std::string with_variant(std::string_view name, const std::string& variant) {
  if (variant.empty()) return std::string(name);
  const size_t dot = name.rfind('.');
  return fmt::format("{}.{}{}", name.substr(0, dot), variant, name.substr(dot));
}

// True if the name is there, whatever it is: a broken link or a device must not lead to the next choice.
bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::symlink_status(path, ignored).type() != fs::file_type::not_found &&
         fs::symlink_status(path, ignored).type() != fs::file_type::none;
}

// Names in the folder, sorted; the first thousand are plenty for a message.
std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end && names.size() < 1000;
       it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Weights under another than the standard names: a TF1 checkpoint is named by whoever saved it, and a single
// .pt, .pth or .ckpt leaves no doubt.
void add_other_names(const fs::path& folder, const std::vector<std::string>& names,
                     const CheckpointOptions& options, std::vector<WeightsChoice>& out) {
  std::vector<std::string> torch_files, tf1_files;
  for (const auto& name : names) {
    if (ends_with(name, ".ckpt.index")) tf1_files.push_back(name);
    const bool is_torch = ends_with(name, ".pt") || ends_with(name, ".pth") || ends_with(name, ".ckpt");
    if (is_torch && std::find(kNotWeights.begin(), kNotWeights.end(), name) == kNotWeights.end() &&
        !starts_with(name, "rng_state"))
      torch_files.push_back(name);
  }
  const auto allowed = [&](std::string_view framework) {
    return options.framework.empty() || options.framework == framework;
  };
  if (torch_files.size() == 1 && allowed("pt"))
    out.push_back({WeightsKind::pytorch, false, folder / torch_files[0]});
  if (tf1_files.size() == 1 && allowed("tf")) out.push_back({WeightsKind::tf1, false, folder / tf1_files[0]});
}

[[noreturn]] void throw_nothing(const fs::path& folder, const std::vector<std::string>& names,
                                const CheckpointOptions& options) {
  const std::string where = printable(folder.string(), 300);
  std::vector<std::string> weights;
  for (const auto& name : names) {
    for (const auto suffix :
         {".safetensors", ".bin", ".h5", ".msgpack", ".ckpt.index", ".pt", ".pth", ".ckpt", ".index.json"}) {
      if (ends_with(name, suffix) &&
          std::find(kNotWeights.begin(), kNotWeights.end(), name) == kNotWeights.end()) {
        weights.push_back(printable(name, 120));
        break;
      }
    }
  }
  for (const Foreign& foreign : kForeign) {
    const auto found = std::find_if(names.begin(), names.end(),
                                    [&](const std::string& name) { return ends_with(name, foreign.suffix); });
    if (found == names.end() || (!weights.empty() && !ends_with(*found, ".weights.h5"))) continue;
    throw Error(ErrorCode::unsupported, fmt::format("{} holds no weights that ferry reads but {}, {}", where,
                                                    foreign.what, printable(*found, 120)))
        .with_hint(std::string(foreign.hint));
  }
  const std::string wanted =
      options.variant.empty() && options.framework.empty()
          ? std::string(
                "model.safetensors, pytorch_model.bin, tf_model.h5, flax_model.msgpack or their shards")
          : fmt::format(
                "weights{}{}",
                options.variant.empty() ? "" : fmt::format(" of the variant \"{}\"", options.variant),
                options.framework.empty() ? "" : fmt::format(" of the framework \"{}\"", options.framework));
  Error error(ErrorCode::not_found, fmt::format("{} holds no {}", where, wanted));
  if (!weights.empty()) error.with_hint(fmt::format("it holds {}", join(weights, ", ", 8)));
  throw error;
}

bool has_magic(std::string_view head, std::string_view magic) {
  return starts_with(head, magic);
}

}  // namespace

std::vector<WeightsChoice> choose_weights(const fs::path& folder, const CheckpointOptions& options) {
  const std::string& framework = options.framework;
  if (!framework.empty() && framework != "pt" && framework != "tf" && framework != "flax") {
    throw Error(ErrorCode::usage,
                fmt::format("unknown framework {}: expected pt, tf or flax", in_quotes(framework)));
  }
  if (!options.variant.empty())
    check_relative_name(options.variant, fmt::format("variant {}", in_quotes(options.variant)));
  std::vector<WeightsChoice> out;
  for (const StandardName& standard : kStandardNames) {
    if (!framework.empty() && !standard.framework.empty() && standard.framework != framework) continue;
    const fs::path path = folder / with_variant(standard.name, options.variant);
    if (is_there(path)) out.push_back({standard.kind, standard.sharded, path});
  }
  if (!out.empty()) return out;
  const std::vector<std::string> names = names_in(folder);
  if (options.variant.empty()) add_other_names(folder, names, options, out);
  if (out.empty()) throw_nothing(folder, names, options);
  return out;
}

bool has_weights(const fs::path& folder) {
  return std::any_of(kStandardNames.begin(), kStandardNames.end(),
                     [&](const StandardName& standard) { return is_there(folder / standard.name); });
}

WeightsChoice choose_file(const fs::path& file) {
  const auto source = file_source(file);
  const auto bytes = source->bytes().first(std::min<size_t>(source->bytes().size(), 16));
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::string name = file.filename().string();
  for (const Foreign& foreign : kForeign) {
    if (!ends_with(name, foreign.suffix)) continue;
    throw Error(ErrorCode::unsupported, fmt::format("{} is {}", printable(file.string(), 300), foreign.what))
        .with_hint(std::string(foreign.hint));
  }
  for (const StandardName& standard : kStandardNames) {
    if (standard.sharded && name == standard.name) return {standard.kind, true, file};
  }
  if (has_magic(head, "\x89HDF\r\n\x1a\n")) return {WeightsKind::h5, false, file};
  if (ends_with(name, ".msgpack")) return {WeightsKind::flax, false, file};
  if (ends_with(name, ".ckpt.index")) return {WeightsKind::tf1, false, file};
  if (ends_with(name, ".safetensors")) return {WeightsKind::safetensors, false, file};
  if (has_magic(head, "PK") || has_magic(head, "\x80")) return {WeightsKind::pytorch, false, file};
  if (head.size() > 8 && head[8] == '{') return {WeightsKind::safetensors, false, file};
  throw Error(ErrorCode::unsupported,
              fmt::format("{} is not a file of weights that ferry knows", printable(file.string(), 300)))
      .with_hint("it reads safetensors, PyTorch, TensorFlow .h5, Flax .msgpack and TensorFlow 1 checkpoints");
}

bool fits_framework(std::string_view format, std::string_view framework) {
  if (framework.empty()) return true;
  if (starts_with(format, "tf")) return framework == "tf";
  if (starts_with(format, "flax")) return framework == "flax";
  return framework == "pt";
}

}  // namespace ferry::checkpoint
