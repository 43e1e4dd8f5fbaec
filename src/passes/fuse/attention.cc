// Attention -> MultiHeadAttention or GroupQueryAttention.
//
// Both take [B, S, heads * size]. A boolean mask becomes an additive one with the lowest number, as -inf in a
// whole row would give NaN; queries that see nothing give 0, as in the operator of ONNX: one Where a layer
// over the result. What is equal in every layer becomes one by the share pass.
#include <algorithm>
#include <limits>

#include "passes/fuse/heads.h"
#include "passes/fuse/mask.h"
#include "passes/fuse/rotary.h"
#include "passes/legalize/lowering.h"

namespace ferry::passes {
namespace {

namespace op = ir::op;
using ir::Node;
using ir::Value;

double lowest_of(DType dtype) {
  return dtype == DType::f16 ? -65504.0 : std::numeric_limits<float>::lowest();
}
Tensor zero_of(ir::Graph& graph, DType dtype) {
  return op::scalar(graph, 0.0f, dtype);
}
Tensor lowest(ir::Graph& graph, DType dtype) {
  return op::scalar(graph, static_cast<float>(lowest_of(dtype)), dtype);
}

class AttentionFusion {
 public:
  AttentionFusion(Fusion& at, Node& node, AttentionParts parts)
      : at_(at),
        graph_(at.graph),
        node_(node),
        reader_(at.graph, node, ir::kNewestOpset),
        p_(std::move(parts)) {}

  bool group_query(const CausalMask& mask) {
    const DType dtype = p_.query.dtype();
    if (p_.size % 8 != 0 || p_.value_size != p_.size || (dtype != DType::f32 && dtype != DType::f16))
      return false;
    ir::Attributes attributes = {{"num_heads", p_.heads},
                                 {"kv_num_heads", p_.kv_heads},
                                 {"scale", p_.scale},
                                 {"do_rotary", int64_t{0}}};
    if (p_.softcap != 0) attributes["softcap"] = p_.softcap;
    if (mask.window > 0) attributes["local_window_size"] = mask.window;
    const auto rotation = inner_rotation(mask);
    if (rotation) {
      attributes["do_rotary"] = int64_t{1};
      attributes["rotary_interleaved"] = p_.query.value()->producer->get("interleaved", int64_t{0});
      p_.query = at_.tensor(p_.query.value()->producer->inputs[0]);
      p_.key = at_.tensor(p_.key.value()->producer->inputs[0]);
    }
    std::vector<Tensor> inputs = projections();
    const bool own = at_.options.own_positions;
    inputs.insert(inputs.end(), {at_.tensor(p_.past_key), at_.tensor(p_.past_value), last_positions(mask),
                                 total_length(mask)});
    inputs.push_back(rotation ? op::weight(graph_, "cos_cache", rotation->cosines) : Tensor());
    inputs.push_back(rotation ? op::weight(graph_, "sin_cache", rotation->sines) : Tensor());
    inputs.push_back(Tensor());  // position_ids, of which it heeds only the first in a prompt.
    inputs.push_back(own ? Tensor() : padding_bias(mask, dtype));
    const Tensors made =
        op::emit_n("GroupQueryAttention", inputs, std::move(attributes), 3, ir::kMicrosoftDomain);
    finish(own ? made[0] : op::where(unseeing(mask), zero_of(graph_, dtype), made[0]), made);
    return true;
  }

