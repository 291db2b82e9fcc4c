// A poll in a loop's body keeps LLVM from vectorising it. An innermost counted loop becomes two: the inner one runs up
// to 1024 iterations without a poll, the outer one polls in between (saxpy 3.9x -> 1.00x).
//
//     header(ps):                            strip(ps'):   lim = min(i' + 1024 * step, limit)       <- all entries
//       ...                                                br header(ps')
//       br_if i < limit, body, exit          header(ps):   ...
//     body: ...                                            br_if i < lim, body, check
//       br latch(next)                       check:        br_if i < limit, again(ps), exit
//     latch(ns): poll; br header(ns)         again(as):    poll; br strip(as)
//                                            body: ...;    br latch(next)
//                                            latch(ns):    br header(ns)
//
// The state of the poll is the one it had: before the header's first instruction, with the values of that edge. After a
// strip the header runs again up to its test; so in a loop that is tested at the top the header may only read.
//
// `lim` may be defined twice here (when the limit is the length of an array that may be null): this pass leaves
// variables for rebuildSsa(), which the pipeline runs once the structural passes are done. A continuation that begins
// inside a strip has no `lim`; see neutralLimit().
#include "ir/passes/strip_mining.h"

#include <algorithm>

#include "ir/analysis/induction.h"
#include "ir/analysis/safepoints.h"
#include "ir/passes/edit.h"
#include "ir/passes/passes.h"
#include "ir/support/fault.h"

namespace jvmc::ir {
namespace {

constexpr int64_t kStripIterations = 1024;
constexpr int64_t kStepLimit = 1 << 16;  // 1024 steps must be far from wrapping around

// No value is nearer than this one: the smallest when counting up.
uint64_t neutral(TypeId type, bool up) {
  if (type == kI32) return up ? 0x80000000u : 0x7fffffffu;
  return up ? uint64_t(INT64_MIN) : uint64_t(INT64_MAX);
}

class StripMining {
 public:
  StripMining(const PassContext& context, FunctionBody& body) : context_(context), editor_(body), body_(body) {}

  void run() {
    // The structure changes with each loop, so each round looks at it anew; headers done are never looked at again.
    std::vector<bool> done(body_.blocks.size());
    for (bool changed = true; changed;) {
      changed = false;
      Cfg cfg(body_);
      Definitions definitions(body_);
      for (size_t l = 0; l < cfg.loops().size() && !changed; ++l) {
        uint32_t header = cfg.loops()[l].header.index();
        if (header >= done.size() || done[header]) continue;
        done[header] = true;
        changed = tryLoop(cfg, definitions, int(l));
      }
    }
  }

 private:
  bool tryLoop(const Cfg& cfg, const Definitions& definitions, int index) {
    const Loop& loop = cfg.loops()[size_t(index)];
    latch_ = pollingLatch(cfg, loop);
    if (!latch_.valid() || hasOtherPoll(loop)) return false;
    auto counted = findCountedLoop(body_, cfg, definitions, index);
    lengthOf_ = ValueId();
    if (!counted) counted = matchLengthLimit(cfg, definitions, index);
    if (!counted || !isSuitable(*counted)) return false;
    if (counted->isTopTested && !headerOnlyReads(loop.header)) return false;
    transform(cfg, definitions, loop, *counted);
    return true;
  }

  // The block that poll insertion made: `latch(ps): poll; br header(ps)`, the only back edge.
  BlockId pollingLatch(const Cfg& cfg, const Loop& loop) const {
    BlockId latch;
    for (BlockId p : cfg.predecessors(loop.header)) {
      if (!std::binary_search(loop.blocks.begin(), loop.blocks.end(), p)) continue;
      if (latch.valid()) return BlockId();
      latch = p;
    }
    const Block& block = body_[latch];
    bool isPolling = block.instrs.size() == 2 && block.instrs[0].op == Opcode::kPoll &&
                     block.instrs[1].op == Opcode::kBr && block.instrs[1].targets[0].args == block.params;
    return isPolling ? latch : BlockId();
  }

