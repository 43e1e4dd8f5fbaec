// Attention as products, softmax and reshapes, in the form that ONNX Runtime runs fastest.
//
// - Reshapes use 0 and constants, so nothing reads a shape at run time.
// - Keys go from [B, T, heads * size] to [B, heads, size, T] in one Transpose.
// - The scale is one Mul of the queries, right before the product: ONNX Runtime makes both one FusedMatMul.
// - Fewer heads of keys than of queries: queries are grouped, [B, kv, group, S, size], and the product
//   broadcasts over the group, so that keys and values are never repeated in memory.
// - A boolean mask becomes one Where(mask, 0, -inf), equal in every layer (the share pass merges them). Rows
//   with nothing to attend to give 0, as torch's scaled_dot_product_attention and the operator itself do:
//   that is decided on the mask, once, and costs each layer one Where over its result.
#include <cmath>
#include <limits>

#include "passes/legalize/lowering.h"

namespace ferry::passes {
namespace {

namespace op = ir::op;

constexpr size_t kMask = 3, kPastKey = 4, kPastValue = 5, kNonpad = 6;
enum class Scores : int64_t { raw = 0, capped = 1, masked = 2, probabilities = 3 };

class AttentionLowering {
 public:
  explicit AttentionLowering(const Lowering& at)
      : at_(at), q_(at.shaped(0)), k_(at.shaped(1)), v_(at.shaped(2)) {
    flat_ = q_.rank() == 3;
    heads_ = head_count(q_, "q_num_heads");
    kv_heads_ = head_count(k_, "kv_num_heads");
    if (heads_ % kv_heads_ != 0) at_.unsupported("the heads are no multiple of the key heads");
    size_ = last_size(q_, heads_);
    value_size_ = last_size(v_, kv_heads_);
    group_ = heads_ / kv_heads_;
    // What has an axis of its own for heads cannot be broadcast over groups of them: then keys are repeated.
    grouped_ = group_ > 1 && !at_.wants(3) && !mask_has_heads();
    mode_ = static_cast<Scores>(at_.node.get("qk_matmul_output_mode", int64_t{0}));
  }

  Tensors lower() {
    const Tensor keys = all_keys();
    const Tensor values = all_values();
    const float softcap = at_.node.get("softcap", 0.0f);
    Tensor scores = op::matmul(queries(softcap), keys);
    const auto keep = [&](Scores mode) {
      if (mode_ == mode) shown_ = scores;
    };
    if (softcap != 0) {
      keep(Scores::raw);
      scores = op::mul(op::unary("Tanh", divide_for_cap(scores, softcap)), softcap);
      keep(Scores::capped);
    } else {
      shown_ = scores;
    }
    make_bias();
    if (bias_) scores = op::add(scores, bias_);
    keep(Scores::masked);
    const Tensor probabilities = softmax(scores);
    Tensor y = without_empty_rows(op::matmul(probabilities, values));
    if (mode_ == Scores::probabilities && at_.wants(3)) shown_ = without_empty_rows(probabilities);
    return results(join_heads(y));
  }

 private:
  int64_t head_count(const Tensor& x, std::string_view attribute) const {
    if (flat_) return std::max<int64_t>(1, at_.node.get(attribute, int64_t{0}));
    if (x.rank() != 4) at_.unsupported("queries, keys and values are of rank 3 or 4");
    const auto constant = x.dim(1).constant();
    if (!constant) at_.unsupported("the number of heads is not known");
    return *constant;
  }

  int64_t last_size(const Tensor& x, int64_t heads) const {
    const auto width = x.dim(-1).constant();
    if (!width) at_.unsupported("the width of the heads is not known");
    return flat_ ? *width / heads : *width;
  }

  bool mask_has_heads() const {
    if (!at_.has_input(kMask)) return false;
    const Tensor mask = at_.shaped(kMask);
    return mask.rank() >= 3 && !(mask.dim(-3) == ir::Dim(1));
  }

  float scale() const { return at_.node.get("scale", 1.0f / std::sqrt(static_cast<float>(size_))); }

