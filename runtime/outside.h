// The outside world: stdio, files, arguments, wall clock, exit. Runs at the launcher, once for each (thread, call
// number). `irc run` implements it in the same process; in a cluster requests go to the launcher and answers come back
// as mail.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/ids.h"

namespace jvmc::rt {

/// A call of an `outside` native. Arguments and results are plain data: array(i8) arguments are copied out, an
/// array(i8) result is copied in.
struct OutsideCall {
  ThreadRef thread;
  uint64_t number = 0;  ///< counts the thread's outside calls from 0; the launcher runs each number once
  uint64_t ticket = 0;
  std::string native;
  std::vector<uint64_t> scalars;   ///< non-array arguments, in order, as slots
  std::vector<std::string> bytes;  ///< array(i8) arguments, in order
};

struct OutsideResult {
  enum class Kind : uint8_t { Value, Bytes, Null, IoError } kind = Kind::Value;
  uint64_t value = 0;
  std::string bytes;  ///< Bytes: the array; IoError: the message
};

/// Asynchronous: the answer reaches Scheduler::completeOutside(thread, ticket, result), perhaps before `call` returns.
class OutsideWorld {
 public:
  virtual ~OutsideWorld() = default;
  virtual void call(OutsideCall call) = 0;
};

}  // namespace jvmc::rt
