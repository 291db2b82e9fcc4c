// What has happened in a run, and whether it may. Everybody tells the history what he does; it knows the one order in
// which all of it has happened, and so what each read must see. The first violation is kept; the run ends with it.
//
//     threads    each is at one node or on its way, begins once and ends once
//     monitors   one thread is inside
//     guarded    a field that is used under one monitor only: a read sees the last write
//     own        a field that one thread alone writes: it sees its last write, wherever it is
//     channels   fields written before a volatile one: who sees that, sees them, or younger ones
//     counters   atomic additions: each result once, none before its time
//     racing     references written by anybody at any time: a read sees one of them, never a mixture
//     finals     objects that are frozen and then found by a plain read: whoever finds one sees it whole
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/ids.h"
#include "tests/simulator/events.h"

namespace jvmc::sim {

using rt::NodeId;
using rt::ObjectRef;
using rt::ThreadId;

/// Kinds of events, with what their numbers mean.
enum class What : uint8_t {
  Message,     ///< node, from, channel and first byte, the 8 bytes after it
  Answer,      ///< node, peer, number, bytes
  Runs,        ///< node, thread
  Suspended,   ///< node, thread
  Parked,      ///< node, thread, ticket
  Asks,        ///< node, thread, operation, object
  CarriedOut,  ///< node, thread, operation, object
  Mail,        ///< node, thread, ticket
  Adopted,     ///< node, thread, incarnation
  Departed,    ///< node, thread, incarnation, target
  Started,     ///< node, thread
  Ended,       ///< node, thread
  Entered,     ///< thread, monitor
  Left,        ///< thread, monitor
  Wrote,       ///< thread, object, offset, value
  Read,        ///< thread, object, offset, value
  BlocksSent,  ///< node, target
  Blocks,      ///< node, groups, revoked, bytes
  Evicted,     ///< node, bytes
  Members,     ///< view, members, places
  Cut,         ///< first node, nodes
  Healed,      ///<
  Repeated,    ///< node, from, number of the frame
  Crashed,     ///< node
  Frozen,      ///< node, 1 or 0
  Slow,        ///< node, nanoseconds
  Drained,     ///< node
  Joined,      ///< node
  Decided,     ///< node, thread, target
  Collected,   ///< node, whether the round was complete, dead objects
  BlockHere,   ///< node, block
  BlockGone,   ///< node, block
  Over,        ///< exit code
};

class History {
 public:
  explicit History(const Events& events) : events_(events) {}

  void note(What what, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0, uint64_t d = 0);
  /// Something has happened that must not. Only the first one counts.
  void fail(std::string violation);
  const std::string& violation() const { return violation_; }
  /// A number that two runs share only if the same has happened in both.
  uint64_t fingerprint() const { return fingerprint_; }
  uint64_t notes() const { return notes_; }
  /// When a thread last ran.
  int64_t lastRun() const { return lastRun_; }
  bool traces = false;  ///< prints all
  /// The last events, one a line.
  std::string tail(size_t lines) const;

  // -- threads
  void created(ThreadId thread);
  void adopted(NodeId node, ThreadId thread, uint32_t incarnation);
  void departed(NodeId node, ThreadId thread, uint32_t incarnation, NodeId target);
  void ended(NodeId node, ThreadId thread);
  size_t threadsAlive() const { return places_.size() - ended_.size(); }

  // -- blocks, where there are too many to look at all of them after each event
  void blockArrives(NodeId node, uint64_t block);
  void blockLeaves(NodeId node, uint64_t block);

  // -- what programs do. `field`: the address.
  void entered(ThreadId thread, ObjectRef monitor);
  void left(ThreadId thread, ObjectRef monitor);
  void wrote(ThreadId thread, uint64_t field, uint64_t value);
  /// It must be the last one written.
  void readLast(ThreadId thread, uint64_t field, uint64_t value);
  /// A channel's writer is about to write the number `value`, plainly.
  void sending(uint64_t channel, uint64_t value) { sent_[channel] = value; }
  /// The flag was `flag`, then a field was read as `value`.
  void received(ThreadId thread, uint64_t channel, uint64_t flag, uint64_t value);
  /// `genuine`: it is one of those that have been written.
  void readReference(ThreadId thread, uint64_t field, uint64_t value, bool genuine);
  /// An object is frozen, and the thread is about to write `value` to a slot, by which others find it.
  void published(ThreadId thread, uint64_t value);
  void found(ThreadId thread, uint64_t slot, uint64_t value);
  /// Of a frozen object.
  void readFinal(ThreadId thread, uint64_t field, uint64_t value, uint64_t expected);
  uint64_t additionBegins(uint64_t field);
  /// The result of an addition that began when additionBegins() returned `begun`.
  void added(ThreadId thread, uint64_t field, uint64_t begun, uint64_t result);

 private:
  struct Note {
    int64_t time;
    What what;
    uint64_t a, b, c, d;
  };
  struct Counter {
    uint64_t begun = 0, done = 0;
    std::set<uint64_t> results;
  };
  static constexpr uint32_t kOnItsWay = ~0u;
  static constexpr size_t kKept = 4096;

  static std::string text(const Note& note);

  const Events& events_;
  std::string violation_;
  uint64_t fingerprint_ = 0xcbf2'9ce4'8422'2325;
  uint64_t notes_ = 0;
  int64_t lastRun_ = 0;
  std::vector<Note> last_;  // a ring of kKept

  std::unordered_map<ThreadId, uint32_t> places_;  // node, or kOnItsWay
  std::set<ThreadId> ended_;
  std::unordered_map<uint64_t, uint32_t> homes_;  // by block: node, or kOnItsWay
  std::unordered_map<ObjectRef, ThreadId> owners_;
  std::unordered_map<uint64_t, uint64_t> values_;  // by field
  std::unordered_map<uint64_t, uint64_t> sent_;
  std::unordered_map<uint64_t, Counter> counters_;
  std::set<uint64_t> published_;
};

}  // namespace jvmc::sim
