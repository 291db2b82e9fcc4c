// An innermost counted loop that goes through arrays by its counter gets a second version without bounds and null
// checks. Which one runs is decided in front of it: one comparison per array tells whether every index will be inside
// (saxpy with a check per access cannot be vectorised: 4.2x -> 1.00x).
//
//     front: br header(...)        becomes      front -> arrays null? -> guard: br_if in range, fast header, header
//
// Indexes are k * i + invariant + c. The guard computes their ends in 64 bits, where nothing wraps around; if the ends
// lie inside the array, then so does every index, and the 32-bit arithmetic of the loop gives the same numbers. The
// guard also sees to it that the counter itself does not wrap around, and that the loop runs at all.
//
// After strip_mining this happens for each strip, which is as good: the guard is a few instructions per 1024
// iterations. Both versions have the same frame states: a frame does not know which one it comes from.
//
// In code with peers the guard knows which elements the loop will touch: one check_range per array in front of the fast
// version replaces its checks by element.
#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "ir/analysis/safepoints.h"
#include "ir/passes/null_facts.h"
#include "ir/passes/passes.h"
#include "ir/passes/preheader.h"
#include "ir/passes/ssa.h"
#include "ir/support/fault.h"

namespace jvmc::ir {
namespace {

constexpr size_t kLoopInstrsLimit = 300;
constexpr uint32_t kBodyInstrsLimit = 20'000;
constexpr int64_t kFactorLimit = 1 << 16;

/// factor * counter + base + offset, computed without wrapping around.
struct Affine {
  int64_t factor = 0;
  ValueId base;  ///< invariant; invalid: 0
  int64_t offset = 0;
};

/// Where an array of the loop comes from: a value from outside, or a field of such a value that the loop does not
/// change.
struct ArrayRoot {
  ValueId value;  ///< the array, or the object
  bool isField = false;
  SymbolRef field;
  ValueId anyLoad;  ///< isField: a result of the load, for its type
  friend bool operator<(const ArrayRoot& a, const ArrayRoot& b) {
    return std::tuple(a.value, a.isField, a.field.owner, a.field.member) <
           std::tuple(b.value, b.isField, b.field.owner, b.field.member);
  }
};

/// All accesses to one array with the same factor and base.
struct Span {
  ArrayRoot root;
  Affine index;
  int64_t low = 0, high = 0;  ///< offsets
};

struct Access {
  BlockId block;
  uint32_t index;
  ArrayRoot root;
  Affine affine;
};

/// What one loop offers.
class LoopFacts {
 public:
  LoopFacts(const PassContext& context, const FunctionBody& body, const Loop& loop, const CountedLoop& counted,
            const Definitions& definitions)
      : body_(body), loop_(loop), counted_(counted), definitions_(definitions) {
    for (BlockId b : loop.blocks) {
      for (const Instr& instr : body[b].instrs) {
        ++instrCount;
        bool isPoll = instr.op == Opcode::kPoll;
        hasPoll = hasPoll || isPoll;
        mayAcquire = mayAcquire || (!isPoll && safepointKind(context.module, instr) != SafepointKind::None);
        if (instr.op == Opcode::kStoreField) storedFields_.push_back(instr.symbol);
      }
    }
    for (BlockId b : loop.blocks) {
      if (counted.isTopTested && b == loop.header) continue;  // also runs when the counter has reached the limit
      for (uint32_t i = 0; i < body[b].instrs.size(); ++i) collect(context.module, b, i);
    }
  }

  std::vector<Access> accesses;
  size_t instrCount = 0;
  bool hasPoll = false, mayAcquire = false;

 private:
  void collect(const Module& module, BlockId b, uint32_t i) {
    const Instr& instr = body_[b].instrs[i];
    bool isElement = instr.op == Opcode::kLoadElem || instr.op == Opcode::kStoreElem;
    if (!isElement || (instr.flags & kNoBoundsCheck)) return;
    auto root = rootOf(module, instr.operands[0]);
    auto index = affine(instr.operands[1], 0);
    if (root && index) accesses.push_back({b, i, *root, *index});
  }

  std::optional<ArrayRoot> rootOf(const Module& module, ValueId array) const {
    if (isInvariant(body_, loop_, array)) return ArrayRoot{array, false, {}, {}};
    const Instr* load = definitions_[array];
    if (!load || load->op != Opcode::kLoadField || !isInvariant(body_, loop_, load->operands[0])) return std::nullopt;
    bool isStored = std::find(storedFields_.begin(), storedFields_.end(), load->symbol) != storedFields_.end();
    if (mayAcquire || isStored || isVolatileAccess(module, *load)) return std::nullopt;
    return ArrayRoot{load->operands[0], true, load->symbol, array};
  }

