// Pass 0: from the stored form to the optimised form. Each safepoint learns which portable frame it would capture, each
// other instruction that may throw where it stands. Later passes may then move and copy code as they like.
//
// An access to a volatile static has two resume points, but an instruction has one state: it is split into `init_class`
// (state before) and the access proper with `inited` (state after). A class without initialiser, its superclasses
// included, counts as initialised.
#include "ir/analysis/liveness.h"
#include "ir/analysis/safepoints.h"
#include "ir/passes/edit.h"
#include "ir/passes/passes.h"

namespace jvmc::ir {
namespace {

class FrameStates {
 public:
  FrameStates(const PassContext& context, FunctionBody& body)
      : context_(context), body_(body), cfg_(context.baseline), liveness_(context.baseline, cfg_) {}

  void run() {
    body_.optimised = true;
    uint32_t flat = 0;
    for (Block& block : body_.blocks) {
      std::vector<Instr> instrs;
      for (Instr& instr : block.instrs) annotate(std::move(instr), flat++, instrs);
      block.instrs = std::move(instrs);
    }
  }

 private:
  void annotate(Instr instr, uint32_t flat, std::vector<Instr>& out) {
    if (mayInitialise(instr) && !hasInitializer(instr.symbol.owner)) instr.flags |= kNoInitCheck;
    switch (safepointKind(context_.module, instr)) {
      case SafepointKind::Before:
        instr.frameState = stateAt(pointBefore(flat));
        break;
      case SafepointKind::After:
        if (mayInitialise(instr)) {
          out.push_back(initialise(instr, flat));
          instr.flags |= kNoInitCheck;
        }
        instr.frameState = stateAt(pointAfter(flat));
        break;
      case SafepointKind::None:
        if (mayThrow(body_, instr)) instr.frameState = addState(pointBefore(flat), {});
        break;
    }
    out.push_back(std::move(instr));
  }

  bool hasInitializer(ClassId cls) const {
    for (ClassId c = cls; c.valid(); c = context_.module[c].super)
      if (context_.module[c].initializer.valid()) return true;
    return false;
  }

  Instr initialise(const Instr& access, uint32_t flat) {
    Instr init;
    init.op = Opcode::kInitClass;
    init.symbol.owner = access.symbol.owner;
    init.loc = access.loc;
    init.frameState = stateAt(pointBefore(flat));
    return init;
  }

  FrameStateId stateAt(uint32_t point) {
    std::vector<SlotSource> slots;
    for (ValueId v : liveness_.slots(point)) slots.push_back({SlotSource::Kind::Value, v, 0});
    return addState(point, std::move(slots));
  }

  FrameStateId addState(uint32_t point, std::vector<SlotSource> slots) {
    FrameState state;
    state.function = context_.function;
    state.resumePoint = point;
    state.slots = std::move(slots);
    body_.frameStates.push_back(std::move(state));
    return FrameStateId(uint32_t(body_.frameStates.size() - 1));
  }

  const PassContext& context_;
  FunctionBody& body_;
  Cfg cfg_;
  Liveness liveness_;
};

}  // namespace

void runFrameStates(const PassContext& context, FunctionBody& body) {
  FrameStates(context, body).run();
}

}  // namespace jvmc::ir
