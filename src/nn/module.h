#pragma once
// How a model definition is written: structs named as in transformers' modeling_*.py, one member a submodule,
// and an operator() that is the Python forward, run once to build the graph.
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "ir/op.h"
#include "tensor/state_dict.h"

namespace ferry::nn {

using ir::Tensor;

/// What the modules of one graph share while it is built.
struct Build {
  ir::Graph& graph;
  const StateDict& state;
  DType dtype = DType::f32;                 ///< Of floating weights and of the arithmetic.
  std::set<std::string, std::less<>> used;  ///< Checkpoint names that were asked for.
  /// Weights that are already in the graph, by checkpoint name: a tensor used by two modules is one value.
  std::map<std::string, ir::Value*, std::less<>> values;
  /// For a checkpoint of another framework: brings a tensor to the dimensions that a definition asks for.
  std::function<Weight(const Weight&, const Dims&)> adapt = nullptr;
};

/// A place in the checkpoint's hierarchy of names: "bert.encoder.layer.0".
class Scope {
 public:
  explicit Scope(Build& build, std::string path = "") : build_(&build), path_(std::move(path)) {}

  [[nodiscard]] Scope operator/(std::string_view name) const;
  [[nodiscard]] Scope operator/(int64_t index) const { return *this / std::to_string(index); }

  /// The tensor "<path>.<name>" in the dtype of the build, with exactly these dimensions.
  /// Errors: Error{missing_tensor} with the nearest names, Error{shape_mismatch}, Error{dtype_mismatch}.
  [[nodiscard]] Tensor parameter(std::string_view name, const Dims& dims) const;
  /// The same as an expression, for a definition that rearranges weights before they enter the graph.
  [[nodiscard]] Weight weight(std::string_view name, const Dims& dims) const;
  [[nodiscard]] bool has(std::string_view name) const;
  /// Whether the checkpoint stores it as integers, as GPTQ and AWQ do: dimensions are then [out, in].
  [[nodiscard]] bool is_quantized(std::string_view name) const;
  /// Puts a rearranged weight into the graph under "<path>.<name>".
  [[nodiscard]] Tensor constant(std::string_view name, Weight weight) const;
  /// Marks "<path>.<name>" (a tensor, or all below it) as known to be without effect here.
  void ignore(std::string_view name) const;

  [[nodiscard]] Build& build() const { return *build_; }
  [[nodiscard]] ir::Graph& graph() const { return build_->graph; }
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Names the nodes of the current block after this place: "/bert/encoder/layer.0/attention".
  [[nodiscard]] ir::NameScope named() const;

 private:
  [[nodiscard]] std::string full_name(std::string_view name) const;
  Build* build_;
  std::string path_;
};

/// Base of the structs of a definition: a place in the checkpoint and the configuration.
template <typename Config>
struct Module {
  Module(Scope place, const Config& config) : scope(std::move(place)), c(config) {}
  [[nodiscard]] Scope at(std::string_view name) const { return scope / name; }

  using ConfigType = Config;
  Scope scope;
  const Config& c;
};

/// Base of the structs that a layer is made of and that depend on its place among the layers.
template <typename Config>
struct LayerModule : Module<Config> {
  LayerModule(Scope place, const Config& config, int64_t layer)
      : Module<Config>(std::move(place), config), layer_idx(layer) {}

  int64_t layer_idx;
};

/// A T, which gets the index of its layer last if it takes one.
template <typename T, typename... Args>
T make_part(Scope scope, int64_t layer, const Args&... args) {
  if constexpr (std::is_constructible_v<T, Scope, const Args&..., int64_t>) {
    return T(std::move(scope), args..., layer);
  } else {
    return T(std::move(scope), args...);
  }
}

/// nn.ModuleList: `count` modules at "<scope>.0", "<scope>.1", ... One that takes its index gets it last.
template <typename T>
class List {
 public:
  template <typename... Args>
  List(const Scope& scope, int64_t count, const Args&... args) {
    for (int64_t i = 0; i < count; ++i)
      items_.push_back(std::unique_ptr<T>(new T(make_part<T>(scope / i, i, args...))));
  }
  [[nodiscard]] size_t size() const { return items_.size(); }
  const T& operator[](size_t index) const { return *items_[index]; }

  class Iterator {
   public:
    explicit Iterator(const std::unique_ptr<T>* at) : at_(at) {}
    const T& operator*() const { return **at_; }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return at_ != other.at_; }

   private:
    const std::unique_ptr<T>* at_;
  };
  [[nodiscard]] Iterator begin() const { return Iterator(items_.data()); }
  [[nodiscard]] Iterator end() const { return Iterator(items_.data() + items_.size()); }

 private:
  std::vector<std::unique_ptr<T>> items_;
};

}  // namespace ferry::nn
