// A listener under attack: strangers, garbage, other versions, callers that fall silent. It must refuse each with a log
// line, and go on serving those who know the key.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <random>
#include <sstream>

#include "cluster/net/error_bridge.h"
#include "cluster/net/limits.h"
#include "cluster/net/rpc_connection.h"
#include "schema/node.capnp.h"

namespace jvmc::cluster {
namespace {

class Greeter final : public schema::NodeLink::Server {
  kj::Promise<void> heartbeat(HeartbeatContext context) override {
    context.getResults().setView(context.getParams().getView() + 1);
    return kj::READY_NOW;
  }
};

class ListenerTest : public testing::Test {
 protected:
  ListenerTest() {
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(log_);
    previous_ = spdlog::default_logger();
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", sink));
    auto fd = listenOn(*Address::parse("127.0.0.1:0"));
    JVMC_CHECK(fd.ok(), fd.error().message);
    address_ = *boundAddress(*fd);
    loop_.startThread();
    loop_.runSync([&] {
      listener_ = kj::heap<Listener>(
          loop_, *fd, Credentials{key_},
          [](const HelloInfo& info) -> kj::Promise<std::string> {
            return std::string(info.program == "p1" ? "" : "this is another program");
          },
          [this](HelloInfo info, kj::Own<kj::AsyncIoStream> stream) {
            connections_.push_back(
                kj::heap<RpcConnection>(kj::mv(stream), capnp::rpc::twoparty::Side::SERVER, kj::heap<Greeter>()));
          });
    });
  }
  ~ListenerTest() noexcept override {
    loop_.runSync([&] {
      listener_ = nullptr;
      connections_.clear();
    });
    spdlog::set_default_logger(previous_);
  }

  /// The heartbeat's answer, or the words of the failure.
  std::string call(const ClusterKey& key, std::string program) {
    std::promise<std::string> answer;
    loop_.post([&] {
      HelloInfo self;
      self.program = std::move(program);
      loop_.detach(callPeer(loop_, address_, Credentials{key}, self, nullptr)
                       .then([](kj::Own<RpcConnection> connection) {
                         auto request = connection->peer().castAs<schema::NodeLink>().heartbeatRequest();
                         request.setView(41);
                         auto sent = request.send();
                         return sent.then([](auto response) { return std::to_string(response.getView()); })
                             .attach(kj::mv(connection));
                       })
                       .then([&](std::string text) { answer.set_value(text); },
                             [&](kj::Exception&& e) { answer.set_value(plainText(e)); }));
    });
    return answer.get_future().get();
  }

  int rawConnect() {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    name.sin_port = htons(address_.port);
    JVMC_CHECK(connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0, errno);
    return fd;
  }

  /// Reads until the listener closes; false if it does not within a second.
  static bool isClosedByPeer(int fd) {
    char buffer[4096];
    for (;;) {
      pollfd entry{fd, POLLIN, 0};
      if (poll(&entry, 1, 1000) <= 0) return false;
      if (read(fd, buffer, sizeof buffer) <= 0) return true;
    }
  }

  void expectLog(const std::string& part) {
    loop_.runSync([] {});
    EXPECT_NE(log_.str().find(part), std::string::npos) << log_.str();
  }

