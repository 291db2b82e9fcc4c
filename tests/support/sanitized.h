// Whether a sanitizer is compiled in. Tests that try the same race many times, or make very many of something, then do
// fewer: the sanitizer sees in one round what otherwise needs luck, and each round costs much more.
#pragma once

namespace jvmc {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitizedBuild = true;
#elif defined(__has_feature)
inline constexpr bool kSanitizedBuild = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
inline constexpr bool kSanitizedBuild = false;
#endif

}  // namespace jvmc
