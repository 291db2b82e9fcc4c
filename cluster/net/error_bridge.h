// KJ exceptions to Error, and back: the only place where the two meet.
#pragma once

#include <kj/exception.h>

#include <string>

#include "ir/support/result.h"

namespace jvmc::cluster {

/// The words of `exception` without KJ's prefixes ("remote exception: ", "file:line: failed: ").
std::string plainText(const kj::Exception& exception);

/// DISCONNECTED and OVERLOADED become kUnavailable, UNIMPLEMENTED kUnsupportedVersion; failures that carry an
/// "error N: " mark of toException their own code.
Error toError(const kj::Exception& exception);

/// An exception that toError() at the other side turns back into `error`.
kj::Exception toException(const Error& error);

}  // namespace jvmc::cluster
