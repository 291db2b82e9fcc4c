#include "runtime/frames/class_init.h"

#include <algorithm>

#include "runtime/frames/driver.h"
#include "runtime/helpers/access.h"
#include "runtime/helpers/throwing.h"
#include "runtime/helpers/waiting.h"
#include "runtime/vm.h"

namespace jvmc::rt {
namespace {

void captureAt(ThreadContext& ctx, ir::ClassId cls, ClassInitPhase phase, ObjectRef exception = kNullRef) {
  uint64_t* slots = jvmc_captureFrame(&ctx, kFrameClassInit, 0, kClassInitSlots);
  slots[0] = cls.value;
  slots[1] = uint64_t(phase);
  slots[2] = exception;
}

SyncRequest requestFor(Vm& vm, SyncOp op, ir::ClassId cls) {
  SyncRequest request{.op = op, .thread = {}};
  request.object = vm.layout()[cls].staticsAddress;
  request.a = cls.value;
  return request;
}

/// This node has learnt that the class is initialised. Threads that run here now may lack what the initialiser wrote:
/// the clock makes each acquire at its first use.
void markDone(ThreadContext& ctx, ir::ClassId cls) {
  Vm& vm = *ctx.vm;
  uint64_t now = vm.clock().load();
  vm.classes().info(vm.layout().classIndex(cls)).initEpoch.store(now, std::memory_order_release);
  if (ctx.epoch < now) vm.space().acquire(ctx, false);
}

/// Step 10 of JLS 12.4.2: what is not an Error is wrapped.
ObjectRef wrapFailure(ThreadContext& ctx, ObjectRef exception) {
  storeTrace(ctx, exception);
  ensureReadable(&ctx, exception);
  if (jvmc_instanceOf(&ctx, exception, ir::builtin::kError.value)) return exception;
  throwException(ctx, ir::builtin::kExceptionInInitializerError, "", exception);
  return ctx.exception;
}

void finish(ThreadContext& ctx, ir::ClassId cls, ObjectRef exception) {
  if (exception == kNullRef) return markDone(ctx, cls);
  jvmc_throwObject(&ctx, exception);
}

/// The initialiser has ended, perhaps with a pending exception.
void end(ThreadContext& ctx, ir::ClassId cls) {
  std::erase(ctx.thread->initialising, cls.value);
  ObjectRef exception = kNullRef;
  if (ctx.unwinding == Unwinding::Exception) {
    ctx.unwinding = Unwinding::None;
    exception = wrapFailure(ctx, ctx.exception);
    ctx.unwinding = Unwinding::None;
  }
  SyncRequest request = requestFor(*ctx.vm, SyncOp::ClassInitEnd, cls);
  request.b = exception == kNullRef;
  submitAndWait(ctx, request, WaitKind::Access, false);
  if (ctx.unwinding == Unwinding::Capture) return captureAt(ctx, cls, ClassInitPhase::End, exception);
  if (ctx.unwinding == Unwinding::None) finish(ctx, cls, exception);
}

void runBody(ThreadContext& ctx, ir::ClassId cls) {
  if (ir::FunctionId initializer = ctx.vm->module()[cls].initializer; initializer.valid()) {
    callGuest(ctx, initializer.value, nullptr);
    if (ctx.unwinding == Unwinding::Capture) return captureAt(ctx, cls, ClassInitPhase::Body);
  }
  end(ctx, cls);
}

void runSuper(ThreadContext& ctx, ir::ClassId cls) {
  const ir::ClassDecl& decl = ctx.vm->module()[cls];
  if (!decl.isInterface && decl.super.valid()) {
    jvmc_initClass(&ctx, decl.super.value);
    if (ctx.unwinding == Unwinding::Capture) return captureAt(ctx, cls, ClassInitPhase::Super);
    if (ctx.unwinding == Unwinding::Exception) return end(ctx, cls);
  }
  runBody(ctx, cls);
}

void actOnAnswer(ThreadContext& ctx, ir::ClassId cls, uint64_t answer) {
  if (answer == kClassInitDone) return markDone(ctx, cls);
  JVMC_CHECK(answer == kClassInitRunIt, answer, cls.value);
  ctx.thread->initialising.push_back(cls.value);
  runSuper(ctx, cls);
}

}  // namespace

void noteInitialising(GuestThread& thread) {
  thread.initialising.clear();
  for (size_t i = 0; i < thread.frames.depth(); ++i) {
    if (thread.frames.header(i).function != kFrameClassInit) continue;
    const ClassInitPhase phase = ClassInitPhase(thread.frames.slots(i)[1]);
    if (phase == ClassInitPhase::Super || phase == ClassInitPhase::Body)
      thread.initialising.push_back(uint32_t(thread.frames.slots(i)[0]));
  }
}

void resumeClassInit(ThreadContext& ctx, ir::ClassId cls, ClassInitPhase phase, ObjectRef exception, uint64_t answer) {
  bool threw = ctx.unwinding == Unwinding::Exception;
  switch (phase) {
    case ClassInitPhase::Begin:
      return threw ? void() : actOnAnswer(ctx, cls, answer);
    case ClassInitPhase::Super:
      return threw ? end(ctx, cls) : runSuper(ctx, cls);
    case ClassInitPhase::Body:
      return end(ctx, cls);
    case ClassInitPhase::End:
      return threw ? void() : finish(ctx, cls, exception);
    case ClassInitPhase::kCount:
      break;
  }
  JVMC_UNREACHABLE(uint64_t(phase));
}

}  // namespace jvmc::rt

using namespace jvmc::rt;

extern "C" void jvmc_initClass(JvmcContext* ctx, uint32_t classId) {
  jvmc::ir::ClassId cls(classId);
  Vm& vm = *ctx->vm;
  uint64_t since = vm.classes()[vm.layout().classIndex(cls)].initEpoch.load(std::memory_order_acquire);
  if (since != kNotInitialised) {  // done; this thread has not seen it yet
    if (since > ctx->epoch) vm.space().acquire(*ctx, false);
    return;
  }
  // The thread that initialises a class may use it as it is. It need not ask the home, and must not: its answer would
  // send it back to the `before` point, where it would ask again.
  const std::vector<uint32_t>& mine = ctx->thread->initialising;
  if (std::find(mine.begin(), mine.end(), classId) != mine.end()) return;
  uint64_t answer = submitAndWait(*ctx, requestFor(vm, SyncOp::ClassInitBegin, cls), WaitKind::ClassInit, false);
  if (ctx->unwinding == Unwinding::Capture) return captureAt(*ctx, cls, ClassInitPhase::Begin);
  if (ctx->unwinding == Unwinding::None) actOnAnswer(*ctx, cls, answer);
}
