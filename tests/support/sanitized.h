// Whether a sanitizer is compiled in. Tests that try the same race many times, or make very many of something, then do
// fewer: the sanitizer sees in one round what otherwise needs luck, and each round costs much more.
#pragma once

namespace jvmc::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
inline constexpr bool kSanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace jvmc::test
