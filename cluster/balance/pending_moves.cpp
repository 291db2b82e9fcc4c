#include "cluster/balance/pending_moves.h"

#include <algorithm>
#include <unordered_set>

namespace jvmc::cluster {

void PendingMoves::apply(LoadSnapshot& snapshot) {
  std::erase_if(moves_, [&](const auto& entry) { return snapshot.nowNanos - entry.second.nanos >= kBelievedNanos; });
  if (moves_.empty()) return;
  std::unordered_set<rt::ThreadId> arrived;
  std::unordered_map<rt::ThreadId, ThreadLoad> travelling;
  for (NodeLoad& node : snapshot.nodes) {
    std::erase_if(node.threads, [&](ThreadLoad& thread) {
      const auto found = moves_.find(thread.thread.id);
      if (found == moves_.end()) return false;
      const Move& move = found->second.move;
      if (node.node == move.to) {
        if (thread.runnable) thread.wanted = std::max(thread.wanted, move.wanted);
        arrived.insert(thread.thread.id);
        return false;
      }
      if (node.node == move.from) travelling.emplace(thread.thread.id, thread);
      return node.node == move.from;
    });
  }
  for (const auto& [id, pending] : moves_) {
    if (arrived.contains(id)) continue;
    const auto target = std::find_if(snapshot.nodes.begin(), snapshot.nodes.end(),
                                     [&](const NodeLoad& node) { return node.node == pending.move.to; });
    if (target == snapshot.nodes.end()) continue;
    ThreadLoad thread;
    if (const auto found = travelling.find(id); found != travelling.end()) thread = found->second;
    thread.thread = pending.move.thread;
    thread.wanted = pending.move.wanted;
    thread.runnable = true;
    thread.travels = true;
    thread.uses.clear();  // of where it is going nothing is known
    target->threads.push_back(std::move(thread));
  }
}

}  // namespace jvmc::cluster
