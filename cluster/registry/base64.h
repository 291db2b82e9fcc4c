// Base64 (RFC 4648), as etcd's JSON gateway has it in keys and values.
#pragma once

#include <kj/encoding.h>

#include <optional>
#include <string>

namespace jvmc::cluster {

inline std::string toBase64(const std::string& text) {
  return kj::encodeBase64(kj::arrayPtr(reinterpret_cast<const kj::byte*>(text.data()), text.size())).cStr();
}

inline std::optional<std::string> fromBase64(const std::string& text) {
  auto decoded = kj::decodeBase64(kj::StringPtr(text.c_str(), text.size()));
  if (decoded.hadErrors) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(decoded.begin()), decoded.size());
}

}  // namespace jvmc::cluster
