// A node's half of the outside world: sends each call to the launcher and hands the answer to the scheduler.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "cluster/net/io_loop.h"
#include "runtime/outside.h"
#include "schema/launch.capnp.h"

namespace jvmc::cluster {

void encode(const rt::OutsideCall& call, schema::OutsideCall::Builder out);
rt::OutsideCall decode(schema::OutsideCall::Reader in);
void encode(const rt::OutsideResult& result, schema::OutsideResult::Builder out);
rt::OutsideResult decode(schema::OutsideResult::Reader in);

class OutsideLink final : public rt::OutsideWorld {
 public:
  /// An answer for a thread that waits with `ticket`; runs on the loop.
  using Deliver = std::function<void(const rt::ThreadRef&, uint64_t ticket, rt::OutsideResult)>;

  /// `dropEvery` > 0 (zeal io:K): every K-th request is lost on its way and repeated, every K-th answer is thrown away
  /// and asked for again.
  OutsideLink(IoLoop& loop, schema::Launcher::Client launcher, Deliver deliver, uint64_t dropEvery);

  ~OutsideLink() noexcept override {}

  /// Any thread.
  void call(rt::OutsideCall call) override;
  /// Calls whose answers have not been handed over. Any thread.
  size_t pending() const { return pending_; }
  /// Gives the calls that have no answer to whoever makes them again elsewhere: (thread, number) tells the launcher
  /// that it has carried them out, or is about to. Nothing is delivered here any more. On the loop.
  std::vector<rt::OutsideCall> giveAway();

 private:
  static constexpr int64_t kRepeatNanos = 1'000'000;

  /// A call on its way. Each of its two messages is dropped at most once, so K = 1 gets through as well.
  struct Attempt {
    rt::OutsideCall call;
    bool mayDropRequest = false, mayDropAnswer = false;
  };
  void send(std::shared_ptr<Attempt> attempt);
  void deliver(const std::shared_ptr<Attempt>& attempt, rt::OutsideResult result);
  bool dropsNext(uint64_t& counter) { return dropEvery_ > 0 && ++counter % dropEvery_ == 0; }

  IoLoop& loop_;
  schema::Launcher::Client launcher_;
  Deliver deliver_;
  uint64_t dropEvery_;
  uint64_t requests_ = 0, answers_ = 0;      // on the loop only
  std::set<std::shared_ptr<Attempt>> open_;  // on the loop only
  std::atomic<size_t> pending_{0};
};

}  // namespace jvmc::cluster