  bool hasOtherPoll(const Loop& loop) const {
    for (BlockId b : loop.blocks)
      for (const Instr& instr : body_[b].instrs)
        if (instr.op == Opcode::kPoll && b != latch_) return true;
    return false;
  }

  // `i < array_length(a)` with the length read in the header each time, as front ends write it.
  std::optional<CountedLoop> matchLengthLimit(const Cfg& cfg, const Definitions& definitions, int index) {
    const Loop& loop = cfg.loops()[size_t(index)];
    auto counted = findCountedLoop(body_, cfg, definitions, index, [&](ValueId limit) {
      const Instr* def = definitions[limit];
      return def && def->op == Opcode::kArrayLength && body_[limit].block == loop.header &&
             isInvariant(body_, loop, def->operands[0]);
    });
    if (counted && !counted->isTopTested) return std::nullopt;
    if (counted) lengthOf_ = definitions[counted->limit]->operands[0];
    return counted;
  }

  static bool isSuitable(const CountedLoop& counted) {
    bool goesUp = counted.stay == Opcode::kLt || counted.stay == Opcode::kLe;
    bool goesDown = counted.stay == Opcode::kGt || counted.stay == Opcode::kGe;
    return (goesUp && counted.step > 0 && counted.step <= kStepLimit) ||
           (goesDown && counted.step < 0 && counted.step >= -kStepLimit);
  }

  bool headerOnlyReads(BlockId header) const {
    for (const Instr& instr : body_[header].instrs) {
      bool allocates = instr.op == Opcode::kNew || instr.op == Opcode::kNewArray || instr.op == Opcode::kNewBytes;
      if (allocates || instr.info().has(kWrites) || safepointKind(context_.module, instr) != SafepointKind::None)
        return false;
    }
    return true;
  }

  void transform(const Cfg& cfg, const Definitions& definitions, const Loop& loop, const CountedLoop& counted) {
    BlockId header = loop.header;
    SourceLoc loc = body_[header].loc;
    Instr poll = std::move(body_[latch_].instrs[0]);
    body_[latch_].instrs.erase(body_[latch_].instrs.begin());

    BlockId strip = mirrorOfHeader(header, "_strip"), again = mirrorOfHeader(header, "_again");
    for (BlockId p : cfg.predecessors(header))
      if (!std::binary_search(loop.blocks.begin(), loop.blocks.end(), p)) redirect(p, header, strip);
    ValueId limit = defineLimit(strip, header, counted, loc);

    // The inner test, and the block that takes it up when a strip ends.
    Instr& test = body_[counted.exiting].instrs.back();
    ValueId tested = definitions[test.operands[0]]->operands[testedSide(*definitions[test.operands[0]], counted)];
    BlockCall stay = test.targets[counted.stayTarget], exit = test.targets[1 - counted.stayTarget];
    BlockId check = editor_.addBlock(body_[header].name + "_check", loc);
    BlockCall onward{again, counted.isTopTested ? body_[header].params : stay.args};
    Instr inner = editor_.make(counted.exiting, counted.stay, {tested, limit}, counted.type, kI32, loc);
    Instr outer = editor_.make(check, counted.stay, {tested, counted.limit}, counted.type, kI32, loc);
    body_[check].instrs = {outer, branchIf(outer.result, onward, exit, loc)};
    auto& instrs = body_[counted.exiting].instrs;
    instrs.back() = branchIf(inner.result, stay, {check, {}}, loc);
    instrs.insert(instrs.end() - 1, inner);

    poll.frameState = mapState(body_, poll.frameState, [&](ValueId v) { return translate(v, latch_, again); });
    std::vector<ValueId> args = body_[again].params;
    body_[again].instrs = {std::move(poll), branchTo(strip, std::move(args), loc)};
  }

  static size_t testedSide(const Instr& compare, const CountedLoop& counted) {
    return compare.operands[0] == counted.limit ? 1 : 0;
  }

