// If and Loop: subgraphs that see the values around them.
#include <limits>

#include "reference/call.h"
#include "reference/strides.h"

namespace ferry::reference {
namespace {

bool truth_of(Call& call, const Tensor& condition) {
  call.require(condition.count() == 1, "the condition is not a single truth value");
  return condition.get<bool>()[0];
}

const ir::Graph& subgraph(Call& call, std::string_view name) {
  const auto* graph = call.node().find<ir::GraphPtr>(name);
  call.require(graph != nullptr && *graph != nullptr, "the subgraph is missing");
  return **graph;
}

void branch(Call& call) {
  const ir::Graph& body = subgraph(call, truth_of(call, call.input(0)) ? "then_branch" : "else_branch");
  const auto results = call.run(body, {});
  for (size_t i = 0; i < results.size(); ++i) call.set(i, results[i]);
}

// What an output of every iteration becomes: stacked along a new first dimension.
Tensor stacked(Call& call, const std::vector<Tensor>& parts) {
  Dims dims = parts[0].dims();
  dims.insert(dims.begin(), static_cast<int64_t>(parts.size()));
  return for_kind(parts[0].kind(), [&]<typename T>(std::type_identity<T>) {
    Tensor out = Tensor::make<T>(dims);
    T* to = out.edit<T>().data();
    for (const Tensor& part : parts) {
      call.require(part.dims() == parts[0].dims(), "iterations give results of different shapes");
      to = std::copy_n(part.get<T>().data(), part.count(), to);
    }
    return out;
  });
}

// A scan output of no iteration at all: its declared dims, with 0 for those that are not known.
Tensor nothing_stacked(const ir::Value& declared) {
  Dims dims = {0};
  for (size_t i = 0; declared.shape && i < declared.shape->size(); ++i)
    dims.push_back((*declared.shape)[i].constant().value_or(0));
  return for_kind(kind_of(declared.dtype),
                  [&]<typename T>(std::type_identity<T>) { return Tensor::make<T>(dims); });
}

// Body: (iteration, condition, carried...) -> (condition, carried..., scanned...).
void loop(Call& call) {
  const ir::Graph& body = subgraph(call, "body");
  const int64_t most = call.integer(0, std::numeric_limits<int64_t>::max());
  bool go_on = !call.has(1) || truth_of(call, call.input(1));
  std::vector<Tensor> carried;
  for (size_t i = 2; i < call.input_count(); ++i) carried.push_back(call.input(i));
  call.require(body.inputs.size() == carried.size() + 2 && body.outputs.size() >= carried.size() + 1,
               "the body does not carry as many values as the loop");
  std::vector<std::vector<Tensor>> scanned(body.outputs.size() - 1 - carried.size());
  for (int64_t i = 0; i < most && go_on; ++i) {
    std::vector<Tensor> inputs = {Tensor::scalar<int64_t>(i), Tensor::scalar<bool>(true)};
    inputs.insert(inputs.end(), carried.begin(), carried.end());
    const auto results = call.run(body, std::move(inputs));
    go_on = truth_of(call, results[0]);
    for (size_t c = 0; c < carried.size(); ++c) carried[c] = results[c + 1];
    for (size_t s = 0; s < scanned.size(); ++s) scanned[s].push_back(results[1 + carried.size() + s]);
  }
  for (size_t c = 0; c < carried.size(); ++c) call.set(c, carried[c]);
  for (size_t s = 0; s < scanned.size(); ++s) {
    call.set(carried.size() + s, scanned[s].empty() ? nothing_stacked(*body.outputs[1 + carried.size() + s])
                                                    : stacked(call, scanned[s]));
  }
}

constexpr Op kOps[] = {{"If", branch}, {"Loop", loop}};

}  // namespace

std::span<const Op> control_ops() {
  return kOps;
}

}  // namespace ferry::reference
