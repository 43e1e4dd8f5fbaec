#include "checkpoint/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "checkpoint/choose.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/shard_index.h"
#include "checkpoint/torch_file.h"

namespace ferry {
namespace {
namespace fs = std::filesystem;
using namespace checkpoint;

TensorFile read_one(WeightsKind kind, const fs::path& path) {
  switch (kind) {
    case WeightsKind::safetensors:
      return read_safetensors(file_source(path), path.string());
    case WeightsKind::pytorch:
      return read_torch(file_source(path), path.string());
    default:
      throw Error(ErrorCode::unsupported, fmt::format("{}: this format is not read yet", path.string()));
  }
}

// The tensors under the names that the files give.
Checkpoint read_choice(const WeightsChoice& choice) {
  Checkpoint out;
  const auto read = [&](const fs::path& path) { return read_one(choice.kind, path); };
  if (choice.sharded) {
    Shards shards = read_shards(choice.path, read);
    out.state.tensors = std::move(shards.tensors);
    out.format = shards.format;
    out.metadata = std::move(shards.metadata);
    out.warnings = std::move(shards.warnings);
    for (const auto& path : shards.paths) out.files.push_back({path, shards.format});
    out.state.origin = fmt::format("{} ({} files)", choice.path.string(), out.files.size());
  } else {
    TensorFile file = read(choice.path);
    out.state.tensors = std::move(file.tensors);
    out.format = file.format;
    out.metadata = std::move(file.metadata);
    out.warnings = std::move(file.warnings);
    out.files.push_back({choice.path, file.format});
    out.state.origin = choice.path.string();
  }
  return out;
}

}  // namespace

Checkpoint open_checkpoint(const fs::path& folder, const CheckpointOptions& options) {
  const fs::path where = options.subfolder.empty() ? folder : folder / options.subfolder;
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

}  // namespace ferry
