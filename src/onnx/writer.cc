#include "onnx/writer.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "onnx-ml.pb.h"
#include "onnx/shared_weights.h"
#include "onnx/tiles.h"
#include "onnx/to_proto.h"

namespace ferry::onnx {
namespace {

using google::protobuf::io::CodedOutputStream;
using Weights = WriteOptions::Weights;

// Protobuf counts in 32-bit signed integers.
constexpr uint64_t kProtobufLimit = (uint64_t{1} << 31) - 1;

// Tags of length-delimited fields: number << 3 | 2.
constexpr char kGraphTag = (7 << 3) | 2;        // ModelProto.graph
constexpr char kInitializerTag = (5 << 3) | 2;  // GraphProto.initializer
constexpr char kRawDataTag = (9 << 3) | 2;      // TensorProto.raw_data

uint64_t varint_size(uint64_t value) {
  return CodedOutputStream::VarintSize64(value);
}

void append_field(std::string& out, char tag, uint64_t length) {
  out += tag;
  uint8_t digits[10];
  const uint8_t* end = CodedOutputStream::WriteVarint64ToArray(length, digits);
  out.append(reinterpret_cast<const char*>(digits), static_cast<size_t>(end - digits));
}

std::string serialized(const google::protobuf::MessageLite& message) {
  std::string out;
  google::protobuf::io::StringOutputStream stream(&out);
  CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  const bool good = message.SerializePartialToCodedStream(&coded);
  coded.Trim();
  if (!good) throw Error(ErrorCode::usage, "the graph without its weights is larger than protobuf's 2 GB");
  return out;
}

// One initializer: its TensorProto without data, and where the data goes.
struct Initializer {
  enum class Place : uint8_t { embedded, external, in_place };

  const ir::Value* value = nullptr;
  Place place = Place::embedded;
  std::string header;
  uint64_t offset = 0;  // In the external file.
  bool is_new = true;   // In a shared file.

  [[nodiscard]] uint64_t data_bytes() const { return value->weight->size_bytes(); }
  // Of the serialized TensorProto.
  [[nodiscard]] uint64_t message_bytes() const {
    if (place != Place::embedded) return header.size();
    return header.size() + 1 + varint_size(data_bytes()) + data_bytes();
  }
};

void refer_to(::onnx::TensorProto& tensor, const std::string& location, uint64_t offset, uint64_t length) {
  tensor.set_data_location(::onnx::TensorProto::EXTERNAL);
  const auto add = [&](const char* key, std::string value) {
    auto& entry = *tensor.add_external_data();
    entry.set_key(key);
    entry.set_value(std::move(value));
  };
  add("location", location);
  add("offset", std::to_string(offset));
  add("length", std::to_string(length));
}

// Decides where each weight goes.
class Planner {
 public:
  explicit Planner(const WriteOptions& options) : options_(options) {}

  std::vector<Initializer> plan(const ir::Graph& graph) {
    std::vector<Initializer> out;
    uint64_t embedded = 0;
    for (const ir::Value* value : graph.used_weights()) {
      Initializer next{.value = value};
      if (location_of(*value)) {
        next.place = Initializer::Place::in_place;
        in_place_bytes += next.data_bytes();
      } else {
        embedded += next.data_bytes();
      }
      out.push_back(std::move(next));
    }
    const bool automatic = options_.weights == Weights::automatic || options_.weights == Weights::in_place;
    const bool external = options_.weights == Weights::external || options_.weights == Weights::shared ||
                          (automatic && embedded > options_.embed_limit);
    for (Initializer& initializer : out) place(initializer, external);
    return out;
  }

  uint64_t external_bytes = 0;
  uint64_t in_place_bytes = 0;

 private:
  [[nodiscard]] std::optional<std::string> location_of(const ir::Value& value) const {
    if (options_.weights != Weights::in_place || value.weight->size_bytes() == 0) return std::nullopt;
    const auto range = value.weight->file_range();
    if (!range) return std::nullopt;
    const auto found = options_.locations.find(range->file);
    if (found == options_.locations.end()) return std::nullopt;
    return found->second;
  }

  void place_externally(Initializer& initializer) {
    const uint64_t bytes = initializer.data_bytes();
    if (options_.shared != nullptr) {
      const auto found = options_.shared->place(*initializer.value->weight);
      initializer.offset = found.offset;
      initializer.is_new = found.is_new;
      if (found.is_new) external_bytes += bytes;
    } else {
      initializer.offset = aligned_offset(external_bytes, bytes);
      external_bytes = initializer.offset + bytes;
    }
  }

  void place(Initializer& initializer, bool external) {
    const ir::Value& value = *initializer.value;
    ::onnx::TensorProto tensor;
    tensor_to_proto(value.name, *value.weight, tensor);
    if (initializer.place == Initializer::Place::in_place) {
      const auto range = value.weight->file_range();
      refer_to(tensor, *location_of(value), range->offset, range->length);
    } else if (external && initializer.data_bytes() >= options_.external_threshold) {
      initializer.place = Initializer::Place::external;
      place_externally(initializer);
      refer_to(tensor, options_.shared != nullptr ? options_.shared->name() : options_.external_name,
               initializer.offset, initializer.data_bytes());
    }
    initializer.header = serialized(tensor);
  }

  const WriteOptions& options_;
};

// The model's file in order: small pieces are gathered, payloads are left to write_weights().
class Framing {
 public:
  explicit Framing(const OutputFile& file) : file_(file) {}

  std::string& text() { return text_; }

  void payload(const ir::Value& value, std::vector<Placement>& placements) {
    constexpr uint64_t kSmall = 16384;
    const Weight& weight = *value.weight;
    if (weight.size_bytes() <= kSmall) {
      const auto bytes = with_context(printable(value.name, 200), [&] { return weight.bytes(); });
      text_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    } else {
      flush();
      placements.push_back({&value, &file_, offset_});
      offset_ += weight.size_bytes();
    }
    if (text_.size() > (1u << 20)) flush();
  }

