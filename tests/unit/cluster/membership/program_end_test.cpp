// ProgramEnd on a net whose messages are delivered by hand, in any order: the program must end exactly when all threads
// have, whatever moves in between.
#include "cluster/membership/program_end.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

namespace jvmc::cluster {
namespace {

/// All nodes of a test share one queue of deliveries; the test picks which comes next.
struct Wire {
  std::deque<std::function<void()>> deliveries;
  std::mt19937 random{1};
  bool deliverOne() {
    if (deliveries.empty()) return false;
    size_t pick = random() % deliveries.size();
    auto delivery = std::move(deliveries[pick]);
    deliveries.erase(deliveries.begin() + long(pick));
    delivery();
    return true;
  }
};

class WireNet final : public NodeNet {
 public:
  WireNet(Wire& wire, std::vector<WireNet*>& all, uint32_t self) : wire_(wire), all_(all), self_(self) {}
  NodeId self() const override { return NodeId(self_); }
  std::vector<NodeId> nodes() const override {
    std::vector<NodeId> ids;
    for (uint32_t i = 0; i < all_.size(); ++i)
      if (i != gone) ids.emplace_back(i);
    return ids;
  }
  void request(NodeId to, Channel, Bytes payload, std::function<void(Result<Bytes>)> done) override {
    wire_.deliveries.push_back([this, to, payload, done] {
      struct Reply final : Responder {
        Reply(Wire& wire, std::function<void(Result<Bytes>)> done) : wire(wire), done(std::move(done)) {}
        void reply(Bytes bytes) override {
          wire.deliveries.push_back([done = done, bytes] { done(bytes); });
        }
        void fail(Error error) override {
          wire.deliveries.push_back([done = done, error] { done(error); });
        }
        Wire& wire;
        std::function<void(Result<Bytes>)> done;
      };
      all_[to.value]->handler_(self(), payload, std::make_shared<Reply>(wire_, done));
    });
  }
  void notify(NodeId to, Channel channel, Bytes payload) override {
    request(to, channel, std::move(payload), [](Result<Bytes>) {});
  }
  void setHandler(Channel, Handler handler) override { handler_ = std::move(handler); }
  void post(std::function<void()> task) override { wire_.deliveries.push_back(std::move(task)); }
  void postAfter(int64_t, std::function<void()> task) override { post(std::move(task)); }

  uint32_t gone = UINT32_MAX;  ///< a node that has left, as far as this one knows

