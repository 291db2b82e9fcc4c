#include "ir/analysis/induction.h"

#include <algorithm>

namespace jvmc::ir {
namespace {

bool contains(const Loop& loop, BlockId b) {
  return std::binary_search(loop.blocks.begin(), loop.blocks.end(), b);
}

Opcode negated(Opcode op) {
  switch (op) {
    case Opcode::kLt:
      return Opcode::kGe;
    case Opcode::kLe:
      return Opcode::kGt;
    case Opcode::kGt:
      return Opcode::kLe;
    case Opcode::kGe:
      return Opcode::kLt;
    case Opcode::kEq:
      return Opcode::kNe;
    default:
      return Opcode::kEq;  // of kNe
  }
}

Opcode swapped(Opcode op) {
  switch (op) {
    case Opcode::kLt:
      return Opcode::kGt;
    case Opcode::kLe:
      return Opcode::kGe;
    case Opcode::kGt:
      return Opcode::kLt;
    case Opcode::kGe:
      return Opcode::kLe;
    default:
      return op;
  }
}

bool isComparison(Opcode op) {
  return op == Opcode::kLt || op == Opcode::kLe || op == Opcode::kGt || op == Opcode::kGe || op == Opcode::kEq ||
         op == Opcode::kNe;
}

class Matcher {
 public:
  Matcher(const FunctionBody& body, const Cfg& cfg, const Definitions& definitions, const Loop& loop,
          const std::function<bool(ValueId)>& mayBeLimit)
      : body_(body), cfg_(cfg), definitions_(definitions), loop_(loop), mayBeLimit_(mayBeLimit) {}

  std::optional<CountedLoop> run() {
    std::vector<BlockId> latches;
    for (BlockId p : cfg_.predecessors(loop_.header)) {
      if (!contains(loop_, p)) continue;
      if (cfg_.handler(p) == loop_.header) return std::nullopt;  // an exception goes round
      latches.push_back(p);
    }
    BlockId last = latches.size() == 1 ? lastBlock(latches[0]) : BlockId();
    if (last != loop_.header)
      if (auto top = matchTest(loop_.header, true)) return top;
    return last.valid() ? matchTest(last, false) : std::nullopt;
  }

 private:
  // Where an iteration ends. A latch may be a bare edge (where a poll stands): then the block before it.
  BlockId lastBlock(BlockId latch) const {
    const auto& before = cfg_.predecessors(latch);
    bool isBare = latch != loop_.header && body_[latch].instrs.back().op == Opcode::kBr && before.size() == 1;
    return isBare ? before[0] : latch;
  }

  // The test at the end of `exiting`: br_if on a comparison, one target in the loop and one outside.
  std::optional<CountedLoop> matchTest(BlockId exiting, bool isTop) const {
    const Instr& branch = body_[exiting].instrs.back();
    if (branch.op != Opcode::kBrIf) return std::nullopt;
    bool firstStays = contains(loop_, branch.targets[0].block), secondStays = contains(loop_, branch.targets[1].block);
    if (firstStays == secondStays) return std::nullopt;
    const Instr* test = definitions_[branch.operands[0]];
    if (!test || !isComparison(test->op) || (test->type != kI32 && test->type != kI64)) return std::nullopt;
    Opcode stay = firstStays ? test->op : negated(test->op);
    for (int side = 0; side < 2; ++side) {
      CountedLoop counted;
      counted.header = loop_.header;
      counted.exiting = exiting;
      counted.isTopTested = isTop;
      counted.type = test->type;
      counted.stay = side == 0 ? stay : swapped(stay);
      counted.stayTarget = firstStays ? 0 : 1;
      counted.limit = test->operands[size_t(1 - side)];
      if (counted.stay == Opcode::kEq || !isLimit(counted.limit)) continue;
      if (matchInduction(test->operands[size_t(side)], counted)) return counted;
    }
    return std::nullopt;
  }

  bool isLimit(ValueId v) const { return isInvariant(body_, loop_, v) || (mayBeLimit_ && mayBeLimit_(v)); }

  bool matchInduction(ValueId tested, CountedLoop& counted) const {
    const auto& params = body_[loop_.header].params;
    for (uint32_t i = 0; i < params.size(); ++i) {
      if (body_[params[i]].type != counted.type) continue;
      auto next = backEdgeValue(i);
      if (!next) continue;
      auto step = stepFrom(*next, params[i]);
      if (!step || *step == 0) continue;
      if (tested != params[i] && stepFrom(tested, params[i]) != step) continue;
      counted.testsNext = tested != params[i];
      if (counted.testsNext && counted.isTopTested) continue;
      counted.paramIndex = i;
      counted.induction = params[i];
      counted.step = *step;
      counted.initial = entryValue(i);
      return true;
    }
    return false;
  }

  // The value that every back edge passes for parameter i, seen through the parameters of a bare latch.
  std::optional<ValueId> backEdgeValue(uint32_t i) const { return valueOnEdges(i, true); }
  ValueId entryValue(uint32_t i) const { return valueOnEdges(i, false).value_or(ValueId()); }