  uint64_t flush() {
    file_.write(std::as_bytes(std::span(text_)), offset_);
    offset_ += text_.size();
    text_.clear();
    return offset_;
  }

 private:
  const OutputFile& file_;
  std::string text_;
  uint64_t offset_ = 0;
};

// The serialized model in four pieces; the initializers come between the two of the graph.
struct ModelText {
  std::string before_graph, graph_head, graph_tail, after_graph;
};

ModelText model_text(const ir::Graph& graph, const WriteOptions& options) {
  ::onnx::ModelProto before, after;
  const auto opset = graph.opsets.find("");
  const int wanted = ir_version_for(opset != graph.opsets.end() ? opset->second : 1);
  before.set_ir_version(options.ir_version != 0 ? options.ir_version : wanted);
  before.set_producer_name(options.producer_name);
  if (!options.producer_version.empty()) before.set_producer_version(options.producer_version);
  if (!graph.header.domain.empty()) before.set_domain(graph.header.domain);
  if (graph.header.version != 0) before.set_model_version(graph.header.version);
  if (!graph.header.doc_string.empty()) before.set_doc_string(graph.header.doc_string);
  for (const auto& [domain, version] : graph.opsets) {
    auto& import = *after.add_opset_import();
    import.set_domain(domain);
    import.set_version(version);
  }
  std::map<std::string, std::string> metadata(graph.metadata.begin(), graph.metadata.end());
  for (const auto& [key, value] : options.metadata) metadata[key] = value;
  for (const auto& [key, value] : metadata) {
    auto& entry = *after.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
  ModelText out{.before_graph = serialized(before), .after_graph = serialized(after)};
  ::onnx::GraphProto head;
  nodes_to_proto(graph, head, options.value_info);
  out.graph_head = serialized(head);
  ::onnx::GraphProto tail;
  interface_to_proto(graph, tail, options.value_info);
  out.graph_tail = serialized(tail);
  return out;
}

uint64_t graph_bytes(const ModelText& text, const std::vector<Initializer>& initializers) {
  uint64_t bytes = text.graph_head.size() + text.graph_tail.size();
  for (const Initializer& initializer : initializers) {
    const uint64_t message = initializer.message_bytes();
    bytes += 1 + varint_size(message) + message;
  }
  return bytes;
}

void check_size(uint64_t bytes) {
  if (bytes <= kProtobufLimit) return;
  throw Error(ErrorCode::usage,
              fmt::format("the model takes {} with its weights inside, more than protobuf's 2 GB",
                          human_bytes(static_cast<double>(bytes))))
      .with_hint("write the weights to an external file");
}

// Writes everything but the large payloads, whose places it returns.
std::vector<Placement> write_frame(const ModelText& text, uint64_t graph,
                                   const std::vector<Initializer>& initializers, const OutputFile& model,
                                   const OutputFile* external) {
  std::vector<Placement> placements;
  Framing framing(model);
  framing.text() += text.before_graph;
  append_field(framing.text(), kGraphTag, graph);
  framing.text() += text.graph_head;
  for (const Initializer& initializer : initializers) {
    append_field(framing.text(), kInitializerTag, initializer.message_bytes());
    framing.text() += initializer.header;
    const ir::Value& value = *initializer.value;
    if (initializer.place == Initializer::Place::embedded) {
      append_field(framing.text(), kRawDataTag, value.weight->size_bytes());
      framing.payload(value, placements);
    } else if (initializer.place == Initializer::Place::external && initializer.is_new) {
      placements.push_back({&value, external, initializer.offset});
    }
  }
  framing.text() += text.graph_tail;
  framing.text() += text.after_graph;
  framing.flush();
  return placements;
}

}  // namespace

int ir_version_for(int opset) {
  // onnx.helper.VERSION_TABLE of onnx 1.23: the IR version of the first release with each opset.
  constexpr int kFirst = 22;
  constexpr int kVersions[] = {10, 11, 12, 13, 13, 13, 14};
  constexpr int kCount = static_cast<int>(std::size(kVersions));
  return kVersions[std::clamp(opset - kFirst, 0, kCount - 1)];
}

WriteReport write_model(const ir::Graph& graph, const WritePaths& paths, const WriteOptions& options) {
  Planner planner(options);
  const std::vector<Initializer> initializers = planner.plan(graph);
  const ModelText text = model_text(graph, options);
  const uint64_t inner = graph_bytes(text, initializers);
  const uint64_t total = text.before_graph.size() + 1 + varint_size(inner) + inner + text.after_graph.size();
  check_size(total);

  WriteReport report{.model_bytes = total,
                     .external_bytes = planner.external_bytes,
                     .in_place_bytes = planner.in_place_bytes,
                     .nodes = graph.nodes().size(),
                     .initializers = initializers.size()};
  std::optional<OutputFile> external;
  const OutputFile* beside = nullptr;
  if (options.shared != nullptr && options.shared->bytes() > 0) {
    beside = &options.shared->file();
  } else if (planner.external_bytes > 0) {
    external.emplace(paths.external);
    external->reserve(planner.external_bytes);
    report.files.push_back(paths.external);
    beside = &*external;
  }
  OutputFile model(paths.model);
  model.reserve(total);
  report.files.push_back(paths.model);
  const auto placements = write_frame(text, inner, initializers, model, beside);
  write_weights(placements, options.threads, options.log, options.progress);
  if (external) external->finish(options.sync);
  model.finish(options.sync);
  if (external) external->keep();
  model.keep();
  return report;
}

}  // namespace ferry::onnx