 private:
  Wire& wire_;
  std::vector<WireNet*>& all_;
  uint32_t self_;
  Handler handler_;
};

struct Node {
  Node(Wire& wire, std::vector<WireNet*>& all, uint32_t id, ProgramEnd::Callbacks callbacks)
      : net(wire, all, id), control((all.push_back(&net), net)), end(control, std::move(callbacks)) {}
  WireNet net;
  ControlChannel control;
  ProgramEnd end;
};

TEST(ProgramEnd, ComesExactlyWhenAllThreadsHaveEndedWhereverTheyWent) {
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    Wire wire;
    wire.random.seed(seed);
    auto& random = wire.random;
    std::vector<WireNet*> all;
    int ends = 0;
    int32_t code = -1;
    size_t alive = 0;
    std::vector<std::unique_ptr<Node>> nodes;
    for (uint32_t i = 0; i < 3; ++i)
      nodes.push_back(std::make_unique<Node>(wire, all, i,
                                             ProgramEnd::Callbacks{[&](int32_t exitCode) {
                                                                     EXPECT_EQ(alive, 0u) << "seed " << seed;
                                                                     ++ends;
                                                                     code = exitCode;
                                                                   },
                                                                   nullptr}));
    std::deque<rt::ThreadId> threads{rt::kMainThreadId};
    alive = 1;
    nodes[0]->end.threadCreated(rt::kMainThreadId);
    rt::ThreadId next = 2;
    size_t toStart = random() % 20;
    while (!threads.empty()) {
      for (int i = int(random() % 4); i > 0; --i) wire.deliverOne();
      size_t pick = random() % threads.size();
      Node& where = *nodes[random() % 3];  // threads are anywhere at any time
      if (toStart > 0 && random() % 2) {
        --toStart;
        ++alive;
        where.end.threadCreated(next);
        threads.push_back(next++);
        continue;
      }
      rt::ThreadEnd end{threads[pick], threads[pick] == rt::kMainThreadId ? 7 : 0, false, ""};
      threads.erase(threads.begin() + long(pick));
      --alive;
      where.end.threadEnded(end);
    }
    while (wire.deliverOne()) {
    }
    EXPECT_EQ(ends, 1) << "seed " << seed;
    EXPECT_EQ(code, 7);
  }
}

void leaveInTheMiddleOfACensus(uint32_t leaver, uint32_t seed) {
  Wire wire;
  wire.random.seed(seed);
  std::vector<WireNet*> all;
  int ends = 0;
  int32_t code = -1;
  bool mayEnd = false;
  std::vector<std::unique_ptr<Node>> nodes;
  for (uint32_t i = 0; i < 3; ++i)
    nodes.push_back(std::make_unique<Node>(wire, all, i,
                                           ProgramEnd::Callbacks{[&](int32_t exitCode) {
                                                                   EXPECT_TRUE(mayEnd) << "seed " << seed;
                                                                   code = exitCode;
                                                                   ++ends;
                                                                 },
                                                                 nullptr}));
  // Two threads begin on the first node; one ends on the one that leaves. Counted twice, that end would stand for the
  // other thread's.
  nodes[0]->end.threadCreated(rt::kMainThreadId);
  nodes[0]->end.threadCreated(2);
  nodes[leaver]->end.threadEnded({rt::kMainThreadId, 7, false, ""});
  for (int i = int(wire.random() % 12); i > 0; --i) wire.deliverOne();
  // The others learn of it one after the other.
  const EndBequest left = nodes[leaver]->end.bequeath();
  for (uint32_t i = 0; i < 3; ++i) {
    if (i == leaver) continue;
    wire.deliveries.push_back([&, i] {
      nodes[i]->net.gone = leaver;
      nodes[i]->end.membersChanged(left);
    });
  }
  // The other thread ends, on a node that may not know yet.
  for (int i = int(wire.random() % 12); i > 0; --i) wire.deliverOne();
  mayEnd = true;
  nodes[1]->end.threadEnded({2, 0, false, ""});
  while (wire.deliverOne()) {
  }
  EXPECT_EQ(ends, 1) << "seed " << seed;
  EXPECT_EQ(code, 7) << "seed " << seed;
}

TEST(ProgramEnd, CountsThoseOfANodeThatLeavesInTheMiddleOfACensusOnce) {
  for (uint32_t seed = 1; seed <= 300; ++seed) leaveInTheMiddleOfACensus(2, seed);
}

TEST(ProgramEnd, ComesAlsoWhenTheOneThatCountsLeaves) {
  for (uint32_t seed = 1; seed <= 300; ++seed) leaveInTheMiddleOfACensus(0, seed);
}

TEST(ProgramEnd, ReportsUncaughtExceptionsWhereTheyHappen) {
  Wire wire;
  std::vector<WireNet*> all;
  std::string report;
  Node node(wire, all, 0, {[](int32_t) {}, [&](const rt::ThreadEnd& end) { report = end.report; }});
  node.end.threadCreated(5);
  node.end.threadEnded({5, 0, true, "boom"});
  EXPECT_EQ(report, "boom");
}

TEST(ControlChannel, RefusesMessagesOfNoKnownKind) {
  Wire wire;
  std::vector<WireNet*> all;
  WireNet net(wire, all, 0);
  all.push_back(&net);
  ControlChannel control(net);
  for (Bytes bad : {Bytes{}, Bytes{0xFF}, Bytes{uint8_t(ControlKind::LoadReport)}}) {
    bool failed = false;
    net.request(NodeId(0), Channel::Control, bad, [&](Result<Bytes> answer) { failed = !answer.ok(); });
    while (wire.deliverOne()) {
    }
    EXPECT_TRUE(failed);
  }
}

}  // namespace
}  // namespace jvmc::cluster
