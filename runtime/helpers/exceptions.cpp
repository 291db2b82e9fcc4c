// Throwing, tracing, catching. A trace is gathered while the exception passes frames, and is stored into the exception
// when it is caught: appended, so that a rethrown exception tells its whole way.
#include <sys/mman.h>

#include <algorithm>

#include "ir/text/printer.h"
#include "runtime/frames/function_info.h"
#include "runtime/helpers/access.h"
#include "runtime/helpers/throwing.h"
#include "runtime/thread.h"
#include "runtime/vm.h"

namespace jvmc::rt {
namespace {

constexpr size_t kTraceMax = 256;   // entries kept in an exception
constexpr size_t kPrintedMax = 64;  // lines printed of an uncaught one

uint32_t throwableOffset(const ModuleLayout& layout, uint32_t field) {
  return layout[ir::builtin::kThrowable].fields[field].offset;
}

std::string messageOf(const ModuleLayout& layout, BuiltinThrow kind, int32_t detail) {
  switch (kind) {
    case BuiltinThrow::Arithmetic:
      return "/ by zero";
    case BuiltinThrow::ArrayIndex:
      return fmt::format("index {} is out of bounds", detail);
    case BuiltinThrow::NegativeSize:
      return fmt::format("{}", detail);
    case BuiltinThrow::ClassCast:
      return className(layout, ClassIndex(detail));
    case BuiltinThrow::ArrayStore:
      return detail == 0 ? "" : className(layout, ClassIndex(detail));
    case BuiltinThrow::IllegalMonitor:
      return "current thread is not owner";
    case BuiltinThrow::NoClassDef:
      return "could not initialize class " + className(layout, ClassIndex(detail));
    default:
      return "";
  }
}

void setPending(ThreadContext& ctx, ObjectRef exception) {
  ctx.thread->trace.clear();
  ctx.exception = exception;
  ctx.unwinding = Unwinding::Exception;
}

/// One line of a trace: "function (file:line)".
std::string placeName(Vm& vm, uint64_t entry) {
  const ir::Module& module = vm.module();
  ir::FunctionId function(uint32_t(entry >> 32));
  if (function.index() >= module.functions.size()) return "?";
  Result<const FunctionInfo*> info = vm.functionInfos().find(function);
  uint32_t flat = uint32_t(entry);
  if (!info.ok() || flat >= (*info)->cfg().instrCount()) return module[function].name;
  const ir::SourceLoc& loc = (*info)->instr(flat).loc;
  std::string_view file = loc.file < module.files.size() ? std::string_view(module.files[loc.file]) : "";
  if (loc.line == 0) return module[function].name;
  return fmt::format("{} ({}:{})", module[function].name, file.empty() ? "?" : file, loc.line);
}

std::vector<uint64_t> traceOf(ThreadContext& ctx, ObjectRef exception) {
  std::vector<uint64_t> trace;
  ensureReadable(&ctx, exception);
  ObjectRef stored = loadGuest<uint64_t>(exception + throwableOffset(ctx.vm->layout(), ir::builtin::kThrowableTrace));
  if (stored == kNullRef) return trace;
  ensureReadable(&ctx, stored);
  ensureElementsReadable(&ctx, stored, 0, arrayLength(stored));
  for (int32_t i = 0, n = arrayLength(stored); i < n; ++i)
    trace.push_back(loadGuest<uint64_t>(stored + kArrayElementsOffset + uint64_t(i) * 8));
  return trace;
}

std::string headline(ThreadContext& ctx, ObjectRef exception) {
  ensureReadable(&ctx, exception);
  const ModuleLayout& layout = ctx.vm->layout();
  std::string line = className(layout, classIndexOf(exception));
  ObjectRef message = loadGuest<uint64_t>(exception + throwableOffset(layout, ir::builtin::kThrowableMessage));
  if (message != kNullRef) line += ": " + readBytes(&ctx, message);
  return line;
}

void addTraceLines(Vm& vm, const std::vector<uint64_t>& trace, std::string& text) {
  size_t printed = std::min(trace.size(), kPrintedMax);
  for (size_t i = 0; i < printed; ++i) text += "\n  at " + placeName(vm, trace[i]);
  if (printed < trace.size()) text += fmt::format("\n  ... and {} more", trace.size() - printed);
}

}  // namespace

std::string className(const ModuleLayout& layout, ClassIndex index) {
  const ir::Module& module = layout.module();
  if (layout.isClass(index)) return module[ir::ClassId(index)].name;
  if (layout.isArray(index)) return ir::text::typeText(module, layout.arrayType(index));
  return index < layout.indexCount() ? "statics of " + module[layout.staticsClass(index)].name : "?";
}

ir::ClassId classOf(BuiltinThrow kind) {
  using namespace ir::builtin;
  switch (kind) {
    case BuiltinThrow::Arithmetic:
      return kArithmeticException;
    case BuiltinThrow::NullPointer:
      return kNullPointerException;
    case BuiltinThrow::ArrayIndex:
      return kArrayIndexOutOfBoundsException;
    case BuiltinThrow::NegativeSize:
      return kNegativeArraySizeException;
    case BuiltinThrow::ArrayStore:
      return kArrayStoreException;
    case BuiltinThrow::ClassCast:
      return kClassCastException;
    case BuiltinThrow::IllegalMonitor:
      return kIllegalMonitorStateException;
    case BuiltinThrow::IllegalThread:
      return kIllegalThreadStateException;
    case BuiltinThrow::IllegalArgument:
      return kIllegalArgumentException;
    case BuiltinThrow::Interrupted:
      return kInterruptedException;
    case BuiltinThrow::IO:
      return kIOException;
    case BuiltinThrow::OutOfMemory:
      return kOutOfMemoryError;
    case BuiltinThrow::StackOverflow:
      return kStackOverflowError;
    case BuiltinThrow::AbstractMethod:
      return kAbstractMethodError;
    case BuiltinThrow::InitializerFailed:
      return kExceptionInInitializerError;
    case BuiltinThrow::NoClassDef:
      return kNoClassDefFoundError;
  }
  JVMC_UNREACHABLE(uint32_t(kind));
}

void throwException(ThreadContext& ctx, ir::ClassId cls, std::string_view message, ObjectRef cause) {
  Vm& vm = *ctx.vm;
  if (cls == ir::builtin::kOutOfMemoryError) return setPending(ctx, vm.outOfMemoryError());
  ObjectRef text = kNullRef;
  if (!message.empty()) {
    text = newByteArray(&ctx, message);
    if (text == kNullRef) return;  // OutOfMemoryError is pending
  }
  const ClassIndex index = vm.layout().classIndex(cls);
  ObjectRef exception = vm.heap().allocateObject(ctx, index);
  if (exception == kNullRef) exception = vm.heap().allocateDetached(index, vm.classes()[index].instanceBytes, 0);
  if (exception == kNullRef) return setPending(ctx, vm.outOfMemoryError());
  if (text != kNullRef)
    storeReference(&ctx, exception, throwableOffset(vm.layout(), ir::builtin::kThrowableMessage), text);
  if (cause != kNullRef)
    storeReference(&ctx, exception, throwableOffset(vm.layout(), ir::builtin::kThrowableCause), cause);
  setPending(ctx, exception);
}

void storeTrace(ThreadContext& ctx, ObjectRef exception) {
  GuestThread& thread = *ctx.thread;
  Vm& vm = *ctx.vm;
  if (thread.trace.empty() || exception == vm.outOfMemoryError()) return thread.trace.clear();
  std::vector<uint64_t> trace = traceOf(ctx, exception);
  trace.insert(trace.end(), thread.trace.begin(), thread.trace.end());
  thread.trace.clear();
  if (trace.size() > kTraceMax) trace.resize(kTraceMax);
  // A detached allocation never collects: no one expects that where an exception is caught.
  ir::TypeId longs = vm.module().types.find({ir::TypeKind::Array, ir::kI64.value});
  ObjectRef array = vm.heap().allocateDetached(
      vm.layout().arrayIndex(longs), arrayBytes(ir::TypeKind::I64, uint32_t(trace.size())), uint32_t(trace.size()));
  if (array == kNullRef) return;
  for (size_t i = 0; i < trace.size(); ++i) storeGuest<uint64_t>(array + kArrayElementsOffset + i * 8, trace[i]);
  ensureWritable(&ctx, exception);
  storeReference(&ctx, exception, throwableOffset(vm.layout(), ir::builtin::kThrowableTrace), array);
}

std::string describeUncaught(ThreadContext& ctx, ObjectRef exception) {
  Vm& vm = *ctx.vm;
  const GuestThread& thread = *ctx.thread;
  std::string text = fmt::format("Exception in thread \"{}\" {}", thread.name, headline(ctx, exception));
  std::vector<uint64_t> trace = traceOf(ctx, exception);
  trace.insert(trace.end(), thread.trace.begin(), thread.trace.end());
  addTraceLines(vm, trace, text);
  for (int depth = 0; depth < 8; ++depth) {
    ensureReadable(&ctx, exception);
    exception = loadGuest<uint64_t>(exception + throwableOffset(vm.layout(), ir::builtin::kThrowableCause));
    if (exception == kNullRef) break;
    text += "\nCaused by: " + headline(ctx, exception);
    addTraceLines(vm, traceOf(ctx, exception), text);
  }
  return text;
}

}  // namespace jvmc::rt

