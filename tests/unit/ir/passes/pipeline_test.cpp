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

}  // namespace
}  // namespace jvmc::ir
