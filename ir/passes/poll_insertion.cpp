// Polls bound the time until a thread can be stopped: one on each cycle of the control flow, and one on entry of
// functions that may recurse.
//
// The back edges of a loop are gathered in one new block, its *latch*: `latch(params): poll; br header(params)`. The
// state is the frame before the header's first instruction, with the values that the edge passes. A poll on the edge
// rather than in the header leaves the way into the loop free of it, and lets a continuation enter at the header
// without polling again, so that a thread stopped at every poll still gets on.
//
// No poll in a loop that runs a small constant number of times and calls nothing long: in nbody that alone is 1.58x
// against 1.00x, as it stops LLVM from unrolling. The product over a nest of such loops is bounded too.
#include <algorithm>

#include "ir/analysis/induction.h"
#include "ir/analysis/liveness.h"
#include "ir/passes/edit.h"
#include "ir/passes/passes.h"
#include "ir/support/fault.h"

namespace jvmc::ir {
namespace {

constexpr uint64_t kTripsWithoutPoll = 64;
constexpr uint64_t kNestTripsWithoutPoll = 4096;

class PollInsertion {
 public:
  PollInsertion(const PassContext& context, FunctionBody& body)
      : context_(context), editor_(body), body_(body), cfg_(context.baseline), liveness_(context.baseline, cfg_) {}

  void run() {
    for (BlockId header : headersToPoll()) addLatch(header);
    if (context_.calls.mayRecurse(context_.function)) pollOnEntry();
  }

 private:
  std::vector<BlockId> headersToPoll() const {
    Definitions definitions(context_.baseline);
    const auto& loops = cfg_.loops();
    // Inner loops come after outer ones: go backwards and multiply up.
    std::vector<uint64_t> trips(loops.size()), nestTrips(loops.size(), 1);
    std::vector<BlockId> headers = cfg_.irreducible();
    for (size_t i = loops.size(); i-- > 0;) {
      auto counted = findCountedLoop(context_.baseline, cfg_, definitions, int(i));
      auto bound = counted ? constantTrips(context_.baseline, *counted) : std::nullopt;
      bool isSmall = bound && *bound <= kTripsWithoutPoll && *bound * nestTrips[i] <= kNestTripsWithoutPoll;
      if (!isSmall || callsSomethingLong(loops[i])) {
        headers.push_back(loops[i].header);
        continue;
      }
      if (int parent = loops[i].parent; parent >= 0)
        nestTrips[size_t(parent)] = std::max(nestTrips[size_t(parent)], *bound * nestTrips[i]);
    }
    std::sort(headers.begin(), headers.end());  // a header may be the target of an irreducible edge too
    headers.erase(std::unique(headers.begin(), headers.end()), headers.end());
    return headers;
  }

  bool callsSomethingLong(const Loop& loop) const {
    for (BlockId b : loop.blocks)
      for (const Instr& instr : context_.baseline[b].instrs)
        if (isLong(instr)) return true;
    return false;
  }

  bool isLong(const Instr& instr) const {
    if (instr.op == Opcode::kCall) return !context_.calls.isShort(instr.symbol.function());
    if (instr.op == Opcode::kCallNative) return context_.module[instr.symbol.native()].effect == NativeEffect::Outside;
    return instr.info().has(kCall);
  }

  void addLatch(BlockId header) {
    BlockId latch = editor_.addBlock(body_[header].name + "_latch", body_[header].loc);
    std::vector<ValueId> params;
    for (ValueId p : std::vector<ValueId>(body_[header].params))
      params.push_back(editor_.addParam(latch, body_[p].type, body_[p].name));
    for (uint32_t b = 0; b < context_.baseline.blocks.size(); ++b) redirect(BlockId(b), header, latch);

    Instr poll;
    poll.op = Opcode::kPoll;
    poll.loc = body_[header].loc;
    poll.frameState = stateBefore(header, params);
    if (!JVMC_FAULT("loop-without-a-poll")) body_[latch].instrs.push_back(std::move(poll));
    body_[latch].instrs.push_back(branchTo(header, params, body_[header].loc));
  }

  void redirect(BlockId from, BlockId header, BlockId latch) {
    if (!cfg_.isBackEdge(from, header)) return;
    Block& block = body_[from];
    for (BlockCall& target : block.instrs.back().targets)
      if (target.block == header) target.block = latch;
    if (block.handler && block.handler->block == header) block.handler->block = latch;
  }

  FrameStateId stateBefore(BlockId block, const std::vector<ValueId>& params) {
    FrameState state;
    state.function = context_.function;
    state.resumePoint = pointBefore(cfg_.firstInstr(block));
    const auto& own = context_.baseline[block].params;
    for (ValueId v : liveness_.slots(state.resumePoint)) {
      auto at = std::find(own.begin(), own.end(), v);
      ValueId source = at == own.end() ? v : params[size_t(at - own.begin())];
      state.slots.push_back({SlotSource::Kind::Value, source, 0});
    }
    return editor_.addState(std::move(state));
  }

  void pollOnEntry() {
    Block& entry = body_.blocks[0];
    Instr poll;
    poll.op = Opcode::kPoll;
    poll.loc = entry.loc;
    poll.frameState = stateBefore(BlockId(0), entry.params);
    entry.instrs.insert(entry.instrs.begin(), std::move(poll));
  }

  const PassContext& context_;
  BodyEditor editor_;
  FunctionBody& body_;
  Cfg cfg_;
  Liveness liveness_;
};

}  // namespace

void runPollInsertion(const PassContext& context, FunctionBody& body) {
  if (!context.unmovable) PollInsertion(context, body).run();
}

}  // namespace jvmc::ir
