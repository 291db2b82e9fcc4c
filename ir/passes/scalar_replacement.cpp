// Objects that nothing outside the function can see become values: each field a variable, the allocation nothing.
// Inlined constructors and small value classes (vectors, complex numbers, iterators) cost nothing then.
//
// An object qualifies if it is only the base of plain field accesses, the subject of `freeze`, or a slot of frame
// states. In a frame state it turns into a *virtual object*: capture makes it then, from the fields' values at that
// point, so a frame never knows that the object did not exist. (A freeze is forgotten; an object that is not frozen is
// only slower.)
//
// A field is a variable with a definition for each store and one, zero, for the allocation; rebuildSsa() does the rest.
// A definition is written as `select 1, x, x`, since the IR has no copy, and these are folded at the end.
//
// Exceptions: a handler sees variables as they were at the start of the block it protects, but memory as it is. So an
// object that a handler needs must not be stored to in a block with that handler.
#include <algorithm>
#include <set>

#include "ir/analysis/liveness.h"
#include "ir/analysis/safepoints.h"
#include "ir/lookup.h"
#include "ir/passes/edit.h"
#include "ir/passes/passes.h"
#include "ir/passes/ssa.h"

namespace jvmc::ir {
namespace {

constexpr size_t kFieldsLimit = 16;

bool isFieldAccessOf(const Module& module, const Instr& instr, ValueId object) {
  bool isLoad = instr.op == Opcode::kLoadField, isStore = instr.op == Opcode::kStoreField;
  if (!isLoad && !isStore) return false;
  return instr.operands[0] == object && !isVolatileAccess(module, instr) && (isLoad || instr.operands[1] != object);
}

/// Allocations that qualify, in order.
class Candidates {
 public:
  Candidates(const Module& module, const FunctionBody& body) : module_(module), body_(body) {}

  std::vector<ValueId> find() {
    std::vector<ValueId> found;
    for (const Block& block : body_.blocks)
      for (const Instr& instr : block.instrs)
        if (instr.op == Opcode::kNew && instanceFields(module_, instr.symbol.owner).size() <= kFieldsLimit)
          found.push_back(instr.result);
    candidates_.insert(found.begin(), found.end());
    if (found.empty()) return found;
    for (uint32_t b = 0; b < body_.blocks.size(); ++b) look(BlockId(b));
    std::erase_if(found, [&](ValueId v) { return !candidates_.contains(v); });
    return found;
  }

 private:
  void look(BlockId b) {
    const Block& block = body_[b];
    for (const Instr& instr : block.instrs) {
      bool isAccess = !instr.operands.empty() && isFieldAccessOf(module_, instr, instr.operands[0]);
      bool isFreeze = instr.op == Opcode::kFreeze;
      for (size_t i = (isAccess || isFreeze) ? 1 : 0; i < instr.operands.size(); ++i)
        candidates_.erase(instr.operands[i]);
      for (const BlockCall& target : instr.targets)
        for (ValueId v : target.args) candidates_.erase(v);
      if (instr.op == Opcode::kStoreField && block.handler)
        eraseIfHandlerNeeds(instr.operands[0], block.handler->block);
    }
    if (block.handler)
      for (ValueId v : block.handler->args) candidates_.erase(v);
  }

  void eraseIfHandlerNeeds(ValueId object, BlockId handler) {
    if (!candidates_.contains(object)) return;
    if (!liveness_) {
      cfg_.emplace(body_);
      liveness_.emplace(body_, *cfg_);
    }
    auto live = liveness_->liveIn(handler);
    if (std::binary_search(live.begin(), live.end(), object)) candidates_.erase(object);
  }

  const Module& module_;
  const FunctionBody& body_;
  std::set<ValueId> candidates_;
  std::optional<Cfg> cfg_;
  std::optional<Liveness> liveness_;
};

/// Replaces one allocation. Leaves variables.
class Replacement {
 public:
  Replacement(const Module& module, FunctionBody& body, ValueId object)
      : module_(module), editor_(body), body_(body), object_(object) {}

  void run() {
    findAllocation();
    for (uint32_t b = 0; b < body_.blocks.size(); ++b) {
      std::vector<Instr> out;
      for (Instr& instr : body_.blocks[b].instrs) rewrite(BlockId(b), std::move(instr), out);
      body_.blocks[b].instrs = std::move(out);
    }
  }

 private:
  void findAllocation() {
    for (const Block& block : body_.blocks)
      for (const Instr& instr : block.instrs)
        if (instr.result == object_) cls_ = instr.symbol.owner;
    fields_ = instanceFields(module_, cls_);
    for (const SymbolRef& field : fields_) {
      TypeId type = stackType(module_.field(field).type);
      variables_.push_back(ValueId(uint32_t(body_.values.size())));
      body_.values.push_back({Value::Kind::Result, type, BlockId(0), 0, module_.field(field).name});
    }
  }

  size_t fieldIndex(const SymbolRef& symbol) const {
    return size_t(std::find(fields_.begin(), fields_.end(), symbol) - fields_.begin());
  }

