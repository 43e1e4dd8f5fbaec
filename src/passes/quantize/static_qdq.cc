// The graph with pairs of QuantizeLinear and DequantizeLinear.
#include <algorithm>
#include <utility>

#include "passes/quantize/qdq_marks.h"

namespace ferry::passes {
namespace {

using ir::Node;
using ir::Value;
using Nodes = std::vector<std::unique_ptr<Node>>;

class QdqWriter {
 public:
  QdqWriter(ir::Graph& graph, const StaticModel& model, const QdqMarks& marks)
      : graph_(graph), model_(model), marks_(marks), emit_(graph) {}

  // Constants come first, then the model; biases need the scales that the model was written with.
  void run() {
    Nodes nodes = take_nodes();
    choose_weights();
    for (Value* value : marks_.weights) weight(value);
    Nodes constants = take_nodes();
    for (Value* input : graph_.inputs) quantize(input);
    for (auto& node : nodes) visit(std::move(node));
    Nodes body = take_nodes();
    for (const auto& bias : marks_.biases) write_bias(bias);
    Nodes biases = take_nodes();
    Nodes& all = graph_.mutable_nodes();
    for (Nodes* part : {&constants, &biases, &body})
      std::move(part->begin(), part->end(), std::back_inserter(all));
  }

 private:
  struct Known {
    QuantizedTensor tensor;
    std::vector<float> scale;
  };

  Nodes take_nodes() { return std::exchange(graph_.mutable_nodes(), {}); }

  // ---- constants

  void choose_weights() {
    for (const Value* value : marks_.weights) {
      const auto& how = marks_.tensors.at(value);
      const auto& options = model_.options;
      const bool symmetric =
          how.axis.has_value() || (how.is_weight ? options.weights_symmetric : options.activations_symmetric);
      chosen_[value] = quantization_of(*value, {dtype_of(how), symmetric, options.reduce_range}, how.axis);
    }
    for (const auto& bias : marks_.biases) make_room(bias);
  }

  [[nodiscard]] DType dtype_of(const QdqMarks::Tensor& how) const {
    return how.is_weight ? model_.options.weights : model_.options.activations;
  }

  void make_room(const QdqMarks::Bias& bias) {
    const auto found = chosen_.find(bias.weight);
    if (found == chosen_.end() || marks_.tensors.count(bias.input) == 0 || !model_.has_range(bias.input))
      return;
    Quantization& with = found->second;
    const bool centred =
        std::all_of(with.zero_point.begin(), with.zero_point.end(), [](int64_t zero) { return zero == 0; });
    if (dtype_of(marks_.tensors.at(bias.weight)) != DType::i8 || !centred) return;
    make_room_for_bias(with, model_.activation(*bias.input).scale[0], bias.value->weight->as_f32());
  }

  static ir::Attributes axis_attribute(std::optional<size_t> axis) {
    ir::Attributes out;
    if (axis) out["axis"] = static_cast<int64_t>(*axis);
    return out;
  }

  void weight(Value* value) {
    const auto& how = marks_.tensors.at(value);
    const Quantization& with = chosen_.at(value);
    const std::string& name = value->name;
    QuantizedTensor made;
    if (model_.options.add_pair_to_weight) {
      made = add_parameters(graph_, name, with, how.axis, dtype_of(how), value->dtype);
      made.integers =
          emit_.make("QuantizeLinear", name + "_QuantizeLinear", {value, made.scale, made.zero_point},
                     name + "_QuantizeLinear_Output", axis_attribute(how.axis));
    } else {
      made = add_quantized_weight(graph_, *value, with, dtype_of(how), how.axis);
    }
    as_float_[value] = emit_.make("DequantizeLinear", name + "_DequantizeLinear",
                                  {made.integers, made.scale, made.zero_point},
                                  name + "_DequantizeLinear_Output", axis_attribute(how.axis));
    known_[value] = {made, with.scale};
  }

