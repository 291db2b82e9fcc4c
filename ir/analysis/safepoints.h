// Which instructions are safepoints, and at which of their two resume points (see module.h) a frame is captured there.
#pragma once

#include "ir/module.h"

namespace jvmc::ir {

enum class SafepointKind : uint8_t {
  None,
  Before,  ///< executed again after resuming: it may run a class initialiser
  After,   ///< call-like: the callee or the runtime supplies the result. (A poll has no baseline instruction of its
           ///< own.)
};

/// `instr` reads or writes a field or static that is declared volatile.
bool isVolatileAccess(const Module& module, const Instr& instr);

/// Of a baseline instruction. An access to a volatile static has both kinds; it is reported as After, and
/// `mayInitialise` tells of the other.
SafepointKind safepointKind(const Module& module, const Instr& instr);

/// An Init instruction that optimisation has not proved to be initialised.
bool mayInitialise(const Instr& instr);

/// It may throw: by its opcode, unless a flag or a constant operand rules it out. Allocation always may.
bool mayThrow(const FunctionBody& body, const Instr& instr);

}  // namespace jvmc::ir
