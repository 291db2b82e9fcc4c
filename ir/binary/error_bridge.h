// Cap'n Proto reports bad messages by exceptions; here they become Errors, and nowhere else.
#pragma once

#include <kj/exception.h>

#include "ir/support/result.h"

namespace jvmc::ir {

/// What `read()` returns (a Result), or kCorrupt if the message turned out to be malformed on the way.
template <class Read>
auto catchingCorruption(Read read) -> decltype(read()) {
  try {
    return read();
  } catch (const kj::Exception& e) {
    return Error{ErrorCode::kCorrupt, fmt::format("the module file is corrupt: {}", e.getDescription().cStr())};
  }
}

}  // namespace jvmc::ir
