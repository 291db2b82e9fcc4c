// The launcher's half of the outside world: carries out each call once, however often it is asked.
//
// A thread waits for the answer of one call before it makes the next, so one remembered call a thread is enough:
//
//     number == last + 1   carry it out          number == last, done      the remembered answer again
//     number == last, runs wait for the same     anything else             refused: it is not the thread's next call
//
// Calls may block (reading stdin), so they run on threads of their own; calls of different guest threads never wait for
// each other.
#pragma once

#include <kj/async.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "cluster/net/io_loop.h"
#include "runtime/outside.h"

namespace jvmc::cluster {

class OutsideService {
 public:
  /// Carries a call out; called on executor threads, several at a time, never twice for one (thread, number).
  /// nullopt: there is no answer and never will be (the call has ended the program).
  using Execute = std::function<std::optional<rt::OutsideResult>(const rt::OutsideCall&)>;
  OutsideService(IoLoop& loop, Execute execute);
  /// Detaches executors that block in the outside world: the process is about to end.
  ~OutsideService();

  /// On the loop.
  kj::Promise<rt::OutsideResult> call(rt::OutsideCall call);
  /// On the loop: no further calls are begun; unanswered ones stay so.
  void close();

 private:
  static constexpr size_t kMaxExecutors = 256;

  struct LastCall {
    uint64_t number = 0;
    bool done = false;
    rt::OutsideResult result;
    std::vector<kj::Own<kj::PromiseFulfiller<rt::OutsideResult>>> waiting;
  };
  struct Executors;

  void finished(rt::ThreadId thread, uint64_t number, rt::OutsideResult result);

  IoLoop& loop_;
  std::shared_ptr<Execute> execute_;
  /// For answers that come after close(). Read and written on the loop only.
  std::shared_ptr<OutsideService*> alive_ = std::make_shared<OutsideService*>(this);
  std::map<rt::ThreadId, LastCall> lastCalls_;  // on the loop only
  std::map<rt::ThreadId, LastCall> abandoned_;  // at close: their connections go before us
  bool closed_ = false;
  std::shared_ptr<Executors> executors_;
};

}  // namespace jvmc::cluster