  void rewrite(BlockId block, Instr instr, std::vector<Instr>& out) {
    instr.frameState = makeVirtual(instr.frameState);
    if (instr.result == object_) {
      if (mayInitialise(instr)) {
        instr.op = Opcode::kInitClass;
        instr.result = ValueId();
        out.push_back(instr);
      }
      for (size_t f = 0; f < fields_.size(); ++f) define(block, f, zero(f), instr.loc, out);
      return;
    }
    bool isFreeze = instr.op == Opcode::kFreeze && instr.operands[0] == object_;
    if (isFreeze) return;
    if (!isFieldAccessOf(module_, instr, object_)) return out.push_back(std::move(instr));
    size_t f = fieldIndex(instr.symbol);
    if (instr.op == Opcode::kStoreField) return define(block, f, instr.operands[1], instr.loc, out);
    out.push_back(copy(variables_[f], body_[instr.result].type, instr.loc));
    out.back().result = instr.result;
  }

  ValueId zero(size_t f) {
    TypeId type = body_[variables_[f]].type;
    return editor_.constant(module_.types[type].isReference() ? kNull : type, 0);
  }

  Instr copy(ValueId from, TypeId type, SourceLoc loc) {
    Instr instr;
    instr.op = Opcode::kSelect;
    instr.type = type;
    instr.operands = {editor_.constant(kI32, 1), from, from};
    instr.loc = loc;
    return instr;
  }

  void define(BlockId block, size_t f, ValueId value, SourceLoc loc, std::vector<Instr>& out) {
    TypeId storage = module_.field(fields_[f]).type;
    Instr instr = copy(value, body_[variables_[f]].type, loc);
    if (storage == kI8 || storage == kI16) {
      instr.op = storage == kI8 ? Opcode::kSext8 : Opcode::kSext16;
      instr.type = TypeId();
      instr.operands = {value};
    }
    instr.result = variables_[f];
    out.push_back(std::move(instr));
  }

  // A chain that mentions the object is copied: the fields have the values of this place, and virtual objects belong to
  // the innermost state.
  FrameStateId makeVirtual(FrameStateId id) {
    bool isMentioned = false;
    forEachStateValue(body_, id, [&](ValueId v) { isMentioned = isMentioned || v == object_; });
    if (!isMentioned) return id;
    uint32_t index = uint32_t(body_.frameStates[id.index()].virtuals.size());
    VirtualObject object;
    object.cls = cls_;
    for (ValueId v : variables_) object.fields.push_back({SlotSource::Kind::Value, v, 0});
    FrameStateId innermost = copyChain(id, index);
    body_.frameStates[innermost.index()].virtuals.push_back(std::move(object));
    return innermost;
  }

  FrameStateId copyChain(FrameStateId id, uint32_t index) {
    if (!id.valid()) return id;
    FrameState state = body_.frameStates[id.index()];
    state.outer = copyChain(state.outer, index);
    auto substitute = [&](std::vector<SlotSource>& sources) {
      for (SlotSource& s : sources)
        if (s.kind == SlotSource::Kind::Value && s.value == object_) s = {SlotSource::Kind::Virtual, ValueId(), index};
    };
    substitute(state.slots);
    for (VirtualObject& object : state.virtuals) substitute(object.fields);
    return editor_.addState(std::move(state));
  }

  const Module& module_;
  BodyEditor editor_;
  FunctionBody& body_;
  ValueId object_;
  ClassId cls_;
  std::vector<SymbolRef> fields_;
  std::vector<ValueId> variables_;
};

// `select c, x, x` is x. A reference to an array keeps its type: what is loaded from it is typed by it.
void foldCopies(const Module& module, FunctionBody& body) {
  std::vector<ValueId> replacement(body.values.size());
  auto resolve = [&](ValueId v) {
    while (replacement[v.index()].valid()) v = replacement[v.index()];
    return v;
  };
  for (const Block& block : body.blocks) {
    for (const Instr& instr : block.instrs) {
      if (instr.op != Opcode::kSelect || instr.operands[1] != instr.operands[2]) continue;
      ValueId from = resolve(instr.operands[1]);
      TypeId a = body[from].type, b = body[instr.result].type;
      bool bothClasses = module.types[a].kind == TypeKind::Ref && module.types[b].kind == TypeKind::Ref;
      if ((a == b || bothClasses) && from != instr.result) replacement[instr.result.index()] = from;
    }
  }
  mapAllUses(body, resolve);
  for (Block& block : body.blocks)
    std::erase_if(block.instrs,
                  [&](const Instr& i) { return i.result.valid() && replacement[i.result.index()].valid(); });
}

}  // namespace

void runScalarReplacement(const PassContext& context, FunctionBody& body) {
  // Replacing an object may free another one that was stored in it.
  while (true) {
    auto candidates = Candidates(context.module, body).find();
    if (candidates.empty()) return;
    for (ValueId object : candidates) Replacement(context.module, body, object).run();
    rebuildSsa(body);
    foldCopies(context.module, body);
    removeTrivialParams(body);
  }
}

}  // namespace jvmc::ir