  // The scores before the cap are a result only if mode 0 asks for them; otherwise the division by the cap is
  // part of the scale.
  bool cap_apart() const { return at_.wants(3) && mode_ == Scores::raw; }
  Tensor divide_for_cap(const Tensor& scores, float softcap) const {
    return cap_apart() ? op::div(scores, softcap) : scores;
  }

  // [B, heads, S, size], or [B, kv, group, S, size]; scaled.
  Tensor queries(float softcap) const {
    const float factor = softcap != 0 && !cap_apart() ? scale() / softcap : scale();
    Tensor q = q_;
    if (flat_ && grouped_) {
      q = op::transpose(op::reshape(q, {0, 0, kv_heads_, group_, size_}), {0, 2, 3, 1, 4});
    } else if (flat_) {
      q = op::transpose(op::reshape(q, {0, 0, heads_, size_}), {0, 2, 1, 3});
    } else if (grouped_) {
      q = op::reshape(q, {0, kv_heads_, group_, -1, size_});
    }
    return factor == 1.0f ? q : op::mul(q, factor);
  }

  // [B, S, kv * size] -> [B, kv, S, size]
  Tensor split_heads(const Tensor& x, int64_t size) const {
    return flat_ ? op::transpose(op::reshape(x, {0, 0, kv_heads_, size}), {0, 2, 1, 3}) : x;
  }

  // [B, kv, T, size] with the past in front, if there is one or a result wants it.
  Tensor with_past(const Tensor& x, size_t past, int64_t size) const {
    const Tensor now = split_heads(x, size);
    return at_.has_input(past) ? op::concat({at_.input(past), now}, 2) : now;
  }

  // [B, kv, T, size] -> [B, kv, 1, T, size] for groups, or each head `group` times.
  Tensor for_groups(const Tensor& x, int64_t size) const {
    if (group_ == 1) return x;
    const Tensor one = op::unsqueeze(x, {2});
    if (grouped_) return one;
    const Tensor each = op::expand(one, op::integers(at_.graph, {1, 1, group_, 1, 1}));
    return op::reshape(each, {0, heads_, -1, size});
  }

  // [..., size, T]
  Tensor all_keys() {
    const bool stored = at_.has_input(kPastKey) || at_.wants(1);
    if (flat_ && !stored && group_ == 1)
      return op::transpose(op::reshape(k_, {0, 0, kv_heads_, size_}), {0, 2, 3, 1});
    if (flat_ && !stored && grouped_)
      return op::transpose(op::reshape(k_, {0, 0, kv_heads_, 1, size_}), {0, 2, 3, 4, 1});
    present_key_ = with_past(k_, kPastKey, size_);
    total_ = present_key_;
    const Tensor keys = for_groups(present_key_, size_);
    return keys.rank() == 5 ? op::transpose(keys, {0, 1, 2, 4, 3}) : op::transpose(keys, {0, 1, 3, 2});
  }

  // [..., T, size]
  Tensor all_values() {
    const bool stored = at_.has_input(kPastValue) || at_.wants(2);
    if (flat_ && !stored && grouped_)
      return op::transpose(op::reshape(v_, {0, 0, kv_heads_, 1, value_size_}), {0, 2, 3, 1, 4});
    present_value_ = with_past(v_, kPastValue, value_size_);
    return for_groups(present_value_, value_size_);
  }

  Tensor key_positions() const {
    return total_ ? at_.positions(total_, 2) : at_.positions(k_, flat_ ? 1 : 2);
  }

  // j <= i + offset, where offset counts the keys before the first query: [S, T], or [B, 1, S, T] where it
  // differs along the batch.
  Tensor causal() const {
    Tensor rows = op::unsqueeze(at_.positions(q_, flat_ ? 1 : 2), {1});
    if (at_.has_input(kPastKey)) {
      rows = op::add(rows, at_.dim(at_.shaped(kPastKey), 2));
    } else if (at_.has_input(kNonpad)) {
      const Tensor offset = op::sub(at_.input(kNonpad), at_.dim(q_, flat_ ? 1 : 2));
      rows = op::add(rows, op::unsqueeze(offset, {1, 2, 3}));
    }
    return op::emit("LessOrEqual", {key_positions(), rows});
  }

