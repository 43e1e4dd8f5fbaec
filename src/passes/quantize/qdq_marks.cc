#include "passes/quantize/qdq_marks.h"

#include <algorithm>
#include <unordered_set>

namespace ferry::passes {
namespace {

using ir::Node;
using ir::Value;

class Marker {
 public:
  Marker(ir::Graph& graph, const StaticModel& model) : graph_(graph), model_(model) {}

  QdqMarks run() {
    for (const auto& node : graph_.nodes()) {
      if (!model_.takes(*node)) continue;
      const size_t before = count();
      visit(*node);
      if (count() != before || dropped_.count(node.get()) > 0)
        out_.result.quantized.push_back(quantized_node(*node, weight_of(*node)));
      for (const Value* input : node->inputs) add_user(input, *node);
    }
    std::erase_if(graph_.mutable_nodes(),
                  [&](const std::unique_ptr<Node>& node) { return dropped_.count(node.get()) > 0; });
    for (Value* value : order_) {
      if (value->is_weight() && marked(value)) out_.weights.push_back(value);
    }
    return std::move(out_);
  }

 private:
  using Rule = void (Marker::*)(Node&);

  void visit(Node& node) {
    static const std::unordered_map<std::string_view, Rule> rules = {
        {"Conv", &Marker::convolution},
        {"ConvTranspose", &Marker::convolution},
        {"Gemm", &Marker::gemm},
        {"Clip", &Marker::removable},
        {"Relu", &Marker::removable},
        {"Reshape", &Marker::moves},
        {"Transpose", &Marker::moves},
        {"Squeeze", &Marker::moves},
        {"Unsqueeze", &Marker::moves},
        {"Flatten", &Marker::moves},
        {"Resize", &Marker::moves},
        {"MaxPool", &Marker::moves},
        {"AveragePool", &Marker::moves},
        {"Slice", &Marker::moves},
        {"TopK", &Marker::moves},
        {"Pad", &Marker::pad},
        {"MatMul", &Marker::matmul},
        {"Split", &Marker::split},
        {"Gather", &Marker::gather},
        {"GatherElements", &Marker::gather},
        {"Where", &Marker::where},
        {"InstanceNormalization", &Marker::normalization},
        {"LayerNormalization", &Marker::normalization},
        {"BatchNormalization", &Marker::normalization}};
    const auto rule = node.domain.empty() ? rules.find(node.op_type) : rules.end();
    if (rule == rules.end()) return all(node);
    (this->*rule->second)(node);
  }

  // ---- marks

  [[nodiscard]] size_t count() const { return out_.tensors.size() + out_.biases.size(); }
  [[nodiscard]] bool marked(const Value* value) const {
    if (out_.tensors.count(value) > 0) return true;
    return std::any_of(out_.biases.begin(), out_.biases.end(),
                       [&](const QdqMarks::Bias& bias) { return bias.value == value; });
  }

  void set(Value* value, const QdqMarks::Tensor& how, bool replace) {
    if (!model_.quantizable(value)) return;
    const auto [place, is_new] = out_.tensors.emplace(value, how);
    if (is_new)
      order_.push_back(value);
    else if (replace)
      place->second = how;
  }

  void activation(Value* value) { set(value, {}, false); }
  void like(Value* value, const Value* source) { set(value, {false, std::nullopt, source}, true); }

  // One scale, or one along `axis` where such are wanted and the weight has the axis.
  void weight(Value* value, int64_t axis) {
    if (value == nullptr) return;
    if (value->is_weight() && model_.options.per_channel) {
      const auto rank = static_cast<int64_t>(value->rank());
      if (axis < 0) axis += rank;
      if (axis >= 0 && axis < rank) return set(value, {true, static_cast<size_t>(axis), nullptr}, true);
    }
    set(value, {true, std::nullopt, nullptr}, false);
  }

  [[nodiscard]] int64_t asked_axis(const Node& node, int64_t otherwise) const {
    const auto found = model_.options.per_channel_axis.find(node.op_type);
    return found == model_.options.per_channel_axis.end() ? otherwise : found->second;
  }

  void bias(Node& node, size_t index) {
    Value* value = node.input(index);
    if (value == nullptr || !value->is_weight() || !model_.quantizable(value)) return;
    if (model_.is_output(value)) return;
    const bool is_taken = std::any_of(out_.biases.begin(), out_.biases.end(),
                                      [&](const QdqMarks::Bias& other) { return other.value == value; });
    if (is_taken) {
      const std::string name = value->name + std::to_string(copies_[value]++);
      value = node.inputs[index] = graph_.add_weight(name, *value->weight);
    }
    out_.biases.push_back({value, node.inputs[0], node.inputs[1]});
  }