  ValueId translate(ValueId v, BlockId from, BlockId to) const {
    const auto& params = body_[from].params;
    auto at = std::find(params.begin(), params.end(), v);
    return at == params.end() ? v : body_[to].params[size_t(at - params.begin())];
  }

  BlockId mirrorOfHeader(BlockId header, const char* suffix) {
    BlockId block = editor_.addBlock(body_[header].name + suffix, body_[header].loc);
    for (ValueId p : std::vector<ValueId>(body_[header].params)) editor_.addParam(block, body_[p].type, body_[p].name);
    return block;
  }

  void redirect(BlockId from, BlockId header, BlockId strip) {
    for (BlockCall& target : body_[from].instrs.back().targets)
      if (target.block == header) target.block = strip;
    if (body_[from].handler && body_[from].handler->block == header) body_[from].handler->block = strip;
  }

  // lim = min(i + 1024 * step, limit), or max when counting down; i + 1024 * step that wraps around counts as limit.
  ValueId defineLimit(BlockId strip, BlockId header, const CountedLoop& counted, SourceLoc loc) {
    ValueId start = body_[strip].params[counted.paramIndex];
    std::vector<ValueId> args = body_[strip].params;
    bool up = counted.step > 0;
    Opcode nearer = up ? Opcode::kMin : Opcode::kMax;
    BlockId block = strip;
    ValueId limit = counted.limit, lim;
    if (lengthOf_.valid()) {
      // A null array is the header's to complain about: until then the strip is empty.
      ValueId none = editor_.constant(counted.type, neutral(counted.type, up));
      Instr empty = editor_.make(strip, nearer, {none, none}, counted.type, counted.type, loc);
      lim = empty.result;
      Instr test = editor_.make(strip, Opcode::kRefNe, {lengthOf_, editor_.constant(kNull, 0)}, TypeId(), kI32, loc);
      block = editor_.addBlock(body_[header].name + "_length", loc);
      body_[strip].instrs = {empty, test, branchIf(test.result, {block, {}}, {header, args}, loc)};
      Instr length = editor_.make(block, Opcode::kArrayLength, {lengthOf_}, TypeId(), kI32, loc);
      length.flags = kNoNullCheck;
      limit = length.result;
      body_[block].instrs.push_back(std::move(length));
    }
    auto emit = [&](Opcode op, std::vector<ValueId> operands, TypeId result) {
      Instr instr = editor_.make(block, op, std::move(operands), counted.type, result, loc);
      ValueId v = instr.result;
      body_[block].instrs.push_back(std::move(instr));
      return v;
    };
    ValueId end = emit(Opcode::kAdd, {start, editor_.constant(counted.type, distance(counted))}, counted.type);
    ValueId wraps = emit(up ? Opcode::kLt : Opcode::kGt, {end, start}, kI32);
    ValueId reach = emit(Opcode::kSelect, {wraps, limit, end}, counted.type);
    if (JVMC_FAULT("strip-limit-off-by-one"))
      limit = emit(Opcode::kAdd, {limit, editor_.constant(counted.type, 1)}, counted.type);
    ValueId value = emit(nearer, {reach, limit}, counted.type);
    if (lim.valid())
      body_[block].instrs.back().result = lim;  // its second definition
    else
      lim = value;
    body_[block].instrs.push_back(branchTo(header, std::move(args), loc));
    return lim;
  }

  static uint64_t distance(const CountedLoop& counted) {
    uint64_t bits = uint64_t(kStripIterations * counted.step);
    return counted.type == kI32 ? uint32_t(bits) : bits;
  }
  const PassContext& context_;
  BodyEditor editor_;
  FunctionBody& body_;
  BlockId latch_;
  ValueId lengthOf_;  // the limit is the length of this array, read in the header
};

}  // namespace

void runStripMining(const PassContext& context, FunctionBody& body) {
  StripMining(context, body).run();
}

std::optional<uint64_t> neutralLimit(const Instr& definition) {
  if (definition.op != Opcode::kMin && definition.op != Opcode::kMax) return std::nullopt;
  return neutral(definition.type, definition.op == Opcode::kMin);
}

}  // namespace jvmc::ir
