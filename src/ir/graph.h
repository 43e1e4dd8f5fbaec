#pragma once
// The one intermediate language: ONNX's operators (newest opset) with symbolic shapes and lazy weights.
//
// A Graph owns its nodes and values; Value* and Node* stay valid as long as the graph. Nodes are kept in an
// order in which each comes after the producers of its inputs. A subgraph (the branches of If, the body of
// Loop) is an attribute that holds a Graph, whose nodes may also use values of the graphs around it.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ir/dim.h"
#include "tensor/dtype.h"
#include "tensor/weight.h"

namespace ferry::ir {

class Graph;
struct Node;

/// The newest opset of ONNX's own domain that graphs are built in.
inline constexpr int kNewestOpset = 24;
/// The domain of ONNX Runtime's own operators.
inline constexpr std::string_view kMicrosoftDomain = "com.microsoft";

/// A tensor of the graph: an input, a weight, or the result of a node.
struct Value {
  std::string name;
  DType dtype = DType::undefined;
  std::optional<Shape> shape;    ///< Nothing: not even the rank is known (a graph read from a file).
  std::optional<Weight> weight;  ///< Set for constants.
  Node* producer = nullptr;      ///< Null for inputs and weights.
  /// What an integer tensor of rank 0 or 1 holds, where it is known: the result of Shape, and arithmetic on
  /// it.
  std::optional<std::vector<Dim>> content;
  std::string doc_string;

  [[nodiscard]] bool is_weight() const { return weight.has_value(); }
  [[nodiscard]] size_t rank() const { return shape ? shape->size() : 0; }
};

using GraphPtr = std::shared_ptr<Graph>;
using Attribute = std::variant<int64_t, float, std::string, std::vector<int64_t>, std::vector<float>,
                               std::vector<std::string>, Weight, GraphPtr>;
using Attributes = std::map<std::string, Attribute, std::less<>>;

struct Node {
  std::string domain;  ///< Empty for ONNX's own.
  std::string op_type;
  std::string name;
  std::vector<Value*> inputs;  ///< Null where an optional input is left out.
  std::vector<Value*> outputs;
  Attributes attributes;
  std::string doc_string;
  std::map<std::string, std::string> metadata = {};  ///< metadata_props of the node.

  [[nodiscard]] bool is(std::string_view type, std::string_view in_domain = "") const {
    return op_type == type && domain == in_domain;
  }
  /// The attribute, or nullptr. Errors: Error{invalid_file} if it has another type.
  template <typename T>
  [[nodiscard]] const T* find(std::string_view attribute) const;
  [[nodiscard]] int64_t get(std::string_view attribute, int64_t otherwise) const;
  [[nodiscard]] float get(std::string_view attribute, float otherwise) const;
  [[nodiscard]] std::string get(std::string_view attribute, const std::string& otherwise) const;
  [[nodiscard]] std::vector<int64_t> get(std::string_view attribute,
                                         const std::vector<int64_t>& otherwise) const;
  /// The input, or nullptr if there are fewer or it is left out.
  [[nodiscard]] Value* input(size_t index) const { return index < inputs.size() ? inputs[index] : nullptr; }
};

/// What a model says of itself beside its graph.
struct ModelHeader {
  std::string domain;
  int64_t version = 0;
  std::string doc_string;
};

class Graph {
 public:
  std::string name = "main_graph";
  std::map<std::string, int, std::less<>> opsets = {{"", kNewestOpset}};
  std::vector<Value*> inputs;
  std::vector<Value*> outputs;
  std::map<std::string, std::string, std::less<>> metadata;  ///< metadata_props of the model.
  ModelHeader header;                                        ///< Of the outermost graph.
  std::string doc_string;
  /// Names of the tensors that quantize a tensor: its name -> role ("SCALE_TENSOR", ...) -> name.
  std::map<std::string, std::map<std::string, std::string>> quantization_annotations;
  /// Whether two different symbolic dimensions that meet are an error (a graph that a definition builds) or
  /// taken as possibly equal (a graph read from a file, whose symbols need not be canonical).
  bool strict = true;

  Graph();
  ~Graph();
  Graph(Graph&&) noexcept;
  Graph& operator=(Graph&&) noexcept;

  Value* add_input(std::string name, DType dtype, Shape shape);
  /// A constant. Weights are written once each, whatever the number of their users, and only if they have
  /// one.
  Value* add_weight(std::string name, Weight weight);
  /// A node with `outputs` results whose dtype and shape are inferred at once. Its name comes from the scope.
  /// Errors: Error{shape_mismatch}, Error{dtype_mismatch} that name the node and what it was given.
  Node& add_node(std::string_view op_type, std::vector<Value*> inputs, Attributes attributes = {},
                 size_t outputs = 1, std::string_view domain = "");
  /// A node as it stands in a file: names as given, nothing inferred. Missing outputs are made by the caller.
  Node& add_raw_node(Node node);
  Value* add_raw_value(Value value);
  /// Names `value` and makes it a result of the graph.
  void add_output(std::string name, Value* value);

  [[nodiscard]] const std::vector<std::unique_ptr<Node>>& nodes() const { return nodes_; }
  [[nodiscard]] std::vector<std::unique_ptr<Node>>& mutable_nodes() { return nodes_; }
  [[nodiscard]] const std::vector<std::unique_ptr<Value>>& values() const { return values_; }

  /// Path under which the next nodes are named: "/bert/encoder/layer.0". See NameScope.
  [[nodiscard]] const std::string& scope() const { return scope_; }
  void set_scope(std::string scope) { scope_ = std::move(scope); }
  /// `wanted`, or `wanted_1`, `wanted_2`, ... if that is taken.
  std::string unique_name(std::string wanted);
  /// Takes names from the same stock as `outer`: for a subgraph, whose weights are written with outer ones.
  void use_names_of(const Graph& outer) { names_ = outer.names_; }

  /// While set, add_node puts nodes before this position instead of at the end (for passes).
  void set_insertion_point(std::optional<size_t> position) { insertion_ = position; }
  [[nodiscard]] std::optional<size_t> insertion_point() const { return insertion_; }

  /// Values in use as weights (by this graph's nodes, its subgraphs' nodes, or as outputs), in order of first
  /// use.
  [[nodiscard]] std::vector<Value*> used_weights() const;
  /// Makes every user of `from` use `to` instead, graph outputs and subgraphs included.
  void replace_uses(Value* from, Value* to);
  /// Drops nodes none of whose results are used. Returns how many.
  size_t remove_dead_nodes();
  /// Each node once more inferred, in order: after rewriting, or for a graph that was read.
  void infer_shapes();

 private:
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<std::unique_ptr<Value>> values_;
  using Names = std::map<std::string, int, std::less<>>;
  std::shared_ptr<Names> names_ = std::make_shared<Names>();
  std::string scope_;
  std::optional<size_t> insertion_;
};

/// Names the nodes made during its life after a module path.
class NameScope {
 public:
  NameScope(Graph& graph, std::string scope) : graph_(graph), previous_(graph.scope()) {
    graph.set_scope(std::move(scope));
  }
  ~NameScope() { graph_.set_scope(previous_); }
  NameScope(const NameScope&) = delete;
  NameScope& operator=(const NameScope&) = delete;

 private:
  Graph& graph_;
  std::string previous_;
};

/// One line a node, for people: "%x f32[batch_size, 8] = MatMul(%a, weight)".
std::string to_string(const Graph& graph);

/// Checks what every pass must keep: order, unique names, producers that agree, outputs that exist.
/// Errors: Error{internal} that says what is broken.
void verify(const Graph& graph);

}  // namespace ferry::ir
