#include "runtime/frames/frame_check.h"

#include <algorithm>

#include "ir/analysis/safepoints.h"
#include "runtime/frames/runtime_frames.h"

namespace jvmc::rt {
namespace {

Error bad(std::string what) {
  return {ErrorCode::kCorrupt, std::move(what)};
}

class Checker {
 public:
  Checker(const FunctionInfos& functions, GuestThread& thread)
      : functions_(functions), module_(functions.module()), thread_(thread), frames_(thread.frames) {}

  Status run() {
    if (frames_.empty()) return bad("no frames");
    for (size_t i = 0; i < frames_.depth(); ++i)
      if (Status frame = check(i); !frame.ok()) return frame;
    canonicaliseValue();
    return Unit{};
  }

 private:
  bool isTop(size_t i) const { return i + 1 == frames_.depth(); }
  uint32_t name(size_t i) const { return frames_.header(i).function; }

  Status check(size_t i) const {
    if (!isRuntimeFrame(name(i))) return checkGuest(i);
    const uint64_t* slots = frames_.slots(i);
    uint32_t count = frames_.header(i).slotCount;
    switch (name(i)) {
      case kFrameClassInit:
        return checkClassInit(i, slots, count);
      case kFrameThreadStart:
        if (!isTop(i) || i == 0 || slots[0] == kNullRef || slots[1] == 0) return bad("misplaced thread start");
        if (slots[3] >= uint64_t(ThreadStartPhase::kCount)) return bad("unknown phase of a thread start");
        return Unit{};
      case kFrameAfterFlush:
        if (!isTop(i) || i == 0 || count != kAfterFlushSlots || slots[0] >= uint64_t(FlushedOp::kCount) ||
            int64_t(slots[1]) < 0)
          return bad("misplaced flush");
        return Unit{};
      case kFrameThreadEnd:
        return i == 0 && isTop(i) && count == 0 ? Status(Unit{}) : bad("misplaced end");
    }
    return bad("unknown runtime frame");
  }

  Status checkGuest(size_t i) const {
    if (isTop(i)) return Unit{};
    const FunctionInfo& info = functions_[ir::FunctionId(name(i))];
    uint32_t point = frames_.header(i).resumePoint;
    const ir::Instr& instr = info.instr(point / 2);
    bool isAfter = point % 2 != 0;
    switch (name(i + 1)) {
      case kFrameClassInit:
        return !isAfter && instr.info().has(ir::kInit) ? Status(Unit{}) : bad("a class is initialised for no one");
      case kFrameThreadStart:
        return isAfter && instr.op == ir::Opcode::kThreadStart ? Status(Unit{}) : bad("a thread is started by no one");
      case kFrameAfterFlush:
        return isAfter && !instr.result.valid() ? Status(Unit{}) : bad("a flush for no one");
    }
    if (isRuntimeFrame(name(i + 1))) return bad("misplaced runtime frame");
    if (!isAfter || !mayCall(instr, ir::FunctionId(name(i + 1)))) return bad("a frame that its caller does not call");
    return Unit{};
  }

  bool mayCall(const ir::Instr& instr, ir::FunctionId callee) const {
    if (instr.op == ir::Opcode::kCall) return instr.symbol.function() == callee;
    if (instr.op != ir::Opcode::kCallVirtual && instr.op != ir::Opcode::kCallInterface) return false;
    const ir::MethodDecl& method = module_.method(instr.symbol);
    const ir::FunctionDecl& decl = module_[callee];
    return decl.result == method.result && decl.params.size() == method.params.size() + 1 &&
           std::equal(method.params.begin(), method.params.end(), decl.params.begin() + 1);
  }

  Status checkClassInit(size_t i, const uint64_t* slots, uint32_t count) const {
    if (i == 0 || count != kClassInitSlots || slots[0] >= module_.classes.size())
      return bad("bad class initialisation");
    ir::ClassId cls{uint32_t(slots[0])};
    switch (ClassInitPhase(slots[1])) {
      case ClassInitPhase::Begin:
      case ClassInitPhase::End:
        return isTop(i) ? Status(Unit{}) : bad("a class initialisation that waits, with a callee");
      case ClassInitPhase::Super:
        if (isTop(i)) return Unit{};
        return name(i + 1) == kFrameClassInit && frames_.slots(i + 1)[0] == module_[cls].super.value
                   ? Status(Unit{})
                   : bad("a superclass initialisation that is none");
      case ClassInitPhase::Body:
        if (isTop(i)) return Unit{};
        return name(i + 1) == module_[cls].initializer.value ? Status(Unit{}) : bad("an initialiser that is none");
      case ClassInitPhase::kCount:
        break;
    }
    return bad("unknown phase of a class initialisation");
  }

  // A 32-bit value has zeros above; where no value is supplied there is none to keep.
  void canonicaliseValue() {
    const FrameHeader& top = frames_.top();
    if (isRuntimeFrame(top.function)) return;
    ir::TypeId type = functions_[ir::FunctionId(top.function)].suppliedType(top.resumePoint);
    ir::TypeKind kind = module_.types[type].kind;
    uint64_t& value = thread_.resumption.value;
    if (kind == ir::TypeKind::Void) value = 0;
    if (kind == ir::TypeKind::I32 || kind == ir::TypeKind::F32) value = uint32_t(value);
  }

  const FunctionInfos& functions_;
  const ir::Module& module_;
  GuestThread& thread_;
  const FrameStack& frames_;
};

}  // namespace

Status checkFrames(const FunctionInfos& functions, GuestThread& thread) {
  return Checker(functions, thread).run();
}

}  // namespace jvmc::rt
