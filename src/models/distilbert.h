#pragma once
#include "nn/architecture.h"

namespace ferry::models::distilbert {
nn::Architecture arch();
}  // namespace ferry::models::distilbert
