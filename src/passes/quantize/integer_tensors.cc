#include "passes/quantize/integer_tensors.h"

#include <algorithm>

namespace ferry::passes {

using ir::Value;

const Integers* IntegerTensors::known(const Value* value) const {
  const auto found = known_.find(value);
  return found == known_.end() ? nullptr : &found->second;
}

bool IntegerTensors::can(const Value* value) const {
  if (value == nullptr || value->dtype != DType::f32) return false;
  if (known(value) != nullptr) return true;
  return value->is_weight() ? model_.quantizable(value) : model_.has_range(value);
}

bool IntegerTensors::can_give(const Value* output) const {
  return output->dtype == DType::f32 && model_.has_range(output);
}

bool IntegerTensors::is_bias(const Value* value, const Value* factor, size_t axis) const {
  if (value == nullptr) return true;
  if (!value->is_weight() || !model_.quantizable(value)) return false;
  const bool channels = model_.options.per_channel && factor->is_weight() && axis < factor->rank();
  return fits_bias(*value->weight, channels ? static_cast<size_t>(factor->weight->dims()[axis]) : 1);
}

Integers IntegerTensors::integers(Value* value) {
  if (const Integers* found = known(value)) return *found;
  Integers made;
  if (value->is_weight()) {
    const DType dtype = model_.options.activations;
    const bool symmetric = dtype == model_.options.weights ? model_.options.weights_symmetric
                                                           : model_.options.activations_symmetric;
    made.with = quantization_of(*value, {dtype, symmetric, false}, std::nullopt);
    made.tensor = add_quantized_weight(graph_, *value, made.with, dtype, std::nullopt);
  } else {
    made = parameters(value);
    made.tensor.integers =
        emit_.make("QuantizeLinear", value->name + "_QuantizeLinear",
                   {value, made.tensor.scale, made.tensor.zero_point}, value->name + "_quantized");
  }
  return known_[value] = made;
}

Integers IntegerTensors::right_side(Value* value, const Integers& input, Factor how) {
  if (!value->is_weight()) return integers(value);
  if (!model_.options.per_channel || how.axis >= value->rank()) how.axis.reset();
  return weight(*value, input, how);
}

Integers IntegerTensors::weight(const Value& value, const Integers& input, const Factor& how) {
  const auto& options = model_.options;
  const bool fixed = how.axis && how.one_zero_point;
  const DType dtype = fixed ? DType::i8 : options.weights;
  const bool symmetric = options.weights_symmetric || fixed;
  Quantization with = quantization_of(value, {dtype, symmetric, options.reduce_range}, how.axis);
  const bool centred =
      std::all_of(with.zero_point.begin(), with.zero_point.end(), [](int64_t zero) { return zero == 0; });
  if (how.bias != nullptr && options.weights == DType::i8 && centred)
    make_room_for_bias(with, input.with.scale[0], how.bias->weight->scale(how.beta).as_f32());
  std::vector<Integers>& made = weights_[&value];
  for (const Integers& known : made) {
    if (known.with.scale == with.scale && known.tensor.axis == how.axis) return known;
  }
  made.push_back({add_quantized_weight(graph_, value, with, dtype, how.axis), with, &value});
  return made.back();
}

Value* IntegerTensors::bias(const Value& value, float beta, const Integers& input, const Integers& factor) {
  const Weight source = value.weight->scale(beta);
  const QuantizedBias made = quantize_bias(source.as_f32(), input.with.scale[0], factor.with.scale);
  return add_bias(graph_, value.name + "_quantized", source.dims(), made.integers);
}

Integers IntegerTensors::parameters(const Value* value, const Quantization& with) {
  const DType dtype = model_.options.activations;
  return {add_parameters(graph_, value->name, with, std::nullopt, dtype), with, value};
}

void IntegerTensors::set(const Value* value, const Integers& made) {
  known_[value] = made;
  float_gone_.insert(value);
}

Value* IntegerTensors::as_float(Value* value) {
  if (value == nullptr || float_gone_.erase(value) == 0) return value;
  const QuantizedTensor& from = known_.at(value).tensor;
  emit_.make_into(value, "DequantizeLinear", value->name + "_DequantizeLinear",
                  {from.integers, from.scale, from.zero_point});
  return value;
}

}  // namespace ferry::passes
