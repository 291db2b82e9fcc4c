#include "ir/passes/edit.h"

#include <iterator>

namespace jvmc::ir {

BodyEditor::BodyEditor(FunctionBody& b) : body(b) {
  for (uint32_t i = 0; i < body.values.size(); ++i) {
    const Value& v = body.values[i];
    if (v.kind == Value::Kind::Const) constants_.try_emplace({v.type, v.constant}, ValueId(i));
  }
}

ValueId BodyEditor::constant(TypeId type, uint64_t bits) {
  auto [it, isNew] = constants_.try_emplace({type, bits}, ValueId(uint32_t(body.values.size())));
  if (isNew) body.values.push_back({Value::Kind::Const, type, {}, bits, {}});
  return it->second;
}

ValueId BodyEditor::addParam(BlockId block, TypeId type, std::string name) {
  ValueId v(uint32_t(body.values.size()));
  body.values.push_back({Value::Kind::Param, type, block, 0, std::move(name)});
  body[block].params.push_back(v);
  return v;
}

BlockId BodyEditor::addBlock(std::string name, SourceLoc loc) {
  Block block;
  block.name = std::move(name);
  block.loc = loc;
  body.blocks.push_back(std::move(block));
  return BlockId(uint32_t(body.blocks.size() - 1));
}

ValueId BodyEditor::copyOf(ValueId v, BlockId block) {
  Value copy = body[v];
  copy.block = block;
  body.values.push_back(std::move(copy));
  return ValueId(uint32_t(body.values.size() - 1));
}

Instr BodyEditor::make(BlockId block, Opcode op, std::vector<ValueId> operands, TypeId suffix, TypeId resultType,
                       SourceLoc loc) {
  Instr instr;
  instr.op = op;
  instr.type = suffix;
  instr.operands = std::move(operands);
  instr.loc = loc;
  if (resultType != kVoid) {
    instr.result = ValueId(uint32_t(body.values.size()));
    body.values.push_back({Value::Kind::Result, resultType, block, 0, {}});
  }
  return instr;
}

FrameStateId BodyEditor::addState(FrameState state) {
  body.frameStates.push_back(std::move(state));
  return FrameStateId(uint32_t(body.frameStates.size() - 1));
}

BlockId splitBlockAfter(BodyEditor& editor, BlockId block, uint32_t index) {
  FunctionBody& body = editor.body;
  BlockId rest = editor.addBlock(body[block].name + "_rest", body[block].instrs[index].loc);
  Block& from = body[block];
  Block& to = body[rest];
  to.handler = from.handler;
  auto call = from.instrs.begin() + index;
  if (call->result.valid()) to.params.push_back(call->result);
  to.instrs.assign(std::make_move_iterator(call + 1), std::make_move_iterator(from.instrs.end()));
  from.instrs.erase(call, from.instrs.end());
  return rest;
}

}  // namespace jvmc::ir
