// Maximal SSA, then pruning: a parameter for each live variable of each block is too many, but removeTrivialParams
// takes the superfluous ones away (all of them, in reducible code), and the two steps together are shorter and easier
// to trust than placing parameters by dominance frontiers.
#include "ir/passes/ssa.h"

#include <algorithm>
#include <functional>

#include "ir/analysis/liveness.h"
#include "ir/passes/edit.h"

namespace jvmc::ir {
namespace {

/// Which ValueIds have more than one definition.
std::vector<bool> findVariables(const FunctionBody& body, bool& any) {
  std::vector<uint8_t> definitions(body.values.size());
  auto define = [&](ValueId v) { definitions[v.index()] = uint8_t(std::min(definitions[v.index()] + 1, 2)); };
  for (const Block& block : body.blocks) {
    for (ValueId p : block.params) define(p);
    for (const Instr& instr : block.instrs)
      if (instr.result.valid()) define(instr.result);
  }
  std::vector<bool> variables(body.values.size());
  any = false;
  for (size_t i = 0; i < definitions.size(); ++i) {
    variables[i] = definitions[i] > 1;
    any = any || variables[i];
  }
  return variables;
}

class Rebuilder {
 public:
  Rebuilder(FunctionBody& body, std::vector<bool> variables)
      : editor_(body), body_(body), variables_(std::move(variables)), current_(body.values.size()) {}

  void run() {
    findLiveVariables();
    for (uint32_t b = 0; b < body_.blocks.size(); ++b) rename(BlockId(b));
  }

 private:
  bool isVariable(ValueId v) const { return v.index() < variables_.size() && variables_[v.index()]; }

  void findLiveVariables() {
    Cfg cfg(body_);
    Liveness liveness(body_, cfg);
    liveVariables_.resize(body_.blocks.size());
    for (uint32_t b = 0; b < body_.blocks.size(); ++b) {
      const auto& params = body_.blocks[b].params;
      for (ValueId v : liveness.liveIn(BlockId(b)))
        if (isVariable(v) && std::find(params.begin(), params.end(), v) == params.end()) liveVariables_[b].push_back(v);
    }
    JVMC_CHECK(liveVariables_[0].empty(), "a variable is read before it is defined");
  }

  ValueId define(ValueId v, BlockId block, Value::Kind kind) {
    if (!isVariable(v)) return v;
    ValueId fresh = editor_.copyOf(v, block);
    body_[fresh].kind = kind;
    current_[v.index()] = fresh;
    return fresh;
  }

  void appendLive(BlockCall& target) {
    for (ValueId v : liveVariables_[target.block.index()]) target.args.push_back(current_[v.index()]);
  }

  void rename(BlockId id) {
    Block& block = body_[id];
    std::vector<ValueId> params;
    for (ValueId p : block.params) params.push_back(define(p, id, Value::Kind::Param));
    for (ValueId v : liveVariables_[id.index()]) params.push_back(define(v, id, Value::Kind::Param));
    block.params = std::move(params);
    auto use = [this](ValueId v) { return isVariable(v) ? current_[v.index()] : v; };
    if (block.handler) {
      for (ValueId& v : block.handler->args) v = use(v);
      appendLive(*block.handler);
    }
    for (Instr& instr : block.instrs) {
      mapUses(instr, use);
      instr.frameState = mapState(body_, instr.frameState, use);
      if (instr.result.valid()) instr.result = define(instr.result, id, Value::Kind::Result);
      for (BlockCall& target : instr.targets) appendLive(target);
    }
  }

  BodyEditor editor_;
  FunctionBody& body_;
  std::vector<bool> variables_;
  std::vector<ValueId> current_;
  std::vector<std::vector<ValueId>> liveVariables_;
};

/// For each block parameter, by (block, index): the single value that all edges pass, if there is one.
class TrivialParams {
 public:
  explicit TrivialParams(FunctionBody& body) : body_(body), replacement_(body.values.size()) {}

  ValueId resolve(ValueId v) const {
    while (replacement_[v.index()].valid()) v = replacement_[v.index()];
    return v;
  }

  bool findAll() {
    bool any = false;
    for (bool changed = true; changed;) {
      changed = sweep();
      any = any || changed;
    }
    return any;
  }

  bool isReplaced(ValueId v) const { return replacement_[v.index()].valid(); }

