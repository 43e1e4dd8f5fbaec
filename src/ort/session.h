#pragma once
// A model loaded into ONNX Runtime.
#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ort/runtime.h"
#include "ort/tensor.h"
#include "tensor/host_tensor.h"

namespace ferry::ort {

enum class GraphOptimization { none, basic, extended, all };

/// An execution provider and its own options, all text, as ONNX Runtime documents them.
struct Provider {
  std::string name;  ///< "CUDAExecutionProvider"; "CPUExecutionProvider" is always there, last.
  std::map<std::string, std::string> options;
};

struct SessionOptions {
  GraphOptimization graph_optimization = GraphOptimization::all;
  int intra_op_threads = 0;    ///< Threads within an operator; 0: one a core.
  int inter_op_threads = 0;    ///< Operators at once; 0 or 1: one after the other.
  bool spinning = true;        ///< Whether idle threads keep a core busy for quicker starts. Off for servers.
  bool memory_pattern = true;  ///< Plan memory from earlier runs of the same shapes.
  bool cpu_arena = true;       ///< Keep freed memory for the next run.
  std::vector<Provider> providers;             ///< In order of preference; empty: the CPU alone.
  LogLevel severity = LogLevel::warning;       ///< Of this session's messages.
  std::filesystem::path optimized_model_path;  ///< If set, the optimized graph is written here.
  std::map<std::string, std::string> config;   ///< Session configuration entries, as they stand.
};

/// One dimension of a declared shape.
struct Axis {
  int64_t size = -1;   ///< -1 where it is not fixed.
  std::string symbol;  ///< Its name, if it has one.
  friend bool operator==(const Axis&, const Axis&) = default;
};

/// What a model declares of an input or output.
struct ValueInfo {
  std::string name;
  DType dtype = DType::undefined;  ///< undefined for what is no tensor (a sequence, a map).
  std::vector<Axis> axes;          ///< Empty for a scalar, and for a tensor of unknown rank.
};
/// "f32[batch_size, 128]"
std::string describe(const ValueInfo& info);

using NamedTensor = std::pair<std::string, HostTensor>;

/// Inputs   by name, in any order; all that the model asks for
/// Outputs  by name, in the order asked; every one, in the model's order, if no names are given
/// Errors   Error{not_found} for a missing file, input or output name; Error{dtype_mismatch} and
///          Error{shape_mismatch} that name an input which is not as declared; Error{runtime} with ONNX
///          Runtime's message for all that it reports
/// Threads  run() is const and may be called from several threads at once
/// Lifetime results own their memory and outlive the session
class Session {
 public:
  /// Loads the model and, if it has them, the weights beside it.
  Session(const Runtime& runtime, const std::filesystem::path& model, const SessionOptions& options = {});
  /// From the bytes of a model that needs no file beside it. The bytes may go once this returns.
  Session(const Runtime& runtime, std::span<const std::byte> model, const SessionOptions& options = {});
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  [[nodiscard]] const std::vector<ValueInfo>& inputs() const;
  [[nodiscard]] const std::vector<ValueInfo>& outputs() const;
  /// The model's metadata_props.
  [[nodiscard]] std::map<std::string, std::string> metadata() const;
  [[nodiscard]] const Runtime& runtime() const;

  /// Inputs are not copied.
  [[nodiscard]] std::vector<HostTensor> run(std::span<const NamedTensor> inputs,
                                            const std::vector<std::string>& outputs = {}) const;
  [[nodiscard]] std::vector<HostTensor> run(const std::map<std::string, HostTensor>& inputs,
                                            const std::vector<std::string>& outputs = {}) const;

  /// The same over ONNX Runtime's own tensors: neither inputs nor results are copied.
  struct Feed {
    std::string_view name;
    const OrtTensor* tensor = nullptr;
  };
  [[nodiscard]] std::vector<OrtTensor> run(std::span<const Feed> inputs,
                                           const std::vector<std::string>& outputs = {}) const;

  struct Impl;
  [[nodiscard]] Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace ferry::ort
