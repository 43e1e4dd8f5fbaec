#include "ort/binding.h"

#include <algorithm>
#include <set>

#include "ort/api.h"
#include "ort/session_impl.h"

namespace ferry::ort {

struct Binding::Impl {
  Session::Impl* session;
  Ort::IoBinding binding{nullptr};
  Ort::MemoryInfo cpu{nullptr};
  std::vector<std::string> outputs;  // In the order of IoBinding, which keeps a name's place on rebinding.
  std::set<std::string> allocated;   // Those of `outputs` that ONNX Runtime allocates.

  void note_output(const std::string& name, bool is_allocated) {
    if (std::find(outputs.begin(), outputs.end(), name) == outputs.end()) outputs.push_back(name);
    if (is_allocated) {
      allocated.insert(name);
    } else {
      allocated.erase(name);
    }
  }
};

Binding::Binding(const Session& session) : impl_(std::make_unique<Impl>()) {
  impl_->session = &session.impl();
  guarded("binding", [&] {
    impl_->binding = Ort::IoBinding(impl_->session->session);
    impl_->cpu = Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeDefault);
  });
}
Binding::Binding(Binding&&) noexcept = default;
Binding& Binding::operator=(Binding&&) noexcept = default;
Binding::~Binding() = default;

void Binding::bind_input(const std::string& name, const OrtTensor& tensor) {
  check_fits(find_value(impl_->session->inputs, name, "input"), tensor.dtype(), tensor.dims(), "input");
  guarded("binding input " + name,
          [&] { Ort::ThrowOnError(Ort::GetApi().BindInput(impl_->binding, name.c_str(), tensor.handle())); });
}

void Binding::bind_output(const std::string& name, OrtTensor& tensor) {
  check_fits(find_value(impl_->session->outputs, name, "output"), tensor.dtype(), tensor.dims(), "output");
  guarded("binding output " + name, [&] {
    Ort::ThrowOnError(Ort::GetApi().BindOutput(impl_->binding, name.c_str(), tensor.handle()));
  });
  impl_->note_output(name, false);
}

void Binding::bind_output(const std::string& name) {
  find_value(impl_->session->outputs, name, "output");
  guarded("binding output " + name, [&] { impl_->binding.BindOutput(name.c_str(), impl_->cpu); });
  impl_->note_output(name, true);
}

void Binding::clear_inputs() {
  impl_->binding.ClearBoundInputs();
}

void Binding::clear_outputs() {
  impl_->binding.ClearBoundOutputs();
  impl_->outputs.clear();
  impl_->allocated.clear();
}

void Binding::run() {
  guarded("running a model", [&] {
    // The results of the last run are still bound, and would be written over.
    for (const auto& name : impl_->allocated) impl_->binding.BindOutput(name.c_str(), impl_->cpu);
    Ort::ThrowOnError(Ort::GetApi().RunWithBinding(impl_->session->session, nullptr, impl_->binding));
  });
}

std::vector<OrtTensor> Binding::outputs() const {
  return guarded("reading results", [&] {
    std::vector<OrtTensor> out;
    for (Ort::Value& value : impl_->binding.GetOutputValues())
      out.push_back(OrtTensor::adopt(impl_->session->runtime, value.release()));
    return out;
  });
}

const std::vector<std::string>& Binding::output_names() const {
  return impl_->outputs;
}

}  // namespace ferry::ort
