#include "passes/quantize/dynamic.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "passes/quantize/emit.h"

namespace ferry::passes {
namespace {

using ir::Graph;
using ir::Node;
using ir::Value;
using NodePtr = std::unique_ptr<Node>;

// What all graphs of the model share.
struct Model {
  const DynamicQuantization& options;
  const Selected& selected;
  QuantizationResult& result;
  Graph& root;
  std::unordered_map<const Value*, QuantizedTensor> weights;

  [[nodiscard]] IntegerFormat weight_format() const {
    return {options.weights, options.weights_symmetric, options.reduce_range};
  }
  // Tables are quantized like activations, to u8; where weights are u8, too, by the weights' symmetry.
  [[nodiscard]] IntegerFormat table_format() const {
    const bool same = options.weights == DType::u8;
    return {DType::u8, same ? options.weights_symmetric : options.activations_symmetric, false};
  }

  QuantizedTensor weight(const Value& value, const IntegerFormat& format, std::optional<size_t> axis) {
    const auto known = weights.find(&value);
    if (known != weights.end()) return known->second;
    return weights.emplace(&value, add_quantized_weight(root, value, format, axis)).first->second;
  }
};

// One graph, or a branch within.
class Scope {
 public:
  Scope(Graph& graph, Model& model, Scope* outer)
      : graph_(graph), emit_(graph), model_(model), outer_(outer) {
    for (const Value* input : graph.inputs) own_.insert(input);
  }

  void run() {
    auto nodes = std::exchange(graph_.mutable_nodes(), {});
    for (const auto& node : nodes) {
      for (const Value* output : node->outputs) own_.insert(output);
    }
    for (auto& node : nodes) {
      for (auto& [name, attribute] : node->attributes) {
        if (auto* inner = std::get_if<ir::GraphPtr>(&attribute)) Scope(**inner, model_, this).run();
      }
      visit(std::move(node));
    }
    for (Value*& output : graph_.outputs) output = as_float(output);
  }

 private:
  void visit(NodePtr node) {
    const char* why = nullptr;
    if (node->is("MatMul") && model_.selected(*node)) {
      why = why_not_matmul(*node);
      if (why == nullptr) return matmul(*node);
    } else if (node->is("Gemm") && (model_.selected(*node) || model_.selected(*node, "MatMul"))) {
      why = why_not_gemm(*node);
      if (why == nullptr) return gemm(*node);
    } else if (node->is("Conv") && model_.selected(*node)) {
      why = why_not_conv(*node);
      if (why == nullptr) return conv(*node);
    } else if (node->is("Gather") && model_.selected(*node)) {
      if (is_float_weight(node->input(0)) || is_table(node->input(0))) return gather(std::move(node));
    } else if (node->is("Attention", ir::kMicrosoftDomain) && model_.selected(*node)) {
      why = why_not_attention(*node);
      if (why == nullptr) return attention(*node);
    } else if (node->is("Transpose") && model_.selected(*node) && passes_through(node->input(0))) {
      return transpose(std::move(node));
    } else if (node->op_type == "LSTM" && model_.selected(*node)) {
      why = "quantized LSTM is not built";
    }
    if (why != nullptr) model_.result.kept.push_back({node->name, node->op_type, why});
    keep(std::move(node));
  }

  void keep(NodePtr node) {
    for (Value*& input : node->inputs) input = as_float(input);
    graph_.mutable_nodes().push_back(std::move(node));
  }

  [[nodiscard]] static bool may_be_f32(const Value* value) {
    return value != nullptr && (value->dtype == DType::f32 || value->dtype == DType::undefined);
  }

  [[nodiscard]] const char* why_not_matmul(const Node& node) const {
    const Value *a = node.input(0), *b = node.input(1);
    if (a == nullptr || b == nullptr) return "an input is missing";
    if (a->is_weight() && b->is_weight()) return "both sides are constant";
    if (!b->is_weight()) {
      if (model_.options.matmul_const_b_only) return "the right side is no weight";
      if (!may_be_f32(b) || b->dtype == DType::undefined) return "the right side is not f32";
    } else if (!is_float_weight(b)) {
      return "the weight is not f32";
    }
    if (b->shape && b->rank() < 2) return "the right side is a vector";
    if (a->is_weight() || !may_be_f32(a)) return "the left side is not an f32 activation";
    return nullptr;
  }

