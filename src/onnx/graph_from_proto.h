#pragma once
#include <vector>

#include "base/log.h"
#include "ir/graph.h"
#include "onnx/reader.h"
#include "onnx/tensor_from_proto.h"

namespace onnx {
class GraphProto;
}

namespace ferry::onnx {

/// What reading a graph needs besides the graph.
struct ReadContext {
  const ReadOptions& options;
  ExternalFiles& external;

  void warn(const std::string& text) const {
    if (options.log != nullptr) options.log->warning(text);
  }
};

/// Fills `out` from a graph whose initializers were read apart.
/// Errors: Error{invalid_file}, Error{unsupported} that name the node or value.
void graph_from_proto(const ::onnx::GraphProto& proto, std::vector<NamedWeight> initializers,
                      const ReadContext& context, ir::Graph& out);

}  // namespace ferry::onnx
