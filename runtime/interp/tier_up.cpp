#include "runtime/interp/tier_up.h"

#include <algorithm>

#include "runtime/abi/helpers.h"
#include "runtime/vm.h"

namespace jvmc::rt {
namespace {

/// Rounds between two questions for code that is still being compiled.
constexpr uint64_t kRetryHeat = 500;

void askAgainLater(ThreadContext& ctx, FunctionCell* cell) {
  uint64_t threshold = tierUpThreshold(*ctx.vm);
  cell->heat.store(uint32_t(threshold - std::min(threshold, kRetryHeat)), std::memory_order_relaxed);
}

}  // namespace

uint64_t tierUpThreshold(Vm& vm) {
  return vm.options().mode == RunMode::Interp ? ~uint64_t(0) : std::min<uint64_t>(vm.options().tierUpHeat, 1u << 31);
}

const FunctionCode* findCode(ThreadContext& ctx, uint32_t function) {
  Result<const FunctionCode*> code = ctx.vm->functionCodes().find(ir::FunctionId(function));
  if (code.ok()) return *code;
  std::fprintf(stderr, "error: %s\n", code.error().message.c_str());
  jvmc_throwBuiltin(&ctx, uint32_t(BuiltinThrow::NoClassDef), 0);
  return nullptr;
}

bool requestCompiled(ThreadContext& ctx, FunctionCell* cell) {
  CodeProvider* code = ctx.vm->code();
  if (code == nullptr) return false;
  code->requestFunction(ir::FunctionId(cell->function));
  if (cell->enter.load(std::memory_order_acquire) != nullptr) return true;
  askAgainLater(ctx, cell);
  return false;
}

ContinuationFn requestLoop(ThreadContext& ctx, FunctionCell* cell, uint32_t resumePoint) {
  CodeProvider* code = ctx.vm->code();
  if (code == nullptr) return nullptr;
  code->requestFunction(ir::FunctionId(cell->function));
  ContinuationFn continuation = code->requestContinuation(ir::FunctionId(cell->function), resumePoint);
  if (continuation == nullptr) askAgainLater(ctx, cell);
  return continuation;
}

}  // namespace jvmc::rt
