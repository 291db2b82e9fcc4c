// Volatile and atomic access to guest memory at its home: sequentially consistent, of the field's own size. Compiled
// code uses the same machine instructions inline, so both may run on one field at the same time.
#pragma once

#include "runtime/abi/helpers.h"
#include "runtime/abi/object.h"

namespace jvmc::rt {

/// Gives the old value, or 1/0 for Cas (expected `a`, new `b`), or 0 for Store. Values are slots, as in guest_memory.h:
/// sizes 1 and 2 sign-extended to 32 bits, size 4 zero-extended. `sizeLog2` is 0 to 3; the address is aligned.
uint64_t accessAtomically(AtomicOp op, uint64_t address, uint32_t sizeLog2, uint64_t a, uint64_t b);

}  // namespace jvmc::rt
