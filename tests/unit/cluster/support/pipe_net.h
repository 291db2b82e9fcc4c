// A NodeNet over socket pairs between forked processes: one I/O thread a node. Messages can be delayed at random, and
// are thereby reordered, as the port allows.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "cluster/net/node_net.h"
#include "ir/support/prng.h"

namespace jvmc::cluster::test {

struct PipeNetOptions {
  uint64_t seed = 1;
  uint32_t delayOneIn = 0;  ///< one message in this many is delayed; 0: none
  int64_t delayNanosMax = 400'000;
};

class PipeNet final : public NodeNet {
 public:
  /// `sockets[i]` leads to node i (own entry unused). Takes them over. The I/O thread starts with start().
  PipeNet(NodeId self, std::vector<int> sockets, PipeNetOptions options);
  ~PipeNet() override;

  /// After all handlers are set.
  void start();

  NodeId self() const override { return self_; }
  std::vector<NodeId> nodes() const override;
  void request(NodeId to, Channel channel, Bytes payload, std::function<void(Result<Bytes>)> done) override;
  void notify(NodeId to, Channel channel, Bytes payload) override;
  void setHandler(Channel channel, Handler handler) override { handlers_[size_t(channel)] = std::move(handler); }
  void post(std::function<void()> task) override { postAfter(0, std::move(task)); }
  void postAfter(int64_t nanos, std::function<void()> task) override;

 private:
  enum class Kind : uint8_t { Request, Notify, Reply, Failure };
  struct Peer {
    int fd = -1;
    std::mutex mutex;
    Bytes out, in;
  };
  class PipeResponder;

  void send(NodeId to, Kind kind, Channel channel, uint64_t id, const Bytes& payload);
  void arrived(NodeId from, Kind kind, Channel channel, uint64_t id, Bytes payload);
  void handle(NodeId from, Kind kind, Channel channel, uint64_t id, Bytes payload);
  void ioLoop();
  void readFrom(NodeId from);
  void writeTo(Peer& peer);
  int64_t runDueTasks();
  void wakeIo();

  const NodeId self_;
  const PipeNetOptions options_;
  Prng random_;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::array<Handler, 3> handlers_;
  std::mutex mutex_;
  uint64_t nextId_ = 1;
  std::unordered_map<uint64_t, std::function<void(Result<Bytes>)>> waiting_;
  std::multimap<int64_t, std::function<void()>> tasks_;
  int wakeFd_ = -1;
  std::atomic<bool> stop_{false};
  std::thread io_;
};

}  // namespace jvmc::cluster::test
