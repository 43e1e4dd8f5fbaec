// The graph with operators on integers: QLinearConv, QLinearMatMul, QGemm and com.microsoft's others.
#include <algorithm>
#include <unordered_map>
#include <utility>

#include "passes/quantize/integer_tensors.h"

namespace ferry::passes {
namespace {

using ir::Node;
using ir::Value;
using NodePtr = std::unique_ptr<Node>;

constexpr const char* kSilent = "";  // Why a node stays that needs no mention.
constexpr const char* kNoRange = "an input or the result has no range in f32";

class QOperatorWriter {
 public:
  QOperatorWriter(ir::Graph& graph, const StaticModel& model)
      : graph_(graph), model_(model), tensors_(graph, model) {}

  QuantizationResult run() {
    auto nodes = std::exchange(graph_.mutable_nodes(), {});
    for (auto& node : nodes) visit(std::move(node));
    for (Value*& output : graph_.outputs) output = tensors_.as_float(output);
    return std::move(result_);
  }

 private:
  // Writes the node on integers, or says why it stays.
  using Rule = const char* (QOperatorWriter::*)(Node&);

  void visit(NodePtr node) {
    if (!model_.takes(*node)) return keep(std::move(node));
    static const std::unordered_map<std::string_view, Rule> rules = {
        {"Conv", &QOperatorWriter::convolution}, {"Gemm", &QOperatorWriter::gemm},
        {"MatMul", &QOperatorWriter::matmul},    {"Add", &QOperatorWriter::binary},
        {"Mul", &QOperatorWriter::binary},       {"Relu", &QOperatorWriter::clipping},
        {"Clip", &QOperatorWriter::clipping},    {"LeakyRelu", &QOperatorWriter::unary},
        {"Sigmoid", &QOperatorWriter::unary},    {"AveragePool", &QOperatorWriter::average},
        {"Softmax", &QOperatorWriter::softmax},  {"GlobalAveragePool", &QOperatorWriter::global_average},
        {"Concat", &QOperatorWriter::concat},    {"Gather", &QOperatorWriter::gather},
        {"Split", &QOperatorWriter::split},      {"Pad", &QOperatorWriter::pad},
        {"ArgMax", &QOperatorWriter::argmax},    {"MaxPool", &QOperatorWriter::moves},
        {"Reshape", &QOperatorWriter::moves},    {"Transpose", &QOperatorWriter::moves},
        {"Squeeze", &QOperatorWriter::moves},    {"Unsqueeze", &QOperatorWriter::moves},
        {"Flatten", &QOperatorWriter::moves},    {"Resize", &QOperatorWriter::moves},
        {"Where", &QOperatorWriter::stays}};
    const auto rule = node->domain.empty() ? rules.find(node->op_type) : rules.end();
    const Value* weight = node->input(1) != nullptr && node->input(1)->is_weight() ? node->input(1) : nullptr;
    if (node->is("Gather")) weight = node->input(0);
    QuantizedNode done = quantized_node(*node, weight);
    const char* why = "there is no such operator on integers";
    if (rule != rules.end()) why = (this->*rule->second)(*node);
    if (why == nullptr) return result_.quantized.push_back(std::move(done));
    if (why != kSilent) result_.kept.push_back({node->name, node->op_type, why});
    keep(std::move(node));
  }

  void keep(NodePtr node) {
    for (Value*& input : node->inputs) input = tensors_.as_float(input);
    graph_.mutable_nodes().push_back(std::move(node));
  }

  // ---- what operators have in common

  static std::string quantized_name(const Node& node) {
    return node.name.empty() ? "" : node.name + "_quant";
  }

  static void append(std::vector<Value*>& inputs, const Integers& of) {
    inputs.insert(inputs.end(), {of.tensor.integers, of.tensor.scale, of.tensor.zero_point});
  }

  // A node with a scale of its own for its one result.
  void give(const Node& node, const std::string& op_type, std::vector<Value*> inputs, Integers result,
            const std::vector<Value*>& last = {}, ir::Attributes attributes = {},
            std::string_view domain = ir::kMicrosoftDomain) {
    inputs.insert(inputs.end(), {result.tensor.scale, result.tensor.zero_point});
    inputs.insert(inputs.end(), last.begin(), last.end());
    Value* output = node.outputs[0];
    result.tensor.integers = tensors_.emit().make(op_type, quantized_name(node), std::move(inputs),
                                                  output->name + "_quantized", std::move(attributes), domain);
    tensors_.set(output, result);
  }

  // ---- products

  const char* convolution(Node& node) {
    Value* filters = node.inputs[1];
    if (!tensors_.can(node.inputs[0]) || !tensors_.can(filters) || !tensors_.can_give(node.outputs[0]))
      return kNoRange;
    if (!tensors_.is_bias(node.input(2), filters, 0)) return "the bias is no f32 constant";
    const Integers input = tensors_.integers(node.inputs[0]);
    // QLinearConv wants one zero point for all channels.
    const Integers factor = tensors_.right_side(filters, input, {0, node.input(2), 1.0f, true});
    std::vector<Value*> inputs, last;
    append(inputs, input);
    append(inputs, factor);
    if (node.input(2) != nullptr) last.push_back(tensors_.bias(*node.inputs[2], 1.0f, input, factor));
    give(node, "QLinearConv", inputs, tensors_.parameters(node.outputs[0]), last, node.attributes, "");
    return nullptr;
  }

