// One body, in four steps, each of which may rely on the ones before: ids and shape, values, types of every
// instruction, dominance. Frame states are checked in frame_states.cpp.
#include "ir/verify/body.h"

#include <fmt/format.h>

#include <unordered_set>

#include "ir/signature.h"
#include "ir/text/printer.h"

namespace jvmc::ir::verify {

using Kind = VerifyPlace::Kind;
using text::typeText;

namespace {

constexpr size_t kMaxBlocks = 1u << 20, kMaxInstrs = 1u << 22;
constexpr uint64_t kMaxBlocksTimesValues = uint64_t(1) << 32;  // bits of a liveness table: half a gigabyte

}  // namespace

// ---------------------------------------------------------------- ids and shape

bool BodyVerifier::checkShape() {
  size_t before = report_.count();
  if (body_.blocks.empty()) {
    report_.add(Invariant::Bodies, functionPlace(), decl_.loc, fmt::format("function '@{}' has no blocks", decl_.name));
    return false;
  }
  size_t instrs = 0;
  for (const Block& block : body_.blocks) instrs += block.instrs.size();
  if (body_.blocks.size() > kMaxBlocks || instrs > kMaxInstrs ||
      uint64_t(body_.blocks.size()) * body_.values.size() > kMaxBlocksTimesValues) {
    report_.add(Invariant::Limits, functionPlace(), decl_.loc,
                fmt::format("function '@{}' is too large: {} blocks, {} instructions, {} values", decl_.name,
                            body_.blocks.size(), instrs, body_.values.size()));
    return false;
  }
  for (uint32_t v = 0; v < body_.values.size(); ++v) valueEntry(ValueId(v));
  forEachBlock([&](BlockId b) { blockIds(b); });
  stateIds();
  return report_.count() == before;
}

void BodyVerifier::valueEntry(ValueId v) {
  const Value& value = body_[v];
  auto bad = [&](std::string message) {
    report_.add(Invariant::Values, functionPlace(), decl_.loc, std::move(message));
  };
  if (!isStackType(module_, value.type))
    return bad(fmt::format("value {} has type {}, which no value has", v.value, typeText(module_, value.type)));
  if (value.kind > Value::Kind::Const) return bad(fmt::format("value {} is of no known kind", v.value));
  if (value.kind != Value::Kind::Const) {
    if (value.block.index() >= body_.blocks.size())
      bad(fmt::format("value {} stands in a block that does not exist", v.value));
    return;
  }
  bool narrow = value.type == kI32 || value.type == kF32;
  bool ok = narrow ? value.constant <= UINT32_MAX
                   : value.type == kI64 || value.type == kF64 || (value.type == kNull && value.constant == 0);
  if (!ok) bad(fmt::format("constant {} is not a constant of its type {}", v.value, typeText(module_, value.type)));
}

void BodyVerifier::blockIds(BlockId b) {
  const Block& block = body_[b];
  if (block.loc.file >= module_.files.size())
    error(Invariant::Locations, blockPlace(b), "the file of a location does not exist");
  for (ValueId param : block.params) existing(param, blockPlace(b));
  if (block.handler) callIds(*block.handler, blockPlace(b));
  if (block.instrs.empty())
    return error(Invariant::Terminators, blockPlace(b), fmt::format("block '{}' has no instructions", blockName(b)));
  for (uint32_t i = 0; i < block.instrs.size(); ++i)
    instrIds(block.instrs[i], instrPlace(b, i), i + 1 == block.instrs.size());
}

void BodyVerifier::existing(ValueId v, const VerifyPlace& place) {
  if (v.index() >= body_.values.size()) error(Invariant::Ids, place, "a value named here does not exist");
}

void BodyVerifier::callIds(const BlockCall& call, const VerifyPlace& place) {
  if (call.block.index() >= body_.blocks.size())
    return error(Invariant::Ids, place, "a block named here does not exist");
  if (call.block.index() == 0) error(Invariant::EntryBlock, place, "the entry block cannot be a target or handler");
  for (ValueId v : call.args) existing(v, place);
}

void BodyVerifier::instrIds(const Instr& instr, const VerifyPlace& place, bool isLast) {
  if (instr.op >= Opcode::kCount) return error(Invariant::Ids, place, "unknown opcode");
  const OpInfo& info = instr.info();
  if (instr.loc.file >= module_.files.size())
    error(Invariant::Locations, place, "the file of a location does not exist");
  if (info.has(kTerminator) != isLast)
    error(Invariant::Terminators, place,
          isLast ? fmt::format("the block ends with '{}', which is not a terminator", info.mnemonic)
                 : fmt::format("'{}' ends a block, but instructions follow", info.mnemonic));
  for (ValueId v : instr.operands) existing(v, place);
  if (instr.result.valid()) existing(instr.result, place);
  for (const BlockCall& target : instr.targets) callIds(target, place);
  if (info.suffix != Suffix::None && instr.type.index() >= module_.types.size())
    error(Invariant::Ids, place, "the type named here does not exist");
  if (!symbolExists(instr))
    error(Invariant::Ids, place, fmt::format("the symbol of '{}' does not exist", info.mnemonic));
  bool optimisedOnly = info.has(kMarker) || instr.flags != 0 || instr.frameState.valid();
  if (optimisedOnly && !optimised_)
    error(Invariant::StoredForm, place, "markers, flags and frame states stand only in optimised functions");
  if (instr.frameState.valid() && instr.frameState.index() >= body_.frameStates.size())
    error(Invariant::Ids, place, "the frame state named here does not exist");
}

bool BodyVerifier::symbolExists(const Instr& instr) const {
  const SymbolRef& symbol = instr.symbol;
  bool ownerOk = symbol.owner.index() < module_.classes.size();
  switch (instr.info().symbol) {
    case Symbol::None:
      return true;
    case Symbol::Type:
      return symbol.type.index() < module_.types.size();
    case Symbol::Class:
      return ownerOk;
    case Symbol::Field:
      return ownerOk && symbol.member < module_[symbol.owner].fields.size();
    case Symbol::Static:
      return ownerOk && symbol.member < module_[symbol.owner].statics.size();
    case Symbol::Method:
      return ownerOk && symbol.member < module_[symbol.owner].methods.size();
    case Symbol::Function:
      return symbol.member < module_.functions.size();
    case Symbol::Native:
      return symbol.member < module_.natives.size();
    case Symbol::Bytes:
      return symbol.member < module_.byteLiterals.size();
  }
  return false;
}

void BodyVerifier::stateIds() {
  if (!body_.frameStates.empty() && !optimised_)
    report_.add(Invariant::StoredForm, statePlace(0), decl_.loc, "frame states stand only in optimised functions");
  for (uint32_t s = 0; s < body_.frameStates.size(); ++s) {
    const FrameState& state = body_.frameStates[s];
    if (state.function.index() >= module_.functions.size())
      error(Invariant::Ids, statePlace(s), "the function of a frame state does not exist");
    if (state.outer.valid() && state.outer.index() >= body_.frameStates.size())
      error(Invariant::Ids, statePlace(s), "the outer frame state does not exist");
    auto slotIds = [&](const std::vector<SlotSource>& slots) {
      for (const SlotSource& slot : slots) {
        if (slot.kind > SlotSource::Kind::Virtual) error(Invariant::Ids, statePlace(s), "a slot is of no known kind");
        if (slot.kind == SlotSource::Kind::Value) existing(slot.value, statePlace(s));
      }
    };
    slotIds(state.slots);
    for (const VirtualObject& object : state.virtuals) {
      if (object.cls.index() >= module_.classes.size())
        error(Invariant::Ids, statePlace(s), "the class of a virtual object does not exist");
      slotIds(object.fields);
    }
  }
}

// ---------------------------------------------------------------- values

void BodyVerifier::checkValues() {
  definitions_.assign(body_.values.size(), {});
  forEachBlock([&](BlockId b) {
    const Block& block = body_[b];
    for (ValueId param : block.params) define(param, Value::Kind::Param, b, 0, blockPlace(b));
    for (uint32_t i = 0; i < block.instrs.size(); ++i)
      if (block.instrs[i].result.valid()) define(block.instrs[i].result, Value::Kind::Result, b, i, instrPlace(b, i));
  });
  if (optimised_) return;  // a continuation has the slots of its resume point as parameters
  const std::vector<ValueId>& params = body_.blocks[0].params;
  bool same = params.size() == decl_.params.size();
  for (size_t i = 0; same && i < params.size(); ++i) same = body_[params[i]].type == decl_.params[i];
  if (!same)
    error(Invariant::EntryBlock, functionPlace(),
          fmt::format("the entry block of '@{}' has other parameters than the function", decl_.name));
}

void BodyVerifier::define(ValueId v, Value::Kind kind, BlockId b, uint32_t index, const VerifyPlace& place) {
  Definition& d = definitions_[v.index()];
  const Value& value = body_[v];
  if (d.known) return error(Invariant::Values, place, fmt::format("value {} is defined twice", valueName(v)));
  if (value.kind != kind || value.block != b)
    error(Invariant::Values, place, fmt::format("value {} is not defined where its entry says", valueName(v)));
  d = {true, b, index};
}

// ---------------------------------------------------------------- dominance

void BodyVerifier::checkDominance() {
  Cfg cfg(body_);
  cfg_ = &cfg;
  forEachBlock([&](BlockId b) {
    const Block& block = body_[b];
    if (block.handler)
      for (ValueId v : block.handler->args)
        if (!availableAtStart(v, b)) undominated(v, blockPlace(b), "at the start of the block whose handler takes it");
    for (uint32_t i = 0; i < block.instrs.size(); ++i) {
      const Instr& instr = block.instrs[i];
      VerifyPlace place = instrPlace(b, i);
      auto useAt = [&](ValueId v, const VerifyPlace& where) {
        if (!available(v, b, i)) undominated(v, where, "here");
      };
      for (size_t o = 0; o < instr.operands.size(); ++o) useAt(instr.operands[o], operandPlace(place, o));
      for (size_t t = 0; t < instr.targets.size(); ++t)
        for (ValueId v : instr.targets[t].args) useAt(v, targetPlace(place, t));
      auto use = [&](ValueId v) { useAt(v, place); };
      if (instr.frameState.valid()) checkState(instr, place, use);
    }
  });
  cfg_ = nullptr;
}

bool BodyVerifier::availableAtStart(ValueId v, BlockId b) const {
  if (body_[v].kind == Value::Kind::Const) return true;
  const Definition& d = definitions_[v.index()];
  if (!d.known) return false;
  if (body_[v].kind == Value::Kind::Param) return cfg_->entryDominates(d.block, b);
  return d.block != b && cfg_->exitDominates(d.block, b);
}

bool BodyVerifier::available(ValueId v, BlockId b, uint32_t index) const {
  const Definition& d = definitions_[v.index()];
  if (body_[v].kind == Value::Kind::Result && d.known && d.block == b) return d.index < index;
  return availableAtStart(v, b);
}

void BodyVerifier::undominated(ValueId v, const VerifyPlace& place, std::string_view where) {
  error(Invariant::Dominance, place,
        definitions_[v.index()].known ? fmt::format("value {} is not defined on every path {}", valueName(v), where)
                                      : fmt::format("value {} is never defined", valueName(v)));
}

// ---------------------------------------------------------------- places and names

SourceLoc BodyVerifier::locationOf(const VerifyPlace& place) const {
  SourceLoc loc = decl_.loc;
  if (place.kind == Kind::Block) loc = body_[place.block].loc;
  if (place.kind == Kind::Instr) loc = body_[place.block].instrs[place.index].loc;
  return loc.line ? loc : decl_.loc;
}

void BodyVerifier::error(Invariant invariant, const VerifyPlace& place, std::string message) {
  if (report_.full()) return;
  report_.add(invariant, place, locationOf(place), std::move(message));
}

std::string BodyVerifier::valueName(ValueId v) {
  if (body_[v].kind == Value::Kind::Const)
    return text::literalText(body_[v].constant, module_.types[body_[v].type].kind);
  return "%" + names().value(v);
}

std::string BodyVerifier::blockName(BlockId b) {
  return names().block(b);
}

const text::BodyNames& BodyVerifier::names() {
  if (!names_) names_.emplace(body_);
  return *names_;
}

void checkBody(const Module& module, FunctionId function, const FunctionBody& body, bool allowOptimised,
               Report& report) {
  BodyVerifier verifier(module, function, body, allowOptimised, report);
  verifier.run();
}

void BodyVerifier::run() {
  if (!checkShape()) return;
  size_t before = report_.count();
  checkValues();
  forEachBlock([&](BlockId b) { checkTypes(b); });
  // A value defined twice or an instruction with the wrong operands would only make the rest say it again.
  if (report_.count() == before) checkDominance();
}

}  // namespace jvmc::ir::verify
