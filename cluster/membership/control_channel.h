// Channel::Control shared by several services: the first byte of a payload says whose it is, the rest belongs to them.
#pragma once

#include <array>
#include <mutex>

#include "cluster/net/node_net.h"

namespace jvmc::cluster {

/// First byte of a message on Channel::Control. Numbers are part of the wire format and never reused.
enum class ControlKind : uint8_t {
  CensusHint = 1,     ///< a thread has ended (program_end.h)
  CensusEnded = 2,    ///< ask: how many threads have ended at your node
  CensusCreated = 3,  ///< ask: how many threads have begun at your node
  Ping = 4,           ///< the answer says that all notifications sent before have arrived
  LoadReport = 16,    ///< cluster/balance
  Balance = 17,       ///< cluster/balance: the leader asks a node to give blocks to another
  Placement = 19,     ///< cluster/balance: the leader tells how loaded nodes are, for new threads
  MemoryRoom = 18,    ///< ask: how many bytes of blocks would you take (cluster/balance/memory_keeper.h)
  Collect = 20,       ///< cluster/collect: steps of a cluster-wide collection
};

/// One per node. Takes the Control handler of `net`; both must outlive all messages.
class ControlChannel {
 public:
  explicit ControlChannel(NodeNet& net);
  ControlChannel(const ControlChannel&) = delete;

  NodeNet& net() { return net_; }
  /// Any thread. Payloads are without the kind byte.
  void setHandler(ControlKind kind, NodeNet::Handler handler);
  void request(NodeId to, ControlKind kind, Bytes payload, std::function<void(Result<Bytes>)> done);
  void notify(NodeId to, ControlKind kind, Bytes payload);

 private:
  void dispatch(NodeId from, Bytes payload, std::shared_ptr<Responder> responder);

  NodeNet& net_;
  std::mutex mutex_;
  std::array<NodeNet::Handler, 32> handlers_;
};

}  // namespace jvmc::cluster
