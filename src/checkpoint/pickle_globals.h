#pragma once
// The closed list of names that a pickled state dict may hold.
#include <cstdint>
#include <string_view>

#include "tensor/dtype.h"

namespace ferry::checkpoint {

/// What the pickle machine does for a name when the pickle "calls" it. Nothing is ever called.
enum class GlobalRole : uint8_t {
  dict,                ///< Makes a dictionary.
  opaque,              ///< Makes a value that a state dict may hold and ferry never looks at.
  size,                ///< torch.Size: its argument, a tuple.
  dtype,               ///< An element type.
  storage,             ///< A class of storages; its dtype is that of their elements.
  parameter,           ///< torch.nn.Parameter: its argument, a tensor.
  tensor_class,        ///< torch.Tensor, as the type of _rebuild_from_type_v2.
  rebuild_tensor,      ///< (storage, offset, size, stride, ...)
  rebuild_tensor_v3,   ///< (storage, offset, size, stride, requires_grad, hooks, dtype, ...)
  rebuild_parameter,   ///< (tensor, ...)
  rebuild_from_type,   ///< (function, type, arguments, state)
  known_but_not_read,  ///< PyTorch would take it, ferry does not.
};

struct Global {
  std::string_view name;  ///< "torch._utils._rebuild_tensor_v2"
  GlobalRole role;
  DType dtype = DType::undefined;
};

/// The row for module.name, or null: then the name has no place in a state dict.
/// Source: torch 2.13, _weights_only_unpickler.py:_get_allowed_globals; numpy's scalars, which checkpoints of
/// training loops hold, are ferry's addition.
const Global* find_global(std::string_view module, std::string_view name);

}  // namespace ferry::checkpoint
