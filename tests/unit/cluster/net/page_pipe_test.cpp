// Pages that a socket gets without a copy.
#include "cluster/net/page_pipe.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <thread>
#include <vector>

namespace jvmc::cluster {
namespace {

/// Two ends of a TCP connection.
std::array<int, 2> tcpPair() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(bind(listener, any, length), 0);
  EXPECT_EQ(listen(listener, 1), 0);
  EXPECT_EQ(getsockname(listener, any, &length), 0);
  const int from = socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_EQ(connect(from, any, length), 0);
  const int to = accept(listener, nullptr, nullptr);
  close(listener);
  return {from, to};
}

std::vector<uint8_t> readAll(int socket) {
  std::vector<uint8_t> all;
  uint8_t some[10'000];
  for (ssize_t count; (count = read(socket, some, sizeof some)) > 0;) all.insert(all.end(), some, some + count);
  return all;
}

void sendThrough(const std::array<int, 2>& sockets) {
  std::vector<uint8_t> memory(1'234'567);
  for (size_t i = 0; i < memory.size(); ++i) memory[i] = uint8_t(i * 7 / 5);
  std::vector<uint8_t> arrived;
  std::thread reader([&] { arrived = readAll(sockets[1]); });
  PagePipe pipe;
  for (size_t sent = 0; sent < memory.size();) {
    if (pipe.empty()) {
      const size_t half = (memory.size() - sent) / 2;
      const iovec pieces[] = {{memory.data() + sent, half}, {memory.data() + sent + half, memory.size() - sent - half}};
      ASSERT_TRUE(pipe.take(pieces, 2));
    }
    const ptrdiff_t given = pipe.give(sockets[0]);
    ASSERT_GT(given, 0);
    sent += size_t(given);
  }
  close(sockets[0]);
  reader.join();
  close(sockets[1]);
  EXPECT_TRUE(arrived == memory);
}

TEST(PagePipe, GivesAllInOrder) {
  std::array<int, 2> sockets;
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets.data()), 0);
  sendThrough(sockets);
  sendThrough(tcpPair());
}

TEST(PagePipe, NeverBlocksAndGoesOn) {
  std::array<int, 2> sockets;
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets.data()), 0);
  std::vector<uint8_t> memory(1 << 20, 3);
  const iovec piece{memory.data(), memory.size()};
  PagePipe pipe;
  size_t given = 0;
  for (ptrdiff_t count = 1; count > 0;) {
    if (pipe.empty()) {
      ASSERT_TRUE(pipe.take(&piece, 1));
    }
    count = pipe.give(sockets[0]);
    given += count > 0 ? size_t(count) : 0;
  }
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_FALSE(pipe.empty());
  std::vector<uint8_t> rest(given);
  for (size_t arrived = 0; arrived < given;) {
    const ssize_t count = read(sockets[1], rest.data() + arrived, given - arrived);
    ASSERT_GT(count, 0);
    arrived += size_t(count);
  }
  EXPECT_GT(pipe.give(sockets[0]), 0);
  close(sockets[0]);
  close(sockets[1]);
}

TEST(PagePipe, SaysWhatTakesNoPages) {
  const int other = eventfd(0, EFD_NONBLOCK);
  std::vector<uint8_t> memory(100'000, 3);
  const iovec piece{memory.data(), memory.size()};
  PagePipe pipe;
  EXPECT_TRUE(pipe.works());
  ASSERT_TRUE(pipe.take(&piece, 1));
  EXPECT_LT(pipe.give(other), 0);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_TRUE(pipe.empty());
  EXPECT_FALSE(pipe.works());
  EXPECT_FALSE(pipe.take(&piece, 1));
  close(other);
}

TEST(PagePipe, AClosedSocketIsAnErrorAndNoSignal) {
  std::array<int, 2> sockets;
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets.data()), 0);
  close(sockets[1]);
  std::vector<uint8_t> memory(100'000, 3);
  const iovec piece{memory.data(), memory.size()};
  PagePipe pipe;
  ASSERT_TRUE(pipe.take(&piece, 1));
  EXPECT_LT(pipe.give(sockets[0]), 0);
  EXPECT_EQ(errno, EPIPE);
  close(sockets[0]);
}

}  // namespace
}  // namespace jvmc::cluster
