#pragma once
// Evaluating weights in pieces of a few megabytes straight into files.
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "ir/graph.h"
#include "onnx/output_file.h"

namespace ferry::onnx {

/// A weight and where its bytes belong.
struct Placement {
  const ir::Value* value = nullptr;  ///< With a weight.
  const OutputFile* file = nullptr;
  uint64_t offset = 0;
};

/// Writes all of them on up to `threads` threads (0: as many as processors), reporting bytes to `log`.
/// Errors: Error{io}, and what the evaluation of a weight throws, with its name.
void write_weights(const std::vector<Placement>& placements, size_t threads, const Log* log,
                   std::string_view progress);

}  // namespace ferry::onnx