  std::ostringstream log_;
  std::shared_ptr<spdlog::logger> previous_;
  ClusterKey key_ = ClusterKey::random();
  Address address_;
  std::vector<kj::Own<RpcConnection>> connections_;
  kj::Own<Listener> listener_;
  IoLoop loop_{{}};
};

TEST_F(ListenerTest, ServesACallerThatKnowsTheKey) {
  EXPECT_EQ(call(key_, "p1"), "42");
}

TEST_F(ListenerTest, RefusesAWrongKeyWithALogLine) {
  EXPECT_NE(call(ClusterKey::random(), "p1").find("wrong cluster key"), std::string::npos);
  expectLog(": wrong cluster key");
  EXPECT_EQ(call(key_, "p1"), "42");
}

TEST_F(ListenerTest, TellsACallerWhyItIsNotAdmitted) {
  EXPECT_NE(call(key_, "p2").find("this is another program"), std::string::npos);
}

TEST_F(ListenerTest, RefusesAnotherVersionAndSaysWhich) {
  int fd = rawConnect();
  // A Hello of version 99 in one segment: root struct pointer, one data word (version), two null pointers.
  uint8_t hello[8 + 8 + 8 + 24] = {'J', 'V', 'M', 'C', 40, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 99};
  ASSERT_EQ(write(fd, hello, sizeof hello), ssize_t(sizeof hello));
  EXPECT_TRUE(isClosedByPeer(fd));
  close(fd);
  expectLog("the caller speaks wire version 99");
  EXPECT_EQ(call(key_, "p1"), "42");
}

TEST_F(ListenerTest, SurvivesRandomBytes) {
  std::mt19937 random(11);
  for (int round = 0; round < 60; ++round) {
    int fd = rawConnect();
    std::vector<uint8_t> bytes(1 + random() % 3000);
    for (auto& byte : bytes) byte = uint8_t(random());
    if (round % 3 == 1) std::copy_n("JVMC", 4, bytes.begin());
    if (round % 3 == 2 && bytes.size() > 64) {
      uint8_t header[] = {'J', 'V', 'M', 'C', uint8_t((bytes.size() - 8) & ~7), uint8_t((bytes.size() - 8) >> 8), 0, 0};
      std::copy(std::begin(header), std::end(header), bytes.begin());
      bytes[8] = bytes[9] = bytes[10] = bytes[11] = uint8_t(round % 2 ? 0xFF : 0);
    }
    (void)!write(fd, bytes.data(), bytes.size());
    shutdown(fd, SHUT_WR);
    EXPECT_TRUE(isClosedByPeer(fd));
    close(fd);
  }
  EXPECT_EQ(call(key_, "p1"), "42");
}

TEST_F(ListenerTest, RefusesAnOversizedGreetingWithoutWaitingForIt) {
  int fd = rawConnect();
  uint8_t header[] = {'J', 'V', 'M', 'C', 0xF8, 0xFF, 0xFF, 0x7F};
  ASSERT_EQ(write(fd, header, sizeof header), ssize_t(sizeof header));
  EXPECT_TRUE(isClosedByPeer(fd));
  close(fd);
  expectLog("a greeting of 2147483640 bytes");
}

TEST_F(ListenerTest, SilentCallersDoNotLockOthersOutForEver) {
  std::vector<int> silent;
  for (size_t i = 0; i < kMaxPendingHellos; ++i) silent.push_back(rawConnect());
  for (int attempt = 0; attempt < 50; ++attempt) {  // until all are accepted, a real caller may still get in
    if (call(key_, "p1") != "42") break;
    usleep(2000);
  }
  EXPECT_NE(call(key_, "p1"), "42") << "the number of pending greetings is limited";
  for (int fd : silent) close(fd);
  std::string answer;
  for (int attempt = 0; attempt < 100 && answer != "42"; ++attempt) {
    answer = call(key_, "p1");
    if (answer != "42") usleep(10'000);
  }
  EXPECT_EQ(answer, "42");
}

TEST(Listening, RefusesWhatOthersCouldReachInTheClearAndTheWildcard) {
  auto fd = listenOn(*Address::parse("192.0.2.1:0"));
  ASSERT_FALSE(fd.ok());
  EXPECT_NE(fd.error().message.find("there is no certificate"), std::string::npos);
  for (const char* wildcard : {"0.0.0.0:0", "[::]:0"}) {
    fd = listenOn(*Address::parse(wildcard), Reach::Network);
    ASSERT_FALSE(fd.ok());
    EXPECT_NE(fd.error().message.find("name the address"), std::string::npos);
  }
}

TEST(Listening, APortInUseIsAClearError) {
  auto first = listenOn(*Address::parse("127.0.0.1:0"));
  ASSERT_TRUE(first.ok());
  auto second = listenOn(*boundAddress(*first));
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.error().message.find("in use"), std::string::npos);
  close(*first);
}

TEST(Addresses, AreParsedAndPrinted) {
  EXPECT_EQ(Address::parse("localhost:7000")->text(), "localhost:7000");
  EXPECT_EQ(Address::parse("[::1]:80")->text(), "[::1]:80");
  EXPECT_EQ(Address::parse(":80")->text(), "127.0.0.1:80");
  EXPECT_EQ(Address::parse("unix:/a/b")->text(), "unix:/a/b");
  for (const char* bad : {"", "host", "host:", "host:x", "host:70000", "host:-1", "unix:"})
    EXPECT_FALSE(Address::parse(bad).ok()) << bad;
}

}  // namespace
}  // namespace jvmc::cluster
