#include "runtime/compare/layers.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "runtime/compare/metrics.h"
#include "runtime/compare/run.h"

namespace ferry::runtime {
namespace {
namespace fs = std::filesystem;

// What hands elements on as they are: its error is that of its input.
constexpr std::array kMoving = {"Cast",     "Concat",    "Constant",  "Expand", "Flatten",         "Gather",
                                "Identity", "Pad",       "Reshape",   "Shape",  "Slice",           "Split",
                                "Squeeze",  "Transpose", "Unsqueeze", "Where",  "ConstantOfShape", "Tile"};
constexpr size_t kAtOnce = 64;  // Tensors fetched by one run: memory is for so many.

bool computes(const ir::Node& node) {
  return std::none_of(kMoving.begin(), kMoving.end(), [&](const char* name) { return node.op_type == name; });
}

// Floating tensors that nodes of the outermost graph make.
std::map<std::string, const ir::Node*> tensors_of(const ir::Graph& graph) {
  std::map<std::string, const ir::Node*> out;
  for (const auto& node : graph.nodes()) {
    for (const ir::Value* output : node->outputs) {
      if (output != nullptr && !output->name.empty() && is_floating(output->dtype))
        out.emplace(output->name, node.get());
    }
  }
  return out;
}

void append_varint(std::string& out, uint64_t value) {
  for (; value >= 128; value >>= 7) out += static_cast<char>(value | 128);
  out += static_cast<char>(value);
}

void append_field(std::string& out, uint32_t number, const std::string& payload) {
  append_varint(out, number << 3 | 2);
  append_varint(out, payload.size());
  out += payload;
}

// A ModelProto with nothing but the outputs of a graph. Parsers merge messages that follow each other.
std::string outputs_alone(const std::vector<std::string>& outputs) {
  constexpr uint32_t kModelGraph = 7, kGraphOutput = 12, kValueName = 1;
  std::string graph, model;
  for (const auto& name : outputs) {
    std::string value;
    append_field(value, kValueName, name);
    append_field(graph, kGraphOutput, value);
  }
  append_field(model, kModelGraph, graph);
  return model;
}

std::vector<std::string> without(std::vector<std::string> names, const std::vector<ir::Value*>& outputs) {
  std::erase_if(names, [&](const std::string& name) {
    return std::any_of(outputs.begin(), outputs.end(),
                       [&](const auto* value) { return value->name == name; });
  });
  return names;
}

std::vector<std::string> common_tensors(const ir::Graph& a, const ir::Graph& b) {
  const auto of_b = tensors_of(b);
  std::vector<std::string> out;
  for (const auto& node : a.nodes()) {
    if (!computes(*node)) continue;
    for (const ir::Value* output : node->outputs) {
      if (output != nullptr && is_floating(output->dtype) && of_b.count(output->name) > 0)
        out.push_back(output->name);
    }
  }
  return out;
}

}  // namespace

ort::Session session_with_outputs(const ort::Runtime& runtime, const fs::path& model,
                                  const std::vector<std::string>& outputs,
                                  const ort::SessionOptions& options) {
  const auto file = MappedFile::open(model);
  std::string bytes(file->text());
  bytes += outputs_alone(outputs);
  ort::SessionOptions with_data = options;
  with_data.config["session.model_external_initializers_file_folder_path"] =
      fs::absolute(model).parent_path().string();
  return {runtime, std::as_bytes(std::span(bytes)), with_data};
}

std::vector<LayerComparison> compare_layers(const ort::Runtime& runtime, const fs::path& file_a,
                                            const ir::Graph& a, const fs::path& file_b, const ir::Graph& b,
                                            const std::vector<Sample>& samples,
                                            const ort::SessionOptions& options, const Log& log) {
  const auto names = common_tensors(a, b);
  if (names.empty()) {
    log.warning("The graphs have no tensor in common by its name: there is no error by layer.");
    return {};
  }
  const auto session_a = session_with_outputs(runtime, file_a, without(names, a.outputs), options);
  const auto session_b = session_with_outputs(runtime, file_b, without(names, b.outputs), options);
  std::vector<ErrorSum> sums(names.size());
  for (size_t sample = 0; sample < samples.size(); ++sample) {
    for (size_t first = 0; first < names.size(); first += kAtOnce) {
      const size_t count = std::min(kAtOnce, names.size() - first);
      const std::vector<std::string> some(names.begin() + static_cast<ptrdiff_t>(first),
                                          names.begin() + static_cast<ptrdiff_t>(first + count));
      const auto from_a = run_on(session_a, samples[sample], some);
      const auto from_b = run_on(session_b, samples[sample], some);
      for (size_t i = 0; i < count; ++i) {
        // A name may stand for another form of the tensor: after a fusion, say.
        if (from_a[i].dims == from_b[i].dims) sums[first + i].add(from_a[i], from_b[i], false);
      }
    }
  }
  const auto nodes = tensors_of(a);
  std::vector<LayerComparison> out;
  for (size_t i = 0; i < names.size(); ++i) {
    if (!sums[i].empty()) out.push_back({names[i], nodes.at(names[i])->op_type, sums[i].figures()});
  }
  return out;
}

}  // namespace ferry::runtime