  Tensor valid_keys() const {
    return op::emit("Less", {key_positions(), op::unsqueeze(at_.input(kNonpad), {1, 2, 3})});
  }

  // For groups, what has a batch axis gets one for the groups.
  Tensor broadcastable(const Tensor& mask) const {
    return grouped_ && mask.rank() == 4 ? op::unsqueeze(mask, {1}) : mask;
  }

  void make_bias() {
    Tensor allowed;
    const auto allow = [&](const Tensor& more) {
      allowed = allowed ? op::emit("And", {allowed, more}) : more;
    };
    const Tensor mask = at_.input(kMask);
    const bool boolean = mask && mask.dtype() == DType::boolean;
    if (boolean) allow(mask);
    if (at_.node.get("is_causal", int64_t{0}) != 0) allow(causal());
    if (at_.has_input(kNonpad)) allow(valid_keys());
    // Causality alone leaves every query its own key. A floating mask is added as it is.
    may_be_empty_ = boolean || at_.has_input(kNonpad);
    if (!allowed) {
      if (mask) bias_ = broadcastable(mask);
      return;
    }
    minus_infinity_ = op::scalar(at_.graph, -std::numeric_limits<float>::infinity(), q_.dtype());
    const Tensor open = mask && !boolean ? mask : op::scalar(at_.graph, 0.0f, q_.dtype());
    bias_ = broadcastable(op::where(allowed, open, minus_infinity_));
  }

  Tensor softmax(const Tensor& scores) const {
    const auto precision = dtype_from_onnx(static_cast<int>(at_.node.get("softmax_precision", int64_t{0})));
    if (precision == DType::undefined) return op::softmax(scores);
    return op::cast(op::softmax(op::cast(scores, precision)), q_.dtype());
  }

  // 0 in the rows of queries that may attend to nothing.
  Tensor without_empty_rows(const Tensor& x) const {
    if (!may_be_empty_) return x;
    const Tensor best = op::reduce("ReduceMax", bias_, {-1}, true);
    const Tensor empty = op::emit("Equal", {best, minus_infinity_});
    return op::where(empty, op::scalar(at_.graph, 0.0f, q_.dtype()), x);
  }

  Tensor join_heads(const Tensor& y) const {
    const int64_t width = heads_ * value_size_;
    if (flat_ && grouped_) return op::reshape(op::transpose(y, {0, 3, 1, 2, 4}), {0, 0, width});
    if (flat_) return op::reshape(op::transpose(y, {0, 2, 1, 3}), {0, 0, width});
    return grouped_ ? op::reshape(y, {0, heads_, -1, value_size_}) : y;
  }

  Tensors results(const Tensor& y) const {
    Tensors out = {y, at_.wants(1) ? present_key_ : Tensor(), at_.wants(2) ? present_value_ : Tensor(),
                   at_.wants(3) ? shown_ : Tensor()};
    out.resize(at_.node.outputs.size());
    return out;
  }

  const Lowering& at_;
  Tensor q_, k_, v_;
  bool flat_ = false;  // [B, S, heads * size]
  bool grouped_ = false;
  int64_t heads_ = 0, kv_heads_ = 0, group_ = 1, size_ = 0, value_size_ = 0;
  Scores mode_ = Scores::raw;
  bool may_be_empty_ = false;
  Tensor present_key_, present_value_, total_, bias_, minus_infinity_, shown_;
};

Tensors attention(const Lowering& at) {
  return AttentionLowering(at).lower();
}

// At every opset. The CPU kernel of ONNX Runtime 1.32 refuses masks that broadcast over the queries, as every
// padding mask does ("inconsistent q_sequence_length"), and gives wrong numbers for masks that broadcast over
// the heads of a batch; where it is right, it is no faster than the lowered form.
constexpr Rule kRules[] = {
    {"Attention", ir::kNewestOpset + 1, attention},
};

}  // namespace

std::span<const Rule> attention_rules() {
  return kRules;
}

}  // namespace ferry::passes
