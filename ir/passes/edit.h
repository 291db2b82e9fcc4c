// Small tools for changing a body.
#pragma once

#include <map>

#include "ir/analysis/cfg.h"
#include "ir/module.h"

namespace jvmc::ir {

/// Makes new values, blocks and states of one body. Holds an index of its constants; one per pass run.
class BodyEditor {
 public:
  explicit BodyEditor(FunctionBody& body);

  FunctionBody& body;

  ValueId constant(TypeId type, uint64_t bits);
  ValueId addParam(BlockId block, TypeId type, std::string name = {});
  BlockId addBlock(std::string name, SourceLoc loc);
  /// A new value like `v`, defined in `block` by whoever puts it there.
  ValueId copyOf(ValueId v, BlockId block);
  /// An instruction whose result has `resultType` (kVoid: no result), to be put into `block`.
  Instr make(BlockId block, Opcode op, std::vector<ValueId> operands, TypeId suffix, TypeId resultType, SourceLoc loc);
  FrameStateId addState(FrameState state);

 private:
  std::map<std::pair<TypeId, uint64_t>, ValueId> constants_;
};

/// Takes the call at `index` out of `block` and puts what follows it into a new block, whose parameter is the call's
/// result (if any) and whose handler is the same. `block` has no terminator then. Gives the new block.
BlockId splitBlockAfter(BodyEditor& editor, BlockId block, uint32_t index);

inline Instr branchTo(BlockId to, std::vector<ValueId> args, SourceLoc loc) {
  Instr br;
  br.op = Opcode::kBr;
  br.targets.push_back({to, std::move(args)});
  br.loc = loc;
  return br;
}

inline Instr branchIf(ValueId condition, BlockCall yes, BlockCall no, SourceLoc loc) {
  Instr br;
  br.op = Opcode::kBrIf;
  br.operands.push_back(condition);
  br.targets.push_back(std::move(yes));
  br.targets.push_back(std::move(no));
  br.loc = loc;
  return br;
}

/// Applies `map(ValueId) -> ValueId` to what the instruction reads, its state not included.
template <class Map>
void mapUses(Instr& instr, Map map) {
  for (ValueId& v : instr.operands) v = map(v);
  for (BlockCall& target : instr.targets)
    for (ValueId& v : target.args) v = map(v);
}

/// Applies `map` to the values of one state, not of its outer ones.
template <class Map>
void mapStateValues(FrameState& state, Map map) {
  auto mapAll = [&](std::vector<SlotSource>& sources) {
    for (SlotSource& s : sources)
      if (s.kind == SlotSource::Kind::Value) s.value = map(s.value);
  };
  mapAll(state.slots);
  for (VirtualObject& object : state.virtuals) mapAll(object.fields);
}

/// The chain `id` with its values mapped: the same id if nothing changes, else a copy of what changes.
template <class Map>
FrameStateId mapState(FunctionBody& body, FrameStateId id, Map map) {
  if (!id.valid()) return id;
  FrameStateId outer = mapState(body, body.frameStates[id.index()].outer, map);
  bool changed = outer != body.frameStates[id.index()].outer;
  FrameState copy = body.frameStates[id.index()];
  copy.outer = outer;
  mapStateValues(copy, [&](ValueId v) {
    ValueId mapped = map(v);
    changed = changed || mapped != v;
    return mapped;
  });
  if (!changed) return id;
  body.frameStates.push_back(std::move(copy));
  return FrameStateId(uint32_t(body.frameStates.size() - 1));
}

/// Applies `map` to every use in the body: operands, arguments, handler arguments, states.
template <class Map>
void mapAllUses(FunctionBody& body, Map map) {
  for (Block& block : body.blocks) {
    for (Instr& instr : block.instrs) mapUses(instr, map);
    if (block.handler)
      for (ValueId& v : block.handler->args) v = map(v);
  }
  for (FrameState& state : body.frameStates) mapStateValues(state, map);
}

/// Calls `visit(BlockCall&)` for each edge into a block: branch targets and handlers. Of a handler edge the arguments
/// belong to the parameters after the first.
template <class Visit>
void forEachEdge(FunctionBody& body, Visit visit) {
  for (Block& block : body.blocks) {
    if (block.handler) visit(*block.handler, true);
    if (block.instrs.empty()) continue;
    for (BlockCall& target : block.instrs.back().targets) visit(target, false);
  }
}

}  // namespace jvmc::ir
