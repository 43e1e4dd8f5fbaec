#pragma once
#include "nn/architecture.h"

namespace ferry::models::gpt2 {
nn::Architecture arch();
}
