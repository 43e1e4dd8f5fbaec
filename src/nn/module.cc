#include "nn/module.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "tensor/grouped.h"

namespace ferry::nn {
namespace {

// The names that agree with `wanted` in its last two parts, or are near it: what a reader looks for first.
std::vector<std::string> similar_names(const StateDict& state, const std::string& wanted) {
  const auto parts = split(wanted, '.');
  std::string tail = parts.back();
  if (parts.size() > 1) tail = parts[parts.size() - 2] + "." + tail;
  std::vector<std::string> out;
  for (const auto& [name, weight] : state.tensors) {
    if (ends_with(name, tail)) out.push_back(printable(name, 120));
    if (out.size() == 3) break;
  }
  return out;
}

[[noreturn]] void throw_missing(const StateDict& state, const std::string& name, const Dims& dims) {
  Error error(ErrorCode::missing_tensor,
              fmt::format("{} has no tensor \"{}\" of shape {}", state.origin, name, to_string(dims)));
  const auto similar = similar_names(state, name);
  if (!similar.empty()) error.with_hint("it has " + join(similar));
  throw error;
}

}  // namespace

Scope Scope::operator/(std::string_view name) const {
  return Scope(*build_, full_name(name));
}

std::string Scope::full_name(std::string_view name) const {
  return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

bool Scope::has(std::string_view name) const {
  return build_->state.tensors.count(full_name(name)) > 0;
}

bool Scope::is_quantized(std::string_view name) const {
  const auto found = build_->state.tensors.find(full_name(name));
  return found != build_->state.tensors.end() && is_grouped(found->second);
}

Weight Scope::weight(std::string_view name, const Dims& dims) const {
  const std::string full = full_name(name);
  const auto found = build_->state.tensors.find(full);
  if (found == build_->state.tensors.end()) throw_missing(build_->state, full, dims);
  build_->used.insert(full);
  const bool adapts = build_->adapt && found->second.dims() != dims;
  const Weight stored = adapts ? build_->adapt(found->second, dims) : found->second;
  if (stored.dims() != dims) {
    throw Error(ErrorCode::shape_mismatch,
                fmt::format("{}: tensor \"{}\" has shape {}, the configuration asks for {}",
                            build_->state.origin, full, to_string(stored.dims()), to_string(dims)));
  }
  if (!is_floating(stored.dtype())) {
    throw Error(ErrorCode::dtype_mismatch,
                fmt::format("{}: tensor \"{}\" has element type {}, expected a floating one",
                            build_->state.origin, full, to_string(stored.dtype())));
  }
  return stored.cast(build_->dtype);
}

Tensor Scope::parameter(std::string_view name, const Dims& dims) const {
  Weight checked = weight(name, dims);
  const std::string full = full_name(name);
  auto& known = build_->values[full];
  if (known == nullptr) known = graph().add_weight(full, std::move(checked));
  return {graph(), known};
}

Tensor Scope::constant(std::string_view name, Weight weight) const {
  return ir::op::weight(graph(), full_name(name), std::move(weight));
}

void Scope::ignore(std::string_view name) const {
  const std::string full = full_name(name);
  for (auto at = build_->state.tensors.lower_bound(full);
       at != build_->state.tensors.end() && starts_with(at->first, full); ++at) {
    if (at->first.size() == full.size() || at->first[full.size()] == '.') build_->used.insert(at->first);
  }
}

ir::NameScope Scope::named() const {
  std::string path = "/" + path_;
  // List indices stay with their list, as transformers' exports name them: "layer.0".
  for (size_t i = 1; i < path.size(); ++i) {
    const bool index = path[i] == '.' && i + 1 < path.size() && path[i + 1] >= '0' && path[i + 1] <= '9';
    if (path[i] == '.' && !index) path[i] = '/';
  }
  return {graph(), std::move(path)};
}

}  // namespace ferry::nn
