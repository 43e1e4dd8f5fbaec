#pragma once
// Writing a graph as an ONNX model. Weights are evaluated in tiles by several threads straight into their
// place in the file, so the memory this takes does not depend on the size of the model.
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/log.h"
#include "ir/graph.h"

namespace ferry::onnx {

class SharedWeights;

/// The IR version that a model of this opset (ai.onnx) declares: 10, which nearly every runtime reads, unless
/// the opset came with a later one.
int ir_version_for(int opset);

struct WriteOptions {
  /// 0: ir_version_for() the graph's opset.
  int ir_version = 0;
  std::string producer_name = "ferry";
  std::string producer_version;
  /// metadata_props of the model, on top of the graph's own.
  std::map<std::string, std::string> metadata;
  /// Whether the types of values between nodes are written, too. Runtimes infer them.
  bool value_info = false;

  enum class Weights : uint8_t {
    automatic,  ///< embedded if the file stays below `embed_limit` bytes, else external.
    embedded,   ///< In the model's file. Errors: Error{usage} beyond protobuf's 2 GB.
    external,   ///< In one file beside it; weights below `external_threshold` bytes stay in the model's file.
    /// Weights that lie unmodified in a file of `locations` are referred to; others as automatic.
    in_place,
    /// In the file of `shared`, which other models refer to as well; small ones stay in the model's file.
    shared,
  };
  Weights weights = Weights::automatic;
  /// What the model calls the external file, relative to its own folder.
  std::string external_name = "model.onnx_data";
  /// For in_place: the file that weights are mapped from -> its name relative to the model's folder.
  std::map<std::filesystem::path, std::string> locations;
  /// For shared: its finish() is the caller's, after the last model.
  SharedWeights* shared = nullptr;
  uint64_t external_threshold = 1024;
  uint64_t embed_limit = 1'900'000'000;

  bool sync = true;                        ///< Whether the files are on disk when write_model returns.
  size_t threads = 0;                      ///< 0: as many as there are processors.
  std::string progress = "Writing model";  ///< What Log::progress calls the work.
  const Log* log = nullptr;
};

/// Where the files are put. They must not exist. The names inside the model are those of WriteOptions, so
/// that both may be temporary and renamed afterwards.
struct WritePaths {
  std::filesystem::path model;
  std::filesystem::path external;  ///< Created only if weights go there.
};

struct WriteReport {
  uint64_t model_bytes = 0;
  uint64_t external_bytes = 0;  ///< Written beside the model; of a shared file, those that it lacked.
  uint64_t in_place_bytes = 0;
  size_t nodes = 0;
  size_t initializers = 0;
  std::vector<std::filesystem::path> files;  ///< Those written: the external one, if any, then the model.
};

/// Writes `graph`. Each weight that something uses is written once; the same graph gives the same bytes.
/// Errors: Error{io} (the text has the bytes needed and free), Error{usage} for a model that does not fit the
/// options, and what the evaluation of a weight throws. After an error none of the files exist.
WriteReport write_model(const ir::Graph& graph, const WritePaths& paths, const WriteOptions& options = {});

}  // namespace ferry::onnx
