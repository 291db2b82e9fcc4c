#include "ir/analysis/cfg.h"

#include <gmock/gmock.h>

#include "tests/unit/ir/body_maker.h"

namespace jvmc::ir {
namespace {

using test::BodyMaker;
using testing::ElementsAre;

TEST(Cfg, DiamondIsDominatedByItsTopOnly) {
  BodyMaker m;
  BlockId top = m.block(), left = m.block(), right = m.block(), bottom = m.block();
  ValueId c = m.param(top);
  m.brIf(top, c, {left, {}}, {right, {}});
  m.br(left, bottom);
  m.br(right, bottom);
  m.ret(bottom);
  Cfg cfg(m.body);
  EXPECT_TRUE(cfg.exitDominates(top, bottom));
  EXPECT_FALSE(cfg.exitDominates(left, bottom));
  EXPECT_FALSE(cfg.entryDominates(right, bottom));
  EXPECT_TRUE(cfg.entryDominates(bottom, bottom));
  EXPECT_THAT(cfg.reversePostOrder(), ElementsAre(top, left, right, bottom));
  EXPECT_THAT(cfg.predecessors(bottom), ElementsAre(left, right));
  EXPECT_TRUE(cfg.loops().empty());
}

TEST(Cfg, ResultsOfAProtectedBlockAreNotAvailableInItsHandlerButItsParametersAre) {
  BodyMaker m;
  BlockId entry = m.block(), protectedBlock = m.block(), handler = m.block(), after = m.block();
  m.br(entry, protectedBlock);
  m.body[protectedBlock].handler = BlockCall{handler, {}};
  m.br(protectedBlock, after);
  m.ret(handler);
  m.ret(after);
  Cfg cfg(m.body);
  EXPECT_TRUE(cfg.entryDominates(protectedBlock, handler));
  EXPECT_FALSE(cfg.exitDominates(protectedBlock, handler));
  EXPECT_TRUE(cfg.exitDominates(protectedBlock, after));
  EXPECT_TRUE(cfg.exitDominates(entry, handler));
  EXPECT_THAT(cfg.predecessors(handler), ElementsAre(protectedBlock));
  EXPECT_EQ(cfg.handler(protectedBlock), handler);
}

TEST(Cfg, NestedLoopsComeOuterFirstAndKnowTheirParent) {
  BodyMaker m;
  BlockId entry = m.block(), outer = m.block(), inner = m.block(), latch = m.block(), exit = m.block();
  ValueId c = m.param(entry);
  m.br(entry, outer);
  m.brIf(outer, c, {inner, {}}, {exit, {}});
  m.brIf(inner, c, {inner, {}}, {latch, {}});
  m.br(latch, outer);
  m.ret(exit);
  Cfg cfg(m.body);
  ASSERT_EQ(cfg.loops().size(), 2u);
  EXPECT_EQ(cfg.loops()[0].header, outer);
  EXPECT_THAT(cfg.loops()[0].blocks, ElementsAre(outer, inner, latch));
  EXPECT_EQ(cfg.loops()[1].header, inner);
  EXPECT_THAT(cfg.loops()[1].blocks, ElementsAre(inner));
  EXPECT_EQ(cfg.loops()[1].parent, 0);
  EXPECT_EQ(cfg.loops()[1].depth, 2u);
  EXPECT_EQ(cfg.loopOf(latch), 0);
  EXPECT_EQ(cfg.loopOf(inner), 1);
  EXPECT_EQ(cfg.loopOf(exit), -1);
  EXPECT_TRUE(cfg.isBackEdge(latch, outer));
  EXPECT_TRUE(cfg.isBackEdge(inner, inner));
  EXPECT_FALSE(cfg.isBackEdge(outer, inner));
  EXPECT_TRUE(cfg.irreducible().empty());
}

TEST(Cfg, ACycleWithTwoEntriesIsReportedAsIrreducible) {
  BodyMaker m;
  BlockId entry = m.block(), a = m.block(), b = m.block();
  ValueId c = m.param(entry);
  m.brIf(entry, c, {a, {}}, {b, {}});
  m.br(a, b);
  m.br(b, a);
  Cfg cfg(m.body);
  EXPECT_TRUE(cfg.loops().empty());
  EXPECT_EQ(cfg.irreducible().size(), 1u);
  EXPECT_TRUE(cfg.isBackEdge(a, b) != cfg.isBackEdge(b, a));
}

TEST(Cfg, AHandlerThatRetriesMakesALoop) {
  BodyMaker m;
  BlockId entry = m.block(), attempt = m.block(), handler = m.block(), done = m.block();
  m.br(entry, attempt);
  m.body[attempt].handler = BlockCall{handler, {}};
  m.br(attempt, done);
  m.br(handler, attempt);
  m.ret(done);
  Cfg cfg(m.body);
  ASSERT_EQ(cfg.loops().size(), 1u);
  EXPECT_EQ(cfg.loops()[0].header, attempt);
  EXPECT_THAT(cfg.loops()[0].blocks, ElementsAre(attempt, handler));
}

TEST(Cfg, UnreachableBlocksAreNamedAndHarmless) {
  BodyMaker m;
  BlockId entry = m.block(), dead = m.block(), end = m.block();
  m.br(entry, end);
  m.br(dead, end);
  m.ret(end);
  Cfg cfg(m.body);
  EXPECT_FALSE(cfg.reachable(dead));
  EXPECT_TRUE(cfg.exitDominates(entry, end));
  EXPECT_TRUE(cfg.exitDominates(entry, dead));
  EXPECT_FALSE(cfg.exitDominates(dead, end));
}

TEST(Cfg, FlatIndexesRunThroughTheBlocksInOrder) {
  BodyMaker m;
  BlockId a = m.block(), b = m.block();
  ValueId p = m.param(a);
  m.op(a, Opcode::kAdd, {p, p});
  m.br(a, b);
  m.op(b, Opcode::kAdd, {p, p});
  m.ret(b);
  Cfg cfg(m.body);
  EXPECT_EQ(cfg.instrCount(), 4u);
  EXPECT_EQ(cfg.firstInstr(b), 2u);
  EXPECT_EQ(cfg.position(1).block, a);
  EXPECT_EQ(cfg.position(1).index, 1u);
  EXPECT_EQ(cfg.position(3).block, b);
  EXPECT_EQ(cfg.position(3).index, 1u);
}

TEST(Cfg, AChainOfManyBlocksNeedsNoDeepStack) {
  BodyMaker m;
  constexpr uint32_t kBlocks = 200'000;
  for (uint32_t i = 0; i < kBlocks; ++i) m.block();
  for (uint32_t i = 0; i + 1 < kBlocks; ++i) m.br(BlockId(i), BlockId(i + 1));
  m.ret(BlockId(kBlocks - 1));
  Cfg cfg(m.body);
  EXPECT_TRUE(cfg.exitDominates(BlockId(0), BlockId(kBlocks - 1)));
}

}  // namespace
}  // namespace jvmc::ir