  bool multi_head() {
    // ONNX Runtime's CPU provider has it in f32.
    const bool causal = node_.get("is_causal", int64_t{0}) != 0;
    if (p_.kv_heads != p_.heads || p_.softcap != 0 || p_.query.dtype() != DType::f32 ||
        (causal && p_.past_key != nullptr))
      return false;
    Value* mask = node_.input(3);
    if (mask != nullptr && (!mask->shape || (mask->dtype == DType::boolean && mask->rank() < 3)))
      return false;
    if (mask != nullptr && mask->dtype == DType::boolean && !(at_.tensor(mask).dim(-3) == ir::Dim(1)))
      return false;
    Value* rows = padding_mask(mask);
    Tensor additive, unseeing_rows;
    if (mask != nullptr && rows == nullptr) additive = additive_mask(at_.tensor(mask), unseeing_rows);
    ir::Attributes attributes = {{"num_heads", p_.heads}, {"scale", p_.scale}};
    if (causal) attributes["unidirectional"] = int64_t{1};
    if (rows != nullptr) attributes["mask_filter_value"] = static_cast<float>(lowest_of(DType::f32));
    std::vector<Tensor> qkv = flat_parts();
    Tensor bias;
    if (p_.past_key == nullptr) {
      if (const auto apart = without_biases(at_, qkv)) {
        qkv = apart->parts;
        bias = apart->bias;
      }
    }
    const Tensor padding = rows != nullptr ? op::cast(at_.tensor(rows), DType::i32) : Tensor();
    const Tensors made = op::emit_n(
        "MultiHeadAttention",
        {qkv[0], qkv[1], qkv[2], bias, padding, additive, at_.tensor(p_.past_key), at_.tensor(p_.past_value)},
        std::move(attributes), p_.past_key != nullptr ? 3 : 1, ir::kMicrosoftDomain);
    finish(unseeing_rows ? op::where(unseeing_rows, zero_of(graph_, DType::f32), made[0]) : made[0], made);
    return true;
  }

 private:
  std::vector<Tensor> flat_parts() {
    return {flat_heads(at_, p_.query, p_.heads), flat_heads(at_, p_.key, p_.kv_heads),
            flat_heads(at_, p_.value, p_.kv_heads)};
  }

  // Query, key and value; or all in the first.
  std::vector<Tensor> projections() {
    const std::vector<Tensor> parts = flat_parts();
    const Tensor all = packed(at_, parts);
    return all ? std::vector<Tensor>{all, Tensor(), Tensor()} : parts;
  }

  // If queries and keys are turned alike, by positions that the operator counts itself.
  std::optional<Rotation> inner_rotation(const CausalMask& mask) {
    const Node* query = made_by(p_.query.value(), "RotaryEmbedding");
    const Node* key = made_by(p_.key.value(), "RotaryEmbedding");
    const bool alike = at_.options.rotary_embeddings && query != nullptr && key != nullptr &&
                       query->input(1) == key->input(1) && query->input(2) == key->input(2) &&
                       query->get("interleaved", int64_t{0}) == key->get("interleaved", int64_t{0});
    if (!alike || p_.size % 16 != 0) return std::nullopt;
    auto rotation = rotation_of(at_, *query);
    if (!rotation || rotation->cosines.dims()[1] % 8 != 0) return std::nullopt;
    if (!at_.options.own_positions && !are_counted(rotation->positions, mask)) return std::nullopt;
    return rotation;
  }

  Tensor total(const CausalMask& mask) { return op::shape_of(at_.tensor(mask.padding), 1, 2); }  // i64[1]

  // i32[B]: the index of each row's last token.
  Tensor last_positions(const CausalMask& mask) {
    const Tensor padding = at_.tensor(mask.padding);
    if (at_.options.own_positions)
      return op::cast(op::add(op::reduce("ReduceSum", padding, {1}, false), -1.0), DType::i32);
    const Tensor last = op::cast(op::add(total(mask), -1.0), DType::i32);
    return op::expand(last, op::shape_of(padding, 0, 1));
  }

  Tensor total_length(const CausalMask& mask) {
    return op::cast(op::size_of(at_.tensor(mask.padding), 1), DType::i32);
  }

  [[nodiscard]] Tensor new_length() const {  // i64[1]
    return reader_.dim(p_.query, p_.flat() ? 1 : 2);
  }

  // i64[1]. Not from the joined keys: those will be a result of the attention itself.
  [[nodiscard]] Tensor key_length(int axis) const {
    if (p_.past_key == nullptr) return reader_.dim(at_.tensor(node_.inputs[1]), axis);
    return reader_.dim(at_.tensor(p_.past_key), 2) + reader_.dim(p_.key, axis);
  }

