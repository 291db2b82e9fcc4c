#include "ir/passes/pipeline.h"

#include <gmock/gmock.h>

#include "ir/analysis/cfg.h"
#include "tests/unit/ir/body_maker.h"

namespace jvmc::ir {
namespace {

using test::BodyMaker;

/// `func @sum(n: i32) -> i32`: adds 0 .. n-1. Value ids: n 0, i 1, s 2.
FunctionId addSum(Module& module) {
  BodyMaker m;
  BlockId entry = m.block(), loop = m.block(), body = m.block(), done = m.block();
  ValueId n = m.param(entry), i = m.param(loop), s = m.param(loop);
  m.br(entry, loop, {m.constant(0), m.constant(0)});  // 0
  ValueId c = m.op(loop, Opcode::kLt, {i, n});        // 1
  m.brIf(loop, c, {body, {}}, {done, {}});            // 2
  ValueId s2 = m.op(body, Opcode::kAdd, {s, i});      // 3
  ValueId i2 = m.op(body, Opcode::kAdd, {i, m.constant(1)});
  m.br(body, loop, {i2, s2});
  m.ret(done, {s});
  FunctionId f = module.addFunction({"sum", {kI32}, kI32, {}});
  module.setBody(f, std::move(m.body));
  return f;
}

const Instr* findOp(const FunctionBody& body, Opcode op) {
  for (const Block& block : body.blocks)
    for (const Instr& instr : block.instrs)
      if (instr.op == op) return &instr;
  return nullptr;
}

TEST(Pipeline, ALoopPollsOnItsBackEdgeWithTheValuesOfThatEdge) {
  Module module;
  FunctionId f = addSum(module);
  CallGraph calls(module);
  auto body = runPipeline(module, calls, f, {.passes = std::vector<std::string>{}});
  ASSERT_TRUE(body.ok());
  const Instr* poll = findOp(*body, Opcode::kPoll);
  ASSERT_NE(poll, nullptr);
  const FrameState& state = body->frameStates[poll->frameState.index()];
  EXPECT_EQ(state.function, f);
  EXPECT_EQ(state.resumePoint, pointBefore(1));
  ASSERT_EQ(state.slots.size(), 3u) << "n, i, s";
  EXPECT_EQ((*body)[state.slots[0].value].block, BlockId(0)) << "n is the function's parameter";
}

TEST(Pipeline, AContinuationAtALoopHeaderTakesTheSlotsAndEntersTheLoop) {
  Module module;
  FunctionId f = addSum(module);
  CallGraph calls(module);
  auto body = runContinuationPipeline(module, calls, f, pointBefore(1), {.passes = std::vector<std::string>{}});
  ASSERT_TRUE(body.ok());
  EXPECT_EQ(body->blocks[0].params.size(), 3u);
  ASSERT_EQ(body->blocks[0].instrs.size(), 1u) << "no poll, no copy of the iteration";
  EXPECT_EQ(body->blocks[0].instrs[0].op, Opcode::kBr);
  EXPECT_EQ(body->blocks.size(), 5u);
}

TEST(Pipeline, AContinuationInTheMiddleOfALoopCopiesTheRestOfTheIterationOnly) {
  Module module;
  FunctionId f = addSum(module);
  CallGraph calls(module);
  auto body = runContinuationPipeline(module, calls, f, pointBefore(4), {.passes = std::vector<std::string>{}});
  ASSERT_TRUE(body.ok());
  Cfg cfg(*body);
  EXPECT_TRUE(cfg.irreducible().empty());
  ASSERT_EQ(cfg.loops().size(), 1u);
}

TEST(Pipeline, AnUnknownPassIsAnError) {
  Module module;
  FunctionId f = addSum(module);
  CallGraph calls(module);
  auto body = runPipeline(module, calls, f, {.passes = std::vector<std::string>{"no_such_pass"}});
  ASSERT_FALSE(body.ok());
  EXPECT_THAT(body.error().message, testing::HasSubstr("no_such_pass"));
}

TEST(Pipeline, CoherenceChecksReachOnlyCheckedCode) {
  Module module;
  BodyMaker m;
  BlockId entry = m.block();
  TypeId array = module.types.array(kI32);
  ValueId a = m.param(entry, array);
  SymbolRef symbol;
  ValueId v = m.op(entry, Opcode::kLoadElem, {a, m.constant(0)}, kI32, symbol);
  m.ret(entry, {v});
  FunctionId f = module.addFunction({"first", {array}, kI32, {}});
  module.setBody(f, std::move(m.body));
  CallGraph calls(module);
  auto plain = runPipeline(module, calls, f, {});
  auto checked = runPipeline(module, calls, f, {.checked = true});
  ASSERT_TRUE(plain.ok() && checked.ok());
  EXPECT_EQ(findOp(*plain, Opcode::kCheckElemRead), nullptr);
  const Instr* check = findOp(*checked, Opcode::kCheckElemRead);
  ASSERT_NE(check, nullptr);
  EXPECT_EQ(findOp(*checked, Opcode::kLoadElem)->operands[0], check->result);
  EXPECT_EQ(check->operands[2], findOp(*checked, Opcode::kCoherenceToken)->result);
}

/// `func @swap(a: array(i32), i: i32)`: loads a[i], polls perhaps, and stores it again; checked. How many checks of
/// each kind there are.
struct Checks {
  int reads = 0, writes = 0;
  bool operator==(const Checks&) const = default;
};
Checks checksOf(bool polls, bool isFresh, bool writesElsewhere = false) {
  Module module;
  BodyMaker m;
  BlockId entry = m.block();
  TypeId array = module.types.array(kI32);
  ValueId a = m.param(entry, array), i = m.param(entry);
  SymbolRef element;
  element.type = kI32;
  if (isFresh) a = m.op(entry, Opcode::kNewArray, {i}, array, element);
  ValueId v = m.op(entry, Opcode::kLoadElem, {a, i}, kI32, {});
  if (polls) m.add(entry, Opcode::kThreadYield);
  m.add(entry, Opcode::kStoreElem, {a, writesElsewhere ? v : i, v});
  m.ret(entry, {v});
  FunctionId f = module.addFunction({"swap", {array, kI32}, kI32, {}});
  module.setBody(f, std::move(m.body));
  CallGraph calls(module);
  auto body = runPipeline(module, calls, f, {.checked = true});
  EXPECT_TRUE(body.ok());
  Checks checks;
  for (const Block& block : body->blocks) {
    for (const Instr& instr : block.instrs) {
      checks.reads += instr.op == Opcode::kCheckElemRead;
      checks.writes += instr.op == Opcode::kCheckElemWrite;
    }
  }
  return checks;
}

TEST(Pipeline, AnObjectIsCheckedOnceUntilTheThreadMayAcquire) {
  EXPECT_EQ(checksOf(false, false), (Checks{0, 1})) << "the check for writing does for the read before it";
  EXPECT_EQ(checksOf(true, false), (Checks{1, 1}));
  EXPECT_EQ(checksOf(false, false, true), (Checks{1, 1})) << "another element";
}

TEST(Pipeline, WhatHasJustBeenMadeIsAtHome) {
  EXPECT_EQ(checksOf(false, true), (Checks{0, 0}));
  EXPECT_EQ(checksOf(true, true), (Checks{0, 1}));
}

/// Whether the load is marked in `while (cell.flag != n) { hint; <more> }`, with a volatile flag.
enum class Also : uint8_t { Nothing, Counts, Stores, ReadsAnotherOne };
bool awaitsChange(Also also, bool isVolatile = true) {
  Module module;
  ClassDecl cell;
  cell.name = "Cell";
  cell.fields = {{"flag", kI32, false, isVolatile, {}}, {"other", kI32, false, false, {}}};
  const ClassId owner = module.addClass(std::move(cell));
  const auto field = [&](uint32_t member) {
    SymbolRef symbol;
    symbol.owner = owner;
    symbol.member = member;
    return symbol;
  };
  BodyMaker m;
  const BlockId entry = m.block(), loop = m.block(), rest = m.block(), done = m.block();
  const TypeId ref = module.types.ref(owner);
  const ValueId object = m.param(entry, ref), n = m.param(entry), i = m.param(loop);
  m.br(entry, loop, {m.constant(0)});
  const ValueId flag = m.op(loop, Opcode::kLoadField, {object}, kI32, field(0));
  const ValueId same = m.op(loop, Opcode::kEq, {flag, also == Also::Counts ? i : n});
  m.brIf(loop, same, {done, {}}, {rest, {}});
  m.add(rest, Opcode::kSpinHint);
  if (also == Also::Stores) m.add(rest, Opcode::kStoreField, {object, n}, field(1));
  if (also == Also::ReadsAnotherOne) m.op(rest, Opcode::kLoadField, {object}, kI32, field(1));
  const ValueId next = m.op(rest, Opcode::kAdd, {i, m.constant(1)});
  m.br(rest, loop, {also == Also::Counts ? next : i});
  m.ret(done, {flag});
  const FunctionId f = module.addFunction({"await", {ref, kI32}, kI32, {}});
  module.setBody(f, std::move(m.body));
  const CallGraph calls(module);
  const auto body = runPipeline(module, calls, f, {.checked = true});
  EXPECT_TRUE(body.ok());
  for (const Block& block : body->blocks)
    for (const Instr& instr : block.instrs)
      if (instr.flags & kAwaitsChange) return true;
  return false;
}

TEST(Pipeline, ALoadIsMarkedIfItsLoopOnlyWaits) {
  EXPECT_TRUE(awaitsChange(Also::Nothing));
  EXPECT_FALSE(awaitsChange(Also::Nothing, false)) << "a plain field is read again when the thread acquires";
}

TEST(Pipeline, ALoadIsNotMarkedIfItsLoopGetsOnWithSomething) {
  EXPECT_FALSE(awaitsChange(Also::Counts));
  EXPECT_FALSE(awaitsChange(Also::Stores));
  EXPECT_FALSE(awaitsChange(Also::ReadsAnotherOne)) << "the other one may be what ends the loop";
}

}  // namespace
}  // namespace jvmc::ir
