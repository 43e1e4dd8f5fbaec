#pragma once
// The operators as functions: each adds a node (or, applied to weights, folds into the weight's expression at
// once) and returns its result with dtype and shape inferred.
//
// Errors of all: Error{shape_mismatch}, Error{dtype_mismatch} that name the node and its inputs.
#include <string_view>
#include <vector>

#include "ir/graph.h"

namespace ferry::ir {

/// A value with the graph it lives in. Cheap to copy; valid as long as the graph.
class Tensor {
 public:
  Tensor() = default;
  Tensor(Graph& graph, Value* value) : graph_(&graph), value_(value) {}

  [[nodiscard]] explicit operator bool() const { return value_ != nullptr; }
  [[nodiscard]] Graph& graph() const { return *graph_; }
  [[nodiscard]] Value* value() const { return value_; }
  [[nodiscard]] DType dtype() const { return value_->dtype; }
  [[nodiscard]] const Shape& shape() const { return *value_->shape; }
  [[nodiscard]] size_t rank() const { return value_->shape->size(); }
  /// Dimension `axis`, counted from the end if negative.
  [[nodiscard]] const Dim& dim(int axis) const;
  [[nodiscard]] bool is_weight() const { return value_->is_weight(); }

 private:
  Graph* graph_ = nullptr;
  Value* value_ = nullptr;
};

namespace op {

// Constants. Equal ones are merged by the share pass.
Tensor weight(Graph& graph, std::string_view name, Weight weight);
Tensor scalar(Graph& graph, float value, DType dtype = DType::f32);
Tensor scalar(Graph& graph, int64_t value);
Tensor integers(Graph& graph, const std::vector<int64_t>& values);
/// A number in the dtype of `like`.
Tensor scalar_like(const Tensor& like, double value);

/// Any operator by name, one result. For those without a function of their own below.
Tensor emit(std::string_view op_type, const std::vector<Tensor>& inputs, Attributes attributes = {},
            std::string_view domain = "");
/// The same with several results.
std::vector<Tensor> emit_n(std::string_view op_type, const std::vector<Tensor>& inputs, Attributes attributes,
                           size_t outputs, std::string_view domain = "");

// Arithmetic, with numpy's broadcasting. A number takes the dtype of the tensor beside it.
Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
Tensor add(const Tensor& a, double b);
Tensor sub(double a, const Tensor& b);
Tensor mul(const Tensor& a, double b);
Tensor div(const Tensor& a, double b);
Tensor pow(const Tensor& a, double b);
Tensor matmul(const Tensor& a, const Tensor& b);

Tensor unary(std::string_view op_type, const Tensor& x);
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);
Tensor cast(const Tensor& x, DType to);
/// Clip to [low, high]; a bound left out is none.
Tensor clip(const Tensor& x, std::optional<double> low, std::optional<double> high);

// Shape. A 0 in `dims` keeps the input's dimension at that place, one -1 takes what is left.
Tensor reshape(const Tensor& x, const std::vector<int64_t>& dims);
/// To a shape that another tensor's dimensions decide; `dims` is i64[rank].
Tensor reshape(const Tensor& x, const Tensor& dims);
Tensor transpose(const Tensor& x, const std::vector<int64_t>& perm);
Tensor squeeze(const Tensor& x, const std::vector<int64_t>& axes);
Tensor unsqueeze(const Tensor& x, const std::vector<int64_t>& axes);
Tensor concat(const std::vector<Tensor>& parts, int64_t axis);
/// Parts of the given sizes along `axis`.
std::vector<Tensor> split(const Tensor& x, int64_t axis, const std::vector<int64_t>& sizes);
/// x[..., begin:end:step, ...] with constant bounds, negative ones counted from the end.
Tensor slice(const Tensor& x, int64_t axis, int64_t begin, int64_t end, int64_t step = 1);
/// x[..., begin:end, ...] with bounds i64[1].
Tensor slice(const Tensor& x, int64_t axis, const Tensor& begin, const Tensor& end);
Tensor gather(const Tensor& data, const Tensor& indices, int64_t axis = 0);
Tensor expand(const Tensor& x, const Tensor& dims);
/// Dimensions [begin, end) of x as i64[end - begin].
Tensor shape_of(const Tensor& x, int64_t begin, int64_t end);
/// One dimension as a scalar i64.
Tensor size_of(const Tensor& x, int64_t axis);
/// start, start + 1, ..., limit - 1 of scalars i64.
Tensor range(const Tensor& start, const Tensor& limit);

// Reductions.
Tensor reduce(std::string_view op_type, const Tensor& x, const std::vector<int64_t>& axes, bool keepdims);
Tensor softmax(const Tensor& x, int64_t axis = -1);

// Building blocks of networks.
Tensor layer_norm(const Tensor& x, const Tensor& scale, const Tensor& bias, float epsilon);
/// y = x * scale / sqrt(mean(x^2) + epsilon), statistics in f32.
Tensor rms_norm(const Tensor& x, const Tensor& scale, float epsilon);

/// ONNX Attention (opset 24). Queries [B, S, heads * size] or [B, heads, S, size]; keys and values likewise.
struct AttentionOptions {
  Tensor
      mask;  ///< Added to the scores (floating) or true = attend (boolean); broadcasts to [B, heads, S, T].
  int64_t heads = 0;           ///< Of the queries; needed for rank 3.
  int64_t kv_heads = 0;        ///< 0: as many as `heads`.
  std::optional<float> scale;  ///< Nothing: 1 / sqrt(size).
  float softcap = 0;           ///< tanh(scores / softcap) * softcap, if not 0.
  bool causal = false;
};
Tensor attention(const Tensor& query, const Tensor& key, const Tensor& value,
                 const AttentionOptions& options = {});

}  // namespace op

inline Tensor operator+(const Tensor& a, const Tensor& b) {
  return op::add(a, b);
}
inline Tensor operator-(const Tensor& a, const Tensor& b) {
  return op::sub(a, b);
}
inline Tensor operator*(const Tensor& a, const Tensor& b) {
  return op::mul(a, b);
}
inline Tensor operator/(const Tensor& a, const Tensor& b) {
  return op::div(a, b);
}
inline Tensor operator*(const Tensor& a, double b) {
  return op::mul(a, b);
}
inline Tensor operator+(const Tensor& a, double b) {
  return op::add(a, b);
}
inline Tensor operator/(const Tensor& a, double b) {
  return op::div(a, b);
}

}  // namespace ferry::ir
