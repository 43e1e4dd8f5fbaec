#pragma once
// The rows of the models that read sound.
#include "nn/architecture.h"

namespace ferry::models {

// clang-format off
namespace data2vec_audio { nn::Architecture arch(); }
namespace hubert { nn::Architecture arch(); }
namespace unispeech { nn::Architecture arch(); }
namespace unispeech_sat { nn::Architecture arch(); }
namespace wav2vec2 { nn::Architecture arch(); }
namespace wavlm { nn::Architecture arch(); }
// clang-format on

}  // namespace ferry::models
