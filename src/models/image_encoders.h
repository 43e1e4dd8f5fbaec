#pragma once
// The rows of the models of images that share nothing else with other files.
#include "nn/architecture.h"

namespace ferry::models {

// clang-format off
namespace beit { nn::Architecture arch(); }
namespace clip { nn::Architecture arch(); nn::Architecture vision_arch(); nn::Architecture text_arch(); }
namespace convnext { nn::Architecture arch(); }
namespace deit { nn::Architecture arch(); }
namespace detr { nn::Architecture arch(); nn::Architecture table_transformer_arch(); }
namespace dinov2 { nn::Architecture arch(); }
namespace mobilenet_v2 { nn::Architecture arch(); }
namespace resnet { nn::Architecture arch(); }
namespace segformer { nn::Architecture arch(); }
namespace siglip { nn::Architecture arch(); }
namespace swin { nn::Architecture arch(); nn::Architecture donut_arch(); }
namespace timm { nn::Architecture arch(); }
namespace vit { nn::Architecture arch(); }
namespace yolos { nn::Architecture arch(); }
// clang-format on

}  // namespace ferry::models
