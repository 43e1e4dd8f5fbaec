#pragma once
#include <map>
#include <string>

#include "tensor/weight.h"

namespace ferry {

/// A checkpoint as PyTorch names it: parameter and buffer names to lazy tensors.
struct StateDict {
  std::string origin;  ///< What to call it in messages: "model.safetensors", "3 files in /models/x".
  std::map<std::string, Weight, std::less<>> tensors;
};

}  // namespace ferry
