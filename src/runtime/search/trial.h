#pragma once
// Models that are made to be measured.
#include <filesystem>

#include "ir/graph.h"
#include "ort/session.h"

namespace ferry::runtime {

/// A session of `graph`, which `model` was read into and changed since. Only what was changed is written,
/// into `folder`, and is gone when this returns: the rest is read where it lies.
ort::Session open_changed(const ort::Runtime& runtime, const std::filesystem::path& model, ir::Graph& graph,
                          const std::filesystem::path& file, const ort::SessionOptions& options);

}  // namespace ferry::runtime
