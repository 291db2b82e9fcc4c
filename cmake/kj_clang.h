// Force-included where clang 16 or newer compiles: capnp 0.9.2 compares `const char*` with kj::StringPtr and relies on
// the reversed member operator, which these clangs no longer consider in C++20 (fixed upstream in 1.0.1).
#pragma once

#if defined(__clang__) && __clang_major__ >= 16
#include <kj/string.h>

namespace kj {
// Not `b == a`: that would call itself.
inline bool operator==(const char* a, const StringPtr& b) { return StringPtr(a) == b; }
inline bool operator!=(const char* a, const StringPtr& b) { return !(StringPtr(a) == b); }
inline bool operator==(const char* a, const String& b) { return StringPtr(a) == b.asPtr(); }
inline bool operator!=(const char* a, const String& b) { return !(StringPtr(a) == b.asPtr()); }
}  // namespace kj
#endif
