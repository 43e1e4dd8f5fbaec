#include "checkpoint/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "checkpoint/choose.h"
#include "checkpoint/flax_msgpack.h"
#include "checkpoint/keras_h5.h"
#include "checkpoint/lora.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/shard_index.h"
#include "checkpoint/tf1_checkpoint.h"
#include "checkpoint/tf_names.h"
#include "checkpoint/torch_file.h"

namespace ferry {
namespace {
namespace fs = std::filesystem;
using namespace checkpoint;

TensorFile read_one(WeightsKind kind, const fs::path& path) {
  switch (kind) {
    case WeightsKind::safetensors:
      return read_safetensors(file_source(path), path.string());
    case WeightsKind::h5:
      return read_keras_h5(file_source(path), path.string());
    case WeightsKind::pytorch:
      return read_torch(file_source(path), path.string());
    case WeightsKind::flax:
      return read_flax(file_source(path), path.string());
    case WeightsKind::tf1:
      return read_tf1(path);
  }
  check_internal(false, "a kind of weights without a reader");
  return {};
}

// Opens what the choice names and brings it under PyTorch's names.
Checkpoint read_choice(const WeightsChoice& choice) {
  Checkpoint out;
  TensorFile file;
  const auto read = [&](const fs::path& path) { return read_one(choice.kind, path); };
  if (choice.sharded) {
    Shards shards = read_shards(choice.path, read);
    file = std::move(shards.file);
    for (const auto& path : shards.paths) out.files.push_back({path, file.format});
    out.state.origin = fmt::format("{} ({} files)", choice.path.string(), out.files.size());
  } else {
    file = read(choice.path);
    out.files.push_back({choice.path, file.format});
    out.state.origin = choice.path.string();
  }
  out.format = file.format;
  out.foreign = !fits_framework(file.format, "pt");
  out.state.tensors =
      out.foreign ? to_torch_names(file, read_model_facts(choice.path.parent_path()), choice.path.string())
                  : std::move(file.tensors);
  out.metadata = std::move(file.metadata);
  out.warnings = std::move(file.warnings);
  return out;
}

// The weights of a folder or file, without adapters.
Checkpoint read_weights(const fs::path& where, const CheckpointOptions& options) {
  std::error_code ignored;
  if (!fs::exists(where, ignored))
    throw Error(ErrorCode::not_found, fmt::format("there is no {}", printable(where.string(), 300)));
  const std::vector<WeightsChoice> choices = fs::is_directory(where, ignored)
                                                 ? choose_weights(where, options)
                                                 : std::vector<WeightsChoice>{choose_file(where)};
  for (const WeightsChoice& choice : choices) {
    Checkpoint out = read_choice(choice);
    if (fits_framework(out.format, options.framework)) return out;
  }
  throw Error(ErrorCode::not_found, fmt::format("{} holds no weights of the framework \"{}\"",
                                                printable(where.string(), 300), options.framework))
      .with_hint(fmt::format("{} is of another framework", choices.front().path.filename().string()));
}

}  // namespace

std::optional<fs::path> adapter_base(const fs::path& folder) {
  if (!is_adapter(folder) || has_weights(folder)) return std::nullopt;
  const LoraConfig config = read_lora_config(folder);
  std::error_code ignored;
  if (!config.base.empty() && fs::is_directory(config.base, ignored)) return config.base;
  throw Error(ErrorCode::not_found,
              fmt::format("{} holds a LoRA adapter, and its base model {} is not a local folder",
                          printable(folder.string(), 300), in_quotes(config.base)))
      .with_hint(fmt::format("pass the base as --model and this folder as --adapter: --model {} --adapter {}",
                             config.base.empty() ? "BASE" : config.base, folder.string()));
}

Checkpoint open_checkpoint(const fs::path& folder, const CheckpointOptions& options) {
  const fs::path where = options.subfolder.empty() ? folder : folder / options.subfolder;
  fs::path adapter = options.adapter, base = where;
  if (const auto named = adapter_base(where)) {
    if (!adapter.empty())
      throw Error(ErrorCode::usage,
                  fmt::format("{} is an adapter itself; pass its base as the model", where.string()));
    adapter = where;
    base = *named;
  }
  Checkpoint out = read_weights(base, options);
  if (adapter.empty()) return out;
  out.files.push_back({merge_lora(out.state.tensors, adapter), "adapter"});
  std::sort(out.files.begin(), out.files.end(),
            [](const CheckpointFile& a, const CheckpointFile& b) { return a.path < b.path; });
  out.state.origin += " with the adapter " + adapter.string();
  return out;
}

}  // namespace ferry
