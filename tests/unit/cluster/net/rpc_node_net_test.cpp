// Several nodes in one process, each with its own I/O loop, connected by socket pairs.
#include "cluster/net/rpc_node_net.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <future>

#include "cluster/net/limits.h"

namespace jvmc::cluster {
namespace {

struct TestNode {
  explicit TestNode(uint32_t id, uint32_t count, RpcNodeNetOptions options = {}) {
    options.self = NodeId(id);
    options.nodeCount = count;
    options.onPeerLost = [this](NodeId peer, std::string) {
      lastLost = peer.value;
      ++lost;
    };
    loop.startThread();
    net = std::make_unique<RpcNodeNet>(loop, options);
  }
  ~TestNode() { stop(); }
  void stop() {
    loop.runSync([&] { net->close(); });
  }
  void attach(uint32_t peer, int fd, capnp::rpc::twoparty::Side side) {
    loop.runSync([&] {
      auto stream = loop.io().lowLevelProvider->wrapSocketFd(fd, kj::LowLevelAsyncIoProvider::TAKE_OWNERSHIP);
      net->addPeer(NodeId(peer), kj::heap<RpcConnection>(loop, kj::mv(stream), side, net->linkFor(NodeId(peer))));
    });
  }
  Result<Bytes> ask(uint32_t to, Channel channel, Bytes payload) {
    std::promise<Result<Bytes>> answer;
    net->request(NodeId(to), channel, std::move(payload), [&](Result<Bytes> r) { answer.set_value(std::move(r)); });
    return answer.get_future().get();
  }

  IoLoop loop{{}};
  std::unique_ptr<RpcNodeNet> net;
  std::atomic<int> lost{0};
  std::atomic<uint32_t> lastLost{99};
};

class RpcNodeNetTest : public testing::Test {
 protected:
  explicit RpcNodeNetTest() {
    for (uint32_t i = 0; i < 3; ++i) nodes.push_back(std::make_unique<TestNode>(i, 3));
    for (uint32_t i = 0; i < 3; ++i)
      for (uint32_t j = 0; j < i; ++j) {
        int fds[2];
        JVMC_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
        nodes[i]->attach(j, fds[0], capnp::rpc::twoparty::Side::CLIENT);
        nodes[j]->attach(i, fds[1], capnp::rpc::twoparty::Side::SERVER);
      }
    for (auto& node : nodes)
      node->net->setHandler(Channel::Objects, [](NodeId from, Bytes payload, std::shared_ptr<Responder> responder) {
        payload.push_back(uint8_t(from.value));
        responder->reply(std::move(payload));
      });
  }
  std::vector<std::unique_ptr<TestNode>> nodes;
};

TEST_F(RpcNodeNetTest, AnswersRequestsBetweenAllPairsAndToItself) {
  for (uint32_t from = 0; from < 3; ++from)
    for (uint32_t to = 0; to < 3; ++to) {
      auto answer = nodes[from]->ask(to, Channel::Objects, {1, 2});
      ASSERT_TRUE(answer.ok()) << answer.error().message;
      EXPECT_EQ(*answer, (Bytes{1, 2, uint8_t(from)}));
    }
}

TEST_F(RpcNodeNetTest, AnswersLaterFromAnotherThread) {
  std::promise<std::shared_ptr<Responder>> held;
  nodes[1]->net->setHandler(Channel::Threads, [&](NodeId, Bytes, std::shared_ptr<Responder> responder) {
    held.set_value(std::move(responder));
  });
  std::promise<Result<Bytes>> answer;
  nodes[0]->net->request(NodeId(1), Channel::Threads, {}, [&](Result<Bytes> r) { answer.set_value(std::move(r)); });
  held.get_future().get()->reply({7});
  EXPECT_EQ(*answer.get_future().get(), Bytes{7});
}

TEST_F(RpcNodeNetTest, CarriesRefusalsWithCodeAndWords) {
  nodes[1]->net->setHandler(Channel::Threads, [&](NodeId, Bytes, std::shared_ptr<Responder> responder) {
    responder->fail({ErrorCode::kRefused, "no room: node is draining"});
  });
  auto answer = nodes[0]->ask(1, Channel::Threads, {});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::kRefused);
  EXPECT_EQ(answer.error().message, "node 1: no room: node is draining");
}

TEST_F(RpcNodeNetTest, ADroppedResponderIsAnError) {
  nodes[1]->net->setHandler(Channel::Threads, [](NodeId, Bytes, std::shared_ptr<Responder>) {});
  EXPECT_FALSE(nodes[0]->ask(1, Channel::Threads, {}).ok());
  EXPECT_FALSE(nodes[1]->ask(1, Channel::Threads, {}).ok());
}

TEST_F(RpcNodeNetTest, AChannelWithoutHandlerIsAnError) {
  EXPECT_EQ(nodes[0]->ask(1, Channel::Control, {}).error().code, ErrorCode::kUnavailable);
}

TEST_F(RpcNodeNetTest, DeliversEveryNotification) {
  std::atomic<int> sum{0};
  nodes[2]->net->setHandler(Channel::Control,
                            [&](NodeId, Bytes payload, std::shared_ptr<Responder>) { sum += payload[0]; });
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) nodes[t % 3]->net->notify(NodeId(2), Channel::Control, {1});
    });
  for (auto& thread : threads) thread.join();
  for (int i = 0; i < 500 && sum < 2000; ++i) usleep(10'000);
  EXPECT_EQ(sum, 2000);
}

