// Broken peers: mutated requests to a home and mutated replies to a fetch. Whatever comes, the node answers or ends its
// program with an error; it never crashes, and memory outside the objects concerned stays as it was. (Run under ASan
// and UBSan in the preset `dev`.)
#include "ir/support/prng.h"
#include "tests/unit/cluster/objects/lone_node.h"

namespace jvmc::cluster {
namespace {

using namespace test;

class CountingResponder final : public Responder {
 public:
  void reply(Bytes payload) override {
    ++answers;
    done = !payload.empty() && payload[0] == uint8_t(ReplyStatus::Done);
  }
  void fail(Error) override { ++answers; }
  int answers = 0;
  bool done = false;
};

Bytes flushMessage(const CopyUnit& unit, uint32_t offset, Bytes data, const rt::SyncRequest* request = nullptr) {
  ByteWriter out;
  out.put(uint8_t(ObjectMessage::Flush));
  out.put(uint32_t(1));
  putUnit(out, unit);
  out.put(uint32_t(1));
  out.put(offset);
  out.putBytes(data);
  out.put(request != nullptr);
  if (request) putSync(out, *request);
  return out.take();
}

Bytes refreshReply(RefreshOutcome outcome) {
  return {uint8_t(ReplyStatus::Done), uint8_t(outcome)};
}

Bytes refreshReply(uint32_t cls, uint32_t length, size_t dataBytes) {
  Bytes reply = fetchReply(cls, length, dataBytes);
  reply.resize(reply.size() - sizeof(uint32_t));  // no neighbours
  reply.insert(reply.begin() + 1, uint8_t(RefreshOutcome::Changed));
  return reply;
}

Bytes refreshMessage(const CopyUnit& unit, uint64_t hash) {
  ByteWriter out;
  out.put(uint8_t(ObjectMessage::Refresh));
  out.put(uint64_t(7));
  out.put(uint32_t(1));
  putUnit(out, unit);
  out.put(hash);
  return out.take();
}

bool accepted(LoneNode& node, const Bytes& message) {
  const auto responder = std::make_shared<CountingResponder>();
  node.home.handle(NodeId(1), message, responder);
  EXPECT_EQ(responder->answers, 1) << "a request must be answered once";
  return responder->done;
}

Bytes mutated(Bytes message, Prng& random) {
  for (uint64_t flips = random.below(5); flips > 0; --flips) {
    // Small and large values alike: lengths and counts are the interesting fields.
    const uint8_t value = random.below(2) != 0 ? uint8_t(random.next()) : uint8_t(random.below(4));
    message[random.below(message.size())] = value;
  }
  if (random.below(4) == 0) message.resize(random.below(message.size() + 1));
  if (random.below(16) == 0) message.resize(message.size() + random.below(32), 0xFF);
  return message;
}

TEST(UntrustedMessagesTest, AHomeAcceptsSoundRequests) {
  LoneNode node;
  EXPECT_TRUE(accepted(node, encodeFetch(LoneNode::local(kInstance), true)));
  EXPECT_TRUE(accepted(node, flushMessage(LoneNode::local(kByteArray), rt::kArrayElementsOffset + 3, {7, 8, 9})));
  EXPECT_EQ(rt::loadGuest<uint8_t>(LoneNode::local(kByteArray) + rt::kArrayElementsOffset + 4), 8);
}

TEST(UntrustedMessagesTest, AHomeRefusesWritesThatAreNotWholeFieldsOfTheObject) {
  LoneNode node;
  const ObjectRef instance = LoneNode::local(kInstance), bytes = LoneNode::local(kByteArray);
  EXPECT_FALSE(accepted(node, flushMessage(instance, 0, Bytes(8, 1)))) << "the header";
  EXPECT_FALSE(accepted(node, flushMessage(instance, 24, Bytes(4, 1)))) << "half a field";
  EXPECT_FALSE(accepted(node, flushMessage(instance, 40, Bytes(9, 1)))) << "beyond the end";
  EXPECT_FALSE(accepted(node, flushMessage(instance, 0xFFFF'FFF8, Bytes(8, 1))));
  EXPECT_FALSE(accepted(node, flushMessage(instance, 24, {}))) << "nothing";
  EXPECT_FALSE(accepted(node, flushMessage(bytes, rt::kArrayLengthOffset, Bytes(4, 1)))) << "an array's length";
  EXPECT_FALSE(accepted(node, flushMessage(instance, 16, Bytes(8, 1)))) << "not a reference";
  EXPECT_FALSE(accepted(node, flushMessage(LoneNode::foreign(kInstance), 24, Bytes(8, 1)))) << "not homed here";
  EXPECT_FALSE(accepted(node, encodeFetch(instance + 4, true)));
  EXPECT_FALSE(accepted(node, encodeFetch(0, true)));
  EXPECT_FALSE(accepted(node, encodeFetch(kPlan.end(), false)));
}

TEST(UntrustedMessagesTest, AHomeRefusesAtomicsThatMissTheirField) {
  LoneNode node;
  rt::SyncRequest request{};
  request.op = rt::SyncOp::Atomic;
  request.object = LoneNode::local(kInstance);
  request.offset = 24;
  request.sizeLog2 = 3;
  EXPECT_TRUE(accepted(node, encodeSync(request)));
  for (uint32_t offset : {0u, 8u, 20u, 48u, 1000u, 0xFFFF'FFF8u}) {
    request.offset = offset;
    EXPECT_FALSE(accepted(node, encodeSync(request))) << offset;
  }
  request.offset = 16;
  EXPECT_FALSE(accepted(node, encodeSync(request))) << "a reference handled as a number";
  request.isReference = true;
  EXPECT_TRUE(accepted(node, encodeSync(request)));
  request.a = 12345;
  EXPECT_FALSE(accepted(node, encodeSync(request))) << "no reference";
  EXPECT_EQ(node.carriedOut, 2);
}

TEST(UntrustedMessagesTest, WhatComesWithWritesIsCarriedOutIfItMakesSenseAndTheyAreHome) {
  LoneNode node;
  rt::SyncRequest request{};
  request.op = rt::SyncOp::MonitorExit;
  request.object = LoneNode::local(kInstance);
  EXPECT_TRUE(accepted(node, flushMessage(request.object, 24, Bytes(8, 1), &request)));
  EXPECT_EQ(node.carriedOut, 1);
  EXPECT_FALSE(accepted(node, flushMessage(request.object, 16, Bytes(8, 1), &request))) << "a write that is refused";
  request.object = LoneNode::foreign(kInstance);
  EXPECT_FALSE(accepted(node, flushMessage(LoneNode::local(kInstance), 24, Bytes(8, 1), &request))) << "not homed here";
  Bytes cut = flushMessage(LoneNode::local(kInstance), 24, Bytes(8, 1), &request);
  cut.pop_back();
  EXPECT_FALSE(accepted(node, cut));
  EXPECT_EQ(node.carriedOut, 1);
}

TEST(UntrustedMessagesTest, MutatedRequestsTouchNothingElse) {
  LoneNode node;
  rt::SyncRequest sync{};
  sync.op = rt::SyncOp::Atomic;
  sync.object = LoneNode::local(kInstance);
  sync.offset = 24;
  sync.sizeLog2 = 3;
  const Bytes seeds[] = {encodeFetch(LoneNode::local(kByteArray), true),
                         flushMessage(LoneNode::local(kInstance), 24, Bytes(8, 1)),
                         flushMessage(LoneNode::local(kByteArray), 28, Bytes(5, 2)),
                         flushMessage(LoneNode::local(kReferenceArray), 32, Bytes(16, 0)),
                         flushMessage(LoneNode::local(kInstance), 24, Bytes(8, 1), &sync),
                         encodeSync(sync),
                         refreshMessage(LoneNode::local(kReferenceArray), 0)};
  Prng random(42);
  int done = 0;
  for (int i = 0; i < 300'000; ++i) done += accepted(node, mutated(seeds[random.below(std::size(seeds))], random));
  EXPECT_GT(done, 1000) << "the mutations never reach the inside";
  for (uint32_t cls = kInstance; cls < kClasses; ++cls) {
    EXPECT_EQ(rt::classIndexOf(LoneNode::local(cls)), cls);
    EXPECT_EQ(rt::header(LoneNode::local(cls))->epochWord, rt::kEpochHome);
    EXPECT_EQ(rt::classIndexOf(LoneNode::canary(cls)), cls);
    for (uint32_t offset = rt::kArrayElementsOffset; offset < 48; offset += 8)
      EXPECT_EQ(rt::loadGuest<uint64_t>(LoneNode::canary(cls) + offset), 0u) << "a write outside its object";
  }
}

/// Fetches the foreign object once with this reply. True if it was installed.
bool fetched(LoneNode& node, uint32_t cls, Bytes reply) {
  node.nextReply = std::move(reply);
  const int errors = node.fatalErrors;
  try {
    node.space.checkRead(node.context, LoneNode::foreign(cls));
  } catch (Lost) {
    EXPECT_EQ(node.fatalErrors, errors + 1) << "waits for ever without an error";
    return false;
  }
  return true;
}

TEST(UntrustedMessagesTest, AFetchAcceptsSoundReplies) {
  LoneNode node;
  EXPECT_TRUE(fetched(node, kInstance, fetchReply(kInstance, 0, 32)));
  EXPECT_TRUE(fetched(node, kByteArray, fetchReply(kByteArray, kArrayLength, 24)));
  EXPECT_EQ(rt::arrayLength(LoneNode::foreign(kByteArray)), int32_t(kArrayLength));
}

TEST(UntrustedMessagesTest, AFetchRefusesRepliesThatFitNoObject) {
  const Bytes replies[] = {{},
                           {uint8_t(ReplyStatus::Refused)},
                           fetchReply(0, 0, 32),
                           fetchReply(kClasses, 0, 32),
                           fetchReply(kInstance, 0, 24),
                           fetchReply(kInstance, 0, 40),
                           fetchReply(kInstance, 1, 32),
                           fetchReply(kByteArray, kArrayLength, 32),
                           fetchReply(kByteArray, 0xFFFF'FFFF, 24),
                           fetchReply(kReferenceArray, 0x7FFF'FFFF, 24)};
  for (const Bytes& reply : replies) {
    LoneNode node;
    EXPECT_FALSE(fetched(node, kInstance, reply));
  }
}

TEST(UntrustedMessagesTest, ARefreshAcceptsSoundReplies) {
  for (const Bytes& reply : {refreshReply(RefreshOutcome::Same), refreshReply(kByteArray, 16, 16)}) {
    LoneNode node;
    EXPECT_TRUE(fetched(node, kByteArray, fetchReply(kByteArray, 16, 16)));
    node.space.acquire(node.context, true);
    EXPECT_TRUE(fetched(node, kByteArray, reply));
    EXPECT_EQ(node.space.stats().refreshedObjects, 1u);
  }
}

TEST(UntrustedMessagesTest, AnObjectNeverChangesItsClassOrLength) {
  for (const Bytes& reply : {refreshReply(kByteArray, 8, 8), refreshReply(kInstance, 0, 32), Bytes{},
                             Bytes{uint8_t(ReplyStatus::Done)}, Bytes{uint8_t(ReplyStatus::Done), 0xFF}}) {
    LoneNode node;
    EXPECT_TRUE(fetched(node, kByteArray, fetchReply(kByteArray, 16, 16)));
    node.space.acquire(node.context, true);
    EXPECT_FALSE(fetched(node, kByteArray, reply));
    EXPECT_EQ(rt::arrayLength(LoneNode::foreign(kByteArray)), 16);
  }
}

TEST(UntrustedMessagesTest, AHomeRefusesToRefreshWhatLiesOutOfThePlan) {
  LoneNode node;
  EXPECT_TRUE(accepted(node, refreshMessage(LoneNode::local(kInstance), 0)));
  EXPECT_TRUE(accepted(node, refreshMessage(LoneNode::foreign(kInstance), 0))) << "it may have moved: unanswered";
  EXPECT_FALSE(accepted(node, refreshMessage(LoneNode::local(kInstance) + 4, 0)));
  EXPECT_FALSE(accepted(node, refreshMessage(0, 0)));
  Bytes tooMany = refreshMessage(LoneNode::local(kInstance), 0);
  tooMany[kRefreshCountAt] = 2;
  EXPECT_FALSE(accepted(node, tooMany));
}

TEST(UntrustedMessagesTest, MutatedRepliesAreInstalledWholeOrNotAtAll) {
  Prng random(7);
  int installed = 0;
  for (int i = 0; i < 2000; ++i) {
    LoneNode node;
    const uint32_t cls = uint32_t(kInstance + random.below(3));
    const Bytes reply = cls == kInstance    ? fetchReply(cls, 0, 32)
                        : cls == kByteArray ? fetchReply(cls, 20, 24)
                                            : fetchReply(cls, 20, 160);
    if (!fetched(node, cls, mutated(reply, random))) continue;
    ++installed;
    const rt::ClassInfo* info = node.classInfo(rt::classIndexOf(LoneNode::foreign(cls)));
    ASSERT_NE(info, nullptr);
    ObjectShape::of(*info, LoneNode::foreign(cls)).forEachReference([&](uint64_t offset) {
      const ObjectRef reference = rt::loadGuest<uint64_t>(LoneNode::foreign(cls) + offset);
      EXPECT_TRUE(reference == 0 || node.homes.valid(reference)) << "a reference out of the plan";
    });
  }
  EXPECT_GT(installed, 100) << "the mutations never reach the inside";
}

TEST(UntrustedMessagesTest, MutatedRefreshesAreInstalledWholeOrNotAtAll) {
  Prng random(8);
  int installed = 0;
  for (int i = 0; i < 2000; ++i) {
    LoneNode node;
    ASSERT_TRUE(fetched(node, kReferenceArray, fetchReply(kReferenceArray, kArrayLength, 160)));
    node.space.acquire(node.context, true);
    if (!fetched(node, kReferenceArray, mutated(refreshReply(kReferenceArray, kArrayLength, 160), random))) continue;
    ++installed;
    EXPECT_EQ(rt::arrayLength(LoneNode::foreign(kReferenceArray)), int32_t(kArrayLength));
    for (uint32_t offset = rt::kArrayElementsOffset; offset < rt::kArrayElementsOffset + 160; offset += 8) {
      const ObjectRef reference = rt::loadGuest<uint64_t>(LoneNode::foreign(kReferenceArray) + offset);
      EXPECT_TRUE(reference == 0 || node.homes.valid(reference)) << "a reference out of the plan";
    }
  }
  EXPECT_GT(installed, 100) << "the mutations never reach the inside";
}

/// The block of the foreign objects, as node 1 gives it away.
const rt::BlockGroup kForeignBlock{kPlan.regionBase(1), 1, false};

bool prepared(LoneNode& node) {
  ByteWriter out;
  out.put(uint8_t(ObjectMessage::Prepare));
  out.put(uint32_t(1));
  putGroupHeader(out, {kForeignBlock, 0});
  out.put(uint64_t(0));
  const auto responder = std::make_shared<CountingResponder>();
  node.arrivals.handlePrepare(NodeId(1), out.take(), responder);
  return responder->done;
}

bool arrived(LoneNode& node, const Bytes& message) {
  CountingResponder responder;
  node.arrivals.handleBlocks(NodeId(1), message, responder);
  EXPECT_EQ(responder.answers, 1) << "a request must be answered once";
  return responder.done;
}

/// One object of each class, full of `fill`; no references.
Bytes blocksMessage(uint8_t fill) {
  rt::ObjectStarts objects;
  ByteWriter data;
  for (uint32_t cls = kInstance; cls < kClasses; ++cls) {
    objects.add(LoneNode::foreign(cls) - kForeignBlock.address);
    data.put(uint64_t(0));
    data.put(cls);
    data.put(uint32_t(0));
    if (cls != kInstance) data.put(uint64_t(kArrayLength));
    const size_t fields = cls == kInstance ? 32 : cls == kByteArray ? 24 : 8 * kArrayLength;
    const size_t references = cls == kInstance ? 8 : cls == kByteArray ? 0 : fields;
    std::fill_n(data.grow(references), references, uint8_t(0));
    std::fill_n(data.grow(fields - references), fields - references, fill);
  }
  ByteWriter out;
  out.put(uint8_t(ObjectMessage::Blocks));
  out.put(uint32_t(1));
  putGroupHeader(out, {kForeignBlock, 0});
  out.append({reinterpret_cast<const uint8_t*>(objects.words.data()), sizeof objects.words});
  out.put(uint32_t(0));
  out.put(uint64_t(data.size()));
  out.append(data.take());
  return out.take();
}

TEST(UntrustedMessagesTest, BlocksThatAreAwaitedArrive) {
  LoneNode node;
  EXPECT_FALSE(arrived(node, blocksMessage(7))) << "nobody awaits them";
  ASSERT_TRUE(prepared(node));
  EXPECT_FALSE(prepared(node)) << "twice";
  EXPECT_TRUE(arrived(node, blocksMessage(7)));
  EXPECT_EQ(node.adopted, 1);
  EXPECT_EQ(node.arrivals.awaitedBytes(), 0u);
  for (uint32_t cls = kInstance; cls < kClasses; ++cls) {
    const ObjectRef object = LoneNode::foreign(cls);
    EXPECT_EQ(rt::header(object)->epochWord, rt::kEpochHome);
    EXPECT_EQ(rt::classIndexOf(object), cls);
    EXPECT_EQ(node.homes.homeOf(object), NodeId(0));
  }
  EXPECT_EQ(rt::loadGuest<uint8_t>(LoneNode::foreign(kInstance) + 24), 7);
  EXPECT_EQ(rt::arrayLength(LoneNode::foreign(kByteArray)), int32_t(kArrayLength));
}

TEST(UntrustedMessagesTest, MutatedBlocksComeWholeOrNotAtAll) {
  Prng random(9);
  int came = 0;
  for (int i = 0; i < 2000; ++i) {
    LoneNode node;
    ASSERT_TRUE(prepared(node));
    const bool whole = arrived(node, mutated(blocksMessage(uint8_t(i)), random));
    came += whole;
    for (uint64_t at = kForeignBlock.end(); at < kForeignBlock.end() + 4096; at += 8)
      ASSERT_EQ(rt::loadGuest<uint64_t>(at), 0u) << "beyond the block";
    for (uint32_t cls = kInstance; cls < kClasses; ++cls) {
      const rt::ObjectHeader& header = *rt::header(LoneNode::foreign(cls));
      const bool isHere = header.epochWord == rt::kEpochHome;
      EXPECT_TRUE(whole || !isHere) << "a part";
      EXPECT_TRUE(!isHere || node.classInfo(header.classWord & rt::kClassMask));
    }
  }
  EXPECT_GT(came, 20) << "the mutations never reach the inside";
}

}  // namespace
}  // namespace jvmc::cluster