  const char* gemm(Node& node) {
    Value* b = node.inputs[1];
    const size_t axis = node.get("transB", int64_t{0}) != 0 ? 0 : 1;
    const float beta = node.get("beta", 1.0f);
    if (!tensors_.can(node.inputs[0]) || !tensors_.can(b) || !tensors_.can_give(node.outputs[0]))
      return kNoRange;
    if (node.get("alpha", 1.0f) != 1.0f) return "alpha is not 1";
    if (!tensors_.is_bias(node.input(2), b, axis)) return "the bias is no f32 constant";
    const Integers input = tensors_.integers(node.inputs[0]);
    const Integers factor = tensors_.right_side(b, input, {axis, node.input(2), beta});
    std::vector<Value*> inputs;
    append(inputs, input);
    append(inputs, factor);
    inputs.push_back(node.input(2) == nullptr ? nullptr
                                              : tensors_.bias(*node.inputs[2], beta, input, factor));
    ir::Attributes attributes = node.attributes;
    attributes.erase("beta");
    give(node, "QGemm", inputs, tensors_.parameters(node.outputs[0]), {}, std::move(attributes));
    return nullptr;
  }

  const char* matmul(Node& node) {
    Value *a = node.inputs[0], *b = node.inputs[1];
    if (!tensors_.can(a) || !tensors_.can(b) || !tensors_.can_give(node.outputs[0])) return kNoRange;
    const Integers left = tensors_.integers(a);
    std::optional<size_t> axis;
    if (b->rank() == 2) axis = 1;  // ONNX Runtime multiplies with one zero point a column for matrices only.
    const Integers right = tensors_.right_side(b, left, {axis});
    std::vector<Value*> inputs;
    append(inputs, left);
    append(inputs, right);
    give(node, "QLinearMatMul", inputs, tensors_.parameters(node.outputs[0]), {}, {}, "");
    return nullptr;
  }

  // ---- element by element

  const char* binary(Node& node) {
    if (node.outputs[0]->dtype != DType::f32) return kSilent;  // Of integers: arithmetic on shapes.
    if (!tensors_.can(node.inputs[0]) || !tensors_.can(node.inputs[1]) || !tensors_.can_give(node.outputs[0]))
      return kNoRange;
    std::vector<Value*> inputs;
    append(inputs, tensors_.integers(node.inputs[0]));
    append(inputs, tensors_.integers(node.inputs[1]));
    give(node, "QLinear" + node.op_type, inputs, tensors_.parameters(node.outputs[0]));
    return nullptr;
  }

  const char* unary(Node& node) {
    if (!tensors_.can(node.inputs[0]) || !tensors_.can_give(node.outputs[0])) return kNoRange;
    std::vector<Value*> inputs;
    append(inputs, tensors_.integers(node.inputs[0]));
    give(node, "QLinear" + node.op_type, inputs, tensors_.parameters(node.outputs[0]), {}, node.attributes);
    return nullptr;
  }

  const char* average(Node& node) {
    const auto dilations = node.get("dilations", std::vector<int64_t>());
    if (std::any_of(dilations.begin(), dilations.end(), [](int64_t step) { return step != 1; }))
      return "it has dilations";
    node.attributes.erase("dilations");
    return unary(node);
  }

  // The integers before it hold nothing that it would cut off.
  const char* clipping(Node& node) {
    const Value* input = node.inputs[0];
    if (model_.options.activations_symmetric || tensors_.known(input) == nullptr) return kSilent;
    const Integers from = *tensors_.known(input);
    if (from.source != input || !model_.clipped(input)) return "its input holds more than it lets through";
    tensors_.set(node.outputs[0], from);
    return nullptr;
  }

  const char* softmax(Node& node) {
    if (!tensors_.can(node.inputs[0]) || node.outputs[0]->dtype != DType::f32) return kNoRange;
    std::vector<Value*> inputs;
    append(inputs, tensors_.integers(node.inputs[0]));
    ir::Attributes attributes = node.attributes;
    attributes["opset"] = int64_t{model_.opset()};
    const int64_t zero = model_.options.activations == DType::u8 ? 0 : -128;
    give(node, "QLinearSoftmax", inputs, tensors_.parameters(node.outputs[0], {{1.0f / 256}, {zero}}), {},
         std::move(attributes));
    return nullptr;
  }

  const char* global_average(Node& node) {
    if (tensors_.known(node.inputs[0]) == nullptr) return kSilent;
    const Integers from = *tensors_.known(node.inputs[0]);
    std::vector<Value*> inputs;
    append(inputs, from);
    ir::Attributes attributes = node.attributes;
    attributes["channels_last"] = int64_t{0};
    const Integers result = tensors_.can_give(node.outputs[0]) ? tensors_.parameters(node.outputs[0]) : from;
    give(node, "QLinearGlobalAveragePool", inputs, result, {}, std::move(attributes));
    return nullptr;
  }

