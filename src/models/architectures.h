#pragma once
// The rows of the architectures that share nothing else with other files.
#include "nn/architecture.h"

namespace ferry::models {

// clang-format off
namespace bloom { nn::Architecture arch(); }
namespace falcon { nn::Architecture arch(); }
namespace gemma { nn::Architecture arch(); }
namespace gemma2 { nn::Architecture arch(); }
namespace gemma3_text { nn::Architecture arch(); }
namespace gpt2 { nn::Architecture arch(); }
namespace gpt_neox { nn::Architecture arch(); }
namespace mistral { nn::Architecture arch(); }
namespace mixtral { nn::Architecture arch(); }
namespace opt { nn::Architecture arch(); }
namespace phi { nn::Architecture arch(); }
namespace phi3 { nn::Architecture arch(); }
namespace qwen2 { nn::Architecture arch(); }
namespace qwen3 { nn::Architecture arch(); }
namespace qwen3_moe { nn::Architecture arch(); }
// clang-format on

}  // namespace ferry::models
