// A virtual call in a loop that can only reach two or three functions becomes tests of the class and direct calls,
// which inlining may then take apart:
//
//     %r = call_virtual %o, Shape.area()   =>   br_if (instance_of %o, Circle), circle, next ...
//                                               circle: %c = check_cast %o, Circle; %1 = call @Circle.area(%c); br
//                                               rest(%1) else:   call_virtual %o, Shape.area(); unreachable
//
// The tests cover every class the program has, so the last way is taken by null only: the call throws there. (The cast
// is for the verifier, which does not learn from tests; LLVM sees that it cannot fail.)
#include "ir/passes/edit.h"
#include "ir/passes/inlining.h"
#include "ir/passes/passes.h"
#include "ir/passes/ssa.h"

namespace jvmc::ir {
namespace {

constexpr size_t kTargetsLimit = 3;

struct Target {
  FunctionId function;
  ClassId cls;  ///< every object of this class runs the function, and no other object does
};

/// The targets of a call, if there are few and each may be inlined; else none.
std::vector<Target> targetsOf(const PassContext& context, const Instr& call) {
  auto functions = context.calls.implementations(call.symbol);
  if (functions.size() < 2 || functions.size() > kTargetsLimit) return {};
  std::vector<Target> targets;
  for (FunctionId f : functions) {
    if (!f.valid() || !inlinableBody(context, f, true)) return {};
    ClassId declares;
    for (uint32_t c = 0; c < context.module.classes.size(); ++c)
      for (uint32_t m = 0; m < context.module.classes[c].methods.size(); ++m) {
        const MethodDecl& method = context.module.classes[c].methods[m];
        if (method.implementation != f || method.name != context.module.method(call.symbol).name) continue;
        bool isOnly = context.calls.implementations({{}, ClassId(c), m}) == std::vector<FunctionId>{f};
        if (declares.valid() || !isOnly) return {};
        declares = ClassId(c);
      }
    if (!declares.valid()) return {};
    targets.push_back({f, declares});
  }
  return targets;
}

class Dispatch {
 public:
  Dispatch(const PassContext& context, FunctionBody& body, BlockId block, uint32_t index)
      : context_(context), editor_(body), body_(body), block_(block), call_(body[block].instrs[index]) {
    rest_ = splitBlockAfter(editor_, block, index);
  }

  void run(const std::vector<Target>& targets) {
    BlockId at = block_;
    for (const Target& target : targets) {
      BlockId taken = newBlock("_is"), next = newBlock("_or");
      TypeId type = context_.module.types.find({TypeKind::Ref, target.cls.value});
      Instr test = editor_.make(at, Opcode::kInstanceOf, {call_.operands[0]}, TypeId(), kI32, call_.loc);
      test.symbol.type = type;
      ValueId condition = test.result;
      body_[at].instrs.push_back(std::move(test));
      body_[at].instrs.push_back(branchIf(condition, {taken, {}}, {next, {}}, call_.loc));
      callDirectly(taken, target, type);
      at = next;
    }
    Instr last = call_;
    if (last.result.valid()) last.result = editor_.copyOf(call_.result, at);
    Instr end;
    end.op = Opcode::kUnreachable;
    end.loc = call_.loc;
    body_[at].instrs = {std::move(last), std::move(end)};
  }

 private:
  BlockId newBlock(const char* suffix) {
    BlockId block = editor_.addBlock(body_[block_].name + suffix, call_.loc);
    body_[block].handler = body_[block_].handler;
    return block;
  }

  void callDirectly(BlockId block, const Target& target, TypeId type) {
    Instr cast = editor_.make(block, Opcode::kCheckCast, {call_.operands[0]}, TypeId(), type, call_.loc);
    cast.symbol.type = type;
    const FrameState& state = body_.frameStates[call_.frameState.index()];
    cast.frameState = editor_.addState({state.function, pointBefore(state.resumePoint / 2), {}, {}, state.outer});
    Instr call = call_;
    call.op = Opcode::kCall;
    call.symbol = {{}, {}, target.function.value};
    call.operands[0] = cast.result;
    std::vector<ValueId> result;
    if (call_.result.valid()) {
      call.result = editor_.copyOf(call_.result, block);
      body_[call.result].kind = Value::Kind::Result;
      result.push_back(call.result);
    }
    body_[block].instrs = {std::move(cast), std::move(call), branchTo(rest_, std::move(result), call_.loc)};
  }

  const PassContext& context_;
  BodyEditor editor_;
  FunctionBody& body_;
  BlockId block_, rest_;
  Instr call_;
};

}  // namespace

void runTypeDispatch(const PassContext& context, FunctionBody& body) {
  Cfg cfg(body);
  for (BlockId b : cfg.reversePostOrder()) {
    if (cfg.loopOf(b) < 0) continue;
    // From the last call to the first: a split leaves what stands before it in place.
    for (uint32_t i = uint32_t(body[b].instrs.size()); i-- > 0;) {
      const Instr& instr = body[b].instrs[i];
      if (instr.op != Opcode::kCallVirtual && instr.op != Opcode::kCallInterface) continue;
      auto targets = targetsOf(context, instr);
      if (!targets.empty()) Dispatch(context, body, b, i).run(targets);
    }
  }
  removeUnreachableBlocks(body);
}

}  // namespace jvmc::ir
