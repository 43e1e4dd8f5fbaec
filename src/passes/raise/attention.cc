// Attention out of products and softmax:  softmax(scale q k' [capped] + bias) v.
#include <algorithm>
#include <cmath>
#include <vector>

#include "passes/raise/matcher.h"

namespace ferry::passes {
namespace {

namespace op = ir::op;

// What the scores were before the softmax, from the outside in.
struct Scores {
  const Node* product = nullptr;  // The MatMul.
  double scale = 1;
  double softcap = 0;
  struct Bias {
    Value* added = nullptr;  // Added to the scores; or else
    Value* condition =
        nullptr;  // where it is `kept`, the scores stay, elsewhere `filling` takes their place.
    bool kept = true;
    Value* filling = nullptr;
  };
  std::vector<Bias> biases;
  explicit operator bool() const { return product != nullptr; }
};

// Numbers that leave nothing of a score that they are added to or that they replace.
bool is_lowest(const Value* value) {
  const auto found = number(value);
  return found && *found <= -1e9;
}

Scores plain_scores(Value* value) {
  const Scaled found = scaled(value);
  const Node* product = made_by(found.tensor, "MatMul");
  return product != nullptr ? Scores{product, found.factor, 0, {}} : Scores{};
}

// cap tanh(scores / cap)
Scores capped_scores(Value* value) {
  const Scaled outer = scaled(value);
  const Node* tanh = made_by(outer.tensor, "Tanh");
  if (tanh == nullptr || outer.factor <= 0) return {};
  Scores found = plain_scores(tanh->inputs[0]);
  found.scale *= outer.factor;
  found.softcap = outer.factor;
  return found;
}

Scores scores_of(Value* value, int depth = 0) {
  constexpr int kDeepest = 6;
  if (value == nullptr || depth > kDeepest) return {};
  if (Scores found = plain_scores(value)) return found;
  if (Scores found = capped_scores(value)) return found;
  if (const Node* add = made_by(value, "Add")) {
    return either(*add, [&](Value* inner, Value* bias) -> Scores {
      Scores found = bias != nullptr ? scores_of(inner, depth + 1) : Scores{};
      if (found) found.biases.push_back({bias, nullptr, true, nullptr});
      return found;
    });
  }
  const Node* where = made_by(value, "Where");
  if (where == nullptr) return {};
  const bool kept = is_lowest(where->input(2));
  if (!kept && !is_lowest(where->input(1))) return {};
  Scores found = scores_of(where->input(kept ? 1 : 2), depth + 1);
  if (found) found.biases.push_back({nullptr, where->input(0), kept, where->input(kept ? 2 : 1)});
  return found;
}

// softmax(...), without the guard that makes rows of NaN zero, and without casts at its ends.
struct Probabilities {
  const Node* softmax = nullptr;
  Value* scores = nullptr;
  bool wide = false;  // In f32, of narrower scores.
};
Probabilities probabilities_of(Value* value) {
  if (const Node* guard = made_by(value, "Where")) {
    const Node* is_nan = made_by(guard->input(0), "IsNaN");
    const bool matches =
        is_nan != nullptr && is_nan->input(0) == guard->input(2) && number(guard->input(1)) == 0.0;
    value = matches ? guard->input(2) : value;
  }
  const Node* narrowed = made_by(value, "Cast");
  const Node* softmax = made_by(narrowed != nullptr ? narrowed->input(0) : value, "Softmax");
  if (softmax == nullptr || softmax->input(0) == nullptr) return {};
  const int64_t axis = softmax->get("axis", int64_t{-1});
  if (axis != -1 &&
      (!softmax->inputs[0]->shape || axis != static_cast<int64_t>(softmax->inputs[0]->rank()) - 1))
    return {};
  if (narrowed == nullptr) return {softmax, softmax->inputs[0], false};
  const Node* widened = made_by(softmax->inputs[0], "Cast");
  const bool matches = widened != nullptr && widened->input(0) != nullptr &&
                       widened->inputs[0]->dtype == value->dtype && softmax->inputs[0]->dtype == DType::f32;
  return matches ? Probabilities{softmax, widened->inputs[0], true} : Probabilities{};
}

// k of k' (its last two axes swapped), [B, heads, T, size].
Value* untransposed(const RaiseSite& at, Value* value) {
  if (const Node* transpose = made_by(value, "Transpose")) {
    if (has_permutation(*transpose, {0, 1, 3, 2})) return transpose->inputs[0];
    if (has_permutation(*transpose, {0, 2, 3, 1}))
      return op::transpose(at.tensor(transpose->inputs[0]), {0, 2, 1, 3}).value();
  }
  // PyTorch's newer exporter goes through three dimensions: [B, heads, T, size] -> [-1, T, size] -> turned ->
  // [B, heads, size, T].
  if (const Node* split = made_by(value, "Reshape")) {
    const Node* transpose = made_by(split->input(0), "Transpose");
    const Node* joined = transpose != nullptr ? made_by(transpose->input(0), "Reshape") : nullptr;
    Value* keys = joined != nullptr ? joined->input(0) : nullptr;
    const bool matches = has_rank(keys, 4) && has_rank(joined->outputs[0], 3) &&
                         has_permutation(*transpose, {0, 2, 1}) && same_dim(keys, 0, value, 0) &&
                         same_dim(keys, 1, value, 1) && same_dim(keys, 2, value, 3) &&
                         same_dim(keys, 3, value, 2) && same_dim(keys, 2, joined->outputs[0], 1) &&
                         same_dim(keys, 3, joined->outputs[0], 2);
    if (matches) return keys;
  }
  return op::transpose(at.tensor(value), {0, 1, 3, 2}).value();
}

// x, [B, kv, T, size], of which each head was repeated: Unsqueeze, Expand, Reshape to [B, kv * n, T, size].
Value* unrepeated(Value* value) {
  const Node* joined = made_by(value, "Reshape");
  const Node* expand = joined != nullptr ? made_by(joined->input(0), "Expand") : nullptr;
  const Node* unsqueeze = expand != nullptr ? made_by(expand->input(0), "Unsqueeze") : nullptr;
  if (unsqueeze == nullptr || integers(*unsqueeze, 1) != std::vector<int64_t>{2}) return nullptr;
  Value* x = unsqueeze->inputs[0];
  Value* wide = expand->outputs[0];
  const auto heads = constant_dim(x, 1), all = constant_dim(value, 1), times = constant_dim(wide, 2);
  const bool matches = has_rank(x, 4) && has_rank(wide, 5) && has_rank(value, 4) && heads && all && times &&
                       *all == *heads * *times && same_dim(x, 0, value, 0) && same_dim(x, 2, value, 2) &&
                       same_dim(x, 3, value, 3) && same_dim(wide, 1, x, 1);
  return matches ? x : nullptr;
}

Tensor combined_bias(const RaiseSite& at, const Scores& scores, DType dtype) {
  Tensor out;
  for (const Scores::Bias& bias : scores.biases) {
    Tensor one = bias.added != nullptr ? at.tensor(bias.added) : Tensor();
    if (!one) {
      const Tensor open = op::scalar(at.graph, 0.0f, dtype);
      const Tensor filling = at.tensor(bias.filling);
      const Tensor condition = at.tensor(bias.condition);
      one = bias.kept ? op::where(condition, open, filling) : op::where(condition, filling, open);
    }
    out = out ? op::add(out, one) : one;
  }
  return out;
}

bool fits(const Value* query, const Value* keys, const Value* values, const Value* result) {
  if (!has_rank(query, 4) || !has_rank(keys, 4) || !has_rank(values, 4) || !has_rank(result, 4)) return false;
  const auto heads = constant_dim(query, 1), key_heads = constant_dim(keys, 1);
  return heads && key_heads && *key_heads > 0 && *heads % *key_heads == 0 && same_dim(keys, 1, values, 1) &&
         constant_dim(query, 3) && constant_dim(values, 3) && same_dim(query, 3, keys, 3) &&
         same_dim(query, 0, keys, 0) && same_dim(query, 0, values, 0) && same_dim(keys, 2, values, 2);
}

Tensor attention(const RaiseSite& at) {
  const Probabilities probabilities = probabilities_of(at.node.input(0));
  if (probabilities.softmax == nullptr) return {};
  const Scores scores = scores_of(probabilities.scores);
  if (!scores || !has_rank(at.node.outputs[0], 4)) return {};
  const Scaled query = scaled(scores.product->inputs[0]);
  const Scaled turned = scaled(scores.product->inputs[1]);
  if (!has_rank(query.tensor, 4) || !has_rank(turned.tensor, 4) || !has_rank(at.node.input(1), 4)) return {};
  const Scaled key = scaled(untransposed(at, turned.tensor));
  Value* keys = key.tensor;
  Value* values = at.node.inputs[1];
  Value* few_keys = unrepeated(keys);
  Value* few_values = unrepeated(values);
  if (few_keys != nullptr && few_values != nullptr && same_dim(few_keys, 1, few_values, 1)) {
    keys = few_keys;
    values = few_values;
  } else if (constant_dim(keys, 1) != constant_dim(query.tensor, 1) && constant_dim(keys, 1) != 1) {
    return {};
  }
  if (!fits(query.tensor, keys, values, at.node.outputs[0])) return {};
  ir::Attributes attributes;
  const double scale = scores.scale * query.factor * turned.factor * key.factor;
  const double usual = 1 / std::sqrt(static_cast<double>(*constant_dim(query.tensor, 3)));
  if (std::abs(scale - usual) > 1e-6 * usual) attributes["scale"] = static_cast<float>(scale);
  if (scores.softcap != 0) attributes["softcap"] = static_cast<float>(scores.softcap);
  if (probabilities.wide) attributes["softmax_precision"] = static_cast<int64_t>(onnx_number(DType::f32));
  const Tensor bias = combined_bias(at, scores, query.tensor->dtype);
  if (bias && bias.dtype() != query.tensor->dtype) return {};
  if (bias && (!bias.value()->shape || bias.rank() > 4)) return {};
  return op::emit("Attention", {at.tensor(query.tensor), at.tensor(keys), at.tensor(values), bias},
                  std::move(attributes));
}

// x, [B, S, heads * size], of which `value`, [B, heads, S, size], is made.
Value* unsplit(const Value* value) {
  const Node* transpose = made_by(value, "Transpose");
  const Node* reshape = transpose != nullptr && has_permutation(*transpose, {0, 2, 1, 3})
                            ? made_by(transpose->input(0), "Reshape")
                            : nullptr;
  Value* x = reshape != nullptr ? reshape->input(0) : nullptr;
  const auto width = constant_dim(x, -1), heads = constant_dim(value, 1), size = constant_dim(value, 3);
  const bool matches = has_rank(x, 3) && width && heads && size && *width == *heads * *size &&
                       same_dim(x, 0, value, 0) && same_dim(x, 1, value, 2);
  return matches ? x : nullptr;
}

// Heads that are only split for an Attention and joined after it: the operator does both.
Tensor whole_attention(const RaiseSite& at) {
  const Node* transpose = made_by(at.node.input(0), "Transpose");
  const Node* node = transpose != nullptr && has_permutation(*transpose, {0, 2, 1, 3})
                         ? made_by(transpose->input(0), "Attention")
                         : nullptr;
  if (node == nullptr || node->outputs.size() != 1 || node->inputs.size() > 4) return {};
  Value* query = unsplit(node->input(0));
  Value* keys = unsplit(node->input(1));
  Value* values = unsplit(node->input(2));
  const Value* result = at.node.outputs[0];
  const auto heads = constant_dim(node->input(0), 1), key_heads = constant_dim(node->input(1), 1);
  const auto width = constant_dim(result, -1), size = constant_dim(node->input(2), 3);
  const bool matches = query != nullptr && keys != nullptr && values != nullptr && has_rank(result, 3) &&
                       heads && key_heads && size && width && *width == *heads * *size &&
                       same_dim(result, 0, query, 0) && same_dim(result, 1, query, 1);
  if (!matches) return {};
  ir::Attributes attributes = node->attributes;
  attributes["q_num_heads"] = *heads;
  attributes["kv_num_heads"] = *key_heads;
  const Tensor bias = node->input(3) != nullptr ? at.tensor(node->inputs[3]) : Tensor();
  return op::emit("Attention", {at.tensor(query), at.tensor(keys), at.tensor(values), bias},
                  std::move(attributes));
}

constexpr RaiseRule kRules[] = {
    {"MatMul", attention},
    {"Reshape", whole_attention},
};

}  // namespace

std::span<const RaiseRule> raise_attention_rules() {
  return kRules;
}

}  // namespace ferry::passes
