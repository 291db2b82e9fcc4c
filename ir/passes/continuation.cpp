// A continuation runs what is left of a function from a resume point on. Jumping into the middle of the function would
// make its loops irreducible (up to 2x slower), so the rest of the current iteration is copied for each loop around the
// point, and each loop is entered at its header again:
//
//     for i { A; for j { B; <point>; C }; D }     becomes     C; for j { B; C }; D; for i { A; for j { B; C }; D }
//
// A copy is named (block, level). The level says how many of the loops around the point, outermost first, are still in
// the iteration in which the point lies: an edge to the header of loop number j <= level begins its next iteration, in
// (header, j - 1); an edge that leaves loops lowers the level to the loops it stays in. Level 0 is the original.
//
// Copies keep their ValueIds; the new entry defines the slots; rebuildSsa() makes SSA of it.
#include <algorithm>
#include <map>

#include "ir/analysis/induction.h"
#include "ir/analysis/liveness.h"
#include "ir/passes/edit.h"
#include "ir/passes/passes.h"
#include "ir/passes/ssa.h"
#include "ir/passes/strip_mining.h"

namespace jvmc::ir {
namespace {

class ContinuationMaker {
 public:
  ContinuationMaker(const PassContext& context, FunctionBody& body, uint32_t point)
      : context_(context), body_(body), baselineCfg_(context.baseline), cfg_(body), point_(point) {
    auto position = baselineCfg_.position(point / 2);
    block_ = position.block;
    start_ = startIndex(position.index, point % 2 != 0);
    for (int l = cfg_.loopOf(block_); l >= 0; l = cfg_.loops()[size_t(l)].parent)
      loops_.push_back(&cfg_.loops()[size_t(l)]);
    std::reverse(loops_.begin(), loops_.end());
  }

  void run() {
    if (body_[block_].handler) {
      startProtected();
    } else {
      blocks_.push_back(entry());
    }
    for (size_t i = 0; i < pending_.size(); ++i) copyBlock(pending_[i]);
    body_.blocks = std::move(blocks_);
    defineStripLimits();
    rebuildSsa(body_);
  }

 private:
  struct Copy {
    BlockId block;
    size_t level;
    friend auto operator<=>(const Copy&, const Copy&) = default;
  };

  // Where the baseline instruction of this index in block_ begins (or has ended) in the body, in which polls and class
  // initialisations have been inserted. A poll before it is left out: the frame may come from there.
  size_t startIndex(uint32_t baselineIndex, bool isAfter) const {
    const auto& baseline = context_.baseline[block_].instrs;
    const auto& instrs = body_[block_].instrs;
    size_t at = 0;
    for (size_t done = 0, end = baselineIndex + (isAfter ? 1 : 0); done < end; ++at)
      if (instrs[at].op == baseline[done].op) ++done;
    while (!isAfter && instrs[at].op == Opcode::kPoll) ++at;
    return at;
  }

  // A handler's arguments are read at the start of its block, before the limits of strips (see defineStripLimits) could
  // be defined there. So the point's block comes third: the entry goes on to it, or, if it is resumed with an
  // exception, to a block that goes on to the handler; both have room for the limits.
  void startProtected() {
    firstCopy_ = 3;
    Block inside = entry();
    BlockCall handler = *inside.handler;
    Block entry = sibling(inside, "resume_protected"), caught = sibling(inside, "resume_caught");
    std::swap(entry.params, inside.params);
    entry.handler = BlockCall{BlockId(1), {}};
    entry.instrs.push_back(branchTo(BlockId(2), {}, entry.loc));
    ValueId exceptionParam = body_[handlerBlock()].params[0];
    caught.params.push_back(BodyEditor(body_).copyOf(exceptionParam, BlockId(1)));
    handler.args.insert(handler.args.begin(), caught.params[0]);
    caught.instrs.push_back(branchTo(handler.block, handler.args, entry.loc));
    blocks_.push_back(std::move(entry));
    blocks_.push_back(std::move(caught));
    blocks_.push_back(std::move(inside));
  }

  BlockId handlerBlock() const { return body_[block_].handler->block; }

  static Block sibling(const Block& block, std::string name) {
    Block result;
    result.name = std::move(name);
    result.loc = block.loc;
    return result;
  }

