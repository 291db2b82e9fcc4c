// Reads the statistics of a node, a JSON object with objects in it, by dotted names.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

namespace jvmc::cluster {

/// What lies at "objects.fetches"; null if the node does not report it.
inline const nlohmann::json* counterAt(const nlohmann::json& report, std::string_view name) {
  const nlohmann::json* at = &report;
  while (true) {
    const size_t dot = std::min(name.find('.'), name.size());
    if (!at->is_object()) return nullptr;
    const auto member = at->find(std::string(name.substr(0, dot)));
    if (member == at->end()) return nullptr;
    at = &*member;
    if (dot == name.size()) return at;
    name.remove_prefix(dot + 1);
  }
}

inline uint64_t counterValue(const nlohmann::json& report, std::string_view name) {
  const nlohmann::json* at = counterAt(report, name);
  return at && at->is_number() ? at->get<uint64_t>() : 0;
}

}  // namespace jvmc::cluster
