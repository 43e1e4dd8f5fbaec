#pragma once
// Reading a model that a stranger wrote. Every byte is checked; weights stay in the files they lie in.
#include <filesystem>

#include "base/log.h"
#include "ir/graph.h"

namespace ferry::onnx {

struct ReadOptions {
  /// Constant nodes stay nodes instead of becoming weights.
  bool keep_constants = false;
  /// Whether dtypes and shapes between nodes are inferred. What cannot be inferred stays as declared.
  bool infer_shapes = true;
  const Log* log = nullptr;
};

/// Reads a model of any opset. Operators are taken as they stand, those of unknown domains too. Weights are
/// lazy: raw data is read from the mapped file when it is asked for, external data likewise, from files below
/// the model's folder only. Dimensions without a name get one that begins with "?", which is not written.
/// Calls of the model's own functions are replaced by what they stand for. Initializers that are inputs, too,
/// are constants. Nodes are put in an order in which each follows what it
/// uses.
/// Errors: Error{not_found}, Error{io}; Error{invalid_file} for a malformed file, Error{unsupported} for
/// string or sparse tensors, and inputs that are no tensors. The text names what it is about.
ir::Graph read_model(const std::filesystem::path& path, const ReadOptions& options = {});

}  // namespace ferry::onnx
