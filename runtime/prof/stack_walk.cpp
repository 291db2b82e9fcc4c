#include "runtime/prof/stack_walk.h"

#include "runtime/interp/interp_frame.h"

// The walk reads stacks as words, whatever stands there.
#define JVMC_RAW [[gnu::no_sanitize("address", "thread", "undefined")]]

namespace jvmc::rt {
namespace {

/// Callee-saved registers besides the frame pointer, which functions keep right below it if they use them.
constexpr uint64_t kSavedRegisters = 5;
/// Frame pointers of helpers between the innermost frame and the interpreter that are looked at.
constexpr size_t kHelpersMax = 32;

class Walk {
 public:
  Walk(const ThreadContext& ctx, const StackStart& start, std::span<uint64_t> out)
      : ctx_(ctx),
        start_(start),
        out_(out),
        activation_(static_cast<const InterpActivation*>(ctx.interpActivation)),
        frame_(static_cast<const InterpFrame*>(ctx.interpFrame)) {}

  JVMC_RAW size_t run() {
    if (start_.pc != 0) add(start_.pc);
    if (start_.sp >= ctx_.stackLow && start_.sp < ctx_.stackTop) walkNative();
    if (ctx_.framesStand && ctx_.thread) count_ += walkFrames(ctx_.thread->frames, out_.subspan(count_));
    return count_;
  }

 private:
  void add(uint64_t word) {
    if (count_ < out_.size()) out_[count_++] = word;
  }

  JVMC_RAW static uint64_t load(uint64_t address) { return *reinterpret_cast<const volatile uint64_t*>(address); }

  JVMC_RAW void walkNative() {
    uint64_t fp = start_.fp, low = start_.sp;
    while (fp % 8 == 0 && fp >= low && fp + 16 <= ctx_.stackTop && count_ < out_.size()) {
      // The activation lies in the frame of the interpreter's loop.
      if (activation_ && uint64_t(activation_) < fp)
        addInterpreted();
      else if (helpers_ < kHelpersMax)
        helperFrames_[helpers_++] = fp;
      const uint64_t returnAddress = load(fp + 8);
      if (returnAddress < 4096) return;
      add(returnAddress - 1);
      low = fp + 16;
      fp = load(fp);
    }
  }

  JVMC_RAW void addInterpreted() {
    for (bool innermost = true; frame_ && frame_ != activation_->end; frame_ = frame_->previous, innermost = false) {
      const FunctionCode& code = *frame_->code;
      // An outer frame knows where it calls, one that stands in a poll where it polls. Flat indexes of an optimised
      // body are not the program's.
      const Inst* pc = innermost && isRunning_ && !ctx_.quiescent ? programCounter(code) : frame_->pc;
      const bool known = pc && !code.body().optimised && code.contains(pc);
      add(portableWord(code.function().value, known ? code.flatOf(pc) : kUnknownFlat));
    }
    activation_ = static_cast<const InterpActivation*>(activation_->outer);
    helpers_ = 0;
    isRunning_ = false;
  }

  /// The loop holds its program counter in a register, or a helper that it has called has saved that. Anything that
  /// looks like it is taken, the helper next to the loop first.
  JVMC_RAW const Inst* programCounter(const FunctionCode& code) const {
    for (size_t i = helpers_; i-- > 0;)
      for (uint64_t k = 1; k <= kSavedRegisters; ++k)
        if (const uint64_t at = helperFrames_[i] - 8 * k; at >= start_.sp)
          if (const auto* pc = reinterpret_cast<const Inst*>(load(at)); code.contains(pc)) return pc;
    for (uint64_t value : start_.registers)
      if (const auto* pc = reinterpret_cast<const Inst*>(value); code.contains(pc)) return pc;
    return nullptr;
  }

  const ThreadContext& ctx_;
  const StackStart& start_;
  std::span<uint64_t> out_;
  size_t count_ = 0;
  const InterpActivation* activation_;
  const InterpFrame* frame_;
  bool isRunning_ = true;  // no interpreted frame has been met: the next one is at an instruction of its own
  uint64_t helperFrames_[kHelpersMax];
  size_t helpers_ = 0;
};

}  // namespace

JVMC_RAW size_t walkStack(const ThreadContext& ctx, const StackStart& start, std::span<uint64_t> out) {
  return Walk(ctx, start, out).run();
}

[[gnu::noinline]] JVMC_RAW size_t walkOwnStack(const ThreadContext& ctx, std::span<uint64_t> out) {
  __builtin_unwind_init();  // this frame saves all registers, right below its frame pointer
  const uint64_t fp = uint64_t(__builtin_frame_address(0));
  return walkStack(ctx, {.pc = 0, .sp = fp - 8 * kSavedRegisters, .fp = fp}, out);
}

size_t walkFrames(const FrameStack& frames, std::span<uint64_t> out) {
  size_t count = 0;
  for (size_t i = frames.depth(); i-- > 0 && count < out.size();) {
    const FrameHeader& frame = frames.header(i);
    if (!isRuntimeFrame(frame.function)) out[count++] = portableWord(frame.function, frame.resumePoint / 2);
  }
  return count;
}

}  // namespace jvmc::rt