  void add_user(const Value* value, const Node& node) {
    if (value == nullptr) return;
    auto& users = out_.users[value];
    if (users.empty() || users.back() != &node) users.push_back(&node);
  }

  [[nodiscard]] const Value* weight_of(const Node& node) const {
    for (const Value* input : node.inputs) {
      const auto found = out_.tensors.find(input);
      if (found != out_.tensors.end() && input->is_weight()) return input;
    }
    return nullptr;
  }

  // ---- operators

  void all(Node& node) {
    for (Value* input : node.inputs) activation(input);
    for (Value* output : node.outputs) activation(output);
  }

  void convolution(Node& node) {
    activation(node.inputs[0]);
    activation(node.outputs[0]);
    weight(node.inputs[1], node.is("Conv") ? 0 : 1);
    bias(node, 2);
  }

  void gemm(Node& node) {
    activation(node.inputs[0]);
    activation(node.outputs[0]);
    weight(node.inputs[1], node.get("transB", int64_t{0}) != 0 ? 0 : 1);
    fold_beta(node);
    bias(node, 2);
  }

  void fold_beta(Node& node) {
    const float beta = node.get("beta", 1.0f);
    const Value* c = node.input(2);
    if (beta == 1.0f || c == nullptr || !c->is_weight() || !model_.quantizable(c)) return;
    node.inputs[2] = graph_.add_weight(c->name + "_beta", c->weight->scale(beta));
    node.attributes["beta"] = 1.0f;
  }

  // Integers of the result clip as Relu and Clip do.
  void removable(Node& node) {
    Value *input = node.inputs[0], *output = node.outputs[0];
    if (!marked(input)) return;
    if (!model_.options.activations_symmetric && goes(input, output)) {
      Node* producer = input->producer;
      std::replace(producer->outputs.begin(), producer->outputs.end(), input, output);
      output->producer = producer;
      input->producer = nullptr;
      out_.tensors.erase(input);
      dropped_.insert(&node);
    } else {
      activation(input);
    }
    activation(output);
  }

  [[nodiscard]] bool goes(const Value* input, const Value* output) const {
    return model_.has_range(input) && model_.has_range(output) && model_.uses(input) == 1 &&
           input->producer != nullptr && !model_.is_input(input) && !model_.is_output(input);
  }

  // What comes out are numbers that came in.
  void moves(Node& node) {
    if (node.is("MaxPool") && model_.opset() < 12) return;
    if (node.is("Resize") && model_.opset() < 11) return;
    if (marked(node.inputs[0])) like(node.outputs[0], node.inputs[0]);
  }

  void pad(Node& node) {
    for (Value* input : node.inputs) activation(input);
    if (pads_with_its_own(node))
      like(node.outputs[0], node.inputs[0]);
    else
      activation(node.outputs[0]);
  }

  // A number of the input, or 0, which every range holds.
  [[nodiscard]] bool pads_with_its_own(const Node& node) const {
    if (node.get("mode", std::string("constant")) != "constant") return true;
    if (model_.opset() < 11) return node.get("value", 0.0f) == 0.0f;
    const Value* with = node.input(2);
    if (with == nullptr) return true;
    if (!with->is_weight() || with->dtype != DType::f32 || with->weight->count() != 1) return false;
    return with->weight->as_f32()[0] == 0.0f;
  }

  void matmul(Node& node) {
    for (Value* value : {node.inputs[0], node.inputs[1], node.outputs[0]}) {
      if (value->is_weight())
        weight(value, asked_axis(node, 1));
      else
        activation(value);
    }
  }

  void split(Node& node) {
    if (!marked(node.inputs[0])) activation(node.inputs[0]);
    for (Value* output : node.outputs) like(output, node.inputs[0]);
  }

  void gather(Node& node) {
    Value* table = node.inputs[0];
    if (is_float_weight(table)) activation(table);
    if (marked(table)) like(node.outputs[0], table);
  }

  void where(Node& node) {
    if (marked(node.inputs[1]) && marked(node.inputs[2])) activation(node.outputs[0]);
  }

  void normalization(Node& node) {
    activation(node.inputs[0]);
    weight(node.inputs[1], asked_axis(node, 1));
    if (node.input(2) != nullptr) bias(node, 2);
    for (Value* output : node.outputs) activation(output);
  }

  ir::Graph& graph_;
  const StaticModel& model_;
  QdqMarks out_;
  std::vector<Value*> order_;
  std::unordered_map<const Value*, size_t> copies_;  // Of biases.
  std::unordered_set<const Node*> dropped_;
};

}  // namespace

QdqMarks mark_tensors(ir::Graph& graph, const StaticModel& model) {
  return Marker(graph, model).run();
}

}  // namespace ferry::passes
