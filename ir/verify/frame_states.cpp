// Frame states: the portable frames that an instruction of optimised code would leave behind. Each state is compared
// with the liveness of the baseline function it names.
#include <fmt/format.h>

#include "ir/analysis/safepoints.h"
#include "ir/lookup.h"
#include "ir/text/printer.h"
#include "ir/verify/body.h"

namespace jvmc::ir::verify {

using text::typeText;

void BodyVerifier::checkState(const Instr& instr, const VerifyPlace& place, const Use& use) {
  const FrameState& innermost = body_.frameStates[instr.frameState.index()];
  // An instruction that only may throw names a place for the stack trace; its state has no slots.
  bool isSafepoint = safepointKind(module_, instr) != SafepointKind::None;
  size_t length = 0;
  const FrameState* inner = nullptr;
  for (FrameStateId id = instr.frameState; id.valid(); id = body_.frameStates[id.index()].outer) {
    if (++length > body_.frameStates.size())
      return error(Invariant::StateChain, place, "the chain of outer frame states does not end");
    const FrameState& state = body_.frameStates[id.index()];
    if (!checkPoint(state, place, inner == nullptr, inner)) return;
    if (isSafepoint || !state.slots.empty()) checkSlots(state, innermost, place, use);
    inner = &state;
  }
  for (const VirtualObject& object : innermost.virtuals) checkVirtual(object, innermost, place, use);
}

/// The point is one of the baseline's; an outer frame waits behind a call for what is inlined here.
bool BodyVerifier::checkPoint(const FrameState& state, const VerifyPlace& place, bool isInnermost,
                              const FrameState* inner) {
  Baseline* base = baseline(state.function);
  const std::string& name = module_[state.function].name;
  auto bad = [&](std::string message) {
    error(Invariant::StateChain, place, std::move(message));
    return false;
  };
  if (!base) return bad(fmt::format("the baseline '@{}' of a frame state cannot be read", name));
  if (state.resumePoint / 2 >= base->cfg.instrCount())
    return bad(fmt::format("'@{}' has no resume point {}", name, state.resumePoint));
  Cfg::Position at = base->cfg.position(state.resumePoint / 2);
  const Instr& instr = (*base->body)[at.block].instrs[at.index];
  bool isAfter = state.resumePoint % 2 != 0;
  if (isAfter && safepointKind(module_, instr) != SafepointKind::After)
    return bad(fmt::format("point {} of '@{}' is behind '{}', which is not a call", state.resumePoint, name,
                           instr.info().mnemonic));
  if (isInnermost) return true;
  Symbol symbol = instr.info().symbol;
  bool isCall = isAfter && instr.op != Opcode::kThreadStart && (symbol == Symbol::Function || symbol == Symbol::Method);
  if (!isCall)
    return bad(
        fmt::format("an outer frame of '@{}' must wait behind a call, not at point {}", name, state.resumePoint));
  TypeId given = module_[inner->function].result;
  std::optional<Type> wanted = resultType(module_, instr, TypeId());
  bool resultFits =
      wanted ? given != kVoid && module_.isAssignable(given, module_.types.find(*wanted)) : given == kVoid;
  bool calleeFits = symbol == Symbol::Method || instr.symbol.function() == inner->function;
  if (resultFits && calleeFits) return true;
  return bad(fmt::format("the call at point {} of '@{}' does not call '@{}'", state.resumePoint, name,
                         module_[inner->function].name));
}

void BodyVerifier::checkSlots(const FrameState& state, const FrameState& innermost, const VerifyPlace& place,
                              const Use& use) {
  Baseline* base = baseline(state.function);
  std::vector<ValueId> wanted = base->liveness.slots(state.resumePoint);
  const std::string& name = module_[state.function].name;
  if (wanted.size() != state.slots.size())
    return error(Invariant::StateSlots, place,
                 fmt::format("point {} of '@{}' has {} live slots, the frame state {}", state.resumePoint, name,
                             wanted.size(), state.slots.size()));
  for (size_t i = 0; i < wanted.size(); ++i) {
    const SlotSource& source = state.slots[i];
    if (source.kind == SlotSource::Kind::Value) use(source.value);
    if (!sourceFits(source, (*base->body)[wanted[i]].type, innermost))
      error(Invariant::StateSlots, place,
            fmt::format("slot {} at point {} of '@{}' must have type {}", i, state.resumePoint, name,
                        typeText(module_, (*base->body)[wanted[i]].type)));
  }
}

bool BodyVerifier::sourceFits(const SlotSource& source, TypeId type, const FrameState& innermost) const {
  if (source.kind == SlotSource::Kind::Value) return assignable(typeOf(source.value), type);
  if (source.virtualIndex >= innermost.virtuals.size()) return false;
  const Type& wanted = module_.types[type];
  return wanted.kind == TypeKind::Ref &&
         module_.isSubclass(innermost.virtuals[source.virtualIndex].cls, wanted.classId());
}

void BodyVerifier::checkVirtual(const VirtualObject& object, const FrameState& innermost, const VerifyPlace& place,
                                const Use& use) {
  const ClassDecl& cls = module_[object.cls];
  std::vector<SymbolRef> fields = instanceFields(module_, object.cls);
  if (cls.isInterface || cls.isAbstract)
    return error(Invariant::VirtualObjects, place, fmt::format("'{}' has no instances", cls.name));
  if (fields.size() != object.fields.size())
    return error(Invariant::VirtualObjects, place,
                 fmt::format("an object of class '{}' has {} fields, the virtual one {}", cls.name, fields.size(),
                             object.fields.size()));
  for (size_t i = 0; i < fields.size(); ++i) {
    const SlotSource& source = object.fields[i];
    if (source.kind == SlotSource::Kind::Value) use(source.value);
    const FieldDecl& field = module_.field(fields[i]);
    if (!sourceFits(source, stackType(field.type), innermost))
      error(Invariant::VirtualObjects, place,
            fmt::format("field '{}.{}' of a virtual object must have type {}", module_[fields[i].owner].name,
                        field.name, typeText(module_, field.type)));
  }
}

BodyVerifier::Baseline* BodyVerifier::baseline(FunctionId function) {
  auto [it, isNew] = baselines_.try_emplace(function);
  if (!isNew) return it->second.get();
  Result<const FunctionBody*> body = module_.body(function);
  // The baseline must be valid itself before its liveness can be asked; a stored one was verified when it was read.
  if (body.ok()) {
    Report own(1);
    checkBody(module_, function, **body, false, own);
    if (own.count() == 0) it->second = std::make_unique<Baseline>(**body);
  }
  return it->second.get();
}

}  // namespace jvmc::ir::verify
