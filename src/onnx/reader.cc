#include "onnx/reader.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>

#include <limits>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "onnx-ml.pb.h"
#include "onnx/graph_from_proto.h"
#include "onnx/inline_functions.h"
#include "onnx/wire.h"

namespace ferry::onnx {
namespace {

constexpr uint32_t kGraphField = 7;        // ModelProto.graph
constexpr uint32_t kInitializerField = 5;  // GraphProto.initializer

// A graph in a node's attribute is four messages deep; models nest a handful.
constexpr int kDeepestNesting = 100;

void parse(google::protobuf::MessageLite& message, const std::string& bytes, std::string_view what) {
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max()))
    throw Error(ErrorCode::invalid_file, fmt::format("{} is larger than protobuf's 2 GB", what));
  google::protobuf::io::CodedInputStream stream(reinterpret_cast<const uint8_t*>(bytes.data()),
                                                static_cast<int>(bytes.size()));
  stream.SetRecursionLimit(kDeepestNesting);
  if (!message.ParsePartialFromCodedStream(&stream) || !stream.ConsumedEntireMessage())
    throw Error(ErrorCode::invalid_file, fmt::format("{} is malformed, or nested too deeply", what));
}

// The file taken apart: the messages without what is large, and where that is.
struct Parts {
  ::onnx::ModelProto model;
  ::onnx::GraphProto graph;
  std::vector<std::span<const std::byte>> initializers;
};

Parts take_apart(std::span<const std::byte> bytes) {
  Parts parts;
  std::string model_text, graph_text;
  std::optional<std::span<const std::byte>> graph;
  WireReader model(bytes);
  for (WireField field; model.next(field);) {
    if (field.number != kGraphField || !field.is_bytes) {
      append(model_text, field.whole);
      continue;
    }
    if (graph) throw Error(ErrorCode::invalid_file, "not an ONNX model: it holds two graphs");
    graph = field.payload;
  }
  if (!graph) throw Error(ErrorCode::invalid_file, "not an ONNX model: it holds no graph");
  WireReader reader(*graph);
  for (WireField field; reader.next(field);) {
    if (field.number == kInitializerField && field.is_bytes) {
      parts.initializers.push_back(field.payload);
    } else {
      append(graph_text, field.whole);
    }
  }
  parse(parts.model, model_text, "the model");
  parse(parts.graph, graph_text, "the graph");
  return parts;
}

void read_opsets(const ::onnx::ModelProto& model, ir::Graph& graph) {
  graph.opsets.clear();
  for (const auto& import : model.opset_import()) {
    const std::string domain = import.domain() == "ai.onnx" ? "" : import.domain();
    if (import.version() < 1 || import.version() > std::numeric_limits<int>::max()) {
      throw Error(ErrorCode::invalid_file, fmt::format("opset {} of the domain \"{}\" does not exist",
                                                       import.version(), printable(domain, 120)));
    }
    const auto version = static_cast<int>(import.version());
    const auto [known, added] = graph.opsets.emplace(domain, version);
    if (!added && known->second != version) {
      throw Error(ErrorCode::invalid_file, fmt::format("two opsets, {} and {}, of the domain \"{}\"",
                                                       known->second, version, printable(domain, 120)));
    }
  }
  if (graph.opsets.empty()) throw Error(ErrorCode::invalid_file, "the model declares no opset");
}

}  // namespace

ir::Graph read_model(const std::filesystem::path& path, const ReadOptions& options) {
  const auto mapped = MappedFile::open(path);
  return with_context("reading " + path.filename().string(), [&] {
    Parts parts = take_apart(mapped->bytes());
    inline_functions(parts.model, parts.graph);
    ExternalFiles external(path.parent_path());
    const ReadContext context{options, external};
    if (parts.model.training_info_size() > 0) context.warn("the model's training information is left out");

    ir::Graph graph;
    read_opsets(parts.model, graph);
    graph.header = {parts.model.domain(), parts.model.model_version(), parts.model.doc_string()};
    for (const auto& entry : parts.model.metadata_props()) graph.metadata[entry.key()] = entry.value();
    const auto source = std::make_shared<FileSource>(mapped);
    std::vector<NamedWeight> initializers;
    for (const auto message : parts.initializers)
      initializers.push_back(read_tensor(TensorPlace{source, message}, external, "initializer"));
    graph_from_proto(parts.graph, std::move(initializers), context, graph);
    return graph;
  });
}

}  // namespace ferry::onnx