  [[nodiscard]] const char* why_not_gemm(const Node& node) const {
    if (!is_float_weight(node.input(1))) return "the right side is no f32 weight";
    if (node.get("alpha", 1.0f) != 1.0f || node.get("beta", 1.0f) != 1.0f) return "alpha or beta is not 1";
    if (node.get("transA", int64_t{0}) != 0) return "the left side is transposed";
    if (node.input(0)->is_weight() || !may_be_f32(node.input(0)))
      return "the left side is not an f32 activation";
    return nullptr;
  }

  [[nodiscard]] const char* why_not_conv(const Node& node) const {
    if (!is_float_weight(node.input(1))) return "the filters are no f32 weight";
    if (node.input(0)->is_weight() || !may_be_f32(node.input(0))) return "the input is not an f32 activation";
    return nullptr;
  }

  [[nodiscard]] const char* why_not_attention(const Node& node) const {
    if (!is_float_weight(node.input(1))) return "the weight is not an f32 weight";
    if (node.input(2) == nullptr) return "there is no bias";
    if (node.attributes.count("qkv_hidden_sizes") > 0)
      return "queries, keys and values have sizes of their own";
    if (node.input(5) != nullptr || node.input(6) != nullptr) return "QAttention takes no bias of the scores";
    if (!may_be_f32(node.input(0))) return "the input is not f32";
    return nullptr;
  }

  void note(const Node& node, const Value* weight) {
    QuantizedNode out{node.name, node.op_type, "", 0, 0};
    if (weight != nullptr && weight->is_weight()) {
      out.weight = weight->name;
      out.bytes_before = weight->weight->size_bytes();
      out.bytes_after = weight->weight->count();
    }
    model_.result.quantized.push_back(std::move(out));
  }

  // ---- tensors

  [[nodiscard]] Scope& owner(const Value* value) {
    Scope* scope = this;
    while (scope->own_.count(value) == 0 && scope->outer_ != nullptr) scope = scope->outer_;
    return *scope;
  }

  // Quantized while the model runs, once for all its users.
  QuantizedTensor activation(Value* value) {
    Scope& scope = owner(value);
    const auto known = scope.activations_.find(value);
    if (known != scope.activations_.end()) return known->second;
    const auto made =
        scope.emit_.make_n("DynamicQuantizeLinear", value->name + "_QuantizeLinear", {value},
                           {value->name + "_quantized", value->name + "_scale", value->name + "_zero_point"});
    return scope.activations_[value] = {made[0], made[1], made[2], std::nullopt};
  }

  // Whether a Transpose moves integers: of a tensor that is nothing else, or (as ONNX Runtime's quantizer
  // does) one whose integers another product will take.
  [[nodiscard]] bool passes_through(const Value* value) {
    if (value == nullptr) return false;
    const Scope& scope = owner(value);
    if (scope.float_gone_.count(value) > 0) return true;
    return !model_.options.matmul_const_b_only && scope.activations_.count(value) > 0;
  }
  [[nodiscard]] bool is_table(const Value* value) const {
    return value != nullptr && model_.weights.count(value) > 0;
  }

  // The value for a user that wants floats: of a tensor that exists as integers only, those times the scale.
  Value* as_float(Value* value) {
    if (value == nullptr) return value;
    Scope& scope = owner(value);
    if (scope.float_gone_.erase(value) > 0) {
      const QuantizedTensor& from = scope.activations_.at(value);
      scope.emit_.make_into(value, "DequantizeLinear", value->name + "_DequantizeLinear",
                            {from.integers, from.scale, from.zero_point});
      return value;
    }
    const auto weight = model_.weights.find(value);
    if (weight == model_.weights.end()) return value;
    return dequantized_weight(value, weight->second);
  }

