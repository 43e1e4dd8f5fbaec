#pragma once
// Inputs and outputs that stay bound over many runs: what a decoding loop needs.
#include <memory>
#include <string>
#include <vector>

#include "ort/session.h"

namespace ferry::ort {

/// Holds what a session reads and writes. Bound tensors are shared with ONNX Runtime, so an output of one run
/// may be bound as an input of the next, and one buffer may be bound as both past and present.
///
/// Errors    as Session::run; Error{not_found} for a name that the model does not have
/// Threads   one binding belongs to one thread at a time; several bindings may run on one session at once
/// Lifetime  must not outlive its session; memory that a bound view looks at must outlive the binding
class Binding {
 public:
  explicit Binding(const Session& session);
  Binding(Binding&&) noexcept;
  Binding& operator=(Binding&&) noexcept;
  ~Binding();

  /// Binding a name again replaces what was bound.
  void bind_input(const std::string& name, const OrtTensor& tensor);
  /// Written in place: dtype and dims must be those that the run gives.
  void bind_output(const std::string& name, OrtTensor& tensor);
  /// Allocated by ONNX Runtime at each run, on the CPU.
  void bind_output(const std::string& name);
  void clear_inputs();
  void clear_outputs();

  void run();
  /// The results of the last run, in the order in which the outputs were first bound.
  [[nodiscard]] std::vector<OrtTensor> outputs() const;
  [[nodiscard]] const std::vector<std::string>& output_names() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ferry::ort
