// Nodes of one process under a simulated clock: messages and timers are events with seeded random delays, handled one
// after another. The same seed gives the same run.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <set>

#include "cluster/net/node_net.h"
#include "ir/support/prng.h"

namespace jvmc::cluster::test {

/// Time and the events to come.
class SimClock {
 public:
  explicit SimClock(uint64_t seed) : random(seed) {}

  void at(int64_t nanos, std::function<void()> task) { events_.emplace(now_ + nanos, std::move(task)); }
  /// Runs one event; false if there is none.
  bool step() {
    if (events_.empty()) return false;
    auto node = events_.extract(events_.begin());
    now_ = node.key();
    node.mapped()();
    return true;
  }
  /// Runs events until none is left or `limit` have run. True if none is left.
  bool run(size_t limit = 1'000'000) {
    while (limit-- > 0)
      if (!step()) return true;
    return false;
  }
  int64_t now() const { return now_; }

  Prng random;

 private:
  int64_t now_ = 0;
  std::multimap<int64_t, std::function<void()>> events_;
};

class SimNet final : public NodeNet {
 public:
  static constexpr int64_t kDelayNanosMax = 2'000'000;

  SimNet(SimClock& clock, std::vector<SimNet*>& all, NodeId self) : clock_(clock), all_(all), self_(self) {}

  NodeId self() const override { return self_; }
  std::vector<NodeId> nodes() const override {
    std::vector<NodeId> ids;
    for (uint32_t i = 0; i < all_.size(); ++i)
      if (NodeId(i) != dismissed_) ids.push_back(NodeId(i));
    return ids;
  }
  void request(NodeId to, Channel channel, Bytes payload, std::function<void(Result<Bytes>)> done) override {
    auto responder = std::make_shared<SimResponder>(clock_, std::move(done));
    deliver(to, channel, std::move(payload), responder);
  }
  void notify(NodeId to, Channel channel, Bytes payload) override {
    deliver(to, channel, std::move(payload), std::make_shared<SimResponder>(clock_, nullptr));
  }
  void setHandler(Channel channel, Handler handler) override { handlers_[size_t(channel)] = std::move(handler); }
  void post(std::function<void()> task) override { clock_.at(0, std::move(task)); }
  void postAfter(int64_t nanos, std::function<void()> task) override { clock_.at(nanos, std::move(task)); }

  /// The node is no member any more.
  void dismiss(NodeId node) { dismissed_ = node; }
  /// From now on every request to this node fails, as after the loss of the node.
  void lose() { lost_ = true; }

 private:
  class SimResponder final : public Responder {
   public:
    SimResponder(SimClock& clock, std::function<void(Result<Bytes>)> done) : clock_(clock), done_(std::move(done)) {}
    void reply(Bytes payload) override { answer(std::move(payload)); }
    void fail(Error error) override { answer(std::move(error)); }

   private:
    void answer(Result<Bytes> result) {
      if (!done_) return;
      clock_.at(delay(clock_), [done = std::move(done_), result = std::move(result)] { done(result); });
      done_ = nullptr;
    }
    SimClock& clock_;
    std::function<void(Result<Bytes>)> done_;
  };

  static int64_t delay(SimClock& clock) { return int64_t(clock.random.below(kDelayNanosMax)) + 1; }
  void deliver(NodeId to, Channel channel, Bytes payload, std::shared_ptr<Responder> responder) {
    clock_.at(delay(clock_), [this, to, channel, payload = std::move(payload), responder] {
      SimNet& target = *all_[to.index()];
      if (target.lost_) return responder->fail({ErrorCode::kUnavailable, "the node is lost"});
      target.handlers_[size_t(channel)](self_, payload, responder);
    });
  }

  SimClock& clock_;
  std::vector<SimNet*>& all_;
  const NodeId self_;
  bool lost_ = false;
  NodeId dismissed_;
  std::array<Handler, 3> handlers_;
};

}  // namespace jvmc::cluster::test