using namespace jvmc::rt;

extern "C" void jvmc_throwBuiltin(JvmcContext* ctx, uint32_t kind, int32_t detail) {
  BuiltinThrow what = BuiltinThrow(kind);
  throwException(*ctx, classOf(what), messageOf(ctx->vm->layout(), what, detail));
}

extern "C" void jvmc_throwObject(JvmcContext* ctx, ObjectRef exception) {
  if (exception == kNullRef) return jvmc_throwBuiltin(ctx, uint32_t(BuiltinThrow::NullPointer), 0);
  setPending(*ctx, exception);
}

extern "C" void jvmc_addTraceFrame(JvmcContext* ctx, uint32_t function, uint32_t flatIndex) {
  auto& trace = ctx->thread->trace;
  if (trace.size() < kTraceMax) trace.push_back(uint64_t(function) << 32 | flatIndex);
}

// Where memory was out, frames that are gone now held what had filled it. Their words lie below the stack pointer
// still; frames of helpers would cover them without writing all of them, and a collection would take them for
// references. So the rest of the stack is cleared, from below any frame: hence the assembly around
// catchAndFindDeadStack().
namespace {

struct Caught {
  ObjectRef exception;
  uint64_t deadStack;  ///< clear from here up to the stack pointer; 0: nothing to do
};

constexpr uint64_t kPageBytes = 4096;

/// The pages of the dead stack that this function's own frames do not touch go back to the system.
uint64_t releaseDeadStack(const ThreadContext& ctx) {
  const uint64_t here = uint64_t(__builtin_frame_address(0));
  const uint64_t limit = (ctx.stackLimit + kPageBytes - 1) & ~(kPageBytes - 1);
  const uint64_t low = (here & ~(kPageBytes - 1)) - kPageBytes;
  if (ctx.fiber == nullptr || low <= limit) return 0;
  madvise(reinterpret_cast<void*>(limit), low - limit, MADV_DONTNEED);
  return low;
}

}  // namespace

