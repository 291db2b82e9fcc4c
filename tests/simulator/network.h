// The net between simulated nodes, as NodeNet promises it to the code above: messages arrive once, later or earlier, in
// any order or in the order of a link, or not at all if a node is lost. What TCP hides (loss, duplicates, reordered
// packets) shows as delay only, so that is what is simulated of it.
//
//     request   --delay-->  handler ... reply  --delay-->  done        delay: the profile's, plus retransmissions,
//     notify    --delay-->  handler                                    plus however long the link is cut
#pragma once

#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cluster/net/node_net.h"
#include "tests/simulator/history.h"

namespace jvmc::sim {

using cluster::Bytes;
using cluster::Channel;
using cluster::NodeId;
using cluster::Responder;

/// How messages travel in one run.
struct NetProfile {
  int64_t delayNanosMin = 10 * kMicros, delayNanosMax = 100 * kMicros;
  double straggling = 0;  ///< share of messages that take up to ten times as long
  double loss = 0;        ///< share of packets that are lost and sent again after a timeout
  /// Messages of a link keep their order, as those of a socket do; else none is kept, which is all that NodeNet
  /// promises.
  bool ordered = true;
};

class SimNet;

/// All links.
class Network {
 public:
  /// What is above it has its own link, which large messages do not share (cluster/net).
  static constexpr size_t kSmallBytesMax = 64 << 10;
  static constexpr int64_t kRetransmitNanos = 20 * kMillis;
  /// Heartbeats are missed for so long before a peer counts as lost.
  static constexpr int64_t kPeerLostNanos = 20 * kSeconds;

  Network(Events& events, History& history, NetProfile profile) : events(events), history(history), profile_(profile) {}

  Events& events;
  History& history;

  /// Nothing is carried any more.
  void close() {
    isClosed_ = true;
    held_.clear();
  }
  void add(SimNet& net);
  void remove(NodeId node);
  SimNet* find(NodeId node) { return node.index() < nets_.size() ? nets_[node.index()] : nullptr; }
  /// `what` happens at `to`, when `bytes` from `from` have got there. `barrier`: and all sent before it.
  void carry(NodeId from, NodeId to, size_t bytes, bool barrier, Events::Task what);
  /// Of a message between the launcher and a node.
  void carryForLauncher(NodeId node, bool toNode, Events::Task what);

  /// From now on nothing gets from one side to the other; the launcher is on the side of those not in `side`.
  void cut(std::set<NodeId> side);
  void heal();
  bool isCutFromLauncher(NodeId node) const { return side_.contains(node); }
  /// The node has ended without a word. Its peers notice after `noticedAfterNanos`.
  void crash(NodeId node, int64_t noticedAfterNanos);

 private:
  struct Link {
    int64_t lastArrival = 0;
  };
  struct Held {
    NodeId from, to;
    size_t bytes;
    Events::Task what;
    bool ofLauncher, toNode;
  };

  int64_t delay();
  bool isCut(NodeId from, NodeId to) const { return side_.contains(from) != side_.contains(to); }

  NetProfile profile_;
  std::vector<SimNet*> nets_;
  std::map<std::array<uint32_t, 3>, Link> links_;  // from, to, large
  bool isClosed_ = false;
  std::set<NodeId> side_;
  std::vector<Held> held_;  // until the cut is healed
};

/// One node's.
class SimNet final : public cluster::NodeNet {
 public:
  SimNet(Network& network, NodeId self, std::vector<NodeId> nodes)
      : network_(network), self_(self), nodes_(nodes), places_(std::move(nodes)) {
    network_.add(*this);
  }
  ~SimNet() override { network_.remove(self_); }

  NodeId self() const override { return self_; }
  std::vector<NodeId> nodes() const override { return nodes_; }
  std::vector<NodeId> places() const override { return places_; }
  void request(NodeId to, Channel channel, Bytes payload, std::function<void(Result<Bytes>)> done) override;
  void notify(NodeId to, Channel channel, Bytes payload) override;
  void setHandler(Channel channel, Handler handler) override { handlers_[size_t(channel)] = std::move(handler); }
  void post(std::function<void()> task) override { postAfter(0, std::move(task)); }
  void postAfter(int64_t nanos, std::function<void()> task) override;
  int64_t now() const override { return network_.events.now(); }

  void setMembers(std::vector<NodeId> nodes, std::vector<NodeId> places) {
    nodes_ = std::move(nodes);
    places_ = std::move(places);
  }
  /// As in SocketNodeNet: requests to the peer so far, and whether the first `count` have been answered.
  uint64_t asked(NodeId peer) { return peers_[peer].asked; }
  bool answered(NodeId peer, uint64_t count);
  /// All requests to the peer that have no answer fail.
  void losePeer(NodeId peer);

 private:
  friend class Network;
  class SimResponder;
  struct Peer {
    uint64_t asked = 0;
    std::map<uint64_t, std::function<void(Result<Bytes>)>> waiting;  // by number
    bool lost = false;
  };

  void receive(NodeId from, Channel channel, Bytes payload, std::shared_ptr<Responder> responder);
  void answer(NodeId peer, uint64_t number, Result<Bytes> result);

  Network& network_;
  const NodeId self_;
  std::vector<NodeId> nodes_, places_;
  std::array<Handler, cluster::kChannels> handlers_;
  std::map<NodeId, Peer> peers_;
};

}  // namespace jvmc::sim