 private:
  // One look at all edges. `only_` of a parameter is its one incoming value so far; `mixed_` once there are two.
  bool sweep() {
    only_.assign(body_.values.size(), ValueId());
    mixed_.assign(body_.values.size(), false);
    forEachEdge(body_, [&](BlockCall& edge, bool isHandler) { look(edge, isHandler); });
    bool changed = false;
    for (size_t b = 1; b < body_.blocks.size(); ++b) {
      for (ValueId p : body_.blocks[b].params) {
        ValueId only = only_[p.index()];
        if (isReplaced(p) || mixed_[p.index()] || !only.valid() || resolve(only) == p) continue;
        if (body_[resolve(only)].type != body_[p].type) continue;  // a parameter may be of a wider reference type
        replacement_[p.index()] = resolve(only);
        changed = true;
      }
    }
    return changed;
  }

  void look(const BlockCall& edge, bool isHandler) {
    const auto& params = body_[edge.block].params;
    size_t first = isHandler ? 1 : 0;
    if (isHandler) mixed_[params[0].index()] = true;
    for (size_t i = 0; i < edge.args.size(); ++i) {
      ValueId p = params[first + i], arg = resolve(edge.args[i]);
      if (arg == p) continue;
      ValueId& only = only_[p.index()];
      if (only.valid() && only != arg) mixed_[p.index()] = true;
      only = arg;
    }
  }

  FunctionBody& body_;
  std::vector<ValueId> replacement_, only_;
  std::vector<bool> mixed_;
};

/// Drops the parameters for which `isGone` holds, and their arguments on every edge.
template <class Gone>
void dropParams(FunctionBody& body, Gone isGone) {
  forEachEdge(body, [&](BlockCall& edge, bool isHandler) {
    const auto& params = body[edge.block].params;
    std::vector<ValueId> kept;
    for (size_t i = 0; i < edge.args.size(); ++i)
      if (!isGone(params[i + (isHandler ? 1 : 0)])) kept.push_back(edge.args[i]);
    edge.args = std::move(kept);
  });
  for (size_t b = 1; b < body.blocks.size(); ++b) std::erase_if(body.blocks[b].params, isGone);
}

bool isRemovable(const Instr& instr) {
  switch (instr.op) {
    case Opcode::kCoherenceToken:
    case Opcode::kCheckRead:
    case Opcode::kCheckWrite:
    case Opcode::kCheckRangeRead:
    case Opcode::kCheckRangeWrite:
    case Opcode::kCheckElemRead:
    case Opcode::kCheckElemWrite:
      return true;
    case Opcode::kInitClass:
      return instr.flags & kNoInitCheck;
    case Opcode::kArrayLength:
      return instr.flags & kNoNullCheck;
    default:
      return instr.info().has(kPure);
  }
}

/// Marks everything that something with an effect depends on.
class LiveMarker {
 public:
  explicit LiveMarker(FunctionBody& body)
      : body_(body), live_(body.values.size()), definition_(body.values.size()), incoming_(body.values.size()) {}

  std::vector<bool> run() {
    forEachEdge(body_, [&](BlockCall& edge, bool isHandler) {
      const auto& params = body_[edge.block].params;
      for (size_t i = 0; i < edge.args.size(); ++i)
        incoming_[params[i + (isHandler ? 1 : 0)].index()].push_back(edge.args[i]);
    });
    for (Block& block : body_.blocks) {
      for (Instr& instr : block.instrs) {
        if (instr.result.valid()) definition_[instr.result.index()] = &instr;
        if (!isRemovable(instr)) markReads(instr);
      }
    }
    while (!work_.empty()) {
      ValueId v = work_.back();
      work_.pop_back();
      for (ValueId arg : incoming_[v.index()]) mark(arg);
      if (definition_[v.index()]) markReads(*definition_[v.index()]);
    }
    return std::move(live_);
  }

 private:
  void mark(ValueId v) {
    if (live_[v.index()]) return;
    live_[v.index()] = true;
    work_.push_back(v);
  }
  void markReads(const Instr& instr) {
    for (ValueId v : instr.operands) mark(v);
    forEachStateValue(body_, instr.frameState, [&](ValueId v) { mark(v); });
  }

