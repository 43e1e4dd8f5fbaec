#include "nn/experts.h"

namespace ferry::nn {
namespace op = ir::op;

Experts::Experts(const Scope& scope, const ExpertsOptions& options)
    : scope_(scope), options_(options), router_(scope / "gate", options.hidden_size, options.count, false) {
  for (int64_t i = 0; i < options.count; ++i) experts_.push_back(stored(i));
}

Experts::Expert Experts::stored(int64_t index) const {
  const int64_t hidden = options_.hidden_size, inner = options_.intermediate_size;
  const Scope all = scope_ / "experts", one = all / index;
  if (all.has("gate_up_proj")) {
    const Weight in = all.weight("gate_up_proj", {options_.count, 2 * inner, hidden})
                          .slice(0, index, index + 1)
                          .reshape({2 * inner, hidden});
    const Weight out = all.weight("down_proj", {options_.count, hidden, inner})
                           .slice(0, index, index + 1)
                           .reshape({hidden, inner});
    return {one.constant("gate_proj.weight", in.slice(0, 0, inner).transpose()),
            one.constant("up_proj.weight", in.slice(0, inner, 2 * inner).transpose()),
            one.constant("down_proj.weight", out.transpose())};
  }
  const auto matrix = [&](std::string_view name, int64_t from, int64_t to) {
    return op::transpose((one / name).parameter("weight", {to, from}), {1, 0});
  };
  return {matrix(options_.gate, hidden, inner), matrix(options_.up, hidden, inner),
          matrix(options_.down, inner, hidden)};
}

Tensor Experts::run(const Expert& expert, const Tensor& x) const {
  const Tensor gate = activation(options_.activation, op::matmul(x, expert.gate));
  return op::matmul(gate * op::matmul(x, expert.up), expert.down);
}

// The tokens x [N, H] by expert, through the experts, and back in their order: [N * k, H]. chosen i64[N * k].
Tensor Experts::through_experts(const Tensor& x, const Tensor& chosen) const {
  ir::Graph& graph = x.graph();
  const int64_t count = options_.count;
  const Tensor numbers =
      op::unsqueeze(op::range(op::scalar(graph, int64_t{0}), op::scalar(graph, count)), {1});
  const Tensor goes = op::emit("Equal", {numbers, op::unsqueeze(chosen, {0})});  // [experts, N * k]
  const Tensor places = select(op::emit("NonZero", {goes}), 0, 1);               // By expert.
  const Tensor token = op::div(places, static_cast<double>(options_.per_token));
  const Tensor sizes = op::reduce("ReduceSum", op::cast(goes, DType::i64), {1}, false);
  const auto parts =
      op::emit_n("Split", {op::gather(x, token), sizes}, {{"axis", int64_t{0}}}, static_cast<size_t>(count));
  std::vector<Tensor> results;
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto named = (scope_ / "experts" / static_cast<int64_t>(i)).named();
    results.push_back(run(experts_[i], parts[i]));
  }
  const Tensor dims =
      op::concat({op::shape_of(chosen, 0, 1), op::integers(graph, {options_.hidden_size})}, 0);
  const Tensor empty = op::expand(op::scalar(graph, 0.0f, x.dtype()), dims);
  return op::emit("ScatterND", {empty, op::unsqueeze(places, {1}), op::concat(results, 0)});
}

Tensor Experts::operator()(const Tensor& x) const {
  const auto named = scope_.named();
  const int64_t k = options_.per_token, hidden = options_.hidden_size;
  // The probabilities are computed in f32, then of the dtype of the model.
  const Tensor probabilities = op::softmax(op::cast(router_(x), DType::f32));
  const auto top = op::emit_n("TopK", {probabilities, op::integers(x.graph(), {k})}, {}, 2);  // [B, S, k]
  Tensor weights = top[0];
  if (options_.normalize) weights = weights / op::reduce("ReduceSum", weights, {-1}, true);
  const Tensor results = through_experts(op::reshape(x, {-1, hidden}), op::reshape(top[1], {-1}));
  const Tensor dims = op::concat({op::shape_of(x, 0, 2), op::integers(x.graph(), {k, hidden})}, 0);
  const Tensor weighted = op::reshape(results, dims) * op::unsqueeze(op::cast(weights, x.dtype()), {3});
  return op::reduce("ReduceSum", weighted, {2}, false);
}

}  // namespace ferry::nn
