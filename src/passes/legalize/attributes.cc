// Attributes that came late: dropped where they say what was always so, refused where they do not.
#include <algorithm>

#include "passes/legalize/lowering.h"

namespace ferry::passes {
namespace {

bool is_float8(DType dtype) {
  return is_floating(dtype) && bits_of(dtype) == 8;
}

template <char const* kName>
bool has(const Lowering& at) {
  return at.node.attributes.count(kName) > 0;
}

constexpr char kReduction[] = "reduction";
constexpr char kSaturate[] = "saturate";
constexpr char kRoundMode[] = "round_mode";
constexpr char kDilations[] = "dilations";
constexpr char kCeilMode[] = "ceil_mode";
constexpr char kBlockSize[] = "block_size";
constexpr char kOutputType[] = "output_dtype";
constexpr char kPrecision[] = "precision";

// saturate and round_mode speak of 8-bit floats alone.
template <char const* kName>
Tensors drop_float8(const Lowering& at) {
  if (at.wants(0) && is_float8(at.node.outputs[0]->dtype)) at.unsupported("8-bit floats are too new");
  at.drop(kName);
  return {};
}

Tensors scatter_18(const Lowering& at) {
  at.unsupported("the reductions max and min are new in opset 18");
}
bool is_extreme(const Lowering& at) {
  const auto reduction = at.node.get(kReduction, std::string("none"));
  return reduction == "max" || reduction == "min";
}
Tensors scatter_16(const Lowering& at) {
  if (at.node.get(kReduction, std::string("none")) != "none")
    at.unsupported("scattering with a reduction is new in opset 16");
  at.drop(kReduction);
  return {};
}

Tensors dilations(const Lowering& at) {
  const auto values = at.node.get(kDilations, std::vector<int64_t>{});
  if (std::any_of(values.begin(), values.end(), [](int64_t value) { return value != 1; }))
    at.unsupported("pooling with dilations is too new");
  at.drop(kDilations);
  return {};
}

Tensors lp_ceil(const Lowering& at) {
  if (at.node.get(kCeilMode, int64_t{0}) != 0) at.unsupported("LpPool with ceil_mode is new in opset 18");
  at.drop(kCeilMode);
  return {};
}

Tensors block_size(const Lowering& at) {
  if (at.node.get(kBlockSize, int64_t{0}) != 0) at.unsupported("quantization in blocks is new in opset 21");
  at.drop(kBlockSize);
  return {};
}

// The result's type is otherwise that of the zero point (or u8), or that of the scale.
Tensors quantized_type(const Lowering& at) {
  const DType result = at.wants(0) ? at.node.outputs[0]->dtype : DType::undefined;
  const DType otherwise = at.has_input(2) ? at.node.input(2)->dtype : DType::u8;
  const bool said = at.node.get(kOutputType, int64_t{0}) != 0;
  if (said && result != otherwise) at.unsupported("its output_dtype is new in opset 21");
  at.drop(kOutputType);
  return {};
}
Tensors dequantized_type(const Lowering& at) {
  const auto said = static_cast<int>(at.node.get(kOutputType, int64_t{0}));
  if (said != 0 && (!at.has_input(1) || dtype_from_onnx(said) != at.node.input(1)->dtype))
    at.unsupported("its output_dtype is new in opset 23");
  at.drop(kOutputType);
  return {};
}
Tensors precision(const Lowering& at) {
  if (at.node.get(kPrecision, int64_t{0}) != 0) at.unsupported("its precision is new in opset 23");
  at.drop(kPrecision);
  return {};
}

// The axis was an attribute before opset 20.
bool has_axis_input(const Lowering& at) {
  return at.has_input(2);
}
Tensors dft(const Lowering& at) {
  const auto axis = at.constants(2);
  if (axis->size() != 1) at.unsupported("its axis is not one number");
  at.node.attributes["axis"] = (*axis)[0];
  at.drop_input(2);
  return {};
}

constexpr Rule kRules[] = {
    {"ScatterElements", 18, scatter_18, is_extreme},
    {"ScatterND", 18, scatter_18, is_extreme},
    {"ScatterElements", 16, scatter_16, has<kReduction>},
    {"ScatterND", 16, scatter_16, has<kReduction>},
    {"Cast", 19, drop_float8<kSaturate>, has<kSaturate>},
    {"Cast", 24, drop_float8<kRoundMode>, has<kRoundMode>},
    {"CastLike", 19, drop_float8<kSaturate>, has<kSaturate>},
    {"CastLike", 24, drop_float8<kRoundMode>, has<kRoundMode>},
    {"QuantizeLinear", 19, drop_float8<kSaturate>, has<kSaturate>},
    {"QuantizeLinear", 21, block_size, has<kBlockSize>},
    {"DequantizeLinear", 21, block_size, has<kBlockSize>},
    {"QuantizeLinear", 21, quantized_type, has<kOutputType>},
    {"DequantizeLinear", 23, dequantized_type, has<kOutputType>},
    {"QuantizeLinear", 23, precision, has<kPrecision>},
    {"AveragePool", 19, dilations, has<kDilations>},
    {"LpPool", 18, dilations, has<kDilations>},
    {"LpPool", 18, lp_ceil, has<kCeilMode>},
    {"DFT", 20, dft, has_axis_input},
};

}  // namespace

std::span<const Rule> attribute_rules() {
  return kRules;
}

}  // namespace ferry::passes
