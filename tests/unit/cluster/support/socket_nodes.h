// Nodes of one process, each with its own I/O thread, connected by socket pairs or by nothing but one end.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <string>

#include "cluster/net/socket_node_net.h"
#include "ir/support/check.h"

namespace jvmc::cluster::test {

/// A connected pair of non-blocking sockets.
inline std::array<int, 2> socketPair() {
  int fds[2];
  JVMC_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0, errno);
  return {fds[0], fds[1]};
}

struct SocketNode {
  explicit SocketNode(uint32_t id, uint32_t count) {
    loop.start();
    SocketNodeNetOptions options;
    options.self = NodeId(id);
    options.nodes.clear();
    for (uint32_t i = 0; i < count; ++i) options.nodes.emplace_back(i);
    options.onPeerLost = [this](NodeId peer, std::string why) {
      reason = std::move(why);
      lastLost = peer.value;
      ++lost;
    };
    net = std::make_unique<SocketNodeNet>(loop, options);
  }
  void stop() { net->close(); }
  static void connect(SocketNode& a, SocketNode& b) {
    for (DataLink kind : {DataLink::Small, DataLink::Bulk}) {
      const auto fds = socketPair();
      a.net->addLink(b.net->self(), kind, fds[0]);
      b.net->addLink(a.net->self(), kind, fds[1]);
    }
  }
  void answer(Channel channel, std::function<Bytes(NodeId, Bytes)> make) {
    net->setHandler(channel, [make](NodeId from, Bytes payload, std::shared_ptr<Responder> responder) {
      responder->reply(make(from, std::move(payload)));
    });
  }
  std::future<Result<Bytes>> begin(uint32_t to, Channel channel, Bytes payload) {
    auto answer = std::make_shared<std::promise<Result<Bytes>>>();
    auto future = answer->get_future();
    net->request(NodeId(to), channel, std::move(payload),
                 [answer](Result<Bytes> r) { answer->set_value(std::move(r)); });
    return future;
  }
  Result<Bytes> ask(uint32_t to, Channel channel, Bytes payload) {
    return begin(to, channel, std::move(payload)).get();
  }
  /// False if no peer is lost within some seconds.
  bool awaitLoss() {
    for (int i = 0; i < 1000 && lost == 0; ++i) usleep(5'000);
    return lost == 1;
  }

  MessageLoop loop;
  std::atomic<int> lost{0};
  std::atomic<uint32_t> lastLost{99};
  std::string reason;  ///< read after awaitLoss()
  std::unique_ptr<SocketNodeNet> net;
};

}  // namespace jvmc::cluster::test