  std::optional<Affine> affine(ValueId v, int depth) const {
    if (v == counted_.induction) return Affine{1, {}, 0};
    if (auto c = integerConstant(body_, v)) return Affine{0, {}, *c};
    if (isInvariant(body_, loop_, v)) return Affine{0, v, 0};
    const Instr* def = definitions_[v];
    if (!def || def->type != kI32 || depth > 4 || def->operands.size() != 2) return std::nullopt;
    auto a = affine(def->operands[0], depth + 1), b = affine(def->operands[1], depth + 1);
    if (!a || !b) return std::nullopt;
    switch (def->op) {
      case Opcode::kAdd:
        return sum(*a, *b, 1);
      case Opcode::kSub:
        return sum(*a, *b, -1);
      case Opcode::kMul:
        return isConstant(*a) ? scaled(*b, a->offset) : isConstant(*b) ? scaled(*a, b->offset) : std::nullopt;
      case Opcode::kShl:
        return isConstant(*b) && b->offset >= 0 && b->offset < 16 ? scaled(*a, int64_t(1) << b->offset) : std::nullopt;
      default:
        return std::nullopt;
    }
  }

  static bool isConstant(const Affine& a) { return a.factor == 0 && !a.base.valid(); }
  static std::optional<Affine> inLimits(Affine a) {
    if (std::abs(a.factor) > kFactorLimit || std::abs(a.offset) > INT32_MAX) return std::nullopt;
    return a;
  }
  static std::optional<Affine> sum(const Affine& a, const Affine& b, int64_t sign) {
    if (b.base.valid() && (a.base.valid() || sign < 0)) return std::nullopt;
    return inLimits({a.factor + sign * b.factor, b.base.valid() ? b.base : a.base, a.offset + sign * b.offset});
  }
  static std::optional<Affine> scaled(const Affine& a, int64_t by) {
    if (a.base.valid() || std::abs(by) > kFactorLimit) return std::nullopt;
    return inLimits({a.factor * by, {}, a.offset * by});
  }

  const FunctionBody& body_;
  const Loop& loop_;
  const CountedLoop& counted_;
  const Definitions& definitions_;
  std::vector<SymbolRef> storedFields_;
};

/// Makes the guard and the fast version of one loop.
class Versioner {
 public:
  Versioner(const PassContext& context, FunctionBody& body, const NullFacts& nulls, const Loop& loop,
            const CountedLoop& counted, const LoopFacts& facts, BlockId front)
      : context_(context),
        editor_(body),
        body_(body),
        nulls_(nulls),
        loop_(loop),
        counted_(counted),
        facts_(facts),
        front_(front),
        loc_(body[loop.header].loc) {}

  /// The header of the fast version.
  BlockId run() {
    for (const Access& access : facts_.accesses)
      if (nulls_.nonNullAtEnd(front_, access.root.value)) nonNull_.insert(access.root.value);
    slowEntry_ = body_[front_].instrs.back().targets[0];
    at_ = front_;
    body_[front_].instrs.pop_back();
    for (const Access& access : facts_.accesses) loadArray(access.root);
    for (auto& [root, array] : arrays_) lengths_[root] = widen(emitLength(array));
    counterRange();
    for (const Span& span : spans()) guardSpan(span);

    copyLoop();
    BlockId entry = at_;
    if (context_.checked && !facts_.hasPoll && !facts_.mayAcquire) {
      entry = editor_.addBlock(body_[loop_.header].name + "_checks", loc_);
      body_[at_].instrs.push_back(branchIf(allHold_, {entry, {}}, slowEntry_, loc_));
      at_ = entry;
      checkRanges();
      body_[at_].instrs.push_back(branchTo(copies_.at(loop_.header), slowEntry_.args, loc_));
    } else {
      body_[at_].instrs.push_back(branchIf(allHold_, {copies_.at(loop_.header), slowEntry_.args}, slowEntry_, loc_));
    }
    freeFastAccesses();
    return copies_.at(loop_.header);
  }

 private:
  // -- emitting into the block at_

