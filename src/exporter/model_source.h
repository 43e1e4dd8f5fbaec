#pragma once
// Where a model lies and what kind of thing it is, decided before any weight is looked at.
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "ferry/export.h"
#include "models/registry.h"
#include "models/sentence_transformers.h"

namespace ferry::exporter {

struct ModelSource {
  std::filesystem::path folder;  ///< Of config.json and the weights.
  std::filesystem::path
      root;  ///< Of the model: `folder`, or above it for a subfolder or a sentence-transformers module.
  std::shared_ptr<const nlohmann::ordered_json> config;
  std::string model_type;
  std::string library;  ///< "transformers", "sentence_transformers", "timm"
  std::vector<models::SentenceModule>
      modules;  ///< Of a sentence-transformers folder, after the transformer itself.
};

/// Finds the folder (a local one wins over a hub id), reads config.json and decides the library.
/// Errors: Error{not_found}, Error{invalid_file}, Error{invalid_config}, Error{unsupported}, and those of the
/// Hub.
ModelSource open_source(const MainExportOptions& options, const Log& log);

/// Whether the folder is a CrossEncoder of sentence-transformers 5.4 and later that is nothing but a
/// transformer with a head: exported as one of transformers'. Errors: Error{invalid_file}.
bool is_cross_encoder(const std::filesystem::path& folder);

/// The canonical task to export: options.task, or with "auto" what the configuration says, without a cache if
/// one file is asked for. Logs an automatic choice. Errors: Error{unsupported} that lists the tasks of the
/// architecture, Error{usage} for a cache in one file.
std::string select_task(const MainExportOptions& options, const ModelSource& source,
                        const nn::Architecture& architecture, const Log& log);

}  // namespace ferry::exporter
