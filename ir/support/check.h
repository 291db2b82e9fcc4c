// JVMC_CHECK: a bug of ours prints the condition and the given values, then aborts. For outcomes use Result.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace jvmc::detail {

[[noreturn]] inline void checkFailed(const char* file, int line, const char* condition, const std::string& values) {
  std::fprintf(stderr, "%s:%d: internal error: %s%s%s\n", file, line, condition, values.empty() ? "" : ": ",
               values.c_str());
  std::abort();
}

template <class... Args>
std::string joinValues(const Args&... args) {
  std::string out;
  ((out += (out.empty() ? "" : ", ") + fmt::format("{}", args)), ...);
  return out;
}

}  // namespace jvmc::detail

#define JVMC_CHECK(condition, ...)                                                                          \
  do {                                                                                                      \
    if (!(condition)) [[unlikely]]                                                                          \
      ::jvmc::detail::checkFailed(__FILE__, __LINE__, #condition, ::jvmc::detail::joinValues(__VA_ARGS__)); \
  } while (0)

#define JVMC_UNREACHABLE(...) \
  ::jvmc::detail::checkFailed(__FILE__, __LINE__, "unreachable", ::jvmc::detail::joinValues(__VA_ARGS__))
