// Small functions are copied into their callers; virtual calls too, where the program has a single implementation.
//
//     b: ...                           b: ...; br callee_entry            callee blocks: return %v -> br rest(%v)
//        %r = call @f(%x)      =>      rest(%r): ...
//        ...
//
// Frames stay: the state of each safepoint of the copy gets the state of the call as its outer one, so a capture inside
// writes the callee's frame and then the caller's, waiting behind its call. The copies take the handler of the block of
// the call, which sees the same values: an exception goes where it would have gone after unwinding. Functions with
// handlers of their own are not inlined, so that an exception in a chain passes through all of it (see pass.h).
//
// A receiver that may be null is tested: the other way leads to the call itself, which throws and does not come back.
#include "ir/passes/inlining.h"

#include <algorithm>
#include <iterator>

#include "ir/passes/edit.h"
#include "ir/passes/null_facts.h"
#include "ir/passes/passes.h"
#include "ir/passes/ssa.h"
#include "ir/support/fault.h"

namespace jvmc::ir {
namespace {

constexpr uint32_t kSmallInstrs = 24;      // a callee of this size anywhere; in loops even if it has loops itself
constexpr uint32_t kLoopInstrs = 100;      // in a loop
constexpr uint32_t kCallerInstrs = 1'500;  // stop growing then
constexpr int kDepth = 4;

void inlineCalls(const PassContext& context, FunctionBody& body, int depth);

/// The callee's body with frame states and polls, its own small callees inlined.
FunctionBody prepareCallee(const PassContext& caller, FunctionId callee, const FunctionBody& stored, int depth) {
  PassContext context{caller.module, caller.calls, callee, stored, caller.checked, caller.unmovable};
  FunctionBody body = stored;
  runFrameStates(context, body);
  runPollInsertion(context, body);
  runStripMining(context, body);
  rebuildSsa(body);
  if (depth > 1) inlineCalls(context, body, depth - 1);
  return body;
}

/// Copies one callee into `body` in place of one call.
class CallSite {
 public:
  CallSite(const PassContext& context, FunctionBody& body, BlockId block, uint32_t index)
      : context_(context), editor_(body), body_(body), block_(block), index_(index) {}

  void replaceBy(FunctionBody callee, bool receiverMayBeNull) {
    Instr call = body_[block_].instrs[index_];
    state_ = call.frameState;
    BlockId rest = splitBlockAfter(editor_, block_, index_);
    copyValues(callee, call);
    copyStates(callee);
    firstCopy_ = uint32_t(body_.blocks.size());
    for (const Block& from : callee.blocks) copyBlock(from, rest);
    std::vector<ValueId> args;
    for (size_t i = 0; i < call.operands.size(); ++i)
      if (!isSubstituted_[i]) args.push_back(call.operands[i]);
    BlockCall entry{BlockId(firstCopy_), std::move(args)};
    auto& instrs = body_[block_].instrs;
    if (!receiverMayBeNull) {
      instrs.push_back(branchTo(entry.block, std::move(entry.args), call.loc));
      return;
    }
    ValueId null = editor_.constant(kNull, 0);
    Instr test = editor_.make(block_, Opcode::kRefNe, {call.operands[0], null}, TypeId(), kI32, call.loc);
    ValueId condition = test.result;
    body_[block_].instrs.push_back(std::move(test));
    BlockId throws = callThatThrows(call);
    body_[block_].instrs.push_back(branchIf(condition, std::move(entry), {throws, {}}, call.loc));
  }

 private:
  // Parameters become the arguments where the types allow it, so that what does not change in the caller's loops is
  // seen not to change in the callee either.
  void copyValues(const FunctionBody& callee, const Instr& call) {
    map_.resize(callee.values.size());
    isSubstituted_.resize(call.operands.size());
    const auto& params = callee.blocks[0].params;
    for (size_t i = 0; i < params.size(); ++i) {
      TypeId from = body_[call.operands[i]].type, to = callee[params[i]].type;
      const auto& types = context_.module.types;
      bool bothClasses = types[from].kind == TypeKind::Ref && types[to].kind == TypeKind::Ref;
      if (from != to && !bothClasses) continue;
      map_[params[i].index()] = call.operands[i];
      isSubstituted_[i] = true;
    }
    for (uint32_t v = 0; v < callee.values.size(); ++v) {
      if (map_[v].valid()) continue;
      const Value& value = callee.values[v];
      if (value.kind == Value::Kind::Const) {
        map_[v] = editor_.constant(value.type, value.constant);
        continue;
      }
      map_[v] = ValueId(uint32_t(body_.values.size()));
      body_.values.push_back(value);
    }
  }

  ValueId mapped(ValueId v) const { return map_[v.index()]; }

  void copyStates(const FunctionBody& callee) {
    firstState_ = uint32_t(body_.frameStates.size());
    for (FrameState state : callee.frameStates) {
      mapStateValues(state, [&](ValueId v) { return mapped(v); });
      state.outer = state.outer.valid() ? FrameStateId(firstState_ + state.outer.index()) : state_;
      body_.frameStates.push_back(std::move(state));
    }
  }

