// Calls of natives. An outside native becomes a message: its array arguments are copied out, the thread parks, and the
// answer becomes the call's result.
#include "runtime/helpers/access.h"
#include "runtime/helpers/waiting.h"
#include "runtime/natives/native_table.h"
#include "runtime/vm.h"

namespace jvmc::rt {
namespace {

void callOutside(ThreadContext& ctx, const ir::NativeDecl& decl, const uint64_t* args) {
  Vm& vm = *ctx.vm;
  GuestThread& thread = *ctx.thread;
  OutsideCall call;
  call.thread = thread.ref;
  call.native = decl.name;
  for (size_t i = 0; i < decl.params.size(); ++i) {
    if (!vm.module().types[decl.params[i]].isReference()) {
      call.scalars.push_back(args[i]);
      continue;
    }
    if (args[i] == kNullRef) return jvmc_throwBuiltin(&ctx, uint32_t(BuiltinThrow::NullPointer), 0);
    call.bytes.push_back(readBytes(&ctx, args[i]));
  }
  call.number = thread.outsideCalls++;
  call.ticket = thread.beginWait(WaitKind::Outside, kNullRef, false);
  beginCapture(ctx, CaptureReason::Park);
  vm.outside().call(std::move(call));
}

}  // namespace
}  // namespace jvmc::rt

using namespace jvmc::rt;

extern "C" void jvmc_callNative(JvmcContext* ctx, uint32_t native, const uint64_t* args, uint64_t* result) {
  jvmc::ir::NativeId id(native);
  const NativeDef& def = ctx->vm->natives()[id];
  if (def.run == nullptr) return callOutside(*ctx, ctx->vm->module()[id], args);
  def.run(*ctx, args, result);
  safepointAfter(*ctx, *result);
}