  ValueId emit(Opcode op, std::vector<ValueId> operands, TypeId suffix, TypeId result) {
    Instr instr = editor_.make(at_, op, std::move(operands), suffix, result, loc_);
    ValueId v = instr.result;
    body_[at_].instrs.push_back(std::move(instr));
    return v;
  }
  ValueId constant(int64_t n) { return editor_.constant(kI64, uint64_t(n)); }
  ValueId widen(ValueId v) {
    if (auto c = integerConstant(body_, v)) return constant(*c);
    return emit(Opcode::kI32ToI64, {v}, TypeId(), kI64);
  }
  ValueId plus(ValueId v, int64_t n) { return n == 0 ? v : emit(Opcode::kAdd, {v, constant(n)}, kI64, kI64); }
  ValueId times(ValueId v, int64_t n) { return n == 1 ? v : emit(Opcode::kMul, {v, constant(n)}, kI64, kI64); }
  void require(ValueId condition) {
    allHold_ = allHold_.valid() ? emit(Opcode::kAnd, {allHold_, condition}, kI32, kI32) : condition;
  }
  void requireNonNull(ValueId reference) {
    ValueId test = emit(Opcode::kRefNe, {reference, editor_.constant(kNull, 0)}, TypeId(), kI32);
    BlockId next = editor_.addBlock(body_[loop_.header].name + "_guard", loc_);
    body_[at_].instrs.push_back(branchIf(test, {next, {}}, slowEntry_, loc_));
    at_ = next;
  }
  ValueId emitLength(ValueId array) {
    ValueId length = emit(Opcode::kArrayLength, {array}, TypeId(), kI32);
    body_[at_].instrs.back().flags = kNoNullCheck;
    return length;
  }

  // -- the guard

  void loadArray(const ArrayRoot& root) {
    if (arrays_.contains(root)) return;
    if (nonNull_.insert(root.value).second) requireNonNull(root.value);
    ValueId array = root.value;
    if (root.isField) {
      array = emit(Opcode::kLoadField, {root.value}, TypeId(), body_[root.anyLoad].type);
      body_[at_].instrs.back().symbol = root.field;
      body_[at_].instrs.back().flags = kNoNullCheck;
      requireNonNull(array);
    }
    arrays_[root] = array;
  }

  void counterRange() {
    bool up = counted_.step > 0, strict = counted_.stay == Opcode::kLt || counted_.stay == Opcode::kGt;
    ValueId first = widen(slowEntry_.args[counted_.paramIndex]);
    ValueId last = plus(widen(counted_.limit), strict ? (up ? -1 : 1) : 0);
    if (!counted_.isTopTested) {
      if (!counted_.testsNext) last = plus(last, counted_.step);
      last = emit(up ? Opcode::kMax : Opcode::kMin, {last, first}, kI64, kI64);
    } else {
      require(emit(up ? Opcode::kLe : Opcode::kGe, {first, last}, kI64, kI32));
    }
    bool cannotWrap = strict && (counted_.step == 1 || counted_.step == -1);
    if (!cannotWrap)
      require(emit(up ? Opcode::kLe : Opcode::kGe, {plus(last, counted_.step), constant(up ? INT32_MAX : INT32_MIN)},
                   kI64, kI32));
    lowest_ = up ? first : last;
    highest_ = up ? last : first;
  }

  std::vector<Span> spans() const {
    std::vector<Span> spans;
    for (const Access& access : facts_.accesses) {
      const Affine& a = access.affine;
      auto same = std::find_if(spans.begin(), spans.end(), [&](const Span& s) {
        return !(s.root < access.root) && !(access.root < s.root) && s.index.factor == a.factor &&
               s.index.base == a.base;
      });
      if (same == spans.end()) {
        spans.push_back({access.root, a, a.offset, a.offset});
      } else {
        same->low = std::min(same->low, a.offset);
        same->high = std::max(same->high, a.offset);
      }
    }
    return spans;
  }

  void guardSpan(const Span& span) {
    const Affine& a = span.index;
    ValueId base = a.base.valid() ? widen(a.base) : ValueId();
    auto end = [&](ValueId counter, int64_t offset) {
      if (a.factor == 0) return base.valid() ? plus(base, offset) : constant(offset);
      ValueId v = times(counter, a.factor);
      if (base.valid()) v = emit(Opcode::kAdd, {v, base}, kI64, kI64);
      return plus(v, offset);
    };
    ValueId low = end(a.factor >= 0 ? lowest_ : highest_, span.low);
    ValueId high = end(a.factor >= 0 ? highest_ : lowest_, span.high);
    require(emit(Opcode::kGe, {low, constant(0)}, kI64, kI32));
    Opcode inside = JVMC_FAULT("bounds-guard-off-by-one") ? Opcode::kLe : Opcode::kLt;
    require(emit(inside, {high, lengths_.at(span.root)}, kI64, kI32));
    auto [it, isNew] = touched_.try_emplace(span.root, low, high);
    if (isNew) return;
    it->second.first = emit(Opcode::kMin, {it->second.first, low}, kI64, kI64);
    it->second.second = emit(Opcode::kMax, {it->second.second, high}, kI64, kI64);
  }

