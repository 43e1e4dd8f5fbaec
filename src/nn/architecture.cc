#include "nn/architecture.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "nn/task.h"

namespace ferry::nn {
namespace op = ir::op;

std::optional<int64_t> InputSpec::only_size(const std::string& axis) const {
  const auto low = least.find(axis), high = most.find(axis);
  const bool one = low != least.end() && high != most.end() && low->second == high->second;
  return one ? std::optional<int64_t>(low->second) : std::nullopt;
}

void Inputs::set(std::string_view name, Tensor tensor) {
  for (auto& [known, value] : tensors_) {
    if (known == name) {
      value = tensor;
      return;
    }
  }
  add(std::string(name), tensor);
}

const Tensor& Inputs::operator[](std::string_view name) const {
  const auto found =
      std::find_if(tensors_.begin(), tensors_.end(), [&](const auto& entry) { return entry.first == name; });
  check_internal(found != tensors_.end(), "a definition asks for an input that its signature lacks");
  return found->second;
}

Tensor Inputs::find(std::string_view name) const {
  const auto found =
      std::find_if(tensors_.begin(), tensors_.end(), [&](const auto& entry) { return entry.first == name; });
  return found == tensors_.end() ? Tensor() : found->second;
}

const TaskEntry* Architecture::find_task(std::string_view canonical) const {
  const auto found = std::find_if(tasks.begin(), tasks.end(),
                                  [&](const TaskEntry& entry) { return entry.task == canonical; });
  return found == tasks.end() ? nullptr : &*found;
}

std::vector<std::string> Architecture::task_names() const {
  std::vector<std::string> out;
  for (const auto& entry : tasks) out.push_back(entry.task);
  return out;
}

Outputs outputs_of_task(std::string_view task, Outputs outputs) {
  if (!ends_with(task, kWithPast))
    std::erase_if(outputs, [](const auto& output) { return starts_with(output.first, "present."); });
  return outputs;
}

std::vector<std::string> axis_terms(const std::string& axis) {
  std::vector<std::string> out = split(axis, '+');
  for (auto& term : out) std::erase(term, ' ');
  return out;
}

std::vector<InputSpec> text_inputs(const TextInputOptions& options) {
  std::vector<Axis> axes = {"batch_size", "sequence_length"};
  if (options.choices) axes.insert(axes.begin() + 1, "num_choices");
  std::map<std::string, int64_t> most;
  if (options.max_length > 0) most["sequence_length"] = options.max_length;
  const auto input = [&](const char* name, Fill fill) {
    return InputSpec{name, DType::i64, axes, fill, most};
  };
  std::vector<InputSpec> out = {
      input("input_ids", {Fill::Kind::ids, 0, static_cast<double>(options.vocab_size)}),
      input("attention_mask", {Fill::Kind::mask})};
  if (options.type_vocab_size) {
    out.push_back(input(
        "token_type_ids",
        {Fill::Kind::ids, 0, static_cast<double>(std::clamp<int64_t>(*options.type_vocab_size, 1, 2))}));
  }
  return out;
}

Inputs flatten_choices(const Inputs& in) {
  Inputs out;
  const Tensor ids = in["input_ids"];
  const Tensor dims = op::concat({op::integers(ids.graph(), {-1}), op::shape_of(ids, 2, 3)}, 0);
  for (const auto& [name, tensor] : in.all())
    out.add(name, tensor.rank() == 3 ? op::reshape(tensor, dims) : tensor);
  return out;
}

Tensor unflatten_choices(const Tensor& logits, const Inputs& in) {
  return op::reshape(logits, op::shape_of(in["input_ids"], 0, 2));
}

Outputs span_logits(const Tensor& logits) {
  const auto parts = op::split(logits, -1, {1, 1});
  return {{"start_logits", op::squeeze(parts[0], {-1})}, {"end_logits", op::squeeze(parts[1], {-1})}};
}

namespace {

std::string modern_name(std::string name) {
  if (ends_with(name, "LayerNorm.gamma")) return name.substr(0, name.size() - 5) + "weight";
  if (ends_with(name, "LayerNorm.beta")) return name.substr(0, name.size() - 4) + "bias";
  return name;
}

bool below(std::string_view name, std::string_view prefix) {
  return prefix.empty() ||
         (starts_with(name, prefix) &&
          (name.size() == prefix.size() || prefix.back() == '.' || name[prefix.size()] == '.'));
}

bool may_be_unused(const std::string& name, const Architecture& architecture) {
  return std::any_of(architecture.may_be_unused.begin(), architecture.may_be_unused.end(),
                     [&](const std::string& allowed) {
                       if (starts_with(allowed, "*")) return ends_with(name, allowed.substr(1));
                       return below(name, allowed);
                     });
}

}  // namespace

StateDict canonical_names(const StateDict& state, const Architecture& architecture) {
  const std::string& prefix = architecture.base_model_prefix;
  const bool has_prefix =
      prefix.empty() || std::any_of(state.tensors.begin(), state.tensors.end(), [&](const auto& entry) {
        return starts_with(entry.first, prefix + ".");
      });
  StateDict out{state.origin, {}};
  for (const auto& [name, weight] : state.tensors) {
    std::string renamed = modern_name(name);
    // A body alone has neither the prefix nor a head; a checkpoint with a head has both.
    if (!has_prefix && !may_be_unused(renamed, architecture)) renamed = prefix + "." + renamed;
    out.tensors.emplace(std::move(renamed), weight);
  }
  return out;
}

void check_unused(const Build& build, const Architecture& architecture, const Log& log) {
  std::vector<std::string> in_body, elsewhere;
  for (const auto& [name, weight] : build.state.tensors) {
    if (build.used.count(name) > 0 || may_be_unused(name, architecture)) continue;
    (below(name, architecture.base_model_prefix) ? in_body : elsewhere).push_back(printable(name, 120));
  }
  if (!in_body.empty()) {
    throw Error(
        ErrorCode::unused_tensor,
        fmt::format("{} holds {} tensor{} that the configuration has no place for: {}", build.state.origin,
                    in_body.size(), in_body.size() == 1 ? "" : "s", join(in_body, ", ", 5)))
        .with_hint("does config.json belong to these weights?");
  }
  if (!elsewhere.empty()) {
    log.warning(fmt::format("{} holds {} tensor{} that this task does not use: {}", build.state.origin,
                            elsewhere.size(), elsewhere.size() == 1 ? "" : "s", join(elsewhere, ", ", 5)));
  }
}

}  // namespace ferry::nn
