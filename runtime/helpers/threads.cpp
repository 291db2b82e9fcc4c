// Threads: start, join, sleep, park, interrupt.
//
// A start has two steps at the home of the Thread object, each of which may take a round trip: the object's id changes
// from 0 to the new thread's id (that decides who starts it), then its state from new to alive. The GuestThread is made
// when both are through, so a thread runs only once its object tells where mail for it goes.
#include "ir/support/fault.h"
#include "runtime/frames/function_info.h"
#include "runtime/helpers/access.h"
#include "runtime/helpers/waiting.h"
#include "runtime/vm.h"

namespace jvmc::rt {
namespace {

uint32_t threadOffset(Vm& vm, uint32_t field) {
  return vm.layout()[ir::builtin::kThread].fields[field].offset;
}

SyncRequest requestFor(SyncOp op, ObjectRef object, int64_t nanos = 0) {
  SyncRequest request{.op = op, .thread = {}};
  request.object = object;
  request.nanos = nanos;
  return request;
}

/// A Thread object to which an operation may be addressed; false with a pending exception otherwise.
bool checkThreadObject(ThreadContext* ctx, ObjectRef object) {
  if (object == kNullRef) {
    jvmc_throwBuiltin(ctx, uint32_t(BuiltinThrow::NullPointer), 0);
    return false;
  }
  if (jvmc_instanceOf(ctx, object, ir::builtin::kThread.value) != 0) return true;
  jvmc_throwBuiltin(ctx, uint32_t(BuiltinThrow::IllegalArgument), 0);
  return false;
}

std::string nameOf(ThreadContext& ctx, ObjectRef object, ThreadId id) {
  ensureReadable(&ctx, object);
  ObjectRef name = loadGuest<uint64_t>(object + threadOffset(*ctx.vm, ir::builtin::kThreadName));
  return name == kNullRef ? fmt::format("thread-{}", id) : readBytes(&ctx, name);
}

void launch(ThreadContext& ctx, ObjectRef object, ThreadId id, uint32_t function, const uint64_t* slots) {
  Vm& vm = *ctx.vm;
  const PointSlots& point = vm.functionInfos()[ir::FunctionId(function)].slots(ir::pointBefore(0));
  auto thread = std::make_unique<GuestThread>();
  thread->ref = {id, object};
  thread->name = nameOf(ctx, object, id);
  thread->guestClockFloor = ctx.thread->guestClockFloor;
  thread->epoch = ctx.epoch;
  thread->resumption.acquire = true;
  uint64_t* to = thread->frames.push(function, ir::pointBefore(0), uint32_t(point.values.size()));
  std::copy(slots, slots + point.values.size(), to);
  if (ThreadEvents* events = vm.events()) events->threadCreated(id);
  NodeId target;
  if (vm.shipper() != nullptr) {
    std::vector<ObjectRef> uses;
    for (uint32_t slot : point.references)
      if (slots[slot] != kNullRef) uses.push_back(slots[slot]);
    target = vm.shipper()->placeNewThread(uses);
  }
  // To this node too: the home of the Thread object may believe the thread elsewhere, because this one, its starter,
  // may have moved since it asked.
  if (target.valid())
    vm.shipper()->ship(std::move(thread), target);
  else
    vm.scheduler().adopt(std::move(thread));
}

void captureStart(ThreadContext& ctx, ObjectRef object, ThreadId id, uint32_t function, ThreadStartPhase phase,
                  const uint64_t* slots) {
  size_t count = ctx.vm->functionInfos()[ir::FunctionId(function)].slots(ir::pointBefore(0)).values.size();
  uint64_t* to = jvmc_captureFrame(&ctx, kFrameThreadStart, 0, kThreadStartFixedSlots + uint32_t(count));
  to[0] = object;
  to[1] = id;
  to[2] = function;
  to[3] = uint64_t(phase);
  std::copy(slots, slots + count, to + kThreadStartFixedSlots);
}

}  // namespace

void resumeThreadStart(ThreadContext& ctx, ObjectRef object, ThreadId id, uint32_t function, ThreadStartPhase phase,
                       const uint64_t* slots, uint64_t answer) {
  if (phase == ThreadStartPhase::SetId) {
    if (answer == 0) return jvmc_throwBuiltin(&ctx, uint32_t(BuiltinThrow::IllegalThread), 0);
    SyncRequest begin = requestFor(SyncOp::ThreadStart, object);
    begin.a = id;
    submitAndWait(ctx, begin, WaitKind::Access, false);
    if (ctx.unwinding == Unwinding::Capture) captureStart(ctx, object, id, function, ThreadStartPhase::Begin, slots);
    if (ctx.unwinding != Unwinding::None) return;
  }
  launch(ctx, object, id, function, slots);
}

}  // namespace jvmc::rt

