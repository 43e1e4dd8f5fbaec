#pragma once
#include <string_view>

namespace ferry::cli {

/// "0.1.0", as CMakeLists.txt says.
inline constexpr std::string_view kVersion = FERRY_VERSION;

}  // namespace ferry::cli