  // The token is put in by the coherence pass.
  void checkRanges() {
    ValueId noToken = constant(0);
    for (auto& [root, array] : arrays_) {
      bool writes = std::any_of(facts_.accesses.begin(), facts_.accesses.end(), [&, r = root](const Access& a) {
        return !(a.root < r) && !(r < a.root) && body_[a.block].instrs[a.index].op == Opcode::kStoreElem;
      });
      ValueId from = emit(Opcode::kI64ToI32, {touched_.at(root).first}, TypeId(), kI32);
      ValueId to = emit(Opcode::kI64ToI32, {plus(touched_.at(root).second, 1)}, TypeId(), kI32);
      array = emit(writes ? Opcode::kCheckRangeWrite : Opcode::kCheckRangeRead, {array, from, to, noToken}, TypeId(),
                   body_[array].type);
      body_[at_].instrs.back().flags = kNoNullCheck;
    }
  }

  // -- the fast version

  void copyLoop() {
    for (BlockId b : loop_.blocks) copies_[b] = editor_.addBlock(body_[b].name + "_fast", body_[b].loc);
    auto mapped = [&](BlockCall call) {
      if (auto it = copies_.find(call.block); it != copies_.end()) call.block = it->second;
      return call;
    };
    for (auto [from, to] : copies_) {
      body_[to].params = body_[from].params;
      if (body_[from].handler) body_[to].handler = mapped(*body_[from].handler);
      body_[to].instrs = body_[from].instrs;
      for (BlockCall& target : body_[to].instrs.back().targets) target = mapped(target);
    }
  }

  void freeFastAccesses() {
    for (const Access& access : facts_.accesses) {
      Instr& instr = body_[copies_.at(access.block)].instrs[access.index];
      instr.flags |= kNoBoundsCheck | kNoNullCheck;
      instr.operands[0] = arrays_.at(access.root);
      dropStateOfSafeInstr(context_.module, body_, instr);
    }
  }

  const PassContext& context_;
  BodyEditor editor_;
  FunctionBody& body_;
  const NullFacts& nulls_;
  const Loop& loop_;
  const CountedLoop& counted_;
  const LoopFacts& facts_;
  BlockId front_, at_;
  SourceLoc loc_;
  BlockCall slowEntry_;
  ValueId allHold_, lowest_, highest_;
  std::map<ArrayRoot, ValueId> arrays_, lengths_;
  std::map<ArrayRoot, std::pair<ValueId, ValueId>> touched_;
  std::set<ValueId> nonNull_;  // by now, where the guard is being made
  std::map<BlockId, BlockId> copies_;
};

bool isInnermost(const Cfg& cfg, size_t index) {
  return std::none_of(cfg.loops().begin(), cfg.loops().end(), [&](const Loop& l) { return l.parent == int(index); });
}

bool goesTowardsLimit(const CountedLoop& counted) {
  bool up = counted.stay == Opcode::kLt || counted.stay == Opcode::kLe;
  bool down = counted.stay == Opcode::kGt || counted.stay == Opcode::kGe;
  return counted.type == kI32 && std::abs(counted.step) <= kFactorLimit &&
         ((up && counted.step > 0) || (down && counted.step < 0));
}

// Makes versions of the first loop not in `done`, if it is worth it.
bool versionOne(const PassContext& context, FunctionBody& body, std::set<BlockId>& done) {
  Cfg cfg(body);
  Definitions definitions(body);
  for (size_t l = 0; l < cfg.loops().size(); ++l) {
    const Loop& loop = cfg.loops()[l];
    if (!done.insert(loop.header).second || !isInnermost(cfg, l)) continue;
    auto counted = findCountedLoop(body, cfg, definitions, int(l));
    BlockId front = findPreheader(body, cfg, loop);
    if (!counted || !goesTowardsLimit(*counted) || !front.valid()) continue;
    LoopFacts facts(context, body, loop, *counted, definitions);
    if (facts.accesses.empty() || facts.instrCount > kLoopInstrsLimit) continue;
    NullFacts nulls(body, cfg);
    done.insert(Versioner(context, body, nulls, loop, *counted, facts, front).run());
    return true;
  }
  return false;
}

}  // namespace

void runBoundsCheckVersioning(const PassContext& context, FunctionBody& body) {
  removeUnreachableBlocks(body);
  makePreheaders(body);
  std::set<BlockId> done;  // block ids stay: nothing becomes unreachable here
  while (body.instrCount() < kBodyInstrsLimit && versionOne(context, body, done)) rebuildSsa(body);
}

}  // namespace jvmc::ir