TEST_F(RpcNodeNetTest, CarriesLargePayloadsAndRefusesTooLargeOnes) {
  Bytes large(20 << 20, 5);
  auto answer = nodes[0]->ask(1, Channel::Objects, large);
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->size(), large.size() + 1);
  EXPECT_EQ(nodes[0]->ask(1, Channel::Objects, Bytes(kMaxPayloadBytes + 1)).error().code, ErrorCode::kRefused);
  EXPECT_TRUE(nodes[0]->ask(1, Channel::Objects, {1}).ok()) << "the connection is still good";
}

TEST_F(RpcNodeNetTest, FailsCallsInFlightWhenThePeerIsLostAndTellsOnce) {
  std::vector<std::shared_ptr<Responder>> held;
  std::promise<void> arrived;
  nodes[1]->net->setHandler(Channel::Threads, [&](NodeId, Bytes, std::shared_ptr<Responder> responder) {
    held.push_back(std::move(responder));
    arrived.set_value();
  });
  std::promise<Result<Bytes>> answer;
  nodes[0]->net->request(NodeId(1), Channel::Threads, {}, [&](Result<Bytes> r) { answer.set_value(std::move(r)); });
  arrived.get_future().wait();
  nodes[1]->stop();
  auto result = answer.get_future().get();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kUnavailable);
  for (int i = 0; i < 200 && nodes[0]->lost == 0; ++i) usleep(10'000);
  EXPECT_EQ(nodes[0]->lost, 1);
  EXPECT_EQ(nodes[0]->lastLost, 1u);
  EXPECT_EQ(nodes[0]->ask(1, Channel::Objects, {}).error().code, ErrorCode::kUnavailable);
  EXPECT_TRUE(nodes[0]->ask(2, Channel::Objects, {}).ok());
  EXPECT_EQ(nodes[1]->lost, 0) << "closing is not losing";
  held.clear();
}

TEST(RpcNodeNet, APeerThatDoesNotAnswerHeartbeatsIsLost) {
  RpcNodeNetOptions options;
  options.heartbeatNanos = 10'000'000;
  options.silenceNanos = 50'000'000;
  TestNode node(0, 2, options);
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
  node.attach(1, fds[0], capnp::rpc::twoparty::Side::SERVER);
  for (int i = 0; i < 300 && node.lost == 0; ++i) usleep(10'000);
  EXPECT_EQ(node.lost, 1) << "the other end of the pair is open but silent";
  close(fds[1]);
}

TEST(IoLoop, RunsTasksInOrderFromManyThreadsWithAndWithoutSpinning) {
  for (bool spin : {false, true}) {
    IoLoopOptions options;
    if (spin) options.maySpin = [] { return true; };
    IoLoop loop(options);
    loop.startThread();
    std::vector<int> last(4, -1);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < 2000; ++i)
          loop.post([&, t, i] {
            EXPECT_EQ(last[t], i - 1);
            last[t] = i;
          });
      });
    for (auto& thread : threads) thread.join();
    loop.runSync([&] { EXPECT_EQ(last, std::vector<int>(4, 1999)); });
    std::promise<void> fired;
    loop.postAfter(1'000'000, [&] { fired.set_value(); });
    EXPECT_EQ(fired.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  }
}

}  // namespace
}  // namespace jvmc::cluster
