#pragma once
// Which of a folder's weight files to take.
#include <filesystem>
#include <vector>

#include "checkpoint/checkpoint.h"

namespace ferry::checkpoint {

enum class WeightsKind : uint8_t { safetensors, pytorch, h5, flax, tf1 };

struct WeightsChoice {
  WeightsKind kind = WeightsKind::safetensors;
  bool sharded = false;  ///< `path` is the index of the shards.
  std::filesystem::path path;
};

/// The weights that `folder` holds and `options` allow, in the order of from_pretrained. Nothing is opened,
/// so a safetensors file may still turn out to be another framework's (see fits_framework).
/// Errors: Error{not_found} and Error{unsupported} if there are none, saying what the folder holds instead.
std::vector<WeightsChoice> choose_weights(const std::filesystem::path& folder,
                                          const CheckpointOptions& options);

/// True if `folder` holds weights under one of the standard names.
bool has_weights(const std::filesystem::path& folder);

/// The kind of a single file, by its name and first bytes. Errors: Error{unsupported}, Error{io}.
WeightsChoice choose_file(const std::filesystem::path& file);

/// True if weights of `format` (CheckpointFile::format) are what --framework `framework` asks for.
bool fits_framework(std::string_view format, std::string_view framework);

}  // namespace ferry::checkpoint
