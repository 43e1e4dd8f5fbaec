#include "passes/upgrade.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "base/text.h"
#include "ir/infer.h"
#include "ir/op.h"

namespace ferry::passes {
namespace {

namespace op = ir::op;
using ir::Graph;
using ir::Node;
using ir::Tensor;
using ir::Value;

// One node of an older form. New nodes are put before it; the node itself becomes the last of them.
struct Site {
  Graph& graph;
  Node& node;
  int opset;

  [[nodiscard]] Tensor input(size_t index) const { return {graph, node.input(index)}; }
  [[nodiscard]] bool has(std::string_view attribute) const { return node.attributes.count(attribute) > 0; }
  void drop(std::string_view attribute) const {
    const auto found = node.attributes.find(attribute);
    if (found != node.attributes.end()) node.attributes.erase(found);
  }
  void set_input(size_t index, const Tensor& tensor) const {
    if (node.inputs.size() <= index) node.inputs.resize(index + 1, nullptr);
    node.inputs[index] = tensor.value();
  }
  void become(std::string_view op_type, std::vector<Value*> inputs) const {
    node.op_type = op_type;
    node.inputs = std::move(inputs);
    node.attributes.clear();
  }
  [[nodiscard]] DType dtype() const {
    const Value* value = node.input(0);
    return value == nullptr || value->dtype == DType::undefined ? DType::f32 : value->dtype;
  }
  void integers_to_input(std::string_view attribute, size_t index) const {
    const auto* values = node.find<std::vector<int64_t>>(attribute);
    if (values == nullptr) return;
    set_input(index, op::integers(graph, *values));
    drop(attribute);
  }
  void float_to_input(std::string_view attribute, size_t index) const {
    const auto* value = node.find<float>(attribute);
    if (value == nullptr) return;
    set_input(index, op::scalar(graph, *value, dtype()));
    drop(attribute);
  }
  [[noreturn]] void unsupported(std::string_view why) const {
    throw Error(ErrorCode::unsupported, fmt::format("{} ({}) of opset {} has no successor in opset {}: {}",
                                                    printable(node.name.empty() ? "a node" : node.name, 120),
                                                    node.op_type, opset, ir::kNewestOpset, why));
  }
};

void axes_input(const Site& at) {
  at.integers_to_input("axes", 1);
}

// No sizes: equal parts.
void split_13(const Site& at) {
  at.integers_to_input("split", 1);
}
void split_18(const Site& at) {
  if (at.node.input(1) == nullptr)
    at.node.attributes["num_outputs"] = static_cast<int64_t>(at.node.outputs.size());
}

// Over all axes from `axis` on together, where the successor takes one axis alone.
void softmax(const Site& at) {
  const int64_t axis = at.node.get("axis", int64_t{1});
  const Tensor x = at.input(0);
  const auto& shape = x.value()->shape;
  const bool last = axis == -1 || (shape && axis == static_cast<int64_t>(shape->size()) - 1);
  at.node.attributes["axis"] = int64_t{-1};
  if (last) return;
  const Tensor flat = op::emit("Flatten", {x}, {{"axis", axis}});
  const Tensor normal = op::emit(at.node.op_type, {flat}, {{"axis", int64_t{-1}}});
  const Tensor dims = op::emit("Shape", {x});
  at.become("Reshape", {normal.value(), dims.value()});
}

void clip(const Site& at) {
  at.float_to_input("min", 1);
  at.float_to_input("max", 2);
}

void pad(const Site& at) {
  at.integers_to_input("pads", 1);
  at.float_to_input("value", 2);
}

void slice(const Site& at) {
  at.integers_to_input("starts", 1);
  at.integers_to_input("ends", 2);
  at.integers_to_input("axes", 3);
}

void top_k(const Site& at) {
  const auto* k = at.node.find<int64_t>("k");
  if (k == nullptr) at.unsupported("it has no k");
  at.set_input(1, op::integers(at.graph, {*k}));
  at.drop("k");
}

// Only training drops anything.
void dropout(const Site& at) {
  at.drop("ratio");
}

void batch_norm(const Site& at) {
  if (at.node.get("spatial", int64_t{1}) == 0)
    at.unsupported("its statistics are not by channel (spatial=0)");
  at.drop("spatial");
  for (size_t i = 1; i < at.node.outputs.size(); ++i) {
    if (at.node.outputs[i] != nullptr) at.unsupported("it is in training mode");
  }
}

void like_upsample(const Site& at, const Tensor& scales) {
  std::string mode = at.node.get("mode", std::string("nearest"));
  if (mode == "bilinear") mode = "linear";
  at.become("Resize", {at.node.inputs[0], nullptr, scales.value()});
  at.node.attributes = {{"mode", mode},
                        {"coordinate_transformation_mode", std::string("asymmetric")},
                        {"nearest_mode", std::string("floor")}};
}
void upsample(const Site& at) {
  const auto* scales = at.node.find<std::vector<float>>("scales");
  if (scales == nullptr && at.node.input(1) == nullptr) at.unsupported("it has no scales");
  like_upsample(at, scales == nullptr
                        ? at.input(1)
                        : op::weight(at.graph, "scales",
                                     Weight::from_f32({static_cast<int64_t>(scales->size())}, *scales)));
}
void resize_10(const Site& at) {
  if (at.node.input(1) == nullptr) at.unsupported("it has no scales");
  like_upsample(at, at.input(1));
}
// roi and scales had to be there, if empty.
void resize_13(const Site& at) {
  if (at.node.get("coordinate_transformation_mode", std::string()) == "tf_half_pixel_for_nn")
    at.unsupported("its coordinates are tf_half_pixel_for_nn");
  for (const size_t index : {size_t{1}, size_t{2}}) {
    const Value* value = at.node.input(index);
    if (value != nullptr && value->is_weight() && value->weight->count() == 0)
      at.node.inputs[index] = nullptr;
  }
}

void scatter(const Site& at) {
  at.node.op_type = "ScatterElements";
}

void grid_sample(const Site& at) {
  const std::string mode = at.node.get("mode", std::string("bilinear"));
  at.node.attributes["mode"] = mode == "bilinear" ? "linear" : mode == "bicubic" ? "cubic" : mode;
}

void roi_align(const Site& at) {
  at.node.attributes["coordinate_transformation_mode"] = std::string("output_half_pixel");
}

void dft(const Site& at) {
  at.set_input(2, op::scalar(at.graph, at.node.get("axis", int64_t{1})));
  at.drop("axis");
}

// Scale and bias, one a group, for every channel of it.
void group_norm(const Site& at) {
  const int64_t groups = at.node.get("num_groups", int64_t{0});
  const Tensor x = at.input(0);
  const bool known = x && x.value()->shape && x.rank() >= 2 && x.dim(1).is_constant() && groups > 0;
  if (!known) at.unsupported("its channels are not known");
  const int64_t each = *x.dim(1).constant() / groups;
  for (const size_t index : {size_t{1}, size_t{2}}) {
    if (at.node.input(index) == nullptr) at.unsupported("it has no scale or bias");
    const Tensor column = op::reshape(at.input(index), {groups, 1});
    const Tensor wide = op::expand(column, op::integers(at.graph, {groups, each}));
    at.set_input(index, op::reshape(wide, {groups * each}));
  }
}

void refuse_scan(const Site& at) {
  at.unsupported("its body has a batch axis");
}

// The forms that ended with an opset. Those that only gained attributes or types are not here.
// Source: the operators' histories in onnx 1.23.2, docs/Changelog.md.
struct Change {
  std::string_view op_type;
  int since;  // The first opset with the new form.
  void (*apply)(const Site&);
};
constexpr Change kChanges[] = {
    {"BatchNormalization", 14, batch_norm},
    {"Clip", 11, clip},
    {"DFT", 20, dft},
    {"Dropout", 12, dropout},
    {"GridSample", 20, grid_sample},
    {"GroupNormalization", 21, group_norm},
    {"Hardmax", 13, softmax},
    {"LogSoftmax", 13, softmax},
    {"Pad", 11, pad},
    {"ReduceL1", 18, axes_input},
    {"ReduceL2", 18, axes_input},
    {"ReduceLogSum", 18, axes_input},
    {"ReduceLogSumExp", 18, axes_input},
    {"ReduceMax", 18, axes_input},
    {"ReduceMean", 18, axes_input},
    {"ReduceMin", 18, axes_input},
    {"ReduceProd", 18, axes_input},
    {"ReduceSum", 13, axes_input},
    {"ReduceSumSquare", 18, axes_input},
    {"Resize", 11, resize_10},
    {"Resize", 13, resize_13},
    {"RoiAlign", 16, roi_align},
    {"Scan", 9, refuse_scan},
    {"Scatter", 11, scatter},
    {"Slice", 10, slice},
    {"Softmax", 13, softmax},
    {"Split", 13, split_13},
    {"Split", 18, split_18},
    {"Squeeze", 13, axes_input},
    {"TopK", 10, top_k},
    {"Unsqueeze", 13, axes_input},
    {"Upsample", 10, upsample},
};

void apply_changes(const Site& at) {
  if (!at.node.domain.empty()) return;
  for (const Change& change : kChanges) {
    if (change.op_type != at.node.op_type || at.opset >= change.since) continue;
    if (at.node.input(0) == nullptr) at.unsupported("it has no input");
    change.apply(at);
    if (at.node.op_type != change.op_type) return;  // The successor's own history is younger.
  }
}

void upgrade_from(Graph& graph, int opset) {
  for (size_t place = 0; place < graph.nodes().size(); ++place) {
    Node& node = *graph.nodes()[place];
    for (auto& [name, attribute] : node.attributes) {
      if (auto* inner = std::get_if<ir::GraphPtr>(&attribute)) upgrade_from(**inner, opset);
    }
    graph.set_insertion_point(place);
    apply_changes({graph, node, opset});
    place = *graph.insertion_point();
    graph.set_insertion_point(std::nullopt);
    (void)ir::infer_declared(node, ir::Trust::inferred);
  }
  graph.opsets[""] = ir::kNewestOpset;
}

}  // namespace

void upgrade(Graph& graph) {
  const auto declared = graph.opsets.find("");
  // A model of other domains alone has no opset of ONNX's.
  const int opset = declared == graph.opsets.end() ? ir::kNewestOpset : declared->second;
  if (opset < kOldestRead || opset > ir::kNewestOpset) {
    throw Error(ErrorCode::unsupported,
                fmt::format("the model is of opset {}; ferry works on opsets {} to {}", opset, kOldestRead,
                            ir::kNewestOpset));
  }
  upgrade_from(graph, opset);
}

}  // namespace ferry::passes
