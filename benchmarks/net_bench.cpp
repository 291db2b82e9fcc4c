// Messages between two nodes beside a raw ping-pong of the same bytes over the same kind of socket, in turns within one
// run: `raw` is a blocking write and read between two threads, the floor. Two nodes are two I/O threads here.
//
//   requests/waiting   a thread asks, sleeps and is woken by the answer, as a guest thread that misses an object
//   requests/chained   the next request leaves from the completion of the last one: the data plane alone
//   batched            so many requests on their way, each completion asks again: what bursts cost
//   flood              a thread asks as fast as it can, 256 requests on their way
//
// Arguments: bytes; socket (0 Unix, 1 TCP on loopback); whether the I/O threads spin while cores are idle.
#include <arpa/inet.h>
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <semaphore>
#include <thread>

#include "cluster/net/idle_cores.h"
#include "cluster/net/socket_node_net.h"
#include "ir/support/check.h"

namespace {

using namespace jvmc;
using namespace jvmc::cluster;

using Sockets = std::array<int, 2>;

Sockets tcpPair() {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof name;
  auto* address = reinterpret_cast<sockaddr*>(&name);
  JVMC_CHECK(bind(listener, address, length) == 0 && listen(listener, 1) == 0, errno);
  JVMC_CHECK(getsockname(listener, address, &length) == 0, errno);
  Sockets fds{};
  fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  JVMC_CHECK(connect(fds[0], address, length) == 0, errno);
  fds[1] = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  close(listener);
  const int one = 1;
  for (int fd : fds) JVMC_CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0, errno);
  return fds;
}

/// Blocking.
Sockets connectedPair(bool tcp) {
  if (tcp) return tcpPair();
  Sockets fds{};
  JVMC_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0, errno);
  return fds;
}

/// Echoes on a thread of its own.
class RawPing {
 public:
  RawPing(size_t bytes, bool tcp) : bytes_(bytes), fds_(connectedPair(tcp)) {
    echo_ = std::thread([this] {
      std::vector<char> buffer(bytes_);
      while (transfer(fds_[1], buffer, false) && transfer(fds_[1], buffer, true)) {
      }
    });
    buffer_.resize(bytes);
  }
  ~RawPing() {
    shutdown(fds_[0], SHUT_RDWR);
    echo_.join();
    for (int fd : fds_) close(fd);
  }
  void ping() {
    transfer(fds_[0], buffer_, true);
    transfer(fds_[0], buffer_, false);
  }

 private:
  static bool transfer(int fd, std::vector<char>& buffer, bool writes) {
    for (size_t done = 0; done < buffer.size();) {
      char* at = buffer.data() + done;
      const size_t left = buffer.size() - done;
      const ssize_t count = writes ? write(fd, at, left) : read(fd, at, left);
      if (count <= 0) return false;
      done += size_t(count);
    }
    return true;
  }

  size_t bytes_;
  Sockets fds_;
  std::vector<char> buffer_;
  std::thread echo_;
};

struct Node {
  Node(uint32_t id, bool spins) : loop(options(spins)) {
    loop.start();
    SocketNodeNetOptions netOptions;
    netOptions.self = NodeId(id);
    netOptions.nodes = {NodeId(0), NodeId(1)};
    net = std::make_unique<SocketNodeNet>(loop, netOptions);
    net->setHandler(Channel::Objects, [](NodeId, Bytes payload, std::shared_ptr<Responder> responder) {
      responder->reply(std::move(payload));
    });
  }
  MessageLoopOptions options(bool spins) {
    MessageLoopOptions options;
    if (spins) options.maySpin = [this] { return idle.any(); };
    return options;
  }

  IdleCores idle;
  MessageLoop loop;
  std::unique_ptr<SocketNodeNet> net;
};

struct Pair {
  Pair(bool tcp, bool spins) : a(0, spins), b(1, spins) {
    for (DataLink kind : {DataLink::Small, DataLink::Bulk}) {
      const Sockets fds = connectedPair(tcp);
      for (int fd : fds) JVMC_CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0, errno);
      a.net->addLink(NodeId(1), kind, fds[0]);
      b.net->addLink(NodeId(0), kind, fds[1]);
    }
  }
  void ask(size_t bytes, std::function<void(Result<Bytes>)> done) {
    a.net->request(NodeId(1), Channel::Objects, Bytes(bytes), std::move(done));
  }
  Node a, b;
};

int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

double medianMicros(std::vector<int64_t>& nanos) {
  const auto middle = nanos.begin() + ptrdiff_t(nanos.size() / 2);
  std::nth_element(nanos.begin(), middle, nanos.end());
  return double(*middle) / 1000;
}

