#pragma once
#include <string>
#include <unordered_map>

#include "ir/graph.h"

namespace ferry::onnx {

/// The values that nodes of a graph can name: its own, and those of the graphs around it.
class Scope {
 public:
  explicit Scope(const Scope* outer) : outer_(outer) {}

  /// False if this very graph has a value of the name.
  bool add(ir::Value* value) { return own_.emplace(value->name, value).second; }
  bool add(const std::string& name, ir::Value* value) { return own_.emplace(name, value).second; }
  [[nodiscard]] ir::Value* find_own(const std::string& name) const {
    const auto found = own_.find(name);
    return found == own_.end() ? nullptr : found->second;
  }
  [[nodiscard]] ir::Value* find(const std::string& name) const {
    if (ir::Value* own = find_own(name)) return own;
    return outer_ != nullptr ? outer_->find(name) : nullptr;
  }

 private:
  const Scope* outer_;
  std::unordered_map<std::string, ir::Value*> own_;
};

}  // namespace ferry::onnx
