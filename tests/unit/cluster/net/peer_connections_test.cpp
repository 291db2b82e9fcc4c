// The KJ side of two nodes: control connections with heartbeats, data links handed over.
#include "cluster/net/peer_connections.h"

#include <gtest/gtest.h>

#include "tests/unit/cluster/support/socket_nodes.h"

namespace jvmc::cluster {
namespace {

using test::SocketNode;
using test::socketPair;
using Side = capnp::rpc::twoparty::Side;

struct ConnectedNode {
  explicit ConnectedNode(uint32_t id, PeerConnectionsOptions options = {}) : node(id, 2) {
    options.nodes = {NodeId(0), NodeId(1)};
    io.startThread();
    io.runSync([&] { peers = kj::heap<PeerConnections>(io, *node.net, options); });
  }
  ~ConnectedNode() noexcept(false) {
    io.runSync([&] { peers = nullptr; });
  }
  kj::Own<kj::AsyncIoStream> wrap(int fd) {
    return io.io().lowLevelProvider->wrapSocketFd(fd, kj::LowLevelAsyncIoProvider::TAKE_OWNERSHIP);
  }
  void control(uint32_t peer, int fd, Side side) {
    io.runSync([&] { peers->addControl(NodeId(peer), kj::heap<RpcConnection>(wrap(fd), side, peers->ownLink())); });
  }
  void data(uint32_t peer, DataLink kind, int fd) {
    io.runSync([&] { peers->addData(NodeId(peer), kind, wrap(fd)); });
  }

  SocketNode node;
  IoLoop io{{}};
  kj::Own<PeerConnections> peers;
};

TEST(PeerConnections, APairIsCompleteWithThreeLinksAndEndsWithAnyOfThem) {
  ConnectedNode a(0), b(1);
  std::promise<void> complete;
  a.io.runSync([&] { a.io.detach(a.peers->whenComplete().then([&] { complete.set_value(); })); });
  auto completed = complete.get_future();
  auto fds = socketPair();
  a.control(1, fds[0], Side::SERVER);
  b.control(0, fds[1], Side::CLIENT);
  for (DataLink kind : {DataLink::Small, DataLink::Bulk}) {
    EXPECT_NE(completed.wait_for(std::chrono::milliseconds(1)), std::future_status::ready);
    fds = socketPair();
    a.data(1, kind, fds[0]);
    b.data(0, kind, fds[1]);
  }
  completed.wait();
  b.node.answer(Channel::Threads, [](NodeId, Bytes payload) { return payload; });
  EXPECT_EQ(a.node.ask(1, Channel::Threads, Bytes(100'000)).value().size(), 100'000u);
  EXPECT_EQ(a.node.ask(1, Channel::Threads, Bytes(100)).value().size(), 100u);

  a.io.runSync([&] { a.peers = nullptr; });  // closes the control connection
  EXPECT_TRUE(b.node.awaitLoss());
  EXPECT_TRUE(a.node.awaitLoss()) << "its data links were closed by the other side";
}

TEST(PeerConnections, APeerThatDoesNotAnswerHeartbeatsIsLost) {
  PeerConnectionsOptions options;
  options.heartbeatNanos = 10'000'000;
  options.silenceNanos = 50'000'000;
  ConnectedNode node(0, options);
  const auto fds = socketPair();
  node.control(1, fds[0], Side::SERVER);
  EXPECT_TRUE(node.node.awaitLoss()) << "the other end of the pair is open but silent";
  EXPECT_NE(node.node.reason.find("no heartbeat"), std::string::npos) << node.node.reason;
  close(fds[1]);
}

TEST(PeerConnections, WhoIsNoMemberIsNotTakenInAndNotLost) {
  ConnectedNode node(0);
  node.io.runSync([&] { node.peers->setMembers(std::vector{NodeId(0), NodeId(2)}); });
  EXPECT_FALSE(node.peers->expects(NodeId(1)));
  EXPECT_TRUE(node.peers->expects(NodeId(2)));
  auto fds = socketPair();
  node.data(1, DataLink::Small, fds[0]);
  EXPECT_FALSE(node.peers->has(NodeId(1), LinkRole::Small));
  close(fds[1]);

  fds = socketPair();
  node.data(2, DataLink::Small, fds[0]);
  EXPECT_TRUE(node.peers->has(NodeId(2), LinkRole::Small));
  node.node.net->setMembers({NodeId(0)}, {NodeId(0)});  // it has left, and hangs up
  close(fds[1]);
  usleep(50'000);
  EXPECT_EQ(node.node.lost, 0);
}

}  // namespace
}  // namespace jvmc::cluster
