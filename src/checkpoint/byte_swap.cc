#include <algorithm>

#include "checkpoint/torch_state_dict.h"

namespace ferry::checkpoint {

Weight byte_swapped(const Weight& weight) {
  const bool is_complex = weight.dtype() == DType::c64 || weight.dtype() == DType::c128;
  const size_t unit = bits_of(weight.dtype()) / (is_complex ? 16 : 8);
  if (unit <= 1) return weight;
  return Weight::computed(weight.dtype(), weight.dims(), "swap(" + weight.key() + ")",
                          [weight, unit](uint64_t first, uint64_t count, std::byte* out) {
                            weight.read(first, count, out);
                            std::byte* const end = out + count * bits_of(weight.dtype()) / 8;
                            for (; out != end; out += unit) std::reverse(out, out + unit);
                          });
}

}  // namespace ferry::checkpoint
