#pragma once
// genai_config.json: how ONNX Runtime GenAI runs an exported decoder.
#include <string>

#include "exporter/model_source.h"
#include "ir/graph.h"

namespace ferry::exporter {

inline constexpr const char* kGenaiConfig = "genai_config.json";

/// Errors: Error{unsupported} if --genai-config is given for a task other than text-generation-with-past,
/// Error{usage} without dynamic axes or with several precisions.
void check_genai_config(const MainExportOptions& options, const std::string& task);

/// The file's text, for `graph` as it is written to `file`. Special tokens and defaults of the search are
/// those of generation_config.json, or where it does not name them of config.json; the longest text is the
/// model's own, or 2048 where it has none. Past and present share a buffer where the graph allows it. Source:
/// onnxruntime-genai 0.18, models/builders/base.py, make_genai_config; src/config.h. Errors:
/// Error{invalid_config} for a value of the wrong kind, Error{unsupported} for a graph that GenAI cannot
/// feed.
std::string genai_config(const ModelSource& source, const ir::Graph& graph, const std::string& file);

}  // namespace ferry::exporter
