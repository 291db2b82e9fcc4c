// Messages between the nodes of one program: the port that object space, thread migration and balancer use. The real
// implementation sends frames over sockets (socket_node_net.h); tests put delays and reordering in between.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ir/support/result.h"
#include "runtime/ids.h"

namespace jvmc::cluster {

/// Nanoseconds of this machine's monotonic clock.
int64_t steadyNanos();

using rt::NodeId;
using Bytes = std::vector<uint8_t>;

/// What a message carries.
struct Payload {
  Payload() = default;
  Payload(Bytes bytes, std::vector<std::span<const uint8_t>> tail = {})
      : bytes(std::move(bytes)), tail(std::move(tail)) {}

  Bytes bytes;
  std::vector<std::span<const uint8_t>> tail;  ///< follows: memory that is not the message's own

  size_t size() const;
};

/// Who handles a message at the receiver. Payload encodings belong to the handler (each documented at its codec).
enum class Channel : uint8_t {
  Objects,  ///< fetch, flush, synchronisation requests (cluster/objects)
  Threads,  ///< thread images, mail, location updates (cluster/migration)
  Control,  ///< load reports, region leases, commands (cluster/membership, cluster/balance)
};
inline constexpr size_t kChannels = 3;

/// What went to other nodes and came from them. Bytes are payloads, of requests and of answers.
struct NetStats {
  struct OfChannel {
    uint64_t messagesSent = 0, bytesSent = 0;
    uint64_t messagesReceived = 0, bytesReceived = 0;
  };
  std::array<OfChannel, kChannels> channels{};
};

/// Answers one request, once. May be kept and used later, from any thread. Dropping it answers with an error.
class Responder {
 public:
  virtual ~Responder() = default;
  virtual void reply(Bytes payload) = 0;
  virtual void fail(Error error) = 0;
};

class NodeNet {
 public:
  virtual ~NodeNet() = default;

  virtual NodeId self() const = 0;
  /// All nodes of the program's current view, self included, ascending.
  virtual std::vector<NodeId> nodes() const = 0;
  /// Those of them to which threads and blocks may go: all but the ones that are about to leave or have only just come.
  virtual std::vector<NodeId> places() const { return nodes(); }
  bool isMember(NodeId node) const;
  /// Who does what one node must do for all (counting threads, balancing): the member with the lowest id. It changes
  /// only when the leader leaves.
  NodeId leader() const { return nodes().front(); }
  bool isLeader() const { return leader() == self(); }
  bool isPlace(NodeId node) const;
  /// The place after this node's, in a circle; this node if there is no other.
  NodeId nextPlace() const;

  /// Sends a request; `done` runs once on the I/O thread with the reply, or with an error if the peer is lost or
  /// refuses. Callable from any thread; never blocks. No order is kept between two requests. A message to oneself is
  /// delivered too.
  virtual void request(NodeId to, Channel channel, Bytes payload, std::function<void(Result<Bytes>)> done) = 0;
  /// The same; the tail is sent from where it lies, and must stay as it is until `done` runs.
  virtual void requestInPieces(NodeId to, Channel channel, Payload payload, std::function<void(Result<Bytes>)> done);
  /// As request, when no reply is wanted. Lost only if the peer is lost.
  virtual void notify(NodeId to, Channel channel, Bytes payload) = 0;

  /// Handlers run on the I/O thread, must not block or wait for guest code, and keep `responder` if they answer later.
  using Handler = std::function<void(NodeId from, Bytes payload, std::shared_ptr<Responder> responder)>;
  virtual void setHandler(Channel channel, Handler handler) = 0;
  /// On the I/O thread: a large payload that has been handled; another one may come to lie in its memory.
  virtual void reuse(Bytes) {}

  /// Runs `task` on the I/O thread soon; any thread may call it.
  virtual void post(std::function<void()> task) = 0;
  /// Runs `task` on the I/O thread after `nanos`.
  virtual void postAfter(int64_t nanos, std::function<void()> task) = 0;
  /// Nanoseconds on the clock by which postAfter counts; it never goes back. Any thread.
  virtual int64_t now() const { return steadyNanos(); }

  /// Requests to the node so far (this one too), and whether the first `count` of them have been answered. Asked on the
  /// I/O thread, answered() says that what their `done` did is done. Any thread.
  virtual uint64_t asked(NodeId) const { return 0; }
  virtual bool answered(NodeId, uint64_t) const { return true; }

  /// Any thread.
  virtual NetStats stats() const { return {}; }
};

}  // namespace jvmc::cluster