  // A weight that another node uses as floats: stored once, as integers.
  Value* dequantized_weight(Value* value, const QuantizedTensor& from) {
    const auto known = dequantized_.find(value);
    if (known != dequantized_.end()) return known->second;
    ir::Attributes attributes;
    if (from.axis) attributes["axis"] = static_cast<int64_t>(*from.axis);
    return dequantized_[value] = emit_.make("DequantizeLinear", value->name + "_DequantizeLinear",
                                            {from.integers, from.scale, from.zero_point},
                                            value->name + "_dequantized", attributes);
  }

  // ---- operators

  QuantizedTensor right_side(Value* b) {
    if (!b->is_weight()) return activation(b);
    std::optional<size_t> axis;
    // ONNX Runtime multiplies with one zero point a column for matrices only.
    if (model_.options.per_channel && b->rank() == 2) axis = 1;
    return model_.weight(*b, model_.weight_format(), axis);
  }

  void matmul(const Node& node) {
    note(node, node.inputs[1]);
    const QuantizedTensor a = activation(node.inputs[0]);
    product(a, right_side(node.inputs[1]), node.name, node.outputs[0]);
  }

  // Sums of integers, as floats, times both scales.
  void product(const QuantizedTensor& a, const QuantizedTensor& b, const std::string& node_name, Value* out) {
    const std::string name = node_name.empty() ? "" : node_name + "_quant";
    const std::string sums_name = out->name + "_output_quantized";
    Value* sums =
        emit_.make("MatMulInteger", name, {a.integers, b.integers, a.zero_point, b.zero_point}, sums_name);
    scale_into(out, a, b, name, sums);
  }

  void scale_into(Value* out, const QuantizedTensor& a, const QuantizedTensor& b, const std::string& name,
                  Value* sums) {
    const int64_t to = onnx_number(DType::f32);
    Value* cast = emit_.make("Cast", sums->name + "_cast", {sums}, sums->name + "_cast_output", {{"to", to}});
    const std::string scales =
        name.empty() ? a.scale->name + "_" + b.scale->name + "_mul" : name + "_scales_mul";
    Value* scale = emit_.make("Mul", scales, {a.scale, b.scale}, scales + ":0");
    emit_.make_into(out, "Mul", name.empty() ? "" : name + "_output_scale_mul", {cast, scale});
  }

  // Gemm(a, b, c) is MatMul(a, b) + c.
  void gemm(const Node& node) {
    note(node, node.inputs[1]);
    Value* b = node.inputs[1];
    if (node.get("transB", int64_t{0}) != 0) b = transposed(b);
    Value* out = node.outputs[0];
    const std::string name = node.name.empty() ? "" : node.name + "_MatMul";
    Value* result = out;
    if (node.input(2) != nullptr) {
      Value value;
      value.name = graph_.unique_name(out->name + "_MatMul");
      value.dtype = out->dtype;
      value.shape = out->shape;
      result = graph_.add_raw_value(std::move(value));
    }
    const QuantizedTensor a = activation(node.inputs[0]);
    product(a, right_side(b), name, result);
    if (result != out)
      emit_.make_into(out, "Add", node.name.empty() ? "" : node.name + "_Add",
                      {result, as_float(node.inputs[2])});
  }

  Value* transposed(const Value* weight) {
    Value*& made = transposed_[weight];
    if (made == nullptr)
      made = model_.root.add_weight(weight->name + "_Transposed", weight->weight->transpose());
    return made;
  }