  const char* concat(Node& node) {
    if (node.outputs[0]->dtype != DType::f32) return kSilent;
    if (!tensors_.can_give(node.outputs[0]) ||
        !std::all_of(node.inputs.begin(), node.inputs.end(),
                     [&](const Value* part) { return tensors_.can(part); }))
      return kNoRange;
    Integers result = tensors_.parameters(node.outputs[0]);
    std::vector<Value*> inputs = {result.tensor.scale, result.tensor.zero_point};
    for (Value* part : node.inputs) append(inputs, tensors_.integers(part));
    result.tensor.integers =
        tensors_.emit().make("QLinearConcat", quantized_name(node), std::move(inputs),
                             node.outputs[0]->name + "_quantized", node.attributes, ir::kMicrosoftDomain);
    tensors_.set(node.outputs[0], result);
    return nullptr;
  }

  // ---- what moves integers: scale and zero point stay

  // The same node on integers.
  void on_integers(Node& node, const Integers& from, const std::vector<Value*>& others) {
    std::vector<Value*> inputs = {from.tensor.integers};
    inputs.insert(inputs.end(), others.begin(), others.end());
    Integers made = from;
    Value* output = node.outputs[0];
    made.tensor.integers = tensors_.emit().make(node.op_type, "", std::move(inputs),
                                                output->name + "_quantized", node.attributes);
    Node& written = *graph_.mutable_nodes().back();
    written.name = node.name;
    for (size_t i = 1; i < node.outputs.size(); ++i) {
      written.outputs.push_back(node.outputs[i]);
      if (node.outputs[i] != nullptr) node.outputs[i]->producer = &written;
    }
    tensors_.set(output, made);
  }

  static std::vector<Value*> others_of(const Node& node) {
    return {node.inputs.begin() + 1, node.inputs.end()};
  }

  const char* moves(Node& node) {
    if (tensors_.known(node.inputs[0]) == nullptr) return kSilent;
    if ((node.is("MaxPool") && model_.opset() < 12) || (node.is("Resize") && model_.opset() < 11))
      return "it takes no integers before opset 12";
    on_integers(node, *tensors_.known(node.inputs[0]), others_of(node));
    return nullptr;
  }

  const char* gather(Node& node) {
    if (!node.inputs[0]->is_weight() || !tensors_.can(node.inputs[0])) return kSilent;
    on_integers(node, tensors_.integers(node.inputs[0]), others_of(node));
    return nullptr;
  }

  const char* argmax(Node& node) {
    if (tensors_.known(node.inputs[0]) == nullptr) return kSilent;
    tensors_.emit().make_into(node.outputs[0], "ArgMax", "",
                              {tensors_.known(node.inputs[0])->tensor.integers}, node.attributes);
    graph_.mutable_nodes().back()->name = node.name;
    return nullptr;
  }

  const char* split(Node& node) {
    if (node.inputs[0]->dtype != DType::f32) return kSilent;
    if (!tensors_.can(node.inputs[0])) return kNoRange;
    const Integers from = tensors_.integers(node.inputs[0]);
    std::vector<Value*> inputs = {from.tensor.integers};
    inputs.insert(inputs.end(), node.inputs.begin() + 1, node.inputs.end());
    std::vector<std::string> names;
    for (const Value* output : node.outputs) names.push_back(output->name + "quantized");
    const auto made = tensors_.emit().make_n("Split", quantized_name(node), inputs, names, node.attributes);
    for (size_t i = 0; i < made.size(); ++i) {
      Integers part = from;
      part.tensor.integers = made[i];
      tensors_.set(node.outputs[i], part);
    }
    return nullptr;
  }

  // What is padded with becomes an integer, too: 0 is the zero point.
  const char* pad(Node& node) {
    if (tensors_.known(node.inputs[0]) == nullptr) return kSilent;
    if (model_.opset() < 11) return "it takes no integers before opset 11";
    const Integers from = *tensors_.known(node.inputs[0]);
    std::vector<Value*> others = others_of(node);
    if (node.get("mode", std::string("constant")) == "constant") {
      if (others.size() < 2) others.resize(2);
      Value*& with = others[1];
      if (with == nullptr) {
        with = from.tensor.zero_point;
      } else if (with->is_weight()) {
        with = graph_.add_weight(
            with->name + "_quantized",
            ferry::quantize(*with->weight, from.with, std::nullopt, model_.options.activations));
      } else {
        with = tensors_.emit().make("QuantizeLinear", with->name + "_QuantizeLinear",
                                    {tensors_.as_float(with), from.tensor.scale, from.tensor.zero_point},
                                    with->name + "_quantized");
      }
    }
    on_integers(node, from, others);
    return nullptr;
  }

  const char* stays(Node& /*node*/) { return kSilent; }

  ir::Graph& graph_;
  const StaticModel& model_;
  IntegerTensors tensors_;
  QuantizationResult result_;
};

}  // namespace

QuantizationResult write_qoperator(ir::Graph& graph, const StaticModel& model) {
  return QOperatorWriter(graph, model).run();
}

}  // namespace ferry::passes
