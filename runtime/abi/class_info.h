// What compiled code reads about a class at run time. Node-local; built once from a ModuleLayout, never moves.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/abi/object.h"

namespace jvmc::rt {

struct ThreadContext;
struct FunctionCell;

/// How the interpreter and the runtime enter compiled code: arguments and result as 8-byte slots (i32 zero-extended,
/// f32 as its bits in the low half, references as addresses).
using EnterFn = void (*)(ThreadContext*, FunctionCell*, const uint64_t* args, uint64_t* result);

/// One per function; the only way code reaches a function. Redirected by one store.
///
/// `entry` follows the compiled calling convention (see calling_convention.h) and is never null once the JIT runs:
/// until the function is compiled it leads to the interpreter. `enter` is null until the function is compiled.
struct alignas(32) FunctionCell {
  std::atomic<void*> entry{nullptr};
  std::atomic<EnterFn> enter{nullptr};
  uint32_t function = 0;          ///< FunctionId
  std::atomic<uint32_t> heat{0};  ///< calls and back-edges seen by the interpreter
  uint64_t reserved = 0;
};
static_assert(sizeof(FunctionCell) == 32 && offsetof(FunctionCell, entry) == 0 && offsetof(FunctionCell, enter) == 8);

enum class ObjectShape : uint8_t { Instance, PrimitiveArray, ReferenceArray };

inline constexpr uint32_t kDisplayDepth = 8;
inline constexpr uint64_t kNotInitialised = ~uint64_t(0);

struct ClassInfo {
  /// Class initialisation as one compare: code may use statics and create instances if initEpoch <= ctx->epoch. Not yet
  /// initialised: kNotInitialised. Initialised: the node clock when this node learnt it (0 if there is nothing to do),
  /// so that each thread's first use after that acquires.
  std::atomic<uint64_t> initEpoch{kNotInitialised};
  uint32_t index = 0;          ///< ClassIndex
  uint32_t instanceBytes = 0;  ///< Instance: size; arrays: header size
  ObjectShape shape = ObjectShape::Instance;
  uint8_t elementShift = 0;  ///< arrays: log2 of the element size
  uint16_t superDepth = 0;   ///< Object is 0
  uint32_t itableMask = 0;   ///< itable[selector & mask]; a power of two minus one, free of collisions
  /// Superclasses by depth, itself included; deeper ones are found by walking `super`.
  const ClassInfo* display[kDisplayDepth] = {};
  const ClassInfo* super = nullptr;
  const ClassInfo* element = nullptr;  ///< ReferenceArray: run-time class of the declared element type
  FunctionCell* const* vtable = nullptr;
  FunctionCell* const* itable = nullptr;
  ObjectRef statics = kNullRef;
  const uint32_t* refOffsets = nullptr;  ///< Instance: offsets of reference fields
  uint32_t refCount = 0;
  const ClassInfo* const* interfaces = nullptr;  ///< all, inherited ones included
  uint32_t interfaceCount = 0;
  const uint8_t* wordGranularity = nullptr;  ///< Instance: see ClassLayout
};

}  // namespace jvmc::rt
