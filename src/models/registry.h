#pragma once
// The architectures that ferry knows, and those that a program adds.
#include <string>
#include <string_view>
#include <vector>

#include "nn/architecture.h"

namespace ferry::models {

/// A list of architectures by model type.
class Registry {
 public:
  /// All that ferry ships.
  static Registry builtin();

  /// Adds or replaces.
  void add(nn::Architecture architecture);
  [[nodiscard]] const nn::Architecture* find(std::string_view model_type) const;
  /// Errors: Error{unsupported} with the nearest known types.
  [[nodiscard]] const nn::Architecture& get(std::string_view model_type) const;
  [[nodiscard]] std::vector<std::string> model_types() const;

 private:
  std::vector<nn::Architecture> architectures_;  // Sorted by model type.
};

}  // namespace ferry::models
