// The data plane among three nodes, and against peers that misbehave.
#include <gtest/gtest.h>

#include <thread>

#include "cluster/net/limits.h"
#include "cluster/net/message_frame.h"
#include "cluster/net/page_pipe.h"
#include "ir/support/prng.h"
#include "tests/unit/cluster/support/socket_nodes.h"

namespace jvmc::cluster {
namespace {

using test::SocketNode;
using test::socketPair;

class SocketNodeNetTest : public testing::Test {
 protected:
  SocketNodeNetTest() {
    for (uint32_t i = 0; i < 3; ++i) nodes.push_back(std::make_unique<SocketNode>(i, 3));
    for (uint32_t i = 0; i < 3; ++i)
      for (uint32_t j = 0; j < i; ++j) SocketNode::connect(*nodes[i], *nodes[j]);
    for (auto& node : nodes)
      node->answer(Channel::Objects, [](NodeId from, Bytes payload) {
        payload.push_back(uint8_t(from.value));
        return payload;
      });
  }
  std::vector<std::unique_ptr<SocketNode>> nodes;
};

TEST_F(SocketNodeNetTest, AnswersRequestsBetweenAllPairsAndToItself) {
  for (uint32_t from = 0; from < 3; ++from)
    for (uint32_t to = 0; to < 3; ++to) {
      auto answer = nodes[from]->ask(to, Channel::Objects, {1, 2});
      ASSERT_TRUE(answer.ok()) << answer.error().message;
      EXPECT_EQ(*answer, (Bytes{1, 2, uint8_t(from)}));
    }
}

TEST_F(SocketNodeNetTest, AnswersLaterFromAnotherThread) {
  std::promise<std::shared_ptr<Responder>> held;
  nodes[1]->net->setHandler(Channel::Threads, [&](NodeId, Bytes, std::shared_ptr<Responder> responder) {
    held.set_value(std::move(responder));
  });
  std::promise<Result<Bytes>> answer;
  nodes[0]->net->request(NodeId(1), Channel::Threads, {}, [&](Result<Bytes> r) { answer.set_value(std::move(r)); });
  held.get_future().get()->reply({7});
  EXPECT_EQ(*answer.get_future().get(), Bytes{7});
}

TEST_F(SocketNodeNetTest, CarriesRefusalsWithCodeAndWords) {
  nodes[1]->net->setHandler(Channel::Threads, [&](NodeId, Bytes, std::shared_ptr<Responder> responder) {
    responder->fail({ErrorCode::kRefused, "no room: node is draining"});
  });
  auto answer = nodes[0]->ask(1, Channel::Threads, {});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::kRefused);
  EXPECT_EQ(answer.error().message, "node 1: no room: node is draining");
}

TEST_F(SocketNodeNetTest, ADroppedResponderIsAnError) {
  nodes[1]->net->setHandler(Channel::Threads, [](NodeId, Bytes, std::shared_ptr<Responder>) {});
  EXPECT_FALSE(nodes[0]->ask(1, Channel::Threads, {}).ok());
  EXPECT_FALSE(nodes[1]->ask(1, Channel::Threads, {}).ok());
}

TEST_F(SocketNodeNetTest, AChannelWithoutHandlerIsAnError) {
  EXPECT_EQ(nodes[0]->ask(1, Channel::Control, {}).error().code, ErrorCode::kUnavailable);
}

TEST_F(SocketNodeNetTest, DeliversEveryNotification) {
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

TEST_F(SocketNodeNetTest, CarriesPayloadsOfAllSizesUnchanged) {
  std::vector<size_t> sizes = {0, 1, 16 << 10, (16 << 10) + 1, 20 << 20};
  for (size_t near : {kSmallPayloadBytesMax, FrameReader::kDirectBytes, FrameReader::kReadAheadBytes})
    for (size_t size = near - 26; size <= near + 2; ++size) sizes.push_back(size);
  std::vector<std::future<Result<Bytes>>> answers;
  for (size_t size : sizes) answers.push_back(nodes[0]->begin(1, Channel::Objects, Bytes(size, uint8_t(size * 7 + 1))));
  for (size_t i = 0; i < sizes.size(); ++i) {
    Bytes expected(sizes[i], uint8_t(sizes[i] * 7 + 1));
    expected.push_back(0);
    auto answer = answers[i].get();
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_TRUE(*answer == expected) << sizes[i];
  }
}

TEST_F(SocketNodeNetTest, CarriesPiecesOfOtherMemoryOfAllSizes) {
  Prng random(5);
  Bytes memory(8 << 20);
  for (size_t i = 0; i < memory.size(); ++i) memory[i] = uint8_t(random.below(256));
  const std::span<const uint8_t> all(memory);
  const size_t sizes[] = {1, 100, 4096, PagePipe::kPieceBytes - 1, PagePipe::kPieceBytes, 200'000, 3 << 20};
  std::vector<Bytes> expected;
  std::vector<std::future<Result<Bytes>>> answers;
  for (int message = 0; message < 60; ++message) {
    Payload payload(Bytes(random.below(3) * 20'000, 9));
    Bytes& whole = expected.emplace_back(payload.bytes);
    for (uint64_t pieces = 1 + random.below(9); pieces > 0; --pieces) {
      const size_t size = sizes[random.below(std::size(sizes))];
      payload.tail.push_back(all.subspan(random.below(memory.size() - size), size));
      whole.insert(whole.end(), payload.tail.back().begin(), payload.tail.back().end());
    }
    whole.push_back(0);
    auto answer = std::make_shared<std::promise<Result<Bytes>>>();
    answers.push_back(answer->get_future());
    nodes[0]->net->requestInPieces(NodeId(1), Channel::Objects, std::move(payload),
                                   [answer](Result<Bytes> r) { answer->set_value(std::move(r)); });
  }
  for (size_t i = 0; i < answers.size(); ++i) {
    auto answer = answers[i].get();
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_TRUE(*answer == expected[i]) << i;
  }
}

TEST_F(SocketNodeNetTest, CarriesMoreThanTheLimitOfAnRpcMessage) {
  const size_t bytes = size_t(200) << 20;
  nodes[1]->answer(Channel::Threads, [bytes](NodeId, Bytes) { return Bytes(bytes, 3); });
  auto answer = nodes[0]->ask(1, Channel::Threads, {});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->size(), bytes);
  EXPECT_EQ(answer->back(), 3);
}

TEST_F(SocketNodeNetTest, RefusesPayloadsBeyondTheLimitAndGoesOn) {
  EXPECT_EQ(nodes[0]->ask(1, Channel::Objects, Bytes(kPayloadBytesMax + 1)).error().code, ErrorCode::kRefused);
  EXPECT_TRUE(nodes[0]->ask(1, Channel::Objects, {1}).ok());
}

TEST_F(SocketNodeNetTest, FailsCallsInFlightWhenThePeerIsLostAndTellsOnce) {
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

// While a large answer is on its way, a small one comes through.
TEST_F(SocketNodeNetTest, ABulkTransferDelaysNoSmallRequest) {
  const size_t bytes = size_t(128) << 20;
  nodes[1]->answer(Channel::Threads, [bytes](NodeId, Bytes) { return Bytes(bytes, 3); });
  auto large = nodes[0]->begin(1, Channel::Threads, {});
  int before = 0;
  while (large.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
    ASSERT_TRUE(nodes[0]->ask(1, Channel::Objects, {1}).ok());
    ++before;
  }
  EXPECT_GT(before, 10);
  EXPECT_TRUE(large.get().ok());
}

TEST_F(SocketNodeNetTest, CompletionsHandlersTasksAndTimersShareOneThread) {
  std::atomic<int> wrong{0}, ran{0};
  SocketNode& node = *nodes[0];
  const auto check = [&] {
    if (!node.loop.onLoop()) ++wrong;
    ++ran;
  };
  node.net->setHandler(Channel::Threads, [&](NodeId, Bytes, std::shared_ptr<Responder> responder) {
    check();
    responder->reply({});
  });
  node.net->post(check);
  node.net->postAfter(100'000, check);
  node.net->request(NodeId(0), Channel::Threads, {}, [&](Result<Bytes>) { check(); });
  node.net->request(NodeId(2), Channel::Objects, {}, [&](Result<Bytes>) { check(); });
  node.net->request(NodeId(7), Channel::Objects, {}, [&](Result<Bytes>) { check(); });
  EXPECT_TRUE(nodes[1]->ask(0, Channel::Threads, {}).ok());
  for (int i = 0; i < 1000 && ran < 7; ++i) usleep(5'000);
  EXPECT_EQ(ran, 7);
  EXPECT_EQ(wrong, 0);
}

TEST_F(SocketNodeNetTest, ManyThreadsShareAConnectionWithoutMixingTheirMessages) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (uint8_t t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 300; ++i) {
        Bytes payload(1 + i * (t % 2 ? 400 : 3), t);
        Bytes expected = payload;
        expected.push_back(0);
        auto answer = nodes[0]->ask(1, Channel::Objects, std::move(payload));
        if (!answer.ok() || *answer != expected) ++wrong;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(SocketNodeNetTest, CountsMessagesAndBytesByChannel) {
  ASSERT_TRUE(nodes[0]->ask(1, Channel::Objects, Bytes(10)).ok());
  const NetStats sent = nodes[0]->net->stats(), received = nodes[1]->net->stats();
  EXPECT_EQ(sent.channels[0].messagesSent, 1u);
  EXPECT_EQ(sent.channels[0].bytesSent, 10u);
  EXPECT_EQ(sent.channels[0].bytesReceived, 11u);
  EXPECT_EQ(received.channels[0].bytesReceived, 10u);
  EXPECT_EQ(sent.channels[1].messagesSent + sent.channels[2].messagesSent, 0u);
}

TEST_F(SocketNodeNetTest, AMessageOfAnOlderViewIsRefused) {
  SocketNode old(0, 2);
  SocketNodeNetOptions options;
  options.self = NodeId(1);
  options.nodes = {NodeId(0), NodeId(1)};
  options.view = 2;
  MessageLoop loop;
  loop.start();
  SocketNodeNet young(loop, options);
  const auto fds = socketPair();
  old.net->addLink(NodeId(1), DataLink::Small, fds[0]);
  young.addLink(NodeId(0), DataLink::Small, fds[1]);
  EXPECT_EQ(old.ask(1, Channel::Objects, {}).error().message, "node 1: message of view 1, this is view 2");
}

TEST_F(SocketNodeNetTest, AllRequestsOfALostPeerFailAlsoThoseBeyondTheWindow) {
  nodes[1]->net->setHandler(Channel::Threads, [held = std::vector<std::shared_ptr<Responder>>()](
                                                  NodeId, Bytes, std::shared_ptr<Responder> responder) mutable {
    held.push_back(std::move(responder));
  });
  std::vector<std::future<Result<Bytes>>> answers;
  for (int i = 0; i < 20; ++i) answers.push_back(nodes[0]->begin(1, Channel::Threads, Bytes(8 << 20)));
  usleep(50'000);
  nodes[0]->net->losePeer(NodeId(1), "its heart stood still");
  for (auto& answer : answers) EXPECT_EQ(answer.get().error().message, "node 1 is lost: its heart stood still");
  EXPECT_TRUE(nodes[0]->awaitLoss());
  EXPECT_TRUE(nodes[1]->awaitLoss()) << "both sides close";
  EXPECT_EQ(nodes[0]->reason, "its heart stood still");
}

// ---------------------------------------------------------------- one node against raw sockets

/// Node 0 with the links of its only peer in the hands of the test.
class Stranger : public testing::Test {
 protected:
  Stranger() {
    const auto small = socketPair(), bulk = socketPair();
    node.net->addLink(NodeId(1), DataLink::Small, small[0]);
    node.net->addLink(NodeId(1), DataLink::Bulk, bulk[0]);
    smallFd = small[1];
    bulkFd = bulk[1];
  }
  ~Stranger() override {
    close(smallFd);
    close(bulkFd);
  }
  static Bytes frame(FrameKind kind, uint64_t id, const Bytes& payload, uint8_t channel = 0, uint32_t number = 0) {
    FrameHeader header;
    header.kind = kind;
    header.id = id;
    header.view = 1;
    header.channel = Channel(channel);
    header.number = number;
    header.payloadBytes = uint32_t(payload.size());
    Bytes bytes(kFrameHeaderBytes);
    encodeFrameHeader(header, bytes.data());
    bytes.insert(bytes.end(), payload.begin(), payload.end());
    return bytes;
  }
  static void put(int fd, const Bytes& bytes) {
    for (size_t at = 0; at < bytes.size();) {
      const ssize_t count = send(fd, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
      if (count < 0 && errno == EAGAIN) {
        usleep(100);
        continue;
      }
      if (count < 0) return;
      at += size_t(count);
    }
  }
  /// Frames that arrive within some seconds, at most `count`.
  std::vector<Frame> take(int fd, size_t count) {
    FrameReader reader(kPayloadBytesMax);
    std::vector<Frame> frames;
    for (int idle = 0; idle < 3000 && frames.size() < count;) {
      const auto room = reader.room();
      const ssize_t got = recv(fd, room.data(), room.size(), 0);
      if (got > 0) {
        reader.filled(size_t(got));
        while (auto frame = reader.next()) frames.push_back(std::move(*frame));
      } else {
        usleep(1000);
        ++idle;
      }
    }
    return frames;
  }
  void expectLost(const std::string& why) {
    EXPECT_TRUE(node.awaitLoss());
    EXPECT_NE(node.reason.find(why), std::string::npos) << node.reason;
    EXPECT_EQ(node.ask(1, Channel::Objects, {}).error().code, ErrorCode::kUnavailable);
    EXPECT_TRUE(node.ask(0, Channel::Objects, {}).ok()) << "the node itself goes on";
  }

  SocketNode node{0, 2};
  int smallFd = -1, bulkFd = -1;
};

TEST_F(Stranger, MalformedFramesLoseThePeerWithWords) {
  const struct {
    Bytes bytes;
    const char* why;
  } cases[] = {
      {Bytes(kFrameHeaderBytes, 0xFF), "a frame without its mark"},
      {frame(FrameKind(0), 1, {}), "a frame of unknown kind 0"},
      {frame(FrameKind(9), 1, {}), "a frame of unknown kind 9"},
      {frame(FrameKind::Request, 1, {}, 3), "a frame of unknown channel 3"},
      {frame(FrameKind::Request, 0, {}), "a frame whose id does not fit its kind"},
      {frame(FrameKind::Notify, 4, {}), "a frame whose id does not fit its kind"},
      {frame(FrameKind::Notify, 0, Bytes(kSmallPayloadBytesMax + 1)), "65536 are allowed here"},
      {frame(FrameKind::Fail, 1, Bytes(8000)), "4100 are allowed here"},
      {frame(FrameKind::Reply, 1, {}), "an answer to nothing that was asked"},
      {frame(FrameKind::Fail, 1, {1, 2}), "a failure that makes no sense"},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.why);
    SocketNode victim(0, 2);
    victim.answer(Channel::Objects, [](NodeId, Bytes payload) { return payload; });
    const auto fds = socketPair();
    victim.net->addLink(NodeId(1), DataLink::Small, fds[0]);
    put(fds[1], one.bytes);
    EXPECT_TRUE(victim.awaitLoss());
    EXPECT_NE(victim.reason.find(one.why), std::string::npos) << victim.reason;
    close(fds[1]);
  }
}

TEST_F(Stranger, AnAnswerWithTheIdOfAnEarlierRequestLosesThePeer) {
  node.answer(Channel::Objects, [](NodeId, Bytes payload) { return payload; });
  auto first = node.begin(1, Channel::Objects, {});
  const auto asked = take(smallFd, 1);
  ASSERT_EQ(asked.size(), 1u);
  put(smallFd, frame(FrameKind::Reply, asked[0].header.id, {5}));
  EXPECT_EQ(*first.get(), Bytes{5});
  put(smallFd, frame(FrameKind::Reply, asked[0].header.id, {5}, 0, 1));
  expectLost("an answer to nothing that was asked");
}

TEST_F(Stranger, AFrameThatComesAgainIsHandledOnce) {
  std::atomic<int> handled{0};
  node.answer(Channel::Objects, [&](NodeId, Bytes payload) {
    ++handled;
    return payload;
  });
  auto asked = node.begin(1, Channel::Objects, {});
  const auto question = take(smallFd, 1);
  ASSERT_EQ(question.size(), 1u);
  const Bytes first = frame(FrameKind::Notify, 0, {1}),
              second = frame(FrameKind::Reply, question[0].header.id, {2}, 0, 1),
              third = frame(FrameKind::Request, 7, {3}, 0, 2);
  for (const Bytes* one : {&first, &first, &second, &first, &second, &third, &second, &third}) put(smallFd, *one);
  EXPECT_EQ(*asked.get(), Bytes{2});
  const auto answers = take(smallFd, 1);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].header.id, 7u);
  put(smallFd, frame(FrameKind::Request, 8, {}, 0, 3));
  EXPECT_EQ(take(smallFd, 1).at(0).header.id, 8u) << "the request was answered again";
  EXPECT_EQ(handled, 3) << "a notification and two requests";
}

TEST_F(Stranger, AFrameWhosePredecessorIsMissingLosesThePeer) {
  node.answer(Channel::Objects, [](NodeId, Bytes payload) { return payload; });
  put(smallFd, frame(FrameKind::Notify, 0, {}));
  put(smallFd, frame(FrameKind::Notify, 0, {}, 0, 2));
  expectLost("a frame whose predecessor is missing");
}

TEST_F(Stranger, ACutConnectionLosesThePeerWhicheverLinkItIs) {
  node.answer(Channel::Objects, [](NodeId, Bytes payload) { return payload; });
  auto answer = node.begin(1, Channel::Objects, {});
  Bytes half = frame(FrameKind::Notify, 0, Bytes(100'000));
  half.resize(50'000);
  put(bulkFd, half);
  shutdown(bulkFd, SHUT_RDWR);
  EXPECT_FALSE(answer.get().ok());
  expectLost("the connection was closed");
}

TEST_F(Stranger, RandomBytesNeverDoMoreThanLoseThePeer) {
  Prng random(5);
  for (int round = 0; round < 60; ++round) {
    SocketNode victim(0, 2);
    victim.answer(Channel::Objects, [](NodeId, Bytes payload) { return payload; });
    const auto fds = socketPair();
    victim.net->addLink(NodeId(1), round % 2 ? DataLink::Small : DataLink::Bulk, fds[0]);
    Bytes bytes;
    if (round % 3) bytes = frame(FrameKind(1 + random.below(4)), 1 + random.below(3), Bytes(random.below(300)));
    for (size_t i = 24 + random.below(2000); i > 0; --i) bytes.push_back(uint8_t(random.below(256)));
    if (round % 3 == 1) bytes[random.below(24)] ^= uint8_t(1 + random.below(255));
    put(fds[1], bytes);
    shutdown(fds[1], SHUT_WR);
    EXPECT_TRUE(victim.awaitLoss());
    close(fds[1]);
  }
}

TEST_F(Stranger, OneWriteAnswersManyRequests) {
  node.answer(Channel::Objects, [](NodeId, Bytes payload) { return payload; });
  Bytes requests;
  for (uint64_t id = 1; id <= 100; ++id) {
    const Bytes one = frame(FrameKind::Request, id, Bytes(40, uint8_t(id)), 0, uint32_t(id - 1));
    requests.insert(requests.end(), one.begin(), one.end());
  }
  put(smallFd, requests);
  Bytes answer(200 * (kFrameHeaderBytes + 40));
  for (int i = 0; i < 2000; ++i) {
    const ssize_t got = recv(smallFd, answer.data(), answer.size(), 0);
    if (got < 0) {
      usleep(1000);
      continue;
    }
    EXPECT_EQ(got, 100 * ssize_t(kFrameHeaderBytes + 40)) << "they were read together and left together";
    return;
  }
  FAIL() << "no answer";
}

// A peer that asks and never reads: what waits for it stays bounded, and it is served once it reads.
TEST_F(Stranger, APeerThatDoesNotTakeAnswersIsNotServedFurther) {
  std::atomic<size_t> handled{0};
  const size_t answerBytes = 60'000;
  node.answer(Channel::Objects, [&](NodeId, Bytes) {
    ++handled;
    return Bytes(answerBytes);
  });
  const size_t count = 2000;
  for (uint64_t id = 1; id <= count; ++id) put(smallFd, frame(FrameKind::Request, id, {}, 0, uint32_t(id - 1)));
  for (size_t last = 0; last != handled || handled == 0; usleep(50'000)) last = handled;
  EXPECT_LT(handled * answerBytes, kUntakenSmallBytesMax + (1 << 20));
  EXPECT_EQ(take(smallFd, count).size(), count);
  EXPECT_EQ(handled, count);
}

TEST_F(Stranger, RequestsBeyondTheWindowWaitAtTheAsker) {
  const size_t each = 4 << 20, count = 40;
  std::vector<std::future<Result<Bytes>>> answers;
  for (size_t i = 0; i < count; ++i) answers.push_back(node.begin(1, Channel::Objects, Bytes(each)));
  std::vector<Frame> asked = take(bulkFd, kWindowBytes / each - 1);  // no answer yet: the window is used up
  ASSERT_EQ(asked.size(), kWindowBytes / each - 1);
  usleep(50'000);
  uint8_t more;
  EXPECT_EQ(recv(bulkFd, &more, 1, 0), -1) << "nothing beyond the window is sent";
  for (uint32_t answered = 0;; asked = take(bulkFd, 1)) {
    for (const Frame& one : asked) put(smallFd, frame(FrameKind::Reply, one.header.id, {}, 0, answered++));
    if (answered == count || asked.empty()) break;
  }
  for (auto& answer : answers) EXPECT_TRUE(answer.get().ok());
}

TEST_F(SocketNodeNetTest, SaysWhenAllThatWasAskedBeforeHasBeenAnswered) {
  SocketNode a(0, 2), b(1, 2);
  std::vector<std::shared_ptr<Responder>> kept;
  std::mutex mutex;
  b.net->setHandler(Channel::Objects, [&](NodeId, Bytes, std::shared_ptr<Responder> responder) {
    std::lock_guard lock(mutex);
    kept.push_back(std::move(responder));
  });
  SocketNode::connect(a, b);
  auto first = a.begin(1, Channel::Objects, {1});
  const uint64_t before = a.net->asked(NodeId(1));
  auto second = a.begin(1, Channel::Objects, {2});
  EXPECT_EQ(before, 1u);
  EXPECT_TRUE(a.net->answered(NodeId(1), 0));
  EXPECT_FALSE(a.net->answered(NodeId(1), before));
  for (bool both = false; !both; usleep(1'000)) {
    std::lock_guard lock(mutex);
    both = kept.size() == 2;
  }
  kept[0]->reply({});
  first.wait();
  EXPECT_TRUE(a.net->answered(NodeId(1), before)) << "the second was asked later";
  EXPECT_FALSE(a.net->answered(NodeId(1), a.net->asked(NodeId(1))));
  kept[1]->reply({});
  second.wait();
  EXPECT_TRUE(a.net->answered(NodeId(1), a.net->asked(NodeId(1))));
}

TEST_F(SocketNodeNetTest, ThePlacesFormACircleInWhichThisNodeNeedNotBe) {
  SocketNode node(2, 5);
  const auto ids = [](std::vector<uint32_t> numbers) { return std::vector<NodeId>(numbers.begin(), numbers.end()); };
  EXPECT_EQ(node.net->nextPlace(), NodeId(3));
  node.net->setMembers(ids({0, 2, 4}), ids({0, 4}));
  EXPECT_EQ(node.net->nodes(), ids({0, 2, 4}));
  EXPECT_EQ(node.net->nextPlace(), NodeId(4));
  node.net->setMembers(ids({0, 2}), ids({0, 2}));
  EXPECT_EQ(node.net->nextPlace(), NodeId(0));
  node.net->setMembers(ids({2}), ids({2}));
  EXPECT_EQ(node.net->nextPlace(), NodeId(2));
}

}  // namespace
}  // namespace jvmc::cluster