  std::optional<ValueId> valueOnEdges(uint32_t i, bool fromInside) const {
    std::optional<ValueId> value;
    for (BlockId p : cfg_.predecessors(loop_.header)) {
      if (contains(loop_, p) != fromInside) continue;
      if (cfg_.handler(p) == loop_.header) return std::nullopt;
      for (const BlockCall& target : body_[p].instrs.back().targets) {
        if (target.block != loop_.header) continue;
        ValueId v = fromInside ? throughLatch(p, target.args[i]) : target.args[i];
        if (value && *value != v) return std::nullopt;
        value = v;
      }
    }
    return value;
  }

  ValueId throughLatch(BlockId latch, ValueId v) const {
    const auto& params = body_[latch].params;
    auto at = std::find(params.begin(), params.end(), v);
    if (latch == loop_.header || at == params.end()) return v;
    std::optional<ValueId> only;
    for (BlockId p : cfg_.predecessors(latch)) {
      if (cfg_.handler(p) == latch) return v;
      for (const BlockCall& target : body_[p].instrs.back().targets) {
        if (target.block != latch) continue;
        ValueId arg = target.args[size_t(at - params.begin())];
        if (only && *only != arg) return v;
        only = arg;
      }
    }
    return only.value_or(v);
  }

  // c if `v` is `from + c`.
  std::optional<int64_t> stepFrom(ValueId v, ValueId from) const {
    const Instr* def = definitions_[v];
    if (!def || (def->op != Opcode::kAdd && def->op != Opcode::kSub)) return std::nullopt;
    if (def->operands[0] == from) {
      auto c = integerConstant(body_, def->operands[1]);
      if (!c || *c == INT64_MIN) return std::nullopt;
      return def->op == Opcode::kAdd ? *c : -*c;
    }
    if (def->op == Opcode::kAdd && def->operands[1] == from) return integerConstant(body_, def->operands[0]);
    return std::nullopt;
  }

  const FunctionBody& body_;
  const Cfg& cfg_;
  const Definitions& definitions_;
  const Loop& loop_;
  const std::function<bool(ValueId)>& mayBeLimit_;
};

}  // namespace

Definitions::Definitions(const FunctionBody& body) : byValue_(body.values.size()) {
  for (const Block& block : body.blocks)
    for (const Instr& instr : block.instrs)
      if (instr.result.valid()) byValue_[instr.result.index()] = &instr;
}

std::optional<int64_t> integerConstant(const FunctionBody& body, ValueId v) {
  const Value& value = body[v];
  if (value.kind != Value::Kind::Const) return std::nullopt;
  if (value.type == kI32) return int32_t(uint32_t(value.constant));
  if (value.type == kI64) return int64_t(value.constant);
  return std::nullopt;
}

bool isInvariant(const FunctionBody& body, const Loop& loop, ValueId v) {
  return body[v].kind == Value::Kind::Const || !contains(loop, body[v].block);
}

std::optional<CountedLoop> findCountedLoop(const FunctionBody& body, const Cfg& cfg, const Definitions& definitions,
                                           int loop, const std::function<bool(ValueId)>& mayBeLimit) {
  return Matcher(body, cfg, definitions, cfg.loops()[size_t(loop)], mayBeLimit).run();
}

std::optional<uint64_t> constantTrips(const FunctionBody& body, const CountedLoop& counted) {
  if (!counted.initial.valid()) return std::nullopt;
  auto initial = integerConstant(body, counted.initial), limit = integerConstant(body, counted.limit);
  if (!initial || !limit) return std::nullopt;
  using Wide = __int128;
  Wide first = Wide(*initial) + (counted.testsNext ? counted.step : 0), step = counted.step, end = *limit;
  if (counted.stay == Opcode::kLe) end += 1;
  if (counted.stay == Opcode::kGe) end -= 1;
  bool up = step > 0;
  if (counted.stay == Opcode::kNe && (up ? end < first : end > first)) return std::nullopt;  // would wrap around
  if (counted.stay == Opcode::kNe && (end - first) % step != 0) return std::nullopt;
  bool goesUp = counted.stay == Opcode::kLt || counted.stay == Opcode::kLe;
  bool goesDown = counted.stay == Opcode::kGt || counted.stay == Opcode::kGe;
  if ((goesUp && !up) || (goesDown && up)) return std::nullopt;
  Wide distance = up ? end - first : first - end, width = up ? step : -step;
  Wide tests = distance <= 0 ? 0 : (distance + width - 1) / width;
  // The last tested value must not have wrapped around either.
  Wide last = first + tests * step;
  if (counted.type == kI32 ? last > INT32_MAX || last < INT32_MIN : last > INT64_MAX || last < INT64_MIN)
    return std::nullopt;
  return uint64_t(tests) + (counted.isTopTested ? 0 : 1);
}

}  // namespace jvmc::ir
