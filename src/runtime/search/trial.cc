#include "runtime/search/trial.h"

#include <map>

#include "base/file.h"
#include "onnx/writer.h"

namespace ferry::runtime {
namespace {
namespace fs = std::filesystem;

// Beyond, what was changed does not fit one file.
constexpr uint64_t kMostEmbedded = 1'800'000'000;
// ONNX Runtime wants shapes and other small numbers in the model itself.
constexpr uint64_t kSmall = 1024;

// The files that weights lie in, by their names in the model's folder.
std::map<fs::path, std::string> files_beside(const fs::path& model, const ir::Graph& graph) {
  std::map<fs::path, std::string> out;
  for (const ir::Value* value : graph.used_weights()) {
    const auto range = value->weight->file_range();
    if (range && range->file.parent_path() == model.parent_path())
      out[range->file] = range->file.filename().string();
  }
  return out;
}

// Bytes of the weights that no file of `files` holds.
uint64_t changed_bytes(const ir::Graph& graph, const std::map<fs::path, std::string>& files) {
  uint64_t out = 0;
  for (const ir::Value* value : graph.used_weights()) {
    const auto range = value->weight->file_range();
    if (!range || files.count(range->file) == 0) out += value->weight->size_bytes();
  }
  return out;
}

void embed_small_weights(const ir::Graph& graph) {
  for (ir::Value* value : graph.used_weights()) {
    const Weight& weight = *value->weight;
    if (weight.size_bytes() < kSmall)
      value->weight = Weight::inline_bytes(weight.dtype(), weight.dims(), weight.bytes());
  }
}

// Removes what was written.
struct Written {
  onnx::WritePaths paths;
  ~Written() {
    std::error_code ignored;
    fs::remove(paths.model, ignored);
    fs::remove(paths.external, ignored);
  }
};

}  // namespace

ort::Session open_changed(const ort::Runtime& runtime, const fs::path& model, ir::Graph& graph,
                          const fs::path& file, const ort::SessionOptions& options) {
  const Written written{{file, file.string() + "_data"}};
  onnx::WriteOptions writing;
  writing.sync = false;
  writing.external_name = written.paths.external.filename().string();
  const auto files = files_beside(model, graph);
  if (changed_bytes(graph, files) > kMostEmbedded) {
    onnx::write_model(graph, written.paths, writing);
    return {runtime, written.paths.model, options};
  }
  embed_small_weights(graph);
  writing.weights = onnx::WriteOptions::Weights::in_place;
  writing.locations = files;
  onnx::write_model(graph, written.paths, writing);
  ort::SessionOptions beside = options;
  beside.config["session.model_external_initializers_file_folder_path"] =
      fs::absolute(model).parent_path().string();
  return {runtime, MappedFile::open(written.paths.model)->bytes(), beside};
}

}  // namespace ferry::runtime
