// Moving threads and mail that finds them, on simulated nodes whose schedulers only keep what they are given.
#include <gtest/gtest.h>

#include "cluster/migration/thread_migrator.h"
#include "cluster/objects/thread_traffic.h"
#include "tests/unit/cluster/support/sim_net.h"

namespace jvmc::cluster::test {
namespace {

using rt::GuestThread;
using rt::ThreadId;
using rt::ThreadMail;
using rt::ThreadRef;

const rt::AddressPlan kPlan{.base = 0x1400'0000'0000, .regionShift = 30, .regionCount = 64};

/// A node: real router and migrator, a scheduler that is a map, a codec that carries id and name.
class SimNode final : public ThreadHost {
 public:
  SimNode(SimClock& clock, std::vector<SimNet*>& nets, uint32_t id, uint32_t count)
      : homes(kPlan, count),
        net(clock, nets, NodeId(id)),
        router(*this, net, homes),
        migrator(*this, net, router, homes) {
    net.setHandler(Channel::Threads, [this](NodeId, Bytes payload, std::shared_ptr<Responder> responder) {
      if (!payload.empty() && payload[0] == uint8_t(ThreadMessage::Ship)) lastShip = payload;
      migrator.handleMessage(payload, *responder);
    });
  }

  bool isHere(ThreadId thread) const override { return threads.count(thread) > 0; }
  bool deliver(const ThreadRef& to, const ThreadMail& mail) override {
    if (!isHere(to.id)) return false;
    received.emplace_back(to.id, mail.ticket);
    return true;
  }
  bool adopt(std::unique_ptr<GuestThread> thread) override {
    uint32_t& known = incarnations[thread->ref.id];
    if (known > thread->incarnation) return false;
    known = thread->incarnation + 1;
    threads[thread->ref.id] = std::move(thread);
    return true;
  }
  Bytes encode(const GuestThread& thread) override {
    ByteWriter out;
    putThreadRef(out, thread.ref);
    out.putString(thread.name);
    return out.take();
  }
  Result<std::unique_ptr<GuestThread>> decode(std::span<const uint8_t> image) override {
    if (refuse) return Error{ErrorCode::kCorrupt, "unknown function"};
    ByteReader in(image);
    auto thread = std::make_unique<GuestThread>();
    thread->ref = getThreadRef(in);
    thread->name = in.getString();
    if (!in.finished()) return Error{ErrorCode::kCorrupt, "short image"};
    return thread;
  }
  void exportReferences(const GuestThread&) override {}
  void exportAnswer(const rt::Resumption&) override {}
  void leave(ThreadId thread, std::function<void()> action) override { traffic.whenQuiet(thread, std::move(action)); }
  void afterDeferred(std::function<void()> action) override { action(); }
  uint64_t arrivalEpoch() override { return 1; }
  bool hasEnded(const rt::ThreadRef& thread) override { return ended.count(thread.object) > 0; }
  void fatal(Error error) override { fatalErrors.push_back(error.message); }

  void shipTo(ThreadId id, uint32_t target) {
    std::unique_ptr<GuestThread> thread = std::move(threads[id]);
    threads.erase(id);
    ++thread->incarnation;
    migrator.ship(std::move(thread), NodeId(target));
  }

  HomeMap homes;
  SimNet net;
  ThreadRouter router;
  ThreadMigrator migrator;
  ThreadTraffic traffic;
  std::map<ThreadId, std::unique_ptr<GuestThread>> threads;
  std::map<ThreadId, uint32_t> incarnations;
  std::vector<std::pair<ThreadId, uint64_t>> received;
  std::set<rt::ObjectRef> ended;
  std::vector<std::string> fatalErrors;
  Bytes lastShip;
  bool refuse = false;
};

class MigrationTest : public testing::Test {
 protected:
  void makeNodes(uint32_t count, uint64_t seed = 1) {
    clock = std::make_unique<SimClock>(seed);
    for (uint32_t i = 0; i < count; ++i) {
      nodes.push_back(std::make_unique<SimNode>(*clock, nets, i, count));
      nets.push_back(&nodes.back()->net);
    }
  }
  /// A thread on `node` whose Thread object is homed at `home`; started properly.
  ThreadRef start(ThreadId id, uint32_t node, uint32_t home) {
    auto thread = std::make_unique<GuestThread>();
    thread->ref = {id, kPlan.regionBase(home) + 64 * id};
    thread->name = "thread-" + std::to_string(id);
    const ThreadRef ref = thread->ref;
    nodes[home]->router.starting(id, NodeId(node));
    nodes[node]->adopt(std::move(thread));
    return ref;
  }
  uint32_t placesOf(ThreadId id) const {
    uint32_t places = 0;
    for (const auto& node : nodes) places += uint32_t(node->threads.count(id));
    return places;
  }
  uint64_t forwarded() const {
    uint64_t sum = 0;
    for (const auto& node : nodes)
      node->router.report(
          [&](const std::string& name, uint64_t value) { sum += name == "mail.forwarded" ? value : 0; });
    return sum;
  }
  static ThreadMail answer(uint64_t ticket) {
    ThreadMail mail{};
    mail.kind = ThreadMail::Kind::Answer;
    mail.ticket = ticket;
    return mail;
  }