  BlockCall mapped(BlockCall call) const {
    call.block = BlockId(firstCopy_ + call.block.index());
    for (ValueId& v : call.args) v = mapped(v);
    return call;
  }

  void copyBlock(const Block& from, BlockId rest) {
    bool isEntry = uint32_t(body_.blocks.size()) == firstCopy_;
    Block to;
    to.name = from.name;
    to.loc = from.loc;
    if (!JVMC_FAULT("inlined-code-loses-its-handler")) to.handler = body_[block_].handler;
    for (size_t i = 0; i < from.params.size(); ++i)
      if (!isEntry || !isSubstituted_[i]) to.params.push_back(mapped(from.params[i]));
    for (const Instr& instr : from.instrs) to.instrs.push_back(copyInstr(instr, rest));
    body_.blocks.push_back(std::move(to));
  }

  Instr copyInstr(const Instr& from, BlockId rest) const {
    if (from.op == Opcode::kReturn) {
      std::vector<ValueId> result;
      for (ValueId v : from.operands) result.push_back(mapped(v));
      return branchTo(rest, std::move(result), from.loc);
    }
    Instr to = from;
    for (ValueId& v : to.operands) v = mapped(v);
    for (BlockCall& target : to.targets) target = mapped(target);
    if (to.result.valid()) to.result = mapped(to.result);
    if (to.frameState.valid()) to.frameState = FrameStateId(firstState_ + to.frameState.index());
    return to;
  }

  BlockId callThatThrows(Instr call) {
    BlockId block = editor_.addBlock("null_receiver", call.loc);
    if (call.result.valid()) call.result = editor_.copyOf(call.result, block);
    Instr end;
    end.op = Opcode::kUnreachable;
    end.loc = call.loc;
    body_[block].handler = body_[block_].handler;
    body_[block].instrs = {std::move(call), std::move(end)};
    return block;
  }

  const PassContext& context_;
  BodyEditor editor_;
  FunctionBody& body_;
  BlockId block_;
  uint32_t index_;
  FrameStateId state_;
  std::vector<ValueId> map_;
  std::vector<bool> isSubstituted_;
  uint32_t firstCopy_ = 0, firstState_ = 0;
};

FunctionId calleeOf(const PassContext& context, const Instr& instr) {
  if (instr.op == Opcode::kCall) return instr.symbol.function();
  if (instr.op == Opcode::kCallVirtual || instr.op == Opcode::kCallInterface)
    return context.calls.uniqueImplementation(instr.symbol);
  return FunctionId();
}

void inlineCalls(const PassContext& context, FunctionBody& body, int depth) {
  struct Site {
    BlockId block;
    uint32_t index;
    FunctionId callee;
    bool receiverMayBeNull;
  };
  std::vector<Site> sites;
  {
    Cfg cfg(body);
    NullFacts facts(body, cfg);
    for (BlockId b : cfg.reversePostOrder()) {
      facts.walk(b, [&](uint32_t i, auto nonNull) {
        const Instr& instr = body[b].instrs[i];
        FunctionId callee = calleeOf(context, instr);
        if (!inlinableBody(context, callee, cfg.loopOf(b) >= 0)) return;
        bool isVirtual = instr.op != Opcode::kCall;
        sites.push_back({b, i, callee, isVirtual && !nonNull(instr.operands[0])});
      });
    }
  }
  // Within a block from the last call to the first: a split leaves what stands before it in place.
  std::stable_sort(sites.begin(), sites.end(), [](const Site& a, const Site& b) {
    return a.block != b.block ? a.block < b.block : a.index > b.index;
  });
  uint32_t size = body.instrCount();
  for (const Site& site : sites) {
    const FunctionBody& stored = *context.module.body(site.callee).value();
    FunctionBody callee = prepareCallee(context, site.callee, stored, depth);
    if (size + callee.instrCount() > kCallerInstrs) continue;
    size += callee.instrCount();
    CallSite(context, body, site.block, site.index).replaceBy(std::move(callee), site.receiverMayBeNull);
  }
  removeUnreachableBlocks(body);
  removeTrivialParams(body);
}

}  // namespace

const FunctionBody* inlinableBody(const PassContext& context, FunctionId callee, bool inLoop) {
  if (!callee.valid() || callee == context.function || context.calls.mayRecurse(callee)) return nullptr;
  auto stored = context.module.body(callee);
  if (!stored.ok() || (*stored)->instrCount() > (inLoop ? kLoopInstrs : kSmallInstrs)) return nullptr;
  for (const Block& block : (*stored)->blocks)
    if (block.handler) return nullptr;
  bool hasLoops = !Cfg(**stored).loops().empty();
  if (hasLoops && (!inLoop || (*stored)->instrCount() > kSmallInstrs)) return nullptr;
  return *stored;
}

void runInlining(const PassContext& context, FunctionBody& body) {
  inlineCalls(context, body, kDepth);
}

}  // namespace jvmc::ir
