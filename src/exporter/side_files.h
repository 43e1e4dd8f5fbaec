#pragma once
// What lies beside the model in an exported folder: configuration, tokenizer, processors.
#include <filesystem>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/temporary_files.h"
#include "exporter/model_source.h"

namespace ferry::exporter {

/// Puts config.json (with the exported dtype), generation_config.json, and the tokenizer's and processors'
/// files into the staging folder; names of what was put there. Files that are not there are not missed. A
/// tokenizer in an older form (vocab.txt, ...) gains a tokenizer.json; one that cannot be read is a warning.
/// `external` names the models whose weights lie in a file of their own, for transformers.js's part of
/// config.json.
std::vector<std::string> stage_side_files(const ModelSource& source, DType dtype,
                                          const std::vector<std::string>& external, StagingFolder& staging,
                                          const Log& log);

/// Copies those files of an exported folder as they stand, config.json with them.
void copy_side_files(const std::filesystem::path& folder, StagingFolder& staging);

/// The names stage_side_files would use.
std::vector<std::string> side_file_names(const ModelSource& source);

}  // namespace ferry::exporter
