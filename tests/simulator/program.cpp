#include "tests/simulator/program.h"

#include <fmt/format.h>

namespace jvmc::sim {

namespace {

/// After the program's end in error nodes go on for so long.
constexpr int64_t kAftermathNanos = 20 * kMillis;
constexpr uint64_t kExitOfLost = 125;

}  // namespace

void Program::lost(std::string why) {
  if (std::exchange(isOver_, true)) return;
  history_.note(What::Over, kExitOfLost);
  end_ = "error: " + why;
  doneAt_ = events_.now() + kAftermathNanos;
  const bool named = crashed_.valid() && why.find(fmt::format("node {}", crashed_.value)) != std::string::npos;
  if (!named && !mayLoseNodes_) history_.fail("the program ends without need: " + why);
  for (NodeId id : running())
    network_.carryForLauncher(id, true, [this, id] {
      if (MemberNode* alive = node(id)) alive->stop();
    });
}

void Program::exited(int32_t exitCode) {
  if (std::exchange(isOver_, true)) return;
  history_.note(What::Over, uint64_t(exitCode));
  hasExited_ = true;
  doneAt_ = events_.now();
  end_ = fmt::format("exit code {}", exitCode);
}

void Program::fatal(NodeId node, const Error& error) {
  if (isOver_) return;
  network_.carryForLauncher(
      node, false, [this, node, error] { lost(fmt::format("node {} cannot go on: {}", node.value, error.message)); });
}

void Program::crash(NodeId node, int64_t noticedNanos) {
  if (isOver_) return;
  crashed_ = node;
  network_.crash(node, noticedNanos);
  events_.at(kLauncher, noticedNanos + events_.between(0, 200 * kMillis), [this, node] {
    lost(fmt::format("node {} has ended; lost with it: its threads and all objects whose home it was", node.value));
  });
}

void Program::cut(std::set<NodeId> side, int64_t nanos) {
  mayLoseNodes_ = nanos >= cluster::Lease::kSilenceNanos;
  network_.cut(std::move(side));
  events_.at(kLauncher, nanos, [this] { network_.heal(); });
}

void Program::tellPeersOfEnd(NodeId node) {
  for (NodeId peer : running())
    events_.at(peer.value, events_.between(0, kMillis), [this, peer, node] {
      if (MemberNode* alive = this->node(peer)) alive->net.losePeer(node);
    });
}

}  // namespace jvmc::sim
