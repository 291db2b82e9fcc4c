// Coherence slow paths, freeze, fences, volatile and atomic access.
#include <algorithm>

#include "runtime/helpers/access.h"
#include "runtime/helpers/waiting.h"
#include "runtime/sync/atomic_access.h"
#include "runtime/vm.h"

namespace jvmc::rt {
namespace {

bool holdsReference(const ClassInfo& info, uint32_t offset) {
  if (info.shape != ObjectShape::Instance) return info.shape == ObjectShape::ReferenceArray;
  return std::binary_search(info.refOffsets, info.refOffsets + info.refCount, offset);
}

}  // namespace
}  // namespace jvmc::rt

using namespace jvmc::rt;

extern "C" void jvmc_checkRead(JvmcContext* ctx, ObjectRef object) {
  ctx->vm->space().checkRead(*ctx, object);
}
extern "C" void jvmc_checkWrite(JvmcContext* ctx, ObjectRef object) {
  ctx->vm->space().checkWrite(*ctx, object);
}

extern "C" void jvmc_checkRangeRead(JvmcContext* ctx, ObjectRef array, int32_t low, int32_t high) {
  if (isReadable(ctx, array)) return;
  ensureReadable(ctx, array);
  low = std::max(low, 0), high = std::min(high, arrayLength(array));
  if (low < high) ctx->vm->space().checkElementsRead(*ctx, array, uint32_t(low), uint32_t(high));
}
extern "C" void jvmc_checkRangeWrite(JvmcContext* ctx, ObjectRef array, int32_t low, int32_t high) {
  if (isWritableHome(array)) return;
  ensureReadable(ctx, array);
  low = std::max(low, 0), high = std::min(high, arrayLength(array));
  if (low < high) ctx->vm->space().checkElementsWrite(*ctx, array, uint32_t(low), uint32_t(high));
}

extern "C" void jvmc_freeze(JvmcContext* ctx, ObjectRef object) {
  if (object == kNullRef) return jvmc_throwBuiltin(ctx, uint32_t(BuiltinThrow::NullPointer), 0);
  std::atomic_thread_fence(std::memory_order_release);
  // Whoever gets the reference by a race, on any node, must find at home what was written to the object and to all it
  // refers to.
  if (ctx->writerSlot != 0 || ctx->vm->space().owesWrites()) ctx->vm->space().publish(*ctx);
  // Elsewhere than at home there is no flag to set: a copy stays an ordinary copy, which is always right.
  if (isHome(object) && !isBorrowed(object)) header(object)->classWord.fetch_or(kFlagFrozen, std::memory_order_release);
}

extern "C" void jvmc_fence(JvmcContext* ctx) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  flushThen(*ctx, FlushedOp::Fence, 0);
  safepointAfter(*ctx, 0);
}

extern "C" int64_t jvmc_atomicAccess(JvmcContext* ctx, uint32_t op, ObjectRef object, int64_t offset, int64_t sizeLog2,
                                     int64_t a, int64_t b) {
  if (object == kNullRef) {
    jvmc_throwBuiltin(ctx, uint32_t(BuiltinThrow::NullPointer), 0);
    return 0;
  }
  AtomicOp what = AtomicOp(op);
  // Any copy tells the class; what the object holds now is read at its home.
  if (header(object)->epochWord.load(std::memory_order_acquire) == kEpochInvalid) ensureReadable(ctx, object);
  bool stores = what != AtomicOp::Load;
  const ClassInfo& info = *ctx->classes[classIndexOf(object)];
  bool isReference = sizeLog2 == 3 && holdsReference(info, uint32_t(offset));
  bool checked = ctx->vm->space().checked();
  // At home, with nothing to flush, it is one machine instruction.
  if (stores ? isWritableHome(object) && ctx->writerSlot == 0 : isHome(object)) {
    if (isReference && stores && needsBarrier(ctx, object))
      jvmc_storeBarrier(ctx, object, offset, ObjectRef(what == AtomicOp::Cas ? b : a));
    uint64_t value = accessAtomically(what, object + uint64_t(offset), uint32_t(sizeLog2), uint64_t(a), uint64_t(b));
    if (checked && what != AtomicOp::Store) ctx->vm->space().acquire(*ctx, false);
    return int64_t(safepointAfter(*ctx, value));
  }
  SyncRequest request{.op = SyncOp::Atomic, .thread = {}};
  request.object = object;
  request.atomicOp = what;
  request.offset = uint32_t(offset);
  request.sizeLog2 = uint32_t(sizeLog2);
  request.isReference = isReference;
  request.isElement = info.shape != ObjectShape::Instance;
  request.a = uint64_t(a);
  request.b = uint64_t(b);
  return int64_t(submitAndWait(*ctx, request, WaitKind::Access, false));
}

extern "C" void jvmc_storeBarrier(JvmcContext* ctx, ObjectRef object, int64_t offset, ObjectRef value) {
  ctx->vm->heap().onBarrier(ctx, object, uint64_t(offset), value);
}
