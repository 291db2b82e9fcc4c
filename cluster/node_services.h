// What makes a VM a node of a cluster: object space, moving threads, mail, balancer, put together around one VM and its
// net. The table of contents of cluster/objects, cluster/migration and cluster/balance.
//
//     NodeServices services(control, options);
//     vm = Vm::create(module, vmOptions, makeCode, [&](Vm& vm) {
//       VmPorts ports = services.attach(vm);
//       ports.outside = ...; ports.events = ...;
//       return ports;
//     });
//     services.start();          // when all nodes are attached
//     ...
//     services.stop();           // before the net closes; then the VM may go, then the services
#pragma once

#include <memory>

#include "cluster/balance/balancer.h"
#include "cluster/migration/thread_migrator.h"
#include "cluster/objects/cluster_object_space.h"
#include "runtime/sync/sync_home.h"
#include "runtime/vm.h"

namespace jvmc::cluster {

/// How a thread becomes bytes and back (runtime/frames/codec.h). `decode` checks everything.
struct ThreadCodec {
  std::function<Bytes(const rt::GuestThread&)> encode;
  std::function<Result<std::unique_ptr<rt::GuestThread>>(std::span<const uint8_t>)> decode;
};

struct NodeServicesOptions {
  BalanceOptions balance;
  bool balanceDryRun = false;  ///< decisions are only noted
  SpaceOptions space;
  bool collects = false;    ///< exported garbage is found together with the other nodes (cluster/collect)
  bool startsHere = false;  ///< new threads begin on the node of their starter, not where there is most room
  /// The program cannot go on: a peer is lost or speaks nonsense. Any thread; called once for each loss noticed.
  std::function<void(Error)> fatal;
};

/// Where object space and moves stand: what a program that is stuck may wait for.
struct NodeState {
  SpaceState space;
  uint64_t threadsLeaving = 0;           ///< on their way from here
  std::vector<std::string> threadsSent;  ///< those of them that are sent and not answered: "name -> node"
  std::string lastRefusal;               ///< the last move of a thread that did not come about, and why; may be empty
  uint64_t incomingBlockBytes = 0;       ///< promised to be taken, and not here yet
  std::string collected;                 ///< by cluster-wide collections, one line; empty before the first one

  std::string text() const;
};

/// Threads: attach, start and stop on the owner's; everything else is thread-safe.
class NodeServices {
 public:
  NodeServices(ControlChannel& control, NodeServicesOptions options);
  ~NodeServices();

  /// Called once, from Vm::create's makePorts: heap and scheduler exist, nothing runs yet. Takes the channels Objects
  /// and Threads of the net. The ports live as long as this object.
  rt::VmPorts attach(rt::Vm& vm, ThreadCodec codec);
  void start();
  void stop();

  /// This node's part of --stats.
  void report(const StatSink& sink) const;
  /// What would be lost with `node`: threads that last arrived there, as far as homes here know.
  std::vector<rt::ThreadId> threadsLastSeenAt(NodeId node) const;
  std::vector<std::string> threadsInTransit() const;
  const Balancer& balancer() const;
  /// This node's load as of the balancer's last sample.
  NodeLoad load() const;
  /// What a thread here uses of other nodes' objects.
  std::vector<HomeUse> usesOf(rt::ThreadId thread) const;
  BlockMover& mover();
  /// Of blocks that are on their way to here.
  uint64_t awaitedBlockBytes() const;
  HomeMap& homes();
  size_t threadsOnTheirWay() const;
  /// The node is about to leave: sends on what only it has, letters (ThreadRouter::sendLettersOn()), writes that it
  /// owes and borrowed monitors, and calls its own back. Gives the number of what has not gone yet.
  size_t sendLettersOn();
  /// Cluster-wide collections that this node leads just now: it must not leave before they have ended.
  size_t roundsLed() const;
  /// Monitors and waits at this home.
  const rt::SyncHome& syncHome() const;
  NodeState state();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

/// True if the environment asks for the mode without caching (JVMC_NO_CACHE=1).
bool noCacheFromEnvironment();
/// JVMC_NO_LEASES=1: copies are never leased.
bool noLeasesFromEnvironment();

}  // namespace jvmc::cluster
