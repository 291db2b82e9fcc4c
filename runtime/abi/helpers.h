// C++ declarations of helpers.def and the enums their arguments use.
#pragma once

#include <cstdint>

#include "runtime/abi/context.h"

namespace jvmc::rt {

/// Exceptions that instructions throw; `detail` is the index, length or class index concerned.
enum class BuiltinThrow : uint32_t {
  Arithmetic,
  NullPointer,
  ArrayIndex,
  NegativeSize,
  ArrayStore,
  ClassCast,
  IllegalMonitor,
  IllegalThread,
  IllegalArgument,
  Interrupted,
  IO,
  OutOfMemory,
  StackOverflow,
  AbstractMethod,
  InitializerFailed,
  NoClassDef,
};

enum class AtomicOp : uint32_t { Load, Store, Cas, Add, Swap };

/// What a Load says in `b`.
enum LoadWait : uint64_t {
  kLoadNow = 0,
  kLoadAwaitsChange = 1,  ///< from compiled code: the thread does nothing but load until there is another value
  kLoadUnlike = 2,        ///< to the home: answered when there is another value than `a`, or after `nanos`
};

}  // namespace jvmc::rt

// The table gives names and types for symbol binding; C++ signatures are written out once here so that definitions are
// checked against them.
extern "C" {
using JvmcContext = jvmc::rt::ThreadContext;
void jvmc_poll(JvmcContext*);
uint64_t* jvmc_captureFrame(JvmcContext*, uint32_t function, uint32_t resumePoint, uint32_t slotCount);
jvmc::rt::ObjectRef jvmc_materialise(JvmcContext*, uint32_t classIndex);
void jvmc_interpret(JvmcContext*, jvmc::rt::FunctionCell*, const uint64_t* args, uint64_t* result);
void jvmc_throwBuiltin(JvmcContext*, uint32_t kind, int32_t detail);
void jvmc_throwObject(JvmcContext*, jvmc::rt::ObjectRef);
void jvmc_addTraceFrame(JvmcContext*, uint32_t function, uint32_t flatIndex);
jvmc::rt::ObjectRef jvmc_catchException(JvmcContext*);
jvmc::rt::ObjectRef jvmc_newObject(JvmcContext*, uint32_t classIndex);
jvmc::rt::ObjectRef jvmc_newArray(JvmcContext*, uint32_t classIndex, int32_t length);
jvmc::rt::ObjectRef jvmc_newBytes(JvmcContext*, uint32_t literal);
void jvmc_initClass(JvmcContext*, uint32_t classId);
int32_t jvmc_instanceOf(JvmcContext*, jvmc::rt::ObjectRef, uint32_t classIndex);
int32_t jvmc_arrayStoreCheck(JvmcContext*, jvmc::rt::ObjectRef array, jvmc::rt::ObjectRef value);
void jvmc_arrayCopy(JvmcContext*, jvmc::rt::ObjectRef from, int32_t fromIndex, jvmc::rt::ObjectRef to, int32_t toIndex,
                    int32_t count);
void jvmc_arrayFill(JvmcContext*, jvmc::rt::ObjectRef array, int32_t from, int32_t to, int64_t valueBits);
void jvmc_freeze(JvmcContext*, jvmc::rt::ObjectRef);
void jvmc_storeBarrier(JvmcContext*, jvmc::rt::ObjectRef object, int64_t offset, jvmc::rt::ObjectRef value);
void jvmc_checkRead(JvmcContext*, jvmc::rt::ObjectRef);
void jvmc_checkWrite(JvmcContext*, jvmc::rt::ObjectRef);
void jvmc_checkRangeRead(JvmcContext*, jvmc::rt::ObjectRef array, int32_t low, int32_t high);
void jvmc_checkRangeWrite(JvmcContext*, jvmc::rt::ObjectRef array, int32_t low, int32_t high);
int64_t jvmc_atomicAccess(JvmcContext*, uint32_t op, jvmc::rt::ObjectRef, int64_t offset, int64_t sizeLog2, int64_t a,
                          int64_t b);
void jvmc_fence(JvmcContext*);
void jvmc_callNative(JvmcContext*, uint32_t native, const uint64_t* args, uint64_t* result);
void jvmc_monitorEnter(JvmcContext*, jvmc::rt::ObjectRef);
void jvmc_monitorExit(JvmcContext*, jvmc::rt::ObjectRef);
void jvmc_monitorWait(JvmcContext*, jvmc::rt::ObjectRef, int64_t nanos);
void jvmc_monitorNotify(JvmcContext*, jvmc::rt::ObjectRef, int32_t all);
void jvmc_threadStart(JvmcContext*, jvmc::rt::ObjectRef thread, uint32_t function, const uint64_t* args);
int32_t jvmc_threadJoin(JvmcContext*, jvmc::rt::ObjectRef, int64_t nanos);
void jvmc_threadSleep(JvmcContext*, int64_t nanos);
void jvmc_threadYield(JvmcContext*);
void jvmc_threadPark(JvmcContext*, int64_t nanos);
void jvmc_threadUnpark(JvmcContext*, jvmc::rt::ObjectRef);
void jvmc_threadInterrupt(JvmcContext*, jvmc::rt::ObjectRef);
int32_t jvmc_threadInterrupted(JvmcContext*);
int32_t jvmc_threadIsInterrupted(JvmcContext*, jvmc::rt::ObjectRef);
int32_t jvmc_threadIsAlive(JvmcContext*, jvmc::rt::ObjectRef);
void jvmc_spinHint(JvmcContext*);
}
