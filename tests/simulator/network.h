// The net between simulated nodes, as NodeNet promises it to the code above: messages arrive once, later or earlier, in
// any order or in the order of a link, or not at all if a node is lost. What TCP hides of loss and reordered packets
// shows as delay only, so that is what is simulated of them. Frames may come twice, because they were sent again: after
// some time, or after a cut. Links number them as those of the product do, and the product's own check drops the second
// one.
//
//     request   --delay-->  frame --FrameOrder-->  handler ... reply  --delay--> ... done
//     notify    --delay-->  frame --FrameOrder-->  handler
//                     delay: the profile's, plus retransmissions, plus however long the link is cut
#pragma once

#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cluster/net/message_frame.h"
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
  double straggling = 0;       ///< share of messages that take up to ten times as long
  double loss = 0;             ///< share of packets that are lost and sent again after a timeout
  double repeats = 0;          ///< share of frames that come once more
  bool takesRepeated = false;  ///< a fault: they are handled once more
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
  static constexpr int64_t kPeerLostNanos = 30 * kSeconds;

  Network(Events& events, History& history, NetProfile profile, uint64_t seed)
      : events(events), history(history), profile_(profile), repetitions_(seed + 1) {}

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
  /// Frames that have come once more.
  uint64_t repeated() const { return repeated_; }
  /// The node has ended without a word. Its peers notice after `noticedAfterNanos`.
  void crash(NodeId node, int64_t noticedAfterNanos);

 private:
  /// One direction.
  struct Link {
    int64_t lastFrame = 0;    ///< when the last frame arrives
    int64_t lastArrival = 0;  ///< and when what was in it is handled
    uint32_t sent = 0;
    cluster::FrameOrder order;
  };
  using LinkKey = std::array<uint32_t, 3>;  // from, to, large
  struct Held {
    NodeId from, to;
    size_t bytes;
    Events::Task what;
    bool ofLauncher, toNode;
  };

  int64_t delay();
  void sendFrame(const LinkKey& key, int64_t frameTime, int64_t arrival, bool repeats, Events::Task what);
  bool repeatsNext();
  bool isCut(NodeId from, NodeId to) const { return side_.contains(from) != side_.contains(to); }

  NetProfile profile_;
  std::vector<SimNet*> nets_;
  Prng repetitions_;  // its own, so that a run without them is the same otherwise
  std::map<LinkKey, Link> links_;
  uint64_t repeated_ = 0;
  bool heals_ = false;  // what was held is being sent
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
  uint64_t asked(NodeId peer) const override;
  bool answered(NodeId peer, uint64_t count) const override;
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
