// Messages between two nodes beside a raw ping-pong of the same bytes over the same kind of socket: two I/O loops (two
// threads each side of a socket pair), one request after the other for latency, a window of requests for throughput.
#include <benchmark/benchmark.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <semaphore>
#include <thread>

#include "cluster/net/idle_cores.h"
#include "cluster/net/rpc_node_net.h"

namespace {

using namespace jvmc;
using namespace jvmc::cluster;

struct Node {
  Node(uint32_t id, int fd, capnp::rpc::twoparty::Side side, bool spins) : loop(options(spins)) {
    RpcNodeNetOptions netOptions;
    netOptions.self = NodeId(id);
    netOptions.nodeCount = 2;
    loop.startThread();
    net = std::make_unique<RpcNodeNet>(loop, netOptions);
    net->setHandler(Channel::Objects, [](NodeId, Bytes payload, std::shared_ptr<Responder> responder) {
      responder->reply(std::move(payload));
    });
    loop.runSync([&] {
      auto stream = loop.io().lowLevelProvider->wrapSocketFd(fd, kj::LowLevelAsyncIoProvider::TAKE_OWNERSHIP);
      NodeId peer(1 - id);
      net->addPeer(peer, kj::heap<RpcConnection>(loop, kj::mv(stream), side, net->linkFor(peer)));
    });
  }
  ~Node() {
    loop.runSync([&] { net->close(); });
  }
  IoLoopOptions options(bool spins) {
    IoLoopOptions options;
    if (spins) options.maySpin = [this] { return idle.any(); };
    return options;
  }

  IdleCores idle;
  IoLoop loop;
  std::unique_ptr<RpcNodeNet> net;
};

struct Pair {
  explicit Pair(bool spins) {
    int fds[2];
    JVMC_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    a = std::make_unique<Node>(0, fds[0], capnp::rpc::twoparty::Side::SERVER, spins);
    b = std::make_unique<Node>(1, fds[1], capnp::rpc::twoparty::Side::CLIENT, spins);
  }
  std::unique_ptr<Node> a, b;
};

/// One request after the other, asked from a thread that is not the loop.
void latency(benchmark::State& state, bool spins) {
  Pair pair(spins);
  std::binary_semaphore answered(0);
  for (auto _ : state) {
    pair.a->net->request(NodeId(1), Channel::Objects, Bytes(size_t(state.range(0))),
                         [&](Result<Bytes>) { answered.release(); });
    answered.acquire();
  }
}
BENCHMARK_CAPTURE(latency, sleeping, false)->Arg(64)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(latency, spinning_when_idle, true)->Arg(64)->UseRealTime()->MeasureProcessCPUTime();

/// Up to 256 requests on their way.
void throughput(benchmark::State& state) {
  Pair pair(false);
  std::counting_semaphore<> window(256);
  for (auto _ : state) {
    window.acquire();
    pair.a->net->request(NodeId(1), Channel::Objects, Bytes(size_t(state.range(0))),
                         [&](Result<Bytes>) { window.release(); });
  }
  for (int i = 0; i < 256; ++i) window.acquire();
  state.SetBytesProcessed(int64_t(state.iterations()) * state.range(0) * 2);
  state.SetItemsProcessed(int64_t(state.iterations()));
}
BENCHMARK(throughput)->Arg(64)->Arg(4096)->Arg(256 << 10)->UseRealTime()->MeasureProcessCPUTime();

/// The floor: blocking read and write of the same bytes between two threads.
void raw(benchmark::State& state) {
  int fds[2];
  JVMC_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
  size_t size = size_t(state.range(0));
  auto transfer = [size](int fd, char* bytes, bool writes) {
    for (size_t done = 0; done < size;) {
      ssize_t count = writes ? write(fd, bytes + done, size - done) : read(fd, bytes + done, size - done);
      if (count <= 0) return false;
      done += size_t(count);
    }
    return true;
  };
  std::thread echo([&] {
    std::vector<char> bytes(size);
    while (transfer(fds[1], bytes.data(), false) && transfer(fds[1], bytes.data(), true)) {
    }
  });
  std::vector<char> bytes(size);
  for (auto _ : state) {
    transfer(fds[0], bytes.data(), true);
    transfer(fds[0], bytes.data(), false);
  }
  shutdown(fds[0], SHUT_RDWR);
  echo.join();
  close(fds[0]);
  close(fds[1]);
}
BENCHMARK(raw)->Arg(64)->UseRealTime()->MeasureProcessCPUTime();

}  // namespace
