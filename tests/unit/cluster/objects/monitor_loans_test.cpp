// Monitors that are lent to this node, called for in whatever order messages arrive. The home is the test.
#include "cluster/objects/monitor_loans.h"

#include "tests/unit/cluster/objects/lone_node.h"

namespace jvmc::cluster {
namespace {

using namespace test;

class NoTimers final : public rt::Timers {
 public:
  int64_t now() const override { return 0; }
  Id arm(int64_t, Sink&, uint64_t, uint64_t, uint64_t) override { return 1; }
  void cancel(Id) override {}
  void forget(Sink&) override {}
};

class NoPost final : public rt::ThreadPost {
 public:
  void send(const rt::ThreadRef&, const rt::ThreadMail&) override {}
};

class IgnoringResponder final : public Responder {
 public:
  void reply(Bytes) override {}
  void fail(Error) override {}
};

/// A node that borrows the monitor of an object of node 1.
class Borrower {
 public:
  Borrower() {
    node.loans.open(sync);
    node.peer = [this](const Bytes& asked) {
      returns += asked[0] == uint8_t(ObjectMessage::Return);
      return Bytes{uint8_t(ReplyStatus::Done)};
    };
  }
  void arrives(ObjectMessage kind, uint64_t number) {
    ByteWriter out;
    out.put(kLock);
    out.put(number);
    rt::SyncState monitor;
    monitor.inflated = true;
    if (kind == ObjectMessage::Lend)
      putSyncState(out, monitor);
    else
      out.put(true);  // urgent
    const Bytes message = out.take();
    ByteReader in(message);
    IgnoringResponder responder;
    node.loans.handle(NodeId(1), kind, in, responder);
    EXPECT_EQ(node.fatalErrors, 0);
  }
  bool hasIt() const { return node.loans.hasBorrowed(kLock); }

  const ObjectRef kLock = LoneNode::foreign(kInstance);
  LoneNode node;
  NoTimers timers;
  NoPost post;
  rt::SyncHome sync{{.post = post, .timers = timers, .clock = node.clock, .threadStateOffset = 0, .storeBarrier = {}}};
  int returns = 0;
};

TEST(MonitorLoans, ARecallThatOvertakesItsLoanCounts) {
  Borrower borrower;
  borrower.arrives(ObjectMessage::Recall, 2);
  borrower.arrives(ObjectMessage::Lend, 2);
  EXPECT_FALSE(borrower.hasIt());
  EXPECT_EQ(borrower.returns, 1);
}

TEST(MonitorLoans, ARecallOfAnOlderLoanThatComesLateTakesNothingFromThat) {
  Borrower borrower;
  borrower.arrives(ObjectMessage::Lend, 1);
  borrower.node.loans.end();  // back unasked, while it is being called for
  EXPECT_EQ(borrower.returns, 1);
  borrower.arrives(ObjectMessage::Recall, 2);
  borrower.arrives(ObjectMessage::Recall, 1);
  borrower.arrives(ObjectMessage::Lend, 2);
  EXPECT_FALSE(borrower.hasIt());
  EXPECT_EQ(borrower.returns, 2);
}

TEST(MonitorLoans, ARecallOfAnOlderLoanIsNoneOfALaterOne) {
  Borrower borrower;
  borrower.arrives(ObjectMessage::Recall, 1);
  borrower.arrives(ObjectMessage::Lend, 2);
  EXPECT_TRUE(borrower.hasIt());
  EXPECT_EQ(borrower.returns, 0);
}

}  // namespace
}  // namespace jvmc::cluster
