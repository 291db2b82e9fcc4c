// Ways into the interpreter, and how its frames become data.
#include "runtime/interp/interpreter.h"

#include <algorithm>

#include "ir/support/fault.h"
#include "runtime/abi/helpers.h"
#include "runtime/frames/capture_stats.h"
#include "runtime/helpers/waiting.h"
#include "runtime/interp/frame_ops.h"
#include "runtime/interp/tier_up.h"
#include "runtime/vm.h"

namespace jvmc::rt {
namespace {

uint64_t throwOut(ThreadContext& ctx, BuiltinThrow kind) {
  jvmc_throwBuiltin(&ctx, uint32_t(kind), 0);
  return 0;
}

InterpFrame* reserveAny(ThreadContext& ctx, const FunctionCode& code) {
  InterpFrame* frame = reserveFrame(ctx, code);
  return frame != nullptr ? frame : reserveLargeFrame(ctx, code);
}

uint64_t* allocateFrame(const FunctionCode& code) {
  auto* memory = new uint64_t[code.frameWords()];
  reinterpret_cast<InterpFrame*>(memory)->memory = memory;
  return memory;
}

}  // namespace

InterpFrame* reserveLargeFrame(ThreadContext& ctx, const FunctionCode& code) {
  size_t stackWords = static_cast<Fiber*>(ctx.fiber)->interpreterWords();
  if (code.frameWords() <= stackWords / 4) return nullptr;
  return reinterpret_cast<InterpFrame*>(allocateFrame(code));
}

void captureInterpFrame(ThreadContext& ctx, InterpFrame* frame, uint32_t resumePoint) {
  const FunctionCode& code = *frame->code;
  const std::vector<uint32_t>& registers = code.slotRegisters(resumePoint);
  ThreadStats& stats = ctx.thread->stats;
  if (stats.framesOfCapture == 0) stats.innermostInterpreted = true;
  ++stats.interpretedOfCapture;
  uint64_t* slots = jvmc_captureFrame(&ctx, code.function().value, resumePoint, uint32_t(registers.size()));
  const uint64_t* r = frame->registers();
  size_t live = registers.size() - (JVMC_FAULT("interpreted-capture-drops-a-slot") && !registers.empty());
  for (size_t i = 0; i < live; ++i) slots[i] = r[registers[i]];
}

void captureUnstarted(ThreadContext& ctx, uint32_t function, const uint64_t* args) {
  const FunctionInfo& info = ctx.vm->functionInfos()[ir::FunctionId(function)];
  const PointSlots& point = info.slots(ir::pointBefore(0));
  ThreadStats& stats = ctx.thread->stats;
  if (stats.framesOfCapture == 0) stats.innermostInterpreted = true;
  ++stats.interpretedOfCapture;
  uint64_t* slots = jvmc_captureFrame(&ctx, function, ir::pointBefore(0), uint32_t(point.values.size()));
  const auto& params = info.body().blocks[0].params;
  for (size_t i = 0; i < point.values.size(); ++i)
    slots[i] = args[std::find(params.begin(), params.end(), point.values[i]) - params.begin()];
}

void forgetDeadReferences(InterpFrame* frame, uint32_t flat) {
  const FunctionCode& code = *frame->code;
  if (code.body().optimised) return;
  const FunctionInfo& info = code.info();
  const ir::BlockCall& handler = *info.body()[info.blockOf(flat)].handler;
  std::vector<bool> isLive(code.frameWords());
  for (ir::ValueId v : handler.args) isLive[code.registerOf(v)] = true;
  for (uint32_t reg : code.slotRegisters(ir::pointBefore(info.cfg().firstInstr(handler.block)))) isLive[reg] = true;
  uint64_t* r = frame->registers();
  auto forget = [&](uint32_t reg) {
    if (!isLive[reg]) r[reg] = kNullRef;
  };
  for (uint32_t reg : code.referenceParams()) forget(reg);
  for (uint32_t reg = code.referenceBegin(); reg < code.referenceEnd(); ++reg) forget(reg);
}

uint64_t interpretCall(ThreadContext& ctx, uint32_t function, const uint64_t* args) {
  FunctionCell* cell = &ctx.cells[function];
  if (function >= ctx.vm->functionCodes().functionCount()) return throwOut(ctx, BuiltinThrow::AbstractMethod);
  const FunctionCode* code = ctx.vm->functionCodes().ready(function);
  if (code == nullptr && (code = findCode(ctx, function)) == nullptr) return 0;
  uint32_t heat = cell->heat.load(std::memory_order_relaxed) + 1;
  cell->heat.store(heat, std::memory_order_relaxed);
  if (heat >= tierUpThreshold(*ctx.vm)) requestCompiled(ctx, cell);
  if (code->countsDepth() && ctx.depth >= ctx.depthLimit) return throwOut(ctx, BuiltinThrow::StackOverflow);

  InterpFrame* frame = reserveAny(ctx, *code);
  if (frame == nullptr) {
    beginCapture(ctx, CaptureReason::StackFull);
    captureUnstarted(ctx, function, args);
    return 0;
  }
  for (uint32_t i = 0; i < code->paramCount(); ++i) frame->registers()[i] = args[i];
  linkFrame(ctx, frame, *code);
  if (ctx.pollLimit.load(std::memory_order_relaxed) == kPollRequested && !code->body().optimised) {
    jvmc_poll(&ctx);
    if (ctx.unwinding == Unwinding::Capture) {
      captureInterpFrame(ctx, frame, ir::pointBefore(0));
      dropFrame(ctx, frame);
      return 0;
    }
  }
  return runLoop(ctx, frame, code->begin(), false);
}

uint64_t interpretResume(ThreadContext& ctx, uint32_t function, uint32_t resumePoint, const uint64_t* slots,
                         uint64_t supplied) {
  // A frame exists, so the body has been read.
  Result<const FunctionCode*> found = ctx.vm->functionCodes().findStored(ir::FunctionId(function));
  JVMC_CHECK(found.ok(), function);
  const FunctionCode* code = *found;
  ctx.depth -= code->countsDepth();  // the driver has counted the frame; linkFrame counts it again
  InterpFrame* frame = reserveFrame(ctx, *code);
  if (frame == nullptr) frame = reinterpret_cast<InterpFrame*>(allocateFrame(*code));
  // Parameters that are dead here must still be no garbage for the collector.
  for (uint32_t i = 0; i < code->paramCount(); ++i) frame->registers()[i] = 0;
  linkFrame(ctx, frame, *code);
  const std::vector<uint32_t>& registers = code->slotRegisters(resumePoint);
  for (size_t i = 0; i < registers.size(); ++i) frame->registers()[registers[i]] = slots[i];

  uint32_t flat = resumePoint / 2;
  if (ctx.unwinding == Unwinding::Exception) return runLoop(ctx, frame, code->atFlat(flat), true);
  if (resumePoint % 2 == 0) return runLoop(ctx, frame, code->atFlat(flat), false);
  ir::ValueId result = code->info().instr(flat).result;
  if (result.valid()) frame->registers()[code->registerOf(result)] = supplied;
  if (JVMC_FAULT("call-is-made-again-after-resume")) return runLoop(ctx, frame, code->atFlat(flat), false);
  return runLoop(ctx, frame, code->atFlat(flat + 1), false);
}

uint64_t callFunction(ThreadContext& ctx, uint32_t function, const uint64_t* args) {
  if (uint64_t(__builtin_frame_address(0)) < ctx.stackLimit) [[unlikely]] {
    beginCapture(ctx, CaptureReason::StackFull);
    captureUnstarted(ctx, function, args);
    return 0;
  }
  FunctionCell* cell = &ctx.cells[function];
  EnterFn enter = cell->enter.load(std::memory_order_acquire);
  if (enter == nullptr && ctx.vm->options().mode == RunMode::Jit) {
    ctx.vm->code()->requestFunction(ir::FunctionId(function));
    enter = cell->enter.load(std::memory_order_acquire);
    JVMC_CHECK(enter != nullptr, "not compiled in mode jit", function);
  }
  if (enter == nullptr) return interpretCall(ctx, function, args);
  uint64_t result = 0;
  bool fromCompiled = ctx.inCompiled;
  enterTier(ctx, true);
  enter(&ctx, cell, args, &result);
  enterTier(ctx, fromCompiled);
  return result;
}

void visitInterpreterReferences(ThreadContext& ctx, const std::function<void(ObjectRef)>& visit) {
  for (auto* frame = static_cast<InterpFrame*>(ctx.interpFrame); frame != nullptr; frame = frame->previous) {
    const FunctionCode& code = *frame->code;
    const uint64_t* r = frame->registers();
    for (uint32_t p : code.referenceParams())
      if (r[p] != kNullRef) visit(r[p]);
    for (uint32_t i = code.referenceBegin(); i < code.referenceEnd(); ++i)
      if (r[i] != kNullRef) visit(r[i]);
  }
}

}  // namespace jvmc::rt

using namespace jvmc::rt;

extern "C" void jvmc_interpret(JvmcContext* ctx, FunctionCell* cell, const uint64_t* args, uint64_t* result) {
  if (cell->function >= ctx->vm->functionCodes().functionCount())
    return jvmc_throwBuiltin(ctx, uint32_t(BuiltinThrow::AbstractMethod), 0);
  bool fromCompiled = ctx->inCompiled;
  enterTier(*ctx, false);
  *result = callFunction(*ctx, cell->function, args);
  enterTier(*ctx, fromCompiled);
}