extern "C" [[gnu::visibility("hidden"), gnu::used]] Caught jvmc_catchAndFindDeadStack(JvmcContext* ctx) {
  ObjectRef exception = ctx->exception;
  ctx->unwinding = Unwinding::None;
  storeTrace(*ctx, exception);
  ctx->exception = kNullRef;
  return {exception, exception == ctx->vm->outOfMemoryError() ? releaseDeadStack(*ctx) : 0};
}

#if defined(__x86_64__)
extern "C" [[gnu::naked]] ObjectRef jvmc_catchException(JvmcContext*) {
  asm("subq $8, %rsp\n\t"
      ".cfi_adjust_cfa_offset 8\n\t"
      "call jvmc_catchAndFindDeadStack\n\t"
      "addq $8, %rsp\n\t"
      ".cfi_adjust_cfa_offset -8\n\t"
      "testq %rdx, %rdx\n\t"
      "je 1f\n\t"
      "movq %rax, %rsi\n\t"
      "movq %rdx, %rdi\n\t"
      "movq %rsp, %rcx\n\t"
      "subq %rdx, %rcx\n\t"
      "shrq $3, %rcx\n\t"
      "xorl %eax, %eax\n\t"
      "rep stosq\n\t"
      "movq %rsi, %rax\n"
      "1:\n\t"
      "ret");
}
#else
// Elsewhere only the interpreter runs; its frames lie in a stack of their own.
extern "C" ObjectRef jvmc_catchException(JvmcContext* ctx) {
  return jvmc_catchAndFindDeadStack(ctx).exception;
}
#endif
