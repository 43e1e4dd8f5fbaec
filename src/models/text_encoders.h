#pragma once
// The rows of the text encoders that share nothing else with other files.
#include "nn/architecture.h"

namespace ferry::models {

// clang-format off
namespace albert { nn::Architecture arch(); }
namespace camembert { nn::Architecture arch(); }
namespace deberta { nn::Architecture arch(); }
namespace deberta_v2 { nn::Architecture arch(); }
namespace electra { nn::Architecture arch(); }
namespace layoutlmv3 { nn::Architecture arch(); }
namespace modernbert { nn::Architecture arch(); }
namespace mpnet { nn::Architecture arch(); }
namespace roberta { nn::Architecture arch(); }
namespace xlm_roberta { nn::Architecture arch(); }
// clang-format on

}  // namespace ferry::models