  Block entry() {
    Block entry;
    entry.name = "resume";
    entry.loc = body_[block_].loc;
    Liveness liveness(context_.baseline, baselineCfg_);
    entry.params = liveness.slots(point_);
    if (point_ % 2 != 0) {
      auto [block, index] = baselineCfg_.position(point_ / 2);
      ValueId result = context_.baseline[block].instrs[index].result;
      if (result.valid()) entry.params.push_back(result);
    }
    const Block& from = body_[block_];
    if (from.handler) entry.handler = edge(*from.handler, loops_.size());
    bool isHeader = !loops_.empty() && loops_.back()->header == block_;
    if (isHeader && point_ == pointBefore(baselineCfg_.firstInstr(block_))) {
      // The header of a strip-mined loop is entered through its strip, which has the same parameters.
      size_t level = loops_.size() - 1;
      bool isStripped = level > 0 && loops_[level - 1]->header.index() >= context_.baseline.blocks.size();
      Copy header = isStripped ? Copy{loops_[level - 1]->header, level - 1} : Copy{block_, level};
      entry.instrs.push_back(branchTo(copyOf(header), headerArguments(entry.params), from.loc));
      return entry;
    }
    for (size_t i = start_; i < from.instrs.size(); ++i)
      entry.instrs.push_back(copyInstr(from.instrs[i], loops_.size()));
    return entry;
  }

  // The slots hold the live parameters of the header; the others may be anything.
  std::vector<ValueId> headerArguments(const std::vector<ValueId>& slots) {
    BodyEditor editor(body_);
    std::vector<ValueId> args;
    for (ValueId p : body_[block_].params) {
      bool isLive = std::find(slots.begin(), slots.end(), p) != slots.end();
      TypeId type = body_[p].type;
      bool isReference = context_.module.types[type].isReference();
      args.push_back(isLive ? p : editor.constant(isReference ? kNull : type, 0));
    }
    return args;
  }

  // The first strip, in which the point lies, is over at its next test: its end is not in the frame.
  void defineStripLimits() {
    Cfg cfg(body_);
    Liveness liveness(body_, cfg);
    Definitions definitions(body_);
    BodyEditor editor(body_);
    const auto& slots = body_.blocks[0].params;
    for (ValueId v : liveness.liveIn(BlockId(0))) {
      if (std::find(slots.begin(), slots.end(), v) != slots.end()) continue;
      const Instr* definition = definitions[v];
      auto neutral = definition ? neutralLimit(*definition) : std::nullopt;
      JVMC_CHECK(neutral.has_value(), context_.module[context_.function].name, point_, v.value);
      ValueId constant = editor.constant(definition->type, *neutral);
      Instr define = *definition;
      define.operands = {constant, constant};
      for (uint32_t b = 0; b < (firstCopy_ == 1 ? 1 : 2); ++b) {
        auto& instrs = body_.blocks[b].instrs;
        instrs.insert(instrs.begin(), define);
      }
    }
  }

  void copyBlock(Copy copy) {
    const Block& from = body_[copy.block];
    Block to;
    to.name = from.name;
    to.loc = from.loc;
    to.params = from.params;
    if (from.handler) to.handler = edge(*from.handler, copy.level);
    for (const Instr& instr : from.instrs) to.instrs.push_back(copyInstr(instr, copy.level));
    blocks_.push_back(std::move(to));
  }

  Instr copyInstr(const Instr& from, size_t level) {
    Instr to = from;
    for (BlockCall& target : to.targets) target = edge(target, level);
    return to;
  }

  BlockCall edge(const BlockCall& from, size_t level) {
    for (; level > 0; --level) {
      const Loop& loop = *loops_[level - 1];
      if (loop.header == from.block) return {copyOf({from.block, level - 1}), from.args};
      if (std::binary_search(loop.blocks.begin(), loop.blocks.end(), from.block)) break;
    }
    return {copyOf({from.block, level}), from.args};
  }

  BlockId copyOf(Copy copy) {
    auto [it, isNew] = copies_.try_emplace(copy, BlockId(uint32_t(firstCopy_ + pending_.size())));
    if (isNew) pending_.push_back(copy);
    return it->second;
  }

  const PassContext& context_;
  FunctionBody& body_;
  Cfg baselineCfg_, cfg_;
  uint32_t point_;
  BlockId block_;
  size_t start_ = 0;
  std::vector<const Loop*> loops_;  // around the point, outermost first
  std::map<Copy, BlockId> copies_;
  std::vector<Copy> pending_;  // pending_[i] becomes block firstCopy_ + i
  size_t firstCopy_ = 1;
  std::vector<Block> blocks_;
};

}  // namespace

void makeContinuation(const PassContext& context, FunctionBody& body, uint32_t resumePoint) {
  ContinuationMaker(context, body, resumePoint).run();
}

}  // namespace jvmc::ir