  std::unique_ptr<SimClock> clock;
  std::vector<SimNet*> nets;
  std::vector<std::unique_ptr<SimNode>> nodes;
};

TEST_F(MigrationTest, AThreadRunsAtItsTargetAndNoLongerAtItsSource) {
  makeNodes(2);
  start(1, 0, 0);
  nodes[0]->shipTo(1, 1);
  EXPECT_TRUE(clock->run());
  EXPECT_FALSE(nodes[0]->isHere(1));
  EXPECT_TRUE(nodes[1]->isHere(1));
  EXPECT_EQ(nodes[1]->threads[1]->name, "thread-1");
  EXPECT_EQ(nodes[1]->threads[1]->epoch, nodes[1]->arrivalEpoch()) << "it would read copies older than its move";
  EXPECT_EQ(nodes[0]->migrator.stats().movesOut, 1u);
  EXPECT_EQ(nodes[1]->migrator.stats().movesIn, 1u);
}

TEST_F(MigrationTest, ARefusedThreadGoesOnWhereItWasUnderANewIncarnation) {
  makeNodes(2);
  start(1, 0, 0);
  nodes[1]->refuse = true;
  nodes[0]->shipTo(1, 1);
  EXPECT_TRUE(clock->run());
  ASSERT_TRUE(nodes[0]->isHere(1));
  EXPECT_EQ(nodes[0]->threads[1]->incarnation, 2u);
  EXPECT_NE(nodes[0]->migrator.lastRefusal().find("unknown function"), std::string::npos);
  nodes[1]->refuse = false;
  nodes[0]->shipTo(1, 1);
  EXPECT_TRUE(clock->run());
  EXPECT_TRUE(nodes[1]->isHere(1)) << "a refusal does not spoil later moves";
}

TEST_F(MigrationTest, ANodeThatEndsTakesNobodyIn) {
  makeNodes(2);
  start(1, 0, 0);
  nodes[1]->migrator.close();
  nodes[0]->shipTo(1, 1);
  EXPECT_TRUE(clock->run());
  EXPECT_TRUE(nodes[0]->isHere(1));
}

TEST_F(MigrationTest, ATransferThatArrivesTwiceMakesOneThread) {
  makeNodes(3);
  start(1, 0, 0);
  nodes[0]->shipTo(1, 1);
  EXPECT_TRUE(clock->run());
  const Bytes image = nodes[1]->lastShip;
  nodes[1]->shipTo(1, 2);
  EXPECT_TRUE(clock->run());
  nodes[0]->net.request(NodeId(1), Channel::Threads, image, [](Result<Bytes> reply) { EXPECT_TRUE(reply.ok()); });
  EXPECT_TRUE(clock->run());
  EXPECT_EQ(placesOf(1), 1u);
  EXPECT_EQ(nodes[1]->migrator.stats().duplicates, 1u);
}

TEST_F(MigrationTest, AThreadWhoseTargetIsLostNeverRunsAgainAndIsNamed) {
  makeNodes(2);
  start(7, 0, 0);
  nodes[1]->net.lose();
  nodes[0]->shipTo(7, 1);
  EXPECT_TRUE(clock->run());
  EXPECT_EQ(placesOf(7), 0u);
  ASSERT_EQ(nodes[0]->fatalErrors.size(), 1u);
  EXPECT_NE(nodes[0]->fatalErrors[0].find("thread-7"), std::string::npos);
}

TEST_F(MigrationTest, AThreadLeavesOnlyWhenNothingOfItIsOnItsWay) {
  makeNodes(2);
  start(1, 0, 0);
  nodes[0]->traffic.begin(1);
  nodes[0]->shipTo(1, 1);
  clock->run();
  EXPECT_EQ(placesOf(1), 0u) << "left before its writes were home";
  nodes[0]->traffic.end(1);
  clock->run();
  EXPECT_TRUE(nodes[1]->isHere(1));
}

TEST_F(MigrationTest, CreditsLimitWhatIsOnItsWayAndNobodyIsForgotten) {
  makeNodes(2);
  for (ThreadId id = 1; id <= 500; ++id) start(id, 0, 0);
  for (ThreadId id = 1; id <= 500; ++id) nodes[0]->shipTo(id, 1);
  size_t most = 0;
  while (clock->step()) most = std::max(most, nodes[0]->migrator.inTransit().size());
  EXPECT_LE(most, 64u);
  EXPECT_EQ(nodes[1]->threads.size(), 500u);
}

TEST_F(MigrationTest, MailSentToAThreadsOldPlaceFollowsIt) {
  makeNodes(3);
  const ThreadRef thread = start(1, 0, 2);
  nodes[0]->shipTo(1, 1);
  clock->run();
  nodes[0]->router.send(thread, answer(11));  // knows where it went
  nodes[2]->router.send(thread, answer(12));  // its home
  clock->run();
  EXPECT_EQ(nodes[1]->received.size(), 2u);
}

// LOCATION messages of two targets come from different nodes, so the newer one may be the first to arrive.
TEST_F(MigrationTest, ALocationThatIsOutOfDateIsIgnored) {
  makeNodes(3);
  const ThreadRef thread = start(1, 0, 2);
  nodes[0]->shipTo(1, 1);
  clock->run();
  nodes[1]->shipTo(1, 0);
  clock->run();
  ByteWriter late;
  putThreadRef(late, thread);
  late.put(uint32_t(1));
  late.put(uint32_t(1));
  const Bytes bytes = late.take();
  ByteReader in(bytes);
  nodes[2]->router.handleLocation(in);
  EXPECT_EQ(nodes[2]->router.lastSeenAt(NodeId(0)), std::vector<ThreadId>{1});
  EXPECT_TRUE(nodes[2]->router.lastSeenAt(NodeId(1)).empty());
}

// Found by the simulator: the parent had moved between asking for the start and the answer.
TEST_F(MigrationTest, AThreadThatBeginsElsewhereThanItsStartWasAskedForIsFound) {
  makeNodes(4);
  auto thread = std::make_unique<GuestThread>();
  thread->ref = {1, kPlan.regionBase(2) + 64};
  const ThreadRef ref = thread->ref;
  nodes[2]->router.starting(1, NodeId(0));
  nodes[1]->migrator.ship(std::move(thread), NodeId(1));
  nodes[3]->router.send(ref, answer(5));
  EXPECT_TRUE(clock->run(10'000)) << "the letter wanders for ever";
  EXPECT_EQ(nodes[1]->received.size(), 1u);
}

// Found by the simulator: the hint led to a node whose own hint led to one that had left, and so home again.
TEST_F(MigrationTest, WhatItsHomeKnowsOfAThreadCountsMoreThanAnOlderHintThere) {
  makeNodes(4);
  const ThreadRef thread = start(1, 0, 0);
  for (const auto& [from, to] : {std::pair{0u, 1u}, {1u, 2u}, {2u, 3u}}) {
    nodes[from]->shipTo(1, to);
    EXPECT_TRUE(clock->run());
  }
  for (auto& node : nodes) node->net.dismiss(NodeId(2));
  nodes[1]->router.send(thread, answer(5));
  EXPECT_TRUE(clock->run(10'000)) << "the letter wanders for ever";
  EXPECT_EQ(nodes[3]->received.size(), 1u);
}

TEST_F(MigrationTest, ALocationThatArrivesAfterTheEndOfItsThreadIsForgotten) {
  makeNodes(3);
  const ThreadRef thread = start(1, 0, 2);
  nodes[0]->threads.erase(1);
  nodes[2]->router.ended(1);
  nodes[2]->ended.insert(thread.object);
  ByteWriter late;
  putThreadRef(late, thread);
  late.put(uint32_t(0));
  late.put(uint32_t(0));
  const Bytes bytes = late.take();
  ByteReader in(bytes);
  nodes[2]->router.handleLocation(in);
  nodes[1]->router.send(thread, answer(3));
  EXPECT_TRUE(clock->run(10'000)) << "mail for it wanders for ever";
}

TEST_F(MigrationTest, MailThatArrivesBeforeItsThreadWaitsForIt) {
  makeNodes(2);
  const ThreadRef thread = start(1, 0, 0);
  nodes[0]->traffic.begin(1);
  nodes[0]->shipTo(1, 1);  // cannot leave yet
  nodes[0]->router.send(thread, answer(5));
  for (int i = 0; i < 2000; ++i) clock->step();
  nodes[0]->traffic.end(1);
  clock->run();
  ASSERT_EQ(nodes[1]->received.size(), 1u);
  EXPECT_EQ(nodes[1]->received[0].second, 5u);
}

TEST_F(MigrationTest, SeveralLettersThatWaitForOneThreadDoNotMultiply) {
  makeNodes(2);
  const ThreadRef thread = start(1, 0, 0);
  nodes[0]->traffic.begin(1);
  nodes[0]->shipTo(1, 1);  // cannot leave yet
  for (uint64_t ticket = 1; ticket <= 5; ++ticket) nodes[0]->router.send(thread, answer(ticket));
  for (int i = 0; i < 2000; ++i) clock->step();
  EXPECT_GE(clock->now(), 1'000'000'000) << "2000 events in less than a second: each retry has started others";
  nodes[0]->traffic.end(1);
  EXPECT_TRUE(clock->run(10'000));
  EXPECT_EQ(nodes[1]->received.size(), 5u);
}

// Found by the simulator: while a thread was on its way to a slow node, letters kept the others busy.
TEST_F(MigrationTest, LettersThatWanderRestLongerAndWishesToMoveDoNotPileUp) {
  makeNodes(3);
  const ThreadRef thread = start(1, 0, 0);
  nodes[0]->shipTo(1, 1);
  clock->run();
  // Both believe that the other has it.
  nodes[0]->router.departed(1, 5, NodeId(1));
  nodes[1]->threads.clear();
  nodes[1]->router.departed(1, 5, NodeId(0));
  for (uint64_t round = 0; round < 50; ++round) {
    ThreadMail wish{};
    wish.kind = ThreadMail::Kind::Migrate;
    wish.target = NodeId(2);
    nodes[2]->router.send(thread, wish);
  }
  constexpr int64_t kSecond = 1'000'000'000;
  while (clock->now() < kSecond) ASSERT_TRUE(clock->step());
  const uint64_t before = forwarded();
  while (clock->now() < 2 * kSecond) ASSERT_TRUE(clock->step());
  EXPECT_LT(forwarded() - before, 2000u) << "in a second";
}

TEST_F(MigrationTest, MailForAThreadThatHasEndedIsDroppedAndQuestionsAreAnswered) {
  makeNodes(2);
  const ThreadRef dead = start(1, 1, 0);
  const ThreadRef asker = start(2, 1, 1);
  nodes[1]->threads.erase(1);
  nodes[0]->router.ended(1);
  nodes[0]->ended.insert(dead.object);
  nodes[1]->router.send(dead, answer(3));
  ThreadMail question{};
  question.kind = ThreadMail::Kind::QueryInterrupted;
  question.ticket = 4;
  question.asker = asker;
  nodes[1]->router.send(dead, question);
  EXPECT_TRUE(clock->run(10'000)) << "dropped mail wanders for ever";
  ASSERT_EQ(nodes[1]->received.size(), 1u);
  EXPECT_EQ(nodes[1]->received[0], (std::pair<ThreadId, uint64_t>{2, 4}));
}

// Its home has sent it away, and it has ended at the place that the hint there names.
TEST_F(MigrationTest, MailForAThreadThatHasEndedElsewhereIsDropped) {
  makeNodes(3);
  const ThreadRef thread = start(1, 0, 0);
  nodes[0]->shipTo(1, 1);
  EXPECT_TRUE(clock->run());
  nodes[1]->threads.erase(1);
  nodes[0]->router.ended(1);
  nodes[0]->ended.insert(thread.object);
  for (auto& node : nodes) node->router.send(thread, answer(3));
  EXPECT_TRUE(clock->run(10'000)) << "mail for it wanders for ever";
}

// The thread is long on its way back to a node whose own hint is older.
TEST_F(MigrationTest, OldHintsDoNotSendALetterRoundWhileItsThreadIsOnItsWay) {
  makeNodes(4);
  const ThreadRef thread = start(1, 0, 3);
  for (const auto& [from, to] : {std::pair{0u, 1u}, {1u, 2u}, {2u, 0u}}) {
    nodes[from]->shipTo(1, to);
    EXPECT_TRUE(clock->run());
  }
  nodes[0]->threads.clear();
  nodes[0]->router.departed(1, 4, NodeId(1));  // and does not arrive there
  constexpr int64_t kSecond = 1'000'000'000;
  nodes[2]->router.send(thread, answer(5));
  while (clock->now() < kSecond) ASSERT_TRUE(clock->step());
  EXPECT_LT(forwarded(), 100u) << "in a second";
  auto arrived = std::make_unique<GuestThread>();
  arrived->ref = thread;
  nodes[1]->incarnations[1] = 0;
  nodes[1]->adopt(std::move(arrived));
  nodes[1]->router.arrived(thread, 4);
  const int64_t then = clock->now();
  while (nodes[1]->received.empty()) ASSERT_TRUE(clock->step());
  EXPECT_LT(clock->now() - then, 10'000'000) << "it is told that the thread has arrived";
}

/// Threads move at random, nodes refuse at random, everybody writes to everybody from anywhere. At every moment a
/// thread is at one place or on its way; in the end each letter has arrived exactly once.
class RandomMovesTest : public MigrationTest, public testing::WithParamInterface<uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Seeds, RandomMovesTest, testing::Range<uint64_t>(1, 41));

TEST_P(RandomMovesTest, NoThreadIsDoubledOrLostAndEveryLetterArrivesOnce) {
  constexpr uint32_t kNodes = 5, kThreads = 12, kSteps = 3000;
  makeNodes(kNodes, GetParam());
  Prng random(GetParam() * 77);
  std::vector<ThreadRef> refs;
  for (ThreadId id = 1; id <= kThreads; ++id)
    refs.push_back(start(id, uint32_t(random.below(kNodes)), uint32_t(random.below(kNodes))));
  uint64_t sent = 0;
  for (uint32_t step = 0; step < kSteps; ++step) {
    SimNode& node = *nodes[random.below(kNodes)];
    if (random.below(2) != 0 && !node.threads.empty()) {
      const auto chosen = std::next(node.threads.begin(), ptrdiff_t(random.below(node.threads.size())));
      node.shipTo(chosen->first, uint32_t(random.below(kNodes)));
    } else {
      node.router.send(refs[random.below(kThreads)], answer(++sent));
    }
    node.refuse = random.below(8) == 0;
    for (uint64_t events = random.below(12); events > 0; --events) clock->step();
    for (ThreadId id = 1; id <= kThreads; ++id) ASSERT_LE(placesOf(id), 1u) << "thread " << id << " is doubled";
  }
  ASSERT_TRUE(clock->run()) << "letters wander for ever";
  std::set<uint64_t> arrived;
  for (const auto& node : nodes) {
    EXPECT_TRUE(node->fatalErrors.empty());
    for (const auto& [thread, ticket] : node->received)
      EXPECT_TRUE(arrived.insert(ticket).second) << "twice: " << ticket;
  }
  EXPECT_EQ(arrived.size(), sent);
  for (ThreadId id = 1; id <= kThreads; ++id) EXPECT_EQ(placesOf(id), 1u) << "thread " << id << " is lost";
}

TEST_F(MigrationTest, GarbageOnTheThreadsChannelIsSurvived) {
  makeNodes(2);
  start(1, 0, 0);
  nodes[0]->shipTo(1, 1);
  clock->run();
  const Bytes good = nodes[1]->lastShip;
  Prng random(3);
  for (int i = 0; i < 20'000; ++i) {
    Bytes bad = good;
    bad[0] = uint8_t(1 + random.below(3));
    for (uint64_t flips = 1 + random.below(6); flips > 0; --flips)
      bad[random.below(bad.size())] = uint8_t(random.next());
    bad.resize(random.below(bad.size()) + 1);
    nodes[0]->net.notify(NodeId(1), Channel::Threads, bad);
    clock->run(1000);
  }
}

}  // namespace
}  // namespace jvmc::cluster::test
