// What a node tells about its program while it runs, to whoever looks: profiles, stacks, events. Requests and answers
// are JSON objects, carried as text by VmProcess.observe: the launcher and the agents between need not understand them,
// and fields are only ever added.
//
//   request                                                        answer
//   {"profile": {"kinds": ["cpu", ...], "hz", "allocBytes",        {"node", "profile": {...}}   gathered since the last
//                "leaseMillis"}}                                                                 request; goes on
//   {"profile": {"stop": true}}                                    the same, and nothing more is gathered
//   {"threads": true}                                              {"threads": [...], "monitors": [...], "joins":
//                                                                   [...], "classInits": [...], "state": text,
//                                                                   "objectSpace": {...}, "migration": {...}}
//   {"trace": {"events", "leaseMillis", "minNanos"}},              {"trace": [...], "lost", "now", "decisions": [...]}
//   {"trace": {"stop"}}                                            decisions whose outcome is open are told again
//   {"clock": true}                                                {"now"}: monotonic nanoseconds
//
// Each answer has "now", but those to the launcher's own last question to a node that ends ("last", last_words.h),
// which are told to tools later.
//
// Whoever asks for a profile or a trace must ask again before its lease is over: nobody needs to be told when a tool
// was killed.
#pragma once

#include <memory>
#include <set>
#include <span>
#include <string>

#include "cluster/net/node_net.h"
#include "ir/support/result.h"
#include "runtime/sync/sync_home.h"
#include "runtime/vm.h"

namespace jvmc::cluster {

class NodeServices;

/// Methods are called by the VM process's main thread unless they say otherwise.
class Observer {
 public:
  /// `home`: monitors and waits at this node. `services`: null if there are no other nodes. `net`: asked for the
  /// program's nodes, here only.
  Observer(rt::Vm& vm, const rt::SyncHome& home, NodeServices* services, const NodeNet& net);
  ~Observer();

  /// Fails for a request that makes no sense.
  Result<std::string> answer(const std::string& request);
  /// I/O loop: the program's nodes now, and those of them to which threads may go: for timelines.
  void noteMembers(std::span<const NodeId> nodes, std::span<const NodeId> places);
  /// The same as a request for a profile, without a lease, from the start of the program on. `options`: as in a
  /// request.
  Status startProfile(const std::string& options);
  /// The profile that was begun so, as in an answer; empty if none was.
  std::string finishProfile();

 private:
  class TraceLease;

  bool isWatchingWaits() const;
  void stopProfile();
  void noteLoans();
  void takeWhatGoesOn(rt::TraceTaken& taken);

  rt::Vm& vm_;
  const rt::SyncHome& home_;
  NodeServices* const services_;
  std::unique_ptr<TraceLease> traceLease_;
  bool profilesWholeRun_ = false;
  uint64_t decisionsTold_ = 0;       // number of the last one whose outcome was known, and of all before
  std::set<NodeId> nodes_, places_;  // I/O loop: as last told
};

}  // namespace jvmc::cluster