  // The value itself becomes what the integers stand for: other users of it, too, get that.
  void write_bias(const QdqMarks::Bias& bias) {
    Value* value = bias.value;
    const auto input = known_.find(bias.input), factor = known_.find(bias.weight);
    if (known_.count(value) > 0 || input == known_.end() || factor == known_.end()) return;
    const Weight source = *value->weight;
    if (!fits_bias(source, factor->second.scale.size())) return;
    const QuantizedBias made = quantize_bias(source.as_f32(), input->second.scale[0], factor->second.scale);
    const std::string name = value->name + "_quantized";
    const auto count = static_cast<int64_t>(made.scale.size());
    Value* integers = add_bias(graph_, name, source.dims(), made.integers);
    Value* scale = graph_.add_weight(name + "_scale", Weight::from_f32({count}, made.scale));
    Value* zero =
        graph_.add_weight(name + "_zero_point", Weight::zeros(DType::i32, count > 1 ? Dims{count} : Dims{}));
    value->weight.reset();
    std::optional<size_t> axis;
    if (count > 1) axis = source.dims().size() - 1;
    emit_.make_into(value, "DequantizeLinear", value->name + "_DequantizeLinear", {integers, scale, zero},
                    axis_attribute(axis));
  }

  // ---- activations

  void visit(std::unique_ptr<Node> node) {
    for (Value*& input : node->inputs) {
      const auto own = dedicated_.find({node.get(), input});
      const auto shared = as_float_.find(input);
      if (own != dedicated_.end())
        input = own->second;
      else if (shared != as_float_.end())
        input = shared->second;
    }
    const std::vector<Value*> outputs = node->outputs;
    graph_.mutable_nodes().push_back(std::move(node));
    for (Value* output : outputs) quantize(output);
  }

  void quantize(Value* value) {
    const auto mark = marks_.tensors.find(value);
    if (value == nullptr || mark == marks_.tensors.end()) return;
    const Value* like = mark->second.like;
    if (like != nullptr) {
      const auto source = known_.find(like);
      if (source == known_.end() || source->second.tensor.axis) return;
      known_[value] = source->second;
    } else {
      const Quantization with = model_.activation(*value);
      const DType dtype = model_.options.activations;
      known_[value] = {add_parameters(graph_, value->name, with, std::nullopt, dtype), with.scale};
    }
    add_pairs(value, known_.at(value).tensor);
  }

  void add_pairs(Value* value, const QuantizedTensor& with) {
    const auto users = marks_.users.find(value);
    if (model_.options.dedicated_pair && users != marks_.users.end() && users->second.size() > 1) {
      for (size_t i = 0; i < users->second.size(); ++i)
        dedicated_[{users->second[i], value}] = pair(value, with, "_" + std::to_string(i + 1));
      return;
    }
    if (model_.is_output(value) && !model_.is_input(value)) return output_pair(value, with);
    as_float_[value] = pair(value, with, "");
  }

  Value* pair(Value* value, const QuantizedTensor& with, const std::string& suffix) {
    const std::string q = value->name + "_QuantizeLinear", dq = value->name + "_DequantizeLinear";
    Value* integers = emit_.make("QuantizeLinear", q + suffix, {value, with.scale, with.zero_point},
                                 q + "_Output" + suffix);
    return emit_.make("DequantizeLinear", dq + suffix, {integers, with.scale, with.zero_point},
                      dq + "_Output" + suffix);
  }

  // A result keeps its name: what made it makes another value now.
  void output_pair(Value* value, const QuantizedTensor& with) {
    ir::Value made;
    made.name = graph_.unique_name(value->name + "_QuantizeLinear_Input");
    made.dtype = value->dtype;
    made.shape = value->shape;
    Value* before = graph_.add_raw_value(std::move(made));
    Node* producer = value->producer;
    std::replace(producer->outputs.begin(), producer->outputs.end(), value, before);
    before->producer = producer;
    const std::string q = value->name + "_QuantizeLinear";
    Value* integers = emit_.make("QuantizeLinear", q, {before, with.scale, with.zero_point}, q + "_Output");
    emit_.make_into(value, "DequantizeLinear", value->name + "_DequantizeLinear",
                    {integers, with.scale, with.zero_point});
  }

  ir::Graph& graph_;
  const StaticModel& model_;
  const QdqMarks& marks_;
  Emitter emit_;
  std::unordered_map<const Value*, Quantization> chosen_;
  std::unordered_map<const Value*, Known> known_;
  std::unordered_map<const Value*, Value*> as_float_;
  std::map<std::pair<const Node*, const Value*>, Value*> dedicated_;
};

}  // namespace

QuantizationResult write_qdq(ir::Graph& graph, const StaticModel& model) {
  QdqMarks marks = mark_tensors(graph, model);
  QdqWriter(graph, model, marks).run();
  return std::move(marks.result);
}

}  // namespace ferry::passes
