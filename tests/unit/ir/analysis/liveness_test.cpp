#include "ir/analysis/liveness.h"

#include <gmock/gmock.h>

#include "tests/unit/ir/body_maker.h"

namespace jvmc::ir {
namespace {

using test::BodyMaker;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(Liveness, AValueIsLiveFromItsDefinitionToItsLastUse) {
  BodyMaker m;
  BlockId b = m.block();
  ValueId x = m.param(b), unused = m.param(b);
  ValueId y = m.op(b, Opcode::kAdd, {x, x});              // 0
  ValueId z = m.op(b, Opcode::kAdd, {y, m.constant(1)});  // 1
  m.ret(b, {z});                                          // 2
  Cfg cfg(m.body);
  Liveness live(m.body, cfg);
  EXPECT_THAT(live.liveIn(b), ElementsAre(x)) << "not " << unused.value;
  EXPECT_THAT(live.slots(pointBefore(0)), ElementsAre(x));
  EXPECT_THAT(live.slots(pointBefore(1)), ElementsAre(y)) << "constants are not slots";
  EXPECT_THAT(live.slots(pointBefore(2)), ElementsAre(z));
}

TEST(Liveness, TheResultOfACallIsNotASlotAfterIt) {
  BodyMaker m;
  BlockId b = m.block();
  ValueId x = m.param(b), y = m.param(b);
  ValueId r = m.op(b, Opcode::kCall, {y});    // 0
  ValueId s = m.op(b, Opcode::kAdd, {r, x});  // 1
  m.ret(b, {s});                              // 2
  Cfg cfg(m.body);
  Liveness live(m.body, cfg);
  EXPECT_THAT(live.slots(pointBefore(0)), ElementsAre(x, y));
  EXPECT_THAT(live.slots(pointAfter(0)), ElementsAre(x)) << "neither the argument nor the result";
}

TEST(Liveness, ALoopKeepsAliveWhatTheNextIterationReads) {
  BodyMaker m;
  BlockId entry = m.block(), loop = m.block(), body = m.block(), done = m.block();
  ValueId n = m.param(entry), step = m.param(entry);
  ValueId i = m.param(loop);
  m.br(entry, loop, {m.constant(0)});                  // 0
  ValueId c = m.op(loop, Opcode::kLt, {i, n});         // 1
  m.brIf(loop, c, {body, {}}, {done, {}});             // 2
  ValueId next = m.op(body, Opcode::kAdd, {i, step});  // 3
  m.br(body, loop, {next});                            // 4
  m.ret(done);                                         // 5
  Cfg cfg(m.body);
  Liveness live(m.body, cfg);
  EXPECT_THAT(live.liveIn(entry), ElementsAre(n, step));
  EXPECT_THAT(live.liveIn(loop), ElementsAre(n, step, i));
  EXPECT_THAT(live.slots(pointBefore(4)), ElementsAre(n, step, next)) << "i is dead, next carries it";
  EXPECT_THAT(live.liveIn(done), IsEmpty());
}

TEST(Liveness, ALoopParameterThatALaterBlockReadsStaysLiveAcrossTheBackEdge) {
  // The outer header's parameter is read in the inner loop while the inner block branches back to the outer header.
  BodyMaker m;
  BlockId entry = m.block(), outer = m.block(), inner = m.block(), done = m.block();
  ValueId c = m.param(entry);
  ValueId p = m.param(outer);
  m.br(entry, outer, {c});
  m.br(outer, inner);
  m.add(inner, Opcode::kSwitch, {c}).targets = {{outer, {c}}, {inner, {}}, {done, {p}}};
  m.param(done);
  m.ret(done);
  Cfg cfg(m.body);
  Liveness live(m.body, cfg);
  EXPECT_THAT(live.liveIn(inner), ElementsAre(c, p));
}

TEST(Liveness, ADeadParameterIsNoSlotButItsArgumentIsAUseOfTheBranch) {
  BodyMaker m;
  BlockId entry = m.block(), end = m.block();
  ValueId x = m.param(entry);
  ValueId dead = m.param(end);
  m.br(entry, end, {x});
  m.ret(end);
  Cfg cfg(m.body);
  Liveness live(m.body, cfg);
  EXPECT_THAT(live.slots(pointBefore(0)), ElementsAre(x));
  EXPECT_THAT(live.liveIn(end), IsEmpty()) << dead.value;
}

TEST(Liveness, WhatTheHandlerNeedsIsLiveThroughoutTheBlock) {
  BodyMaker m;
  BlockId entry = m.block(), tried = m.block(), done = m.block(), handler = m.block();
  ValueId a = m.param(entry), b = m.param(entry), unused = m.param(entry);
  ValueId ex = m.param(handler), k = m.param(handler);
  m.br(entry, tried);  // 0
  m.body[tried].handler = BlockCall{handler, {a}};
  ValueId q = m.op(tried, Opcode::kCall, {a});        // 1
  m.br(tried, done, {});                              // 2
  m.ret(done);                                        // 3
  ValueId sum = m.op(handler, Opcode::kAdd, {k, b});  // 4
  m.ret(handler, {sum});                              // 5
  Cfg cfg(m.body);
  Liveness live(m.body, cfg);
  EXPECT_THAT(live.liveIn(tried), ElementsAre(a, b));
  EXPECT_THAT(live.slots(pointAfter(1)), ElementsAre(a, b)) << "not the result " << q.value;
  EXPECT_THAT(live.slots(pointBefore(2)), ElementsAre(a, b)) << "even where nothing can throw any more";
  EXPECT_THAT(live.liveIn(done), IsEmpty());
  EXPECT_THAT(live.liveIn(handler), ElementsAre(b, k)) << "the exception " << ex.value << " is not read";
  EXPECT_THAT(live.liveIn(entry), ElementsAre(a, b)) << unused.value;
}

TEST(Liveness, SlotsAscendByValueIdAcrossWordBoundaries) {
  BodyMaker m;
  BlockId b = m.block();
  std::vector<ValueId> params;
  for (int i = 0; i < 200; ++i) params.push_back(m.param(b));
  std::vector<ValueId> reversed(params.rbegin(), params.rend());
  m.add(b, Opcode::kCall, reversed);
  m.ret(b);
  Cfg cfg(m.body);
  Liveness live(m.body, cfg);
  EXPECT_EQ(live.slots(pointBefore(0)), params);
}

}  // namespace
}  // namespace jvmc::ir
