#pragma once
// Inputs to compare two computations on.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ferry/export.h"
#include "nn/architecture.h"
#include "tensor/host_tensor.h"

namespace ferry::exporter {

using TensorMap = std::map<std::string, HostTensor>;
using AxisSizes = std::map<std::string, int64_t, std::less<>>;

/// Sizes of the named axes of `inputs` that a model is to be tried on. First as the shape flags give them,
/// capped by what the model takes; then others, so that nothing that was baked in can pass: another batch
/// with shorter texts, and where there is a cache, that batch without anything in it and one token after a
/// longer one.
std::vector<AxisSizes> example_sizes(const std::vector<nn::InputSpec>& inputs, const ShapeOptions& shapes);

/// The size of one axis. Errors: Error{internal} if a name in it has no size.
int64_t axis_size(const nn::Axis& axis, const AxisSizes& sizes);

/// Random values, the same for the same seed. Masks have padding of another length in each row: at the end of
/// the row for an even seed, at its start for an odd one.
TensorMap example_inputs(const std::vector<nn::InputSpec>& inputs, const AxisSizes& sizes, uint32_t seed);

}  // namespace ferry::exporter
