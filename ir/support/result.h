// Result<T>: a value or an Error. For outcomes a caller must handle: a bad module, a full disk, a refused move.
// Bugs use JVMC_CHECK instead.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "ir/support/check.h"

namespace jvmc {

enum class ErrorCode {
  kInvalidInput,
  kNotFound,
  kIo,
  kUnsupportedVersion,
  kCorrupt,
  kRefused,
  kUnavailable,
  kInternal
};

/// What went wrong, in words a user can act on. `withContext` prepends what was being done, outermost first.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;

  Error withContext(std::string context) && {
    message = std::move(context) + ": " + message;
    return std::move(*this);
  }
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & {
    JVMC_CHECK(ok(), error().message);
    return std::get<0>(state_);
  }
  const T& value() const& {
    JVMC_CHECK(ok(), error().message);
    return std::get<0>(state_);
  }
  T&& value() && {
    JVMC_CHECK(ok(), error().message);
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  Error& error() & { return std::get<1>(state_); }
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

/// Success carries nothing.
struct Unit {};
using Status = Result<Unit>;

}  // namespace jvmc
