#pragma once
// Graphs of one node, for tests of operators.
#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "reference/interpreter.h"
#include "tensor/host_tensor.h"

namespace ferry::test {

/// An input of the node: of the graph, or a constant of it, or left out.
struct Arg {
  Arg() = default;
  Arg(HostTensor value, bool is_constant = false)  // NOLINT(google-explicit-constructor)
      : tensor(std::move(value)), constant(is_constant) {}
  std::optional<HostTensor> tensor;
  bool constant = false;
};

inline Arg absent() {
  return {};
}
inline Arg f32(Dims dims, const std::vector<float>& values) {
  return HostTensor::f32(std::move(dims), values);
}
inline Arg i64(Dims dims, const std::vector<int64_t>& values) {
  return HostTensor::i64(std::move(dims), values);
}
inline Arg boolean(Dims dims, const std::vector<bool>& values) {
  return HostTensor::boolean(std::move(dims), values);
}
/// Constant integers: axes, shapes, pads.
inline Arg ints(const std::vector<int64_t>& values) {
  return {HostTensor::i64({static_cast<int64_t>(values.size())}, values), true};
}
inline Arg constant(Arg arg) {
  arg.constant = true;
  return arg;
}
inline Arg as(DType dtype, const Arg& arg) {
  return {arg.tensor->to_floating(dtype), arg.constant};
}

/// Numbers between low and high, the same for the same seed.
inline Arg uniform(Dims dims, float low = -2, float high = 2, unsigned seed = 1) {
  HostTensor out = HostTensor::zeros(DType::f32, std::move(dims));
  std::mt19937 random(seed * 7919 + static_cast<unsigned>(out.count()));
  for (float& x : out.as<float>()) {
    const double share = static_cast<double>(random()) / static_cast<double>(std::mt19937::max());
    x = static_cast<float>(low + (high - low) * share);
  }
  return out;
}
inline Arg uniform_ints(Dims dims, int64_t low, int64_t high, unsigned seed = 1) {
  HostTensor out = HostTensor::zeros(DType::i64, std::move(dims));
  std::mt19937 random(seed * 7919 + static_cast<unsigned>(out.count()));
  for (int64_t& x : out.as<int64_t>())
    x = low + static_cast<int64_t>(random() % static_cast<unsigned>(high - low + 1));
  return out;
}
inline Arg uniform_bools(Dims dims, unsigned seed = 1) {
  HostTensor out = HostTensor::zeros(DType::boolean, std::move(dims));
  std::mt19937 random(seed * 7919 + static_cast<unsigned>(out.count()));
  for (bool& x : out.as<bool>()) x = random() % 3 != 0;
  return out;
}
/// The numbers as another integer type.
inline Arg narrowed(DType dtype, const Arg& arg) {
  HostTensor out = HostTensor::zeros(dtype, arg.tensor->dims);
  const auto from = arg.tensor->as<int64_t>();
  const size_t size = bits_of(dtype) / 8;
  for (size_t i = 0; i < from.size(); ++i) std::memcpy(out.bytes.data() + i * size, &from[i], size);
  return {out, arg.constant};
}

struct OpCase {
  std::string op;
  std::vector<Arg> args;
  ir::Attributes attributes = {};
  size_t outputs = 1;
  std::string domain = "";
  double tolerance = 2e-6;  ///< Relative to the largest magnitude, and absolute below 1.
  bool strict = true;       ///< Off where inference cannot know the result's shape.
  std::string name = "";
};

/// The graph: inputs x0, x1, ..., outputs y0, y1, ...
inline ir::Graph graph_of(const OpCase& of) {
  ir::Graph graph;
  graph.strict = of.strict;
  std::vector<ir::Value*> inputs;
  for (size_t i = 0; i < of.args.size(); ++i) {
    const auto& [tensor, is_constant] = of.args[i];
    const std::string name = "x" + std::to_string(i);
    if (!tensor) {
      inputs.push_back(nullptr);
    } else if (is_constant) {
      inputs.push_back(
          graph.add_weight(name, Weight::inline_bytes(tensor->dtype, tensor->dims, tensor->bytes)));
    } else {
      inputs.push_back(
          graph.add_input(name, tensor->dtype, ir::Shape(tensor->dims.begin(), tensor->dims.end())));
    }
  }
  const ir::Node& node = graph.add_node(of.op, inputs, of.attributes, of.outputs, of.domain);
  const auto results = node.outputs;
  for (size_t i = 0; i < results.size(); ++i) graph.add_output("y" + std::to_string(i), results[i]);
  return graph;
}

inline std::map<std::string, HostTensor> inputs_of(const OpCase& of) {
  std::map<std::string, HostTensor> inputs;
  for (size_t i = 0; i < of.args.size(); ++i) {
    if (of.args[i].tensor && !of.args[i].constant) inputs["x" + std::to_string(i)] = *of.args[i].tensor;
  }
  return inputs;
}

/// Every result of the interpreter.
inline std::vector<HostTensor> evaluate_all(const OpCase& of) {
  const ir::Graph graph = graph_of(of);
  auto results = reference::Interpreter(graph).run(inputs_of(of));
  std::vector<HostTensor> out;
  for (size_t i = 0; i < of.outputs; ++i) out.push_back(std::move(results.at("y" + std::to_string(i))));
  return out;
}
inline HostTensor evaluate(const OpCase& of) {
  return evaluate_all(of)[0];
}

}  // namespace ferry::test
