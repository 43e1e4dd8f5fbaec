#pragma once
// Whether two models decide alike: the labels, spans and tokens that a task reads off the outputs.
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ferry/compare.h"
#include "ort/session.h"
#include "runtime/samples.h"

namespace ferry::runtime {

using Outputs = std::map<std::string, HostTensor>;

class AgreementCounter {
 public:
  /// By the outputs that a model declares and its config.json ("{}": none). Nothing if they tell no task.
  static std::optional<AgreementCounter> for_model(std::span<const ort::ValueInfo> outputs,
                                                   const std::string& config);

  /// What attention_mask hides does not count.
  void add(const Sample& inputs, const Outputs& a, const Outputs& b);
  [[nodiscard]] const TaskAgreement& result() const { return result_; }

 private:
  enum class Kind : uint8_t { span, one, several, planes };
  AgreementCounter(Kind kind, std::string of) : kind_(kind) { result_.of = std::move(of); }

  Kind kind_;
  TaskAgreement result_;
};

}  // namespace ferry::runtime
