// Dominators by Cooper, Harvey and Kennedy ("A Simple, Fast Dominance Algorithm") over the split nodes of cfg.h;
// queries by interval in a walk of the dominator tree. Loops are found header by header in reverse post-order, so that
// an outer loop comes before its inner ones. Nothing here recurses: a hostile body may be one chain of a million
// blocks.
#include "ir/analysis/cfg.h"

#include <algorithm>

namespace jvmc::ir {
namespace {

void addOnce(std::vector<BlockId>& list, BlockId b) {
  if (std::find(list.begin(), list.end(), b) == list.end()) list.push_back(b);
}

}  // namespace

Cfg::Cfg(const FunctionBody& body) : body_(body) {
  computeEdges();
  computeDominators(computeOrder());
  computeLoops();
}

void Cfg::computeEdges() {
  size_t count = body_.blocks.size();
  JVMC_CHECK(count > 0);
  successors_.resize(count);
  predecessors_.resize(count);
  firstInstr_.resize(count);
  std::vector<uint32_t> seenFrom(count, kUnreachable);  // a switch may name one block thousands of times
  for (uint32_t i = 0; i < count; ++i) {
    const Block& block = body_.blocks[i];
    firstInstr_[i] = instrCount_;
    instrCount_ += uint32_t(block.instrs.size());
    if (block.instrs.empty()) continue;
    for (const BlockCall& target : block.instrs.back().targets) {
      uint32_t to = target.block.index();
      if (seenFrom[to] == i) continue;
      seenFrom[to] = i;
      successors_[i].push_back(target.block);
      predecessors_[to].push_back(BlockId(i));
    }
    if (block.handler && seenFrom[block.handler->block.index()] != i)
      predecessors_[block.handler->block.index()].push_back(BlockId(i));
  }
}

BlockId Cfg::handler(BlockId b) const {
  const Block& block = body_[b];
  return block.handler ? block.handler->block : BlockId();
}

// Depth-first walk over the split nodes; gives them in reverse post-order and fills rpo_ and rpoIndex_.
std::vector<uint32_t> Cfg::computeOrder() {
  size_t count = body_.blocks.size();
  std::vector<uint32_t> order;
  std::vector<bool> seen(2 * count);
  struct Visit {
    uint32_t node;
    uint32_t next;
  };
  std::vector<Visit> stack;
  auto push = [&](uint32_t node) {
    if (seen[node]) return;
    seen[node] = true;
    stack.push_back({node, 0});
  };
  push(0);
  while (!stack.empty()) {
    auto [node, next] = stack.back();
    stack.back().next++;
    BlockId b(node / 2);
    bool isEntry = node % 2 == 0;
    if (isEntry && next == 0) {
      // The handler first, so that it comes after the normal path in reverse post-order.
      if (BlockId h = handler(b); h.valid()) push(entryNode(h));
    } else if (isEntry && next == 1) {
      push(exitNode(b));
    } else if (!isEntry && next < successors_[b.index()].size()) {
      const auto& successors = successors_[b.index()];
      push(entryNode(successors[successors.size() - 1 - next]));
    } else {
      order.push_back(node);
      stack.pop_back();
    }
  }
  std::reverse(order.begin(), order.end());
  rpoIndex_.assign(count, kUnreachable);
  for (uint32_t node : order) {
    if (node % 2 != 0) continue;
    rpoIndex_[node / 2] = uint32_t(rpo_.size());
    rpo_.push_back(BlockId(node / 2));
  }
  return order;
}

void Cfg::computeDominators(const std::vector<uint32_t>& nodeOrder) {
  size_t nodes = 2 * body_.blocks.size();
  std::vector<uint32_t> position(nodes, kUnreachable);
  for (uint32_t i = 0; i < nodeOrder.size(); ++i) position[nodeOrder[i]] = i;

  // The nodes that lead to the entry of each block. (predecessors_ does not tell how a block leads to another, and to
  // search for that is quadratic in the number of cases of a switch.)
  std::vector<std::vector<uint32_t>> sources(body_.blocks.size());
  for (uint32_t i = 0; i < body_.blocks.size(); ++i) {
    for (BlockId s : successors_[i]) sources[s.index()].push_back(exitNode(BlockId(i)));
    if (BlockId h = handler(BlockId(i)); h.valid()) sources[h.index()].push_back(entryNode(BlockId(i)));
  }

  // idom by position in nodeOrder: a dominator has a smaller position.
  std::vector<uint32_t> idom(nodeOrder.size(), kUnreachable);
  idom[0] = 0;
  auto meet = [&](uint32_t current, uint32_t node) {
    uint32_t p = position[node];
    if (p == kUnreachable || idom[p] == kUnreachable) return current;
    if (current == kUnreachable) return p;
    while (p != current) {
      while (p > current) p = idom[p];
      while (current > p) current = idom[current];
    }
    return p;
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (uint32_t i = 1; i < nodeOrder.size(); ++i) {
      BlockId b(nodeOrder[i] / 2);
      uint32_t dominator = kUnreachable;
      if (nodeOrder[i] % 2 != 0) {
        dominator = position[entryNode(b)];
      } else {
        for (uint32_t p : sources[b.index()]) dominator = meet(dominator, p);
      }
      if (idom[i] == dominator) continue;
      idom[i] = dominator;
      changed = true;
    }
  }

  // Intervals: a child's position is larger than its parent's, so sizes add up backwards and starts go forwards.
  std::vector<uint32_t> size(nodeOrder.size(), 1), nextChild(nodeOrder.size());
  for (uint32_t i = uint32_t(nodeOrder.size()) - 1; i > 0; --i) size[idom[i]] += size[i];
  domIn_.assign(nodes, 0);
  domOut_.assign(nodes, 0);
  for (uint32_t i = 0; i < nodeOrder.size(); ++i) {
    uint32_t start = i == 0 ? 1 : nextChild[idom[i]];
    if (i != 0) nextChild[idom[i]] += size[i];
    nextChild[i] = start + 1;
    domIn_[nodeOrder[i]] = start;
    domOut_[nodeOrder[i]] = start + size[i];
  }
}

bool Cfg::nodeDominates(uint32_t a, uint32_t b) const {
  if (domIn_[b] == 0) return true;
  return domIn_[a] != 0 && domIn_[a] <= domIn_[b] && domIn_[b] < domOut_[a];
}

bool Cfg::entryDominates(BlockId a, BlockId b) const {
  return nodeDominates(entryNode(a), entryNode(b));
}
bool Cfg::exitDominates(BlockId a, BlockId b) const {
  return nodeDominates(exitNode(a), entryNode(b));
}

bool Cfg::isBackEdge(BlockId from, BlockId to) const {
  return reachable(from) && rpoIndex_[to.index()] <= rpoIndex_[from.index()];
}

void Cfg::computeLoops() {
  loopOf_.assign(body_.blocks.size(), -1);
  isHeader_.assign(body_.blocks.size(), false);
  for (BlockId b : rpo_) {
    std::vector<BlockId> latches;
    for (BlockId p : predecessors_[b.index()]) {
      if (!isBackEdge(p, b)) continue;
      if (entryDominates(b, p))
        latches.push_back(p);
      else
        addOnce(irreducible_, b);
    }
    if (!latches.empty()) addLoop(b, latches);
  }
}

void Cfg::addLoop(BlockId header, const std::vector<BlockId>& latches) {
  Loop loop;
  loop.header = header;
  loop.parent = loopOf_[header.index()];
  loop.depth = loop.parent < 0 ? 1 : loops_[size_t(loop.parent)].depth + 1;
  int index = int(loops_.size());
  isHeader_[header.index()] = true;
  loopOf_[header.index()] = index;
  loop.blocks.push_back(header);
  std::vector<BlockId> work = latches;
  while (!work.empty()) {
    BlockId b = work.back();
    work.pop_back();
    if (!reachable(b) || loopOf_[b.index()] == index) continue;
    loopOf_[b.index()] = index;
    loop.blocks.push_back(b);
    for (BlockId p : predecessors_[b.index()]) work.push_back(p);
  }
  std::sort(loop.blocks.begin(), loop.blocks.end());
  loops_.push_back(std::move(loop));
}

Cfg::Position Cfg::position(uint32_t flatIndex) const {
  JVMC_CHECK(flatIndex < instrCount_, flatIndex, instrCount_);
  auto after = std::upper_bound(firstInstr_.begin(), firstInstr_.end(), flatIndex);
  BlockId b(uint32_t(after - firstInstr_.begin() - 1));
  return {b, flatIndex - firstInstr(b)};
}

}  // namespace jvmc::ir