using namespace jvmc::rt;

extern "C" void jvmc_threadStart(JvmcContext* ctx, ObjectRef object, uint32_t function, const uint64_t* args) {
  if (!checkThreadObject(ctx, object)) return;
  Vm& vm = *ctx->vm;
  jvmc::Result<const FunctionInfo*> info = vm.functionInfos().find(jvmc::ir::FunctionId(function));
  if (!info.ok()) return jvmc_throwBuiltin(ctx, uint32_t(BuiltinThrow::NoClassDef), 0);
  // Of the arguments only those that the function reads are slots of its first point.
  std::vector<uint64_t> slots;
  const auto& params = (*info)->body().blocks[0].params;
  for (jvmc::ir::ValueId v : (*info)->slots(jvmc::ir::pointBefore(0)).values)
    slots.push_back(args[std::find(params.begin(), params.end(), v) - params.begin()]);

  ThreadId id = vm.newThreadId();
  SyncRequest setId = requestFor(SyncOp::Atomic, object);
  setId.atomicOp = AtomicOp::Cas;
  setId.offset = threadOffset(vm, jvmc::ir::builtin::kThreadId);
  setId.sizeLog2 = 3;
  setId.b = id;
  uint64_t isFirst = submitAndWait(*ctx, setId, WaitKind::Access, false);
  if (ctx->unwinding == Unwinding::Capture)
    return captureStart(*ctx, object, id, function, ThreadStartPhase::SetId, slots.data());
  if (ctx->unwinding == Unwinding::None)
    resumeThreadStart(*ctx, object, id, function, ThreadStartPhase::SetId, slots.data(), isFirst);
}

extern "C" int32_t jvmc_threadJoin(JvmcContext* ctx, ObjectRef object, int64_t nanos) {
  if (!checkThreadObject(ctx, object)) return 0;
  if (nanos < 0) {
    jvmc_throwBuiltin(ctx, uint32_t(BuiltinThrow::IllegalArgument), 0);
    return 0;
  }
  return int32_t(submitAndWait(*ctx, requestFor(SyncOp::ThreadJoin, object, nanos), WaitKind::Join, true));
}

extern "C" void jvmc_threadSleep(JvmcContext* ctx, int64_t nanos) {
  if (nanos < 0) return jvmc_throwBuiltin(ctx, uint32_t(BuiltinThrow::IllegalArgument), 0);
  if (jvmc_threadInterrupted(ctx)) return jvmc_throwBuiltin(ctx, uint32_t(BuiltinThrow::Interrupted), 0);
  if (nanos == 0) return jvmc_threadYield(ctx);
  flushThen(*ctx, FlushedOp::Sleep, nanos);
}

// A yield is a fence, and the thread goes to the back of the queue.
extern "C" void jvmc_threadYield(JvmcContext* ctx) {
  flushThen(*ctx, FlushedOp::Fence, 0);
  if (ctx->unwinding != Unwinding::None) return;
  ctx->thread->resumption = {};
  beginCapture(*ctx, CaptureReason::Preempt);
}

extern "C" void jvmc_threadPark(JvmcContext* ctx, int64_t nanos) {
  flushThen(*ctx, FlushedOp::Park, nanos);
}

extern "C" void jvmc_threadUnpark(JvmcContext* ctx, ObjectRef object) {
  if (checkThreadObject(ctx, object)) submitAndWait(*ctx, requestFor(SyncOp::Unpark, object), WaitKind::Access, false);
}

extern "C" void jvmc_threadInterrupt(JvmcContext* ctx, ObjectRef object) {
  if (checkThreadObject(ctx, object))
    submitAndWait(*ctx, requestFor(SyncOp::Interrupt, object), WaitKind::Access, false);
}

extern "C" int32_t jvmc_threadInterrupted(JvmcContext* ctx) {
  const bool interrupted = ctx->thread->takeInterrupted();
  if (interrupted && !JVMC_FAULT("interrupt-orders-nothing"))
    ctx->vm->space().acquire(*ctx, true);  // the flag does not tell where the interrupter is
  return interrupted;
}

extern "C" int32_t jvmc_threadIsInterrupted(JvmcContext* ctx, ObjectRef object) {
  if (!checkThreadObject(ctx, object)) return 0;
  return int32_t(submitAndWait(*ctx, requestFor(SyncOp::IsInterrupted, object), WaitKind::Access, false));
}

extern "C" int32_t jvmc_threadIsAlive(JvmcContext* ctx, ObjectRef object) {
  if (!checkThreadObject(ctx, object)) return 0;
  return int32_t(submitAndWait(*ctx, requestFor(SyncOp::ThreadIsAlive, object), WaitKind::Access, false));
}

extern "C" void jvmc_spinHint(JvmcContext* ctx) {
  jvmc_fence(ctx);
}