  // The lowest number for keys that are padding: [B, 1, S, T].
  Tensor padding_bias(const CausalMask& mask, DType dtype) {
    const Tensor real = op::cast(op::unsqueeze(at_.tensor(mask.padding), {1, 2}), DType::boolean);
    const Tensor row = op::where(real, zero_of(graph_, dtype), lowest(graph_, dtype));
    return op::expand(row, op::concat({op::integers(graph_, {1, 1}), new_length(), total(mask)}, 0));
  }

  // Queries that see only padding, [B, S, 1]: none of the tokens up to them, in their window, is real.
  Tensor unseeing(const CausalMask& mask) {
    const Tensor all = total(mask);
    const Tensor last_axis = op::scalar(graph_, int64_t{1});
    const Tensor real = op::cast(op::cast(at_.tensor(mask.padding), DType::boolean), DType::i64);
    Tensor seen = op::emit("CumSum", {real, last_axis});  // [B, T]
    if (mask.window > 0) {
      const Tensor before = op::emit("Pad", {seen, op::integers(graph_, {0, mask.window, 0, 0})});
      seen = seen - op::slice(before, 1, op::integers(graph_, {0}), all);
    }
    const Tensor now = op::slice(seen, 1, all - new_length(), all);  // [B, S]
    return op::unsqueeze(op::emit("Equal", {now, op::scalar(graph_, int64_t{0})}), {2});
  }

  // The mask as [B or 1, heads or 1, S, T], and which queries it lets see nothing, [B or 1, S or 1, 1].
  Tensor additive_mask(const Tensor& mask, Tensor& unseeing_rows) {
    Tensor bias = mask;
    if (mask.dtype() == DType::boolean) {
      bias = op::where(mask, zero_of(graph_, DType::f32), lowest(graph_, DType::f32));
      const Tensor best = op::reduce("ReduceMax", bias, {-1}, true);
      const Tensor none = op::emit("Equal", {best, lowest(graph_, DType::f32)});
      unseeing_rows = none.rank() == 4 ? op::squeeze(none, {1}) : none;
    }
    if (bias.rank() < 4) {
      std::vector<int64_t> axes(4 - bias.rank());
      for (size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<int64_t>(i);
      bias = op::unsqueeze(bias, axes);
    }
    const int axis = p_.flat() ? 1 : 2;
    const Value* keys = node_.inputs[1];
    const ir::Dim& length = p_.query.dim(axis);
    const ir::Dim& all = (*keys->shape)[static_cast<size_t>(axis)];
    if (bias.dim(2) == length && bias.dim(3) == all) return bias;
    const Tensor wanted = op::concat({op::integers(graph_, {1, 1}), new_length(), key_length(axis)}, 0);
    return op::expand(bias, wanted);
  }

  void finish(Tensor y, const Tensors& made) {
    if (!p_.flat()) y = op::transpose(op::reshape(y, {0, 0, p_.heads, p_.value_size}), {0, 2, 1, 3});
    at_.replace(node_.outputs[0], y);
    if (p_.present_key == nullptr) return;
    at_.replace(p_.present_key, made[1]);
    at_.replace(p_.present_value, made[2]);
  }

  Fusion& at_;
  ir::Graph& graph_;
  Node& node_;
  Lowering reader_;
  AttentionParts p_;
};

// Whether something that the attention may depend on reads a value which it is to make.
bool is_read_before(const ir::Graph& graph, const Value* value, const Node& node) {
  for (const auto& other : graph.nodes()) {
    if (other.get() == &node) return false;
    if (std::find(other->inputs.begin(), other->inputs.end(), value) != other->inputs.end()) return true;
  }
  return false;
}

bool attention(Fusion& at, Node& node) {
  auto parts = parts_of(at, node);
  if (!parts) return false;
  for (const Value* present : {parts->present_key, parts->present_value}) {
    if (present != nullptr && is_read_before(at.graph, present, node)) return false;
  }
  AttentionFusion fusion(at, node, std::move(*parts));
  const auto mask = causal_mask(node.input(3));
  return (mask && at.options.group_query && fusion.group_query(*mask)) || fusion.multi_head();
}

constexpr FuseRule kRules[] = {
    {"Attention", attention, &FuseOptions::attention},
};

}  // namespace

std::span<const FuseRule> attention_fusions() {
  return kRules;
}

}  // namespace ferry::passes
