#pragma once
// torch.nn.utils.weight_norm: a weight that is stored as a direction and a magnitude.
#include "tensor/weight.h"

namespace ferry {

/// direction * magnitude / |direction|, with a norm of its own for each entry of `axis`, over all other
/// dimensions. The norms are computed in f64 when the weight is first read, a range at a time.
/// Errors: Error{shape_mismatch} unless magnitude is [1, ..., size of the axis, ..., 1].
Weight weight_norm(const Weight& direction, const Weight& magnitude, size_t axis);

}  // namespace ferry
