#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "checkpoint/checkpoint.h"

namespace ferry {

Weight adapt_shape(const Weight& weight, const Dims& wanted) {
  if (weight.dims() == wanted) return weight;
  const auto without_ones = [](Dims dims) {
    std::erase(dims, 1);
    return dims;
  };
  if (without_ones(weight.dims()) != without_ones(wanted)) {
    throw Error(ErrorCode::shape_mismatch, fmt::format("{} differs from {} by more than dimensions of size 1",
                                                       to_string(weight.dims()), to_string(wanted)));
  }
  return weight.reshape(wanted);
}

}  // namespace ferry
