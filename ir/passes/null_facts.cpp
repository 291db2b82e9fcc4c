#include "ir/passes/null_facts.h"

#include "ir/support/fault.h"

namespace jvmc::ir {

bool checksFirstOperand(Opcode op) {
  switch (op) {
    case Opcode::kLoadField:
    case Opcode::kStoreField:
    case Opcode::kArrayLength:
    case Opcode::kLoadElem:
    case Opcode::kStoreElem:
    case Opcode::kCallVirtual:
    case Opcode::kCallInterface:
      return true;
    default:
      return false;
  }
}

NullFacts::NullFacts(const FunctionBody& body, const Cfg& cfg)
    : body_(body),
      cfg_(cfg),
      definitions_(body),
      words_((body.values.size() + 63) / 64),
      in_(body.blocks.size(), Set(words_, ~uint64_t(0))) {
  in_[0].assign(words_, 0);
  solve();
}

void NullFacts::put(Set& set, ValueId v, bool known) {
  uint64_t bit = uint64_t(1) << (v.index() % 64);
  uint64_t& word = set[v.index() / 64];
  word = known ? word | bit : word & ~bit;
}

void NullFacts::transfer(const Instr& instr, Set& known) const {
  if (checksFirstOperand(instr.op)) put(known, instr.operands[0], true);
  if (!instr.result.valid()) return;
  switch (instr.op) {
    case Opcode::kNew:
    case Opcode::kNewArray:
    case Opcode::kNewBytes:
    case Opcode::kThreadCurrent:
      return put(known, instr.result, true);
    case Opcode::kCheckCast:
    case Opcode::kCheckRead:
    case Opcode::kCheckWrite:
    case Opcode::kCheckRangeRead:
    case Opcode::kCheckRangeWrite:
    case Opcode::kCheckElemRead:
    case Opcode::kCheckElemWrite:
      return put(known, instr.result, has(known, instr.operands[0]));
    case Opcode::kSelect:
      return put(known, instr.result, has(known, instr.operands[1]) && has(known, instr.operands[2]));
    default:
      return put(known, instr.result, false);
  }
}

// What taking this target of a br_if says about a reference.
void NullFacts::addTest(const Instr& branch, size_t target, Set& known) const {
  if (branch.op != Opcode::kBrIf) return;
  const Instr* test = definitions_[branch.operands[0]];
  if (!test) return;
  if (test->op == Opcode::kInstanceOf && target == 0) return put(known, test->operands[0], true);
  bool taken = (target == 0) != JVMC_FAULT("null-check-elided-on-the-wrong-side");
  if (test->op != (taken ? Opcode::kRefNe : Opcode::kRefEq)) return;
  for (size_t side = 0; side < 2; ++side)
    if (body_[test->operands[side]].kind == Value::Kind::Const) put(known, test->operands[1 - side], true);
}

bool NullFacts::meetInto(BlockId target, const BlockCall& call, bool isHandler, const Set& known) {
  Set next = known;
  const auto& params = body_[target].params;
  size_t first = isHandler ? 1 : 0;
  std::vector<bool> passed;
  for (ValueId arg : call.args) passed.push_back(has(known, arg));
  if (isHandler) put(next, params[0], true);  // what was thrown
  for (size_t i = 0; i < passed.size(); ++i) put(next, params[first + i], passed[i]);
  bool changed = false;
  Set& in = in_[target.index()];
  for (size_t w = 0; w < words_; ++w) {
    uint64_t met = in[w] & next[w];
    changed = changed || met != in[w];
    in[w] = met;
  }
  return changed;
}

void NullFacts::solve() {
  for (bool changed = true; changed;) {
    changed = false;
    for (BlockId b : cfg_.reversePostOrder()) {
      const Block& block = body_[b];
      if (block.handler) changed = meetInto(block.handler->block, *block.handler, true, in_[b.index()]) || changed;
      Set known = in_[b.index()];
      for (const Instr& instr : block.instrs) transfer(instr, known);
      const Instr& last = block.instrs.back();
      for (size_t t = 0; t < last.targets.size(); ++t) {
        Set onEdge = known;
        if (last.targets[0].block != last.targets.back().block) addTest(last, t, onEdge);
        changed = meetInto(last.targets[t].block, last.targets[t], false, onEdge) || changed;
      }
    }
  }
}

bool NullFacts::nonNullAtEnd(BlockId block, ValueId v) const {
  Set known = in_[block.index()];
  for (const Instr& instr : body_[block].instrs) transfer(instr, known);
  return has(known, v);
}

}  // namespace jvmc::ir
