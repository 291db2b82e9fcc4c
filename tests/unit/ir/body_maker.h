// Makes small bodies by hand, for tests of the analyses: no checks, no parser, values in the order they are asked for.
#pragma once

#include "ir/module.h"

namespace jvmc::ir::test {

class BodyMaker {
 public:
  FunctionBody body;

  BlockId block() {
    body.blocks.emplace_back();
    return BlockId(uint32_t(body.blocks.size() - 1));
  }
  ValueId param(BlockId b, TypeId type = kI32) {
    ValueId v = value({Value::Kind::Param, type, b, 0, {}});
    body[b].params.push_back(v);
    return v;
  }
  ValueId constant(uint64_t bits, TypeId type = kI32) { return value({Value::Kind::Const, type, {}, bits, {}}); }
  ValueId op(BlockId b, Opcode opcode, std::vector<ValueId> operands, TypeId type = kI32, SymbolRef symbol = {}) {
    ValueId result = value({Value::Kind::Result, type, b, 0, {}});
    Instr& instr = add(b, opcode, std::move(operands), symbol);
    instr.type = type;
    instr.result = result;
    return result;
  }
  Instr& add(BlockId b, Opcode opcode, std::vector<ValueId> operands = {}, SymbolRef symbol = {}) {
    Instr instr;
    instr.op = opcode;
    instr.operands = std::move(operands);
    instr.symbol = symbol;
    body[b].instrs.push_back(std::move(instr));
    return body[b].instrs.back();
  }
  void br(BlockId b, BlockId to, std::vector<ValueId> args = {}) {
    add(b, Opcode::kBr).targets = {{to, std::move(args)}};
  }
  void brIf(BlockId b, ValueId condition, BlockCall yes, BlockCall no) {
    add(b, Opcode::kBrIf, {condition}).targets = {std::move(yes), std::move(no)};
  }
  void ret(BlockId b, std::vector<ValueId> values = {}) { add(b, Opcode::kReturn, std::move(values)); }

 private:
  ValueId value(Value v) {
    body.values.push_back(std::move(v));
    return ValueId(uint32_t(body.values.size() - 1));
  }
};

}  // namespace jvmc::ir::test
