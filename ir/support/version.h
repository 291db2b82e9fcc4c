// The version of everything in this tree; CMakeLists.txt reads it here too.
#pragma once

#include <string_view>

namespace jvmc {

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace jvmc
