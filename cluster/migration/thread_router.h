// Finds threads: sends mail to a thread wherever it runs, and remembers where those went that left.
//
// Three places know something, in the order in which they are asked:
//     the scheduler here            exact
//     `moved`: left for node X      a hint: it may have gone on from there
//     the home of the Thread object where the thread last arrived; updated by a message, so a little late
// What leads a letter on must be younger than what has led it so far, by the thread's incarnation; else old hints would
// send it round while its thread is on its way. Then it goes to the home, waits there until the thread's arrival is
// told, and tries again now and then in case that is never told. Mail for a thread that has ended is dropped, as its
// home says so. So mail reaches a living thread in the end, whatever order messages arrive in, and each message hands
// it on exactly once.
#pragma once

#include <atomic>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "cluster/migration/messages.h"
#include "cluster/migration/thread_host.h"
#include "cluster/objects/home_map.h"
#include "cluster/objects/space_stats.h"

namespace jvmc::cluster {

/// What the home of a Thread object remembers of the thread.
struct LastSeen {
  NodeId node;
  uint32_t incarnation = 0;
};

/// Thread-safe.
class ThreadRouter final : public rt::ThreadPost {
 public:
  ThreadRouter(ThreadHost& host, NodeNet& net, const HomeMap& homes);

  void send(const rt::ThreadRef& to, const rt::ThreadMail& mail) override;

  // -- told by the migrator
  /// `thread` has been sent to `target`; mail follows it.
  void departed(rt::ThreadId thread, uint32_t incarnation, NodeId target);
  /// `thread` runs here now: mail that waits for it is delivered, its home is told.
  void arrived(const rt::ThreadRef& thread, uint32_t incarnation);

  /// The node is about to leave: from now on letters go on at once, since what rests here when it has gone is lost.
  /// Gives the number of those that cannot, because the home of their Thread object is still here.
  size_t sendLettersOn();

  // -- told by whoever runs requests at the home of a Thread object
  /// A thread is about to start at `node`, its Thread object is homed here.
  void starting(rt::ThreadId thread, NodeId node);
  void ended(rt::ThreadId thread);

  // -- when the home of a Thread object moves
  /// Where the thread was last seen, forgotten here; nothing if it is not known or has ended.
  std::optional<LastSeen> takeLocation(rt::ThreadId thread);
  void putLocation(rt::ThreadId thread, LastSeen seen);

  /// Messages of kinds Mail and Location, kind byte taken.
  void handleMail(ByteReader& in);
  void handleLocation(ByteReader& in);

  /// Answers in letters that rest here, or that the next node has not confirmed yet. World stopped.
  void visitAnswers(const std::function<void(const rt::Resumption&)>& visit) const;

  /// Threads that last arrived at `node`, as far as homes here know: for telling what was lost with it.
  std::vector<rt::ThreadId> lastSeenAt(NodeId node) const;
  void report(const StatSink& sink) const;
  /// Letters that went on from here to another node.
  uint64_t forwarded() const { return forwarded_; }

 private:
  using Place = LastSeen;
  struct Letter {
    rt::ThreadRef to;
    rt::ThreadMail mail;
    uint8_t hops = 0;
    uint8_t attempts = 0;  ///< at this node, without finding anybody
    uint32_t known = 0;    ///< 1 + the incarnation of what has led it furthest; 0: nothing has
  };
  static constexpr uint8_t kHopsBeforeWaiting = 6;
  static constexpr int64_t kRetryNanosMin = 50'000;
  static constexpr uint8_t kRetryDoublings = 10;
  static constexpr uint8_t kHopDoublings = 6;
  /// After so many a letter begins its search anew.
  static constexpr uint8_t kAttemptsMax = 10;
  static constexpr size_t kMovedMax = 1 << 18;

  void tellHome(const rt::ThreadRef& thread, LastSeen seen);
  bool deliveredHere(const Letter& letter);
  void route(Letter letter);
  void drop(const Letter& letter);
  /// Where to send it on; invalid: wait here; nullopt: drop it.
  std::optional<NodeId> nextStop(Letter& letter);
  void forward(Letter letter, NodeId node);
  uint64_t keep(const rt::Resumption& answer);
  void letGo(uint64_t number);
  void hold(Letter letter);
  void onRetryTimer(rt::ThreadId thread);
  void retry(rt::ThreadId thread);
  void noteLocation(rt::ThreadId thread, Place place);

  ThreadHost& host_;
  NodeNet& net_;
  const HomeMap& homes_;
  const NodeId self_;
  std::atomic<bool> leaving_{false};
  mutable std::mutex mutex_;
  std::unordered_map<rt::ThreadId, Place> moved_;
  std::unordered_map<rt::ThreadId, Place> locations_;  ///< of threads whose Thread object is homed here
  /// Letters that wait for a thread. One timer for all of them: if each had its own, each would start all anew.
  struct Held {
    std::vector<Letter> letters;
    bool timerRuns = false;
  };
  std::unordered_map<rt::ThreadId, Held> held_;
  std::unordered_map<uint64_t, rt::Resumption>
      underWay_;  ///< answers that may refer to objects, on their way from here
  uint64_t nextUnderWay_ = 0;
  Counter forwarded_{0}, heldCount_{0}, dropped_{0};
};

}  // namespace jvmc::cluster