  FunctionBody& body_;
  std::vector<bool> live_;
  std::vector<const Instr*> definition_;
  std::vector<std::vector<ValueId>> incoming_;
  std::vector<ValueId> work_;
};

}  // namespace

void rebuildSsa(FunctionBody& body) {
  removeUnreachableBlocks(body);
  bool any = false;
  std::vector<bool> variables = findVariables(body, any);
  if (any) Rebuilder(body, std::move(variables)).run();
  removeTrivialParams(body);
}

void removeUnreachableBlocks(FunctionBody& body) {
  std::vector<uint32_t> newIndex(body.blocks.size(), ~0u);
  {
    Cfg cfg(body);
    uint32_t next = 0;
    for (uint32_t b = 0; b < body.blocks.size(); ++b)
      if (cfg.reachable(BlockId(b))) newIndex[b] = next++;
  }
  std::vector<Block> kept;
  for (uint32_t b = 0; b < body.blocks.size(); ++b)
    if (newIndex[b] != ~0u) kept.push_back(std::move(body.blocks[b]));
  body.blocks = std::move(kept);
  forEachEdge(body, [&](BlockCall& edge, bool) { edge.block = BlockId(newIndex[edge.block.index()]); });
  auto place = [&](ValueId v, Value::Kind kind, uint32_t b) {
    body[v].kind = kind;
    body[v].block = BlockId(b);
  };
  for (uint32_t b = 0; b < body.blocks.size(); ++b) {
    for (ValueId p : body.blocks[b].params) place(p, Value::Kind::Param, b);
    for (const Instr& instr : body.blocks[b].instrs)
      if (instr.result.valid()) place(instr.result, Value::Kind::Result, b);
  }
}

void compact(FunctionBody& body) {
  std::vector<uint32_t> newState(body.frameStates.size(), ~0u);
  std::vector<FrameState> states;
  // Outer states first, so that a chain's links are known when its inner states are moved.
  std::function<FrameStateId(FrameStateId)> keepState = [&](FrameStateId id) -> FrameStateId {
    if (!id.valid()) return id;
    uint32_t& slot = newState[id.index()];
    if (slot == ~0u) {
      FrameState state = std::move(body.frameStates[id.index()]);
      state.outer = keepState(state.outer);
      states.push_back(std::move(state));
      slot = uint32_t(states.size() - 1);
    }
    return FrameStateId(slot);
  };
  for (Block& block : body.blocks)
    for (Instr& instr : block.instrs) instr.frameState = keepState(instr.frameState);
  body.frameStates = std::move(states);

  std::vector<bool> used(body.values.size());
  auto keep = [&](ValueId v) {
    used[v.index()] = true;
    return v;
  };
  for (Block& block : body.blocks) {
    for (ValueId p : block.params) keep(p);
    for (Instr& instr : block.instrs)
      if (instr.result.valid()) keep(instr.result);
  }
  mapAllUses(body, keep);
  std::vector<ValueId> newId(body.values.size());
  std::deque<Value> values;
  for (size_t i = 0; i < used.size(); ++i) {
    if (!used[i]) continue;
    newId[i] = ValueId(uint32_t(values.size()));
    values.push_back(std::move(body.values[i]));
  }
  body.values = std::move(values);
  auto renumber = [&](ValueId v) { return newId[v.index()]; };
  mapAllUses(body, renumber);
  for (Block& block : body.blocks) {
    for (ValueId& p : block.params) p = renumber(p);
    for (Instr& instr : block.instrs)
      if (instr.result.valid()) instr.result = renumber(instr.result);
  }
}

void removeTrivialParams(FunctionBody& body) {
  TrivialParams trivial(body);
  if (!trivial.findAll()) return;
  dropParams(body, [&](ValueId p) { return trivial.isReplaced(p); });
  mapAllUses(body, [&](ValueId v) { return trivial.resolve(v); });
}

void removeDead(FunctionBody& body) {
  std::vector<bool> live = LiveMarker(body).run();
  auto isHandlerTarget = std::vector<bool>(body.blocks.size());
  forEachEdge(body, [&](BlockCall& edge, bool isHandler) {
    if (isHandler) isHandlerTarget[edge.block.index()] = true;
  });
  for (uint32_t b = 0; b < body.blocks.size(); ++b) {
    Block& block = body.blocks[b];
    std::erase_if(block.instrs,
                  [&](const Instr& i) { return isRemovable(i) && !(i.result.valid() && live[i.result.index()]); });
    if (isHandlerTarget[b]) live[block.params[0].index()] = true;  // receives the exception, read or not
  }
  for (ValueId p : body.blocks[0].params) live[p.index()] = true;
  dropParams(body, [&](ValueId p) { return !live[p.index()]; });
}

}  // namespace jvmc::ir