  void conv(const Node& node) {
    note(node, node.inputs[1]);
    const QuantizedTensor a = activation(node.inputs[0]);
    const QuantizedTensor b = model_.weight(*node.inputs[1], model_.weight_format(), std::nullopt);
    Value* out = node.outputs[0];
    const std::string name = node.name.empty() ? "" : node.name + "_quant";
    Value* sums = emit_.make("ConvInteger", name, {a.integers, b.integers, a.zero_point, b.zero_point},
                             out->name + "_output_quantized", node.attributes);
    if (node.input(2) == nullptr) return scale_into(out, a, b, name, sums);
    Value value;
    value.name = graph_.unique_name(out->name + "quant_scaled_output");
    value.dtype = out->dtype;
    value.shape = out->shape;
    Value* scaled = graph_.add_raw_value(std::move(value));
    scale_into(scaled, a, b, name, sums);
    std::vector<int64_t> dims(node.inputs[1]->rank(), 1);
    dims[1] = -1;
    Value* shape = model_.root.add_weight(out->name + "_bias_reshape_shape",
                                          Weight::from_i64({static_cast<int64_t>(dims.size())}, dims));
    Value* bias =
        emit_.make("Reshape", "", {as_float(node.inputs[2]), shape}, out->name + "_bias_reshape_output");
    emit_.make_into(out, "Add", out->name + "_bias_add", {scaled, bias});
  }

  void gather(NodePtr node) {
    note(*node, node->inputs[0]);
    QuantizedTensor table = model_.weight(*node->inputs[0], model_.table_format(), std::nullopt);
    if (table.axis)
      return keep(std::move(node));  // A weight with a scale a column, which Gather would mix up.
    integers_only(std::move(node), table);
  }

  // Moves elements: integers go through, and scale and zero point stay.
  void transpose(NodePtr node) {
    const QuantizedTensor from = owner(node->inputs[0]).activations_.at(node->inputs[0]);
    integers_only(std::move(node), from);
  }

  void integers_only(NodePtr node, const QuantizedTensor& from) {
    Value* out = node->outputs[0];
    Value* integers = emit_.make(node->op_type, "", replaced(*node, from.integers), out->name + "_quantized",
                                 node->attributes);
    graph_.mutable_nodes().back()->name = node->name;  // It is the same node, on integers.
    activations_[out] = {integers, from.scale, from.zero_point, std::nullopt};
    float_gone_.insert(out);
  }

  static std::vector<Value*> replaced(const Node& node, Value* first) {
    std::vector<Value*> inputs = node.inputs;
    inputs[0] = first;
    return inputs;
  }

  void attention(const Node& node) {
    note(node, node.inputs[1]);
    const QuantizedTensor a = activation(node.inputs[0]);
    const QuantizedTensor b = right_side(node.inputs[1]);
    emit_.make_into(node.outputs[0], "QAttention", node.name.empty() ? "" : node.name + "_quant",
                    {a.integers, b.integers, as_float(node.inputs[2]), a.scale, b.scale, node.input(3),
                     a.zero_point, b.zero_point, node.input(4)},
                    node.attributes, ir::kMicrosoftDomain);
    for (size_t i = 1; i < node.outputs.size(); ++i) {
      Node& made = *graph_.mutable_nodes().back();
      made.outputs.push_back(node.outputs[i]);
      if (node.outputs[i] != nullptr) node.outputs[i]->producer = &made;
    }
  }

  Graph& graph_;
  Emitter emit_;
  Model& model_;
  Scope* outer_;
  std::unordered_set<const Value*> own_;
  std::unordered_map<const Value*, QuantizedTensor> activations_;
  std::unordered_set<const Value*> float_gone_;  // Those of activations_ that nothing makes as floats.
  std::unordered_map<const Value*, Value*> dequantized_;
  std::unordered_map<const Value*, Value*> transposed_;
};

}  // namespace

std::vector<std::string> dynamic_operators() {
  return {"Conv", "MatMul", "Attention", "LSTM", "Gather", "Transpose", "EmbedLayerNormalization"};
}

QuantizationResult quantize_dynamic(Graph& graph, const DynamicQuantization& options) {
  require_not_quantized(graph);
  const auto opset = graph.opsets.find("");
  if (opset != graph.opsets.end() && opset->second < 11) {
    throw Error(ErrorCode::unsupported,
                fmt::format("dynamic quantization needs opset 11 or later, the model has {}", opset->second));
  }
  const Selected selected(options.nodes, graph);
  QuantizationResult result;
  Model model{options, selected, result, graph, {}};
  Scope(graph, model, nullptr).run();
  graph.remove_dead_nodes();
  return result;
}

}  // namespace ferry::passes
