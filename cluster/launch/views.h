// What commands show about programs, nodes, threads and agents: plain data, the same as in schema/launch.capnp and
// schema/agent.capnp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace jvmc::cluster {

struct ThreadView {
  uint64_t id = 0;
  std::string name;
  uint32_t node = 0;
  std::string state;  ///< new, ready, running, parked
  std::string wait;   ///< what a parked thread waits for; empty otherwise
  uint64_t moves = 0;
  uint64_t cpuNanos = 0;
  bool pinned = false;
  double cpuShare = 0;  ///< of one core, lately
  struct Use {
    uint32_t home = 0;
    uint64_t requests = 0, bytes = 0;  ///< since the thread came to its node
    double requestsPerSecond = 0;      ///< lately
    double bytesPerSecond = 0;         ///< lately
  };
  std::vector<Use> uses{};  ///< other nodes' objects, by home, most requests first
};

struct NodeView {
  uint32_t node = 0;
  uint32_t pid = 0;
  std::string address;
  uint32_t threads = 0;
  uint64_t cpuNanos = 0;   ///< of the process
  uint64_t heapBytes = 0;  ///< allocated since the start minus collected, as last known
  uint64_t rssBytes = 0;
  std::string state;
  uint32_t workers = 0;
  uint32_t queued = 0;              ///< ready threads without a worker
  std::vector<double> workerCpu{};  ///< share of a core that each worker uses, lately
  uint64_t heapLimitBytes = 0;
  uint64_t copyBytes = 0;                      ///< of other nodes' objects
  double remoteRequests = 0, remoteBytes = 0;  ///< a second, of all its threads, lately
};

struct ProgramView {
  std::string id;
  std::string name;
  std::string state;  ///< starting, running, ending
  uint32_t nodes = 0;
  uint32_t threads = 0;
  int64_t startedUnixMillis = 0;
  uint32_t launcherPid = 0;
};

struct AgentView {
  std::string address;
  uint32_t pid = 0;
  uint32_t vms = 0;
  std::string version = {};
  int64_t unixNanos = 0;  ///< its clock when it answered; 0: it did not answer
  uint64_t filesMax = 0;  ///< files it and each of its VM processes may have open
};

/// What became of a request to move blocks to another node.
struct BlocksMovedView {
  uint64_t bytes = 0, groups = 0;
  uint64_t revoked = 0;  ///< groups that stayed, because a thread needed them
  std::string refusal;   ///< why the target took no more; empty: it did
};

/// What the balancer has decided once (cluster/balance/decision_log.h).
struct DecisionView {
  uint64_t number = 0;
  uint32_t node = 0;  ///< who decided
  int64_t ageNanos = 0;
  uint64_t thread = 0;  ///< 0: blocks
  uint64_t bytes = 0;
  uint32_t from = 0, to = 0;
  double predicted = 0, measured = 0;
  bool isMeasured = false;
  std::string outcome, reason;
  uint32_t times = 1;
};

struct DecisionsView {
  std::string policy;
  bool dryRun = false;
  std::vector<DecisionView> decisions;
};

/// What a node that is to leave still has. Blocks are moved, and counted, by whoever asks.
struct LeftView {
  uint64_t threads = 0;        ///< here, on their way from here, or looked for by letters that wait here; a round led
  uint64_t incomingBytes = 0;  ///< of blocks that it has promised to take
  uint64_t outsideCalls = 0;   ///< of its threads, without an answer
  bool nothing() const { return threads == 0 && incomingBytes == 0 && outsideCalls == 0; }
};

/// How far a node is that was told to leave.
struct DrainView {
  std::string state;  ///< leaving; left; stays: it did not succeed, and goes on as before
  LeftView left;
  uint64_t movedBytes = 0;  ///< of blocks
  int64_t nanos = 0;        ///< since it was told
  std::string reason;       ///< stays: why
  /// What it will need in all, guessed when it began; 0: not known yet.
  int64_t estimatedNanos = 0;
};

}  // namespace jvmc::cluster
