#pragma once
// The rows of the encoders with decoders.
#include "nn/architecture.h"

namespace ferry::models {

class Registry;

// clang-format off
namespace bart { nn::Architecture arch(); }
namespace encoder_decoder { nn::Architecture arch(const std::shared_ptr<const Registry>& known); }
namespace marian { nn::Architecture arch(); }
namespace mbart { nn::Architecture arch(); }
namespace mt5 { nn::Architecture arch(); }
namespace t5 { nn::Architecture arch(); }
namespace trocr { nn::Architecture arch(); }
namespace vision_encoder_decoder { nn::Architecture arch(const std::shared_ptr<const Registry>& known); }
namespace whisper { nn::Architecture arch(); }
// clang-format on

}  // namespace ferry::models
