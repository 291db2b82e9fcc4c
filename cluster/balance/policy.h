// Who should move where: pure functions from a snapshot of load and the history of moves to a list of moves. The same
// input gives the same decision; time comes with the snapshot. Design: docs/internals/balancer.md.
#pragma once

#include <unordered_map>

#include "cluster/balance/load.h"

namespace jvmc::cluster {

enum class BalancePolicy : uint8_t {
  Off,
  Threshold,  ///< moves busy threads from crowded nodes to idle ones, once it is clearly worth it
  Greedy,     ///< as Threshold, but whatever gains anything, at once and without limit
  Affinity,   ///< as Threshold, and brings threads and the objects that they use to the same node
  Rotate,     ///< every thread moves to the next node each round (tests)
};
Result<BalancePolicy> parsePolicy(const std::string& name);
const char* nameOf(BalancePolicy policy);

/// What things cost, in nanoseconds of a core. Measured on one machine (docs/performance.md); a factor of two hardly
/// matters, because a move must pay back far more than it costs.
struct CostModel {
  /// A request to another node and its answer: CPU of both nodes. What the asking thread waits is measured and comes on
  /// top.
  double requestNanos = 20'000;
  /// Each byte of a request or an answer: written, sent, read and merged, at about 1 GB/s.
  double byteNanos = 1;
  /// A thread's capture, encoding, sending and decoding, and the first round trips and the interpreted code after it.
  double threadMoveNanos = 500'000;
  double frameByteNanos = 2;  ///< in addition, for each byte of its frames
  /// A move of blocks: what lives must be known first, which stops the world.
  double blockMoveNanos = 10'000'000;
  double blockByteNanos = 3;  ///< in addition, for each byte: blocks move at about 340 MB/s
  /// A move must have paid back within this time, which is also how long a thread stays where it has come at least.
  double paybackNanos = 1e9;

  /// Cores for what a thread asks of one home.
  double ofTraffic(const HomeRate& rate) const {
    return rate.wait + (rate.requests * requestNanos + rate.bytes * byteNanos) / 1e9;
  }
  /// Cores, over the time in which it must pay back.
  double ofThreadMove(uint64_t frameBytes) const {
    return (threadMoveNanos + double(frameBytes) * frameByteNanos) / paybackNanos;
  }
  double ofBlockMove(uint64_t bytes) const { return (blockMoveNanos + double(bytes) * blockByteNanos) / paybackNanos; }
};

struct BalanceOptions {
  BalancePolicy policy = BalancePolicy::Threshold;
  CostModel cost;
  int64_t reportNanos = 50'000'000;         ///< how often nodes report, unless something changes or nothing does
  int64_t rotateNanos = 200'000'000;        ///< a round of `rotate`
  int64_t threadRestNanos = 1'000'000'000;  ///< a thread that has moved stays at least so long (hysteresis)
  /// And twice as long each time it moves again soon after, up to this: some loads do not come to rest.
  int64_t threadRestNanosMax = 60'000'000'000;
  double gainMin = 0.3;         ///< least predicted gain, in cores, of evening two nodes out (hysteresis)
  double gapMin = 0.04;         ///< and least difference of their loads, as a share of the larger one
  uint32_t confirmations = 2;   ///< reports in a row that must show a node crowded
  uint32_t movesPerRound = 64;  ///< from each node (rate limit): as many as another lets it have on their way
  // -- affinity
  double trafficMin = 0.03;                    ///< cores that bringing a thread to its objects must save (hysteresis)
  double blockTrafficMin = 0.1;                ///< the same of blocks: one does not know who uses them locally
  int64_t blockPatienceNanos = 3'000'000'000;  ///< so long blocks must have been worth moving: threads go first
  double requestsMin = 10;                     ///< a second: what is asked less often is no use worth following
  int64_t rememberNanos = 30'000'000'000;      ///< how long it is known what a thread asked for where it was before
  int64_t blockTrialNanos = 2'000'000'000;     ///< after so long it is looked at what a move of blocks has brought
  uint64_t affinityBytesPerMove = 16 << 20;    ///< rate limit
  // -- memory
  double memoryHigh = 0.75;                  ///< share of its limit from which a node gives blocks away
  double memoryGapMin = 0.1;                 ///< between the shares of the two nodes; less is not worth a move
  int64_t memoryRestNanos = 500'000'000;     ///< between two moves from a node: the figures must show the last one
  int64_t arrivedRestNanos = 2'000'000'000;  ///< a node that was given blocks keeps them at least so long (hysteresis)
  uint64_t bytesPerMove = 256 << 20;         ///< rate limit
};

struct Move {
  rt::ThreadRef thread;
  NodeId from, to;
  double gain = 0;     ///< predicted, in cores: work won, crowding lost, remote traffic saved
  std::string reason;  ///< for people
  double wanted = 0;   ///< share of a core that the thread wants
};

/// Homes of objects, not said which: the node that gives them chooses.
struct BlockMove {
  NodeId from, to;
  uint64_t bytes = 0;
  double gain = 0;  ///< predicted: by how much the fuller node's share of its limit falls; `used`: cores
  std::string reason;
  bool used = false;  ///< the blocks that `to` asks for more than all others
};

/// What past rounds tell the next one.
struct BalanceHistory {
  /// What a thread asked for at a node that it has left since.
  struct Tried {
    NodeId node;
    double traffic;  ///< cores
    int64_t nanos;
  };
  /// Blocks have moved for their user's sake; whether that was good is seen from the traffic between the two nodes.
  struct BlockTrial {
    double before = 0;  ///< cores
    int64_t nanos = 0;
    bool judged = false, failed = false;
  };

  struct LastMove {
    int64_t nanos;
    int64_t restNanos;  ///< so long it stays
  };

  std::unordered_map<rt::ThreadId, LastMove> moved;
  std::unordered_map<NodeId, uint32_t> crowdedRounds;  ///< reports in a row in which moving away from it would gain
  int64_t rotatedNanos = 0;
  std::unordered_map<rt::ThreadId, std::vector<Tried>> tried;
  std::unordered_map<uint64_t, BlockTrial> blockTrials;  ///< by pairOf(from, to)
  std::unordered_map<uint64_t, int64_t> blocksSince;     ///< likewise: since when blocks have been worth moving
  std::unordered_map<NodeId, uint32_t> fullRounds;  ///< reports in a row in which its memory was above the threshold
  std::unordered_map<NodeId, int64_t> gaveNanos, tookNanos;  ///< when blocks were last moved from it, to it

  static uint64_t pairOf(NodeId from, NodeId to) { return uint64_t(from.value) << 32 | to.value; }
};

struct BalanceDecision {
  std::vector<Move> moves;
  std::vector<BlockMove> blockMoves;
  BalanceHistory history;  ///< for the next round
};

BalanceDecision decide(const BalanceOptions& options, const LoadSnapshot& snapshot, const BalanceHistory& history);

/// The part of the policies that is about full nodes: adds moves of blocks, and what is to be remembered of them.
void decideOnBlocks(const BalanceOptions& options, const LoadSnapshot& snapshot, const BalanceHistory& history,
                    BalanceDecision& decision);

}  // namespace jvmc::cluster