void report(benchmark::State& state, std::vector<int64_t>& raw, std::vector<int64_t>& own) {
  const double rawMicros = medianMicros(raw), ownMicros = medianMicros(own);
  state.counters["raw_p50_us"] = rawMicros;
  state.counters["p50_us"] = ownMicros;
  state.counters["ratio"] = ownMicros / rawMicros;
}

constexpr int kRun = 20;  // of one kind before the other has its turn

void waiting(benchmark::State& state) {
  const size_t bytes = size_t(state.range(0));
  RawPing raw(bytes, state.range(1));
  Pair pair(state.range(1), state.range(2));
  std::binary_semaphore answered(0);
  std::vector<int64_t> rawNanos, ownNanos;
  for (auto _ : state) {
    for (int i = 0; i < kRun; ++i) {
      const int64_t begun = now();
      raw.ping();
      rawNanos.push_back(now() - begun);
    }
    for (int i = 0; i < kRun; ++i) {
      const int64_t begun = now();
      pair.ask(bytes, [&](Result<Bytes>) { answered.release(); });
      answered.acquire();
      ownNanos.push_back(now() - begun);
    }
  }
  report(state, rawNanos, ownNanos);
}

void chained(benchmark::State& state) {
  const size_t bytes = size_t(state.range(0));
  RawPing raw(bytes, state.range(1));
  Pair pair(state.range(1), state.range(2));
  std::binary_semaphore over(0);
  std::vector<int64_t> rawNanos, ownNanos;
  int64_t begun = 0;
  int left = 0;
  std::function<void(Result<Bytes>)> next = [&](Result<Bytes>) {
    const int64_t time = now();
    ownNanos.push_back(time - begun);
    begun = time;
    if (--left == 0) return over.release();
    pair.ask(bytes, next);
  };
  for (auto _ : state) {
    for (int i = 0; i < kRun; ++i) {
      const int64_t time = now();
      raw.ping();
      rawNanos.push_back(now() - time);
    }
    left = kRun;
    pair.a.loop.post([&] {
      begun = now();
      pair.ask(bytes, next);
    });
    over.acquire();
  }
  report(state, rawNanos, ownNanos);
}

void sizesAndSockets(benchmark::internal::Benchmark* benchmark) {
  for (int64_t bytes : {64, 4096, 1 << 20})
    for (int64_t tcp : {0, 1})
      for (int64_t spins : {0, 1}) benchmark->Args({bytes, tcp, spins});
}
BENCHMARK(waiting)->Name("requests/waiting")->Apply(sizesAndSockets)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(chained)->Name("requests/chained")->Apply(sizesAndSockets)->UseRealTime()->MeasureProcessCPUTime();

/// Arguments: bytes, requests on their way. An item is a request with its answer: two messages.
void batched(benchmark::State& state) {
  const size_t bytes = size_t(state.range(0));
  const int64_t window = state.range(1), round = 100 * window;
  Pair pair(false, false);
  std::binary_semaphore over(0);
  int64_t toSend = 0, toCome = 0;
  std::function<void(Result<Bytes>)> next = [&](Result<Bytes>) {
    if (--toCome == 0) return over.release();
    if (toSend == 0) return;
    --toSend;
    pair.ask(bytes, next);
  };
  for (auto _ : state) {
    pair.a.loop.post([&] {
      toCome = round;
      toSend = round - window;
      for (int64_t i = 0; i < window; ++i) pair.ask(bytes, next);
    });
    over.acquire();
  }
  state.SetItemsProcessed(int64_t(state.iterations()) * round);
  state.SetBytesProcessed(int64_t(state.iterations()) * round * int64_t(bytes) * 2);
}
BENCHMARK(batched)->Args({64, 64})->Args({4096, 64})->Args({64, 1024})->UseRealTime()->MeasureProcessCPUTime();

void flood(benchmark::State& state) {
  Pair pair(false, false);
  std::counting_semaphore<> window(256);
  for (auto _ : state) {
    window.acquire();
    pair.ask(size_t(state.range(0)), [&](Result<Bytes>) { window.release(); });
  }
  for (int i = 0; i < 256; ++i) window.acquire();
  state.SetBytesProcessed(int64_t(state.iterations()) * state.range(0) * 2);
  state.SetItemsProcessed(int64_t(state.iterations()));
}
BENCHMARK(flood)->Arg(64)->Arg(4096)->Arg(256 << 10)->UseRealTime()->MeasureProcessCPUTime();

}  // namespace
