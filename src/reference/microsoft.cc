#include "reference/call.h"
namespace ferry::reference {
std::span<const Op> microsoft_ops() {
  return {};
}
}  // namespace ferry::reference
