// What `prof` and `run --prof` ask nodes for.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "ir/support/result.h"

namespace jvmc::tool {

/// The options of a profile as nodes understand them (cluster/launch/observer.h). `modes`: names, with commas between.
Result<nlohmann::ordered_json> profileRequest(const std::string& modes, uint32_t hz, const std::string& allocInterval);
/// "512K", "1M" or bytes; from 1K to 1024M.
Result<uint64_t> parseInterval(const std::string& text);

}  // namespace jvmc::tool
