// Backward data flow over blocks with bit sets. Only the sets at block entries are kept; a point inside a block is
// found by walking back from the block's end.
#include "ir/analysis/liveness.h"

#include <bit>

namespace jvmc::ir {
namespace {

bool contains(const std::vector<uint64_t>& set, ValueId v) {
  return set[v.index() / 64] >> (v.index() % 64) & 1;
}
void erase(std::vector<uint64_t>& set, ValueId v) {
  set[v.index() / 64] &= ~(uint64_t(1) << (v.index() % 64));
}

}  // namespace

Liveness::Liveness(const FunctionBody& body, const Cfg& cfg)
    : body_(body), cfg_(cfg), words_((body.values.size() + 63) / 64), liveIn_(body.blocks.size(), BitSet(words_)) {
  solve();
}

void Liveness::addUse(ValueId v, BitSet& live) const {
  if (body_[v].kind != Value::Kind::Const) live[v.index() / 64] |= uint64_t(1) << (v.index() % 64);
}

void Liveness::transfer(const Instr& instr, BitSet& live) const {
  if (instr.result.valid()) erase(live, instr.result);
  forEachUse(instr, [&](ValueId v) { addUse(v, live); });
  forEachStateValue(body_, instr.frameState, [&](ValueId v) { addUse(v, live); });
}

// What the target reads that is not one of its parameters. (The arguments are uses of the branch.)
void Liveness::addLiveIntoTarget(const BlockCall& target, BitSet& live) const {
  const BitSet& in = liveIn_[target.block.index()];
  // A loop header's parameter may be live here in its own right, so parameters must not be erased from `live`.
  std::vector<ValueId> already;
  for (ValueId p : body_[target.block].params)
    if (contains(live, p)) already.push_back(p);
  for (size_t w = 0; w < words_; ++w) live[w] |= in[w];
  for (ValueId p : body_[target.block].params) erase(live, p);
  for (ValueId p : already) addUse(p, live);
}

void Liveness::addHandlerUses(BlockId b, BitSet& live) const {
  const auto& handler = body_[b].handler;
  if (!handler) return;
  addLiveIntoTarget(*handler, live);
  for (ValueId v : handler->args) addUse(v, live);
}

Liveness::BitSet Liveness::liveOutOf(BlockId b) const {
  BitSet live(words_);
  for (BlockId s : cfg_.successors(b)) addLiveIntoTarget({s, {}}, live);
  return live;
}

Liveness::BitSet Liveness::liveInOf(BlockId b) const {
  BitSet live = liveOutOf(b);
  const auto& instrs = body_[b].instrs;
  for (size_t i = instrs.size(); i-- > 0;) transfer(instrs[i], live);
  addHandlerUses(b, live);
  return live;
}

void Liveness::solve() {
  const auto& order = cfg_.reversePostOrder();
  std::vector<bool> queued(body_.blocks.size(), true);
  // Sweeps in post-order over the blocks whose successors changed; few sweeps, as loops nest shallowly.
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = order.size(); i-- > 0;) {
      BlockId b = order[i];
      if (!queued[b.index()]) continue;
      queued[b.index()] = false;
      BitSet in = liveInOf(b);
      if (in == liveIn_[b.index()]) continue;
      liveIn_[b.index()] = std::move(in);
      changed = true;
      for (BlockId p : cfg_.predecessors(b)) queued[p.index()] = true;
    }
  }
}

std::vector<ValueId> Liveness::toSlots(const BitSet& live) const {
  std::vector<ValueId> slots;
  for (size_t w = 0; w < words_; ++w)
    for (uint64_t bits = live[w]; bits != 0; bits &= bits - 1)
      slots.push_back(ValueId(uint32_t(w * 64 + size_t(std::countr_zero(bits)))));
  return slots;
}

std::vector<ValueId> Liveness::slots(uint32_t resumePoint) const {
  auto [block, index] = cfg_.position(resumePoint / 2);
  bool isAfter = resumePoint % 2 != 0;
  const auto& instrs = body_[block].instrs;
  BitSet live = liveOutOf(block);
  for (size_t i = instrs.size() - 1; i > index; --i) transfer(instrs[i], live);
  if (!isAfter)
    transfer(instrs[index], live);
  else if (instrs[index].result.valid())
    erase(live, instrs[index].result);
  addHandlerUses(block, live);
  return toSlots(live);
}

std::vector<ValueId> Liveness::liveIn(BlockId b) const {
  return toSlots(liveIn_[b.index()]);
}

}  // namespace jvmc::ir
