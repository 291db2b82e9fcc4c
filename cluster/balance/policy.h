// Who should move where: pure functions from a snapshot of load and the history of moves to a list of moves. The same
// input gives the same decision; time comes with the snapshot. Design: docs/internals/balancer.md.
#pragma once

#include <unordered_map>

#include "cluster/balance/load.h"

namespace jvmc::cluster {

enum class BalancePolicy : uint8_t {
  Off,
  Threshold,  ///< measured CPU: moves busy threads from crowded nodes to idle ones
  Rotate,     ///< every thread moves to the next node each round (tests)
};
Result<BalancePolicy> parsePolicy(const std::string& name);
const char* nameOf(BalancePolicy policy);

struct BalanceOptions {
  BalancePolicy policy = BalancePolicy::Threshold;
  int64_t reportNanos = 50'000'000;         ///< how often nodes report and the leader decides
  int64_t rotateNanos = 200'000'000;        ///< a round of `rotate`
  int64_t threadRestNanos = 1'000'000'000;  ///< a thread that has moved stays at least so long (hysteresis)
  double gainMin = 0.3;                     ///< least predicted gain of a move, see Move::gain
  uint32_t confirmations = 2;               ///< snapshots in a row that must show a node crowded
  uint32_t movesPerRound = 8;               ///< rate limit
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
  double gain = 0;     ///< predicted: cores of work won, plus half of what the most crowded node's load falls by
  std::string reason;  ///< for people
};

/// Homes of objects, not said which: the node that gives them chooses.
struct BlockMove {
  NodeId from, to;
  uint64_t bytes = 0;
  double gain = 0;  ///< predicted: by how much the fuller node's share of its limit falls
  std::string reason;
};

/// What past rounds tell the next one.
struct BalanceHistory {
  std::unordered_map<rt::ThreadId, int64_t> movedNanos;
  std::unordered_map<NodeId, uint32_t> crowdedRounds;  ///< snapshots in a row in which moving away from it would gain
  int64_t rotatedNanos = 0;
  std::unordered_map<NodeId, uint32_t> fullRounds;  ///< snapshots in a row in which its memory was above the threshold
  std::unordered_map<NodeId, int64_t> gaveNanos, tookNanos;  ///< when blocks were last moved from it, to it
};

struct BalanceDecision {
  std::vector<Move> moves;
  std::vector<BlockMove> blockMoves;
  BalanceHistory history;  ///< for the next round
};

BalanceDecision decide(const BalanceOptions& options, const LoadSnapshot& snapshot, const BalanceHistory& history);

/// The part of the threshold policy that is about memory: adds moves of blocks, and what is to be remembered of them.
void decideOnBlocks(const BalanceOptions& options, const LoadSnapshot& snapshot, const BalanceHistory& history,
                    BalanceDecision& decision);

/// How much of a core the thread would use if it had one: on a crowded node all runnable threads get less than they
/// want.
double demand(const NodeLoad& node, const ThreadLoad& thread);

}  // namespace jvmc::cluster
