#include "tests/unit/ir/passes/evaluator.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "ir/analysis/safepoints.h"
#include "ir/verifier.h"

namespace jvmc::ir::test {
namespace {

constexpr uint64_t kStepsLimit = 20'000'000;
constexpr uint64_t kStepsWithoutSafepoint = 400'000;

double asDouble(uint64_t bits) {
  double d;
  std::memcpy(&d, &bits, 8);
  return d;
}
uint64_t bitsOf(double d) {
  uint64_t bits;
  std::memcpy(&bits, &d, 8);
  return bits;
}
uint64_t narrow(TypeId type, uint64_t v) {
  return type == kI32 ? uint32_t(v) : v;
}
uint64_t truncated(TypeId storage, uint64_t v) {
  if (storage == kI8) return uint32_t(int32_t(int8_t(v)));
  if (storage == kI16) return uint32_t(int32_t(int16_t(v)));
  return v;
}
int64_t asSigned(TypeId type, uint64_t v) {
  return type == kI32 ? int32_t(uint32_t(v)) : int64_t(v);
}

}  // namespace

struct Evaluator::Code {
  FunctionId function;
  FunctionBody body;
  std::unique_ptr<Cfg> cfg;
  std::unique_ptr<Liveness> liveness;  // of stored bodies only: optimised ones have frame states
};

struct Evaluator::Activation {
  const Code& code;
  std::vector<Val> values;
  std::vector<bool> defined;
  BlockId block{0};
  uint32_t index = 0;
  Val result;

  explicit Activation(const Code& c) : code(c), values(c.body.values.size()), defined(c.body.values.size()) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (c.body.values[i].kind != Value::Kind::Const) continue;
      values[i].bits = c.body.values[i].constant;
      defined[i] = true;
    }
  }
  const Val& operator[](ValueId v) const {
    JVMC_CHECK(defined[v.index()], v.value);
    return values[v.index()];
  }
  void set(ValueId v, Val val) {
    values[v.index()] = val;
    defined[v.index()] = true;
  }
};

Evaluator::Evaluator(const Module& module, const CallGraph& calls, Options options)
    : module_(module), calls_(calls), options_(std::move(options)) {}
Evaluator::~Evaluator() = default;

void Evaluator::fault(const std::string& what) {
  if (faults_.size() < 20) faults_.push_back(what);
}

Object* Evaluator::newArray(TypeId elementType, size_t length) {
  heap_.push_back({builtin::kObject, elementType, {}, std::vector<Val>(length)});
  return &heap_.back();
}

// ---------------------------------------------------------------- code

const Evaluator::Code& Evaluator::baselineOf(FunctionId function) {
  const Code*& slot = baselines_[function.value];
  if (!slot) {
    auto code = std::make_unique<Code>();
    code->function = function;
    code->body = *module_.body(function).value();
    code->cfg = std::make_unique<Cfg>(code->body);
    code->liveness = std::make_unique<Liveness>(code->body, *code->cfg);
    slot = code.get();
    codes_.push_back(std::move(code));
  }
  return *slot;
}

const Evaluator::Code& Evaluator::codeOf(FunctionId function) {
  if (!options_.optimise) return baselineOf(function);
  const Code*& slot = byFunction_[function.value];
  if (!slot) {
    auto code = std::make_unique<Code>();
    code->function = function;
    code->body = runPipeline(module_, calls_, function, options_.pipeline).value();
    if (options_.verify)
      for (const VerifyError& e : verifyBody(module_, function, code->body))
        fault("verify @" + module_[function].name + ": " + e.message);
    slot = code.get();
    codes_.push_back(std::move(code));
  }
  return *slot;
}

const Evaluator::Code& Evaluator::continuationOf(FunctionId function, uint32_t point) {
  const Code*& slot = continuations_[{function.value, point}];
  if (!slot) {
    auto code = std::make_unique<Code>();
    code->function = function;
    code->body = runContinuationPipeline(module_, calls_, function, point, options_.pipeline).value();
    if (!Cfg(code->body).irreducible().empty() && Cfg(baselineOf(function).body).irreducible().empty())
      fault("a continuation of @" + module_[function].name + " is irreducible");
    if (options_.verify)
      for (const VerifyError& e : verifyBody(module_, function, code->body))
        fault(fmt::format("verify continuation @{} at {}: {}", module_[function].name, point, e.message));
    slot = code.get();
    codes_.push_back(std::move(code));
  }
  return *slot;
}

// ---------------------------------------------------------------- frames

Outcome Evaluator::run(FunctionId function, std::vector<Val> args) {
  Val result;
  Status status = invoke(function, std::move(args), result);
  std::vector<Frame> stack = std::move(frames_);  // innermost first
  frames_.clear();
  while (!stack.empty()) {
    Frame frame = std::move(stack.front());
    stack.erase(stack.begin());
    status = resume(frame, status, result);
    if (status != Status::Capture) continue;
    stack.insert(stack.begin(), frames_.begin(), frames_.end());
    frames_.clear();
  }
  Outcome outcome;
  if (status == Status::Exception) {
    log_ += fmt::format("threw {} at", module_[exception_.ref->cls].name);
    for (auto [f, i] : trace_) log_ += fmt::format(" {}:{}", module_.functions[f].name, i);
  } else {
    log_ += "returned " + describe(result, module_[function].result);
  }
  outcome.log = log_;
  outcome.captures = captures_;
  outcome.steps = steps_;
  return outcome;
}

Evaluator::Status Evaluator::resume(const Frame& frame, Status status, Val& result) {
  const Code& baseline = baselineOf(frame.function);
  auto position = baseline.cfg->position(frame.point / 2);
  const Instr& instr = baseline.body[position.block].instrs[position.index];
  bool isAfter = frame.point % 2 != 0;
  auto slots = baseline.liveness->slots(frame.point);
  if (slots.size() != frame.slots.size()) {
    fault("a frame has a wrong number of slots");
    return Status::Normal;
  }
  if (options_.resumeInBaseline || !options_.optimise) {
    Activation a(baseline);
    a.block = position.block;
    a.index = position.index;
    for (size_t i = 0; i < slots.size(); ++i) a.set(slots[i], frame.slots[i]);
    if (status == Status::Exception) {
      trace(a, instr);
      return handle(a, instr) ? loop(a, result) : Status::Exception;
    }
    if (isAfter) {
      if (instr.result.valid()) a.set(instr.result, result);
      ++a.index;
    }
    return loop(a, result);
  }
  const Code& code = continuationOf(frame.function, frame.point);
  Activation a(code);
  const auto& params = code.body.blocks[0].params;
  std::vector<Val> args = frame.slots;
  if (isAfter && instr.result.valid()) args.push_back(result);
  if (args.size() != params.size()) {
    fault("a continuation has a wrong number of parameters");
    return Status::Normal;
  }
  for (size_t i = 0; i < args.size(); ++i) a.set(params[i], args[i]);
  if (status != Status::Exception) return loop(a, result);
  trace_.push_back({frame.function.value, frame.point / 2});
  return handle(a, code.body.blocks[0].instrs[0]) ? loop(a, result) : Status::Exception;
}

Evaluator::Status Evaluator::invoke(FunctionId function, std::vector<Val> args, Val& result) {
  if (++depth_ > 400) {
    --depth_;
    return raise(builtin::kStackOverflowError);
  }
  Status status = enter(codeOf(function), std::move(args), result);
  --depth_;
  return status;
}

Evaluator::Status Evaluator::enter(const Code& code, std::vector<Val> args, Val& result) {
  Activation a(code);
  const auto& params = code.body.blocks[0].params;
  JVMC_CHECK(params.size() == args.size(), params.size(), args.size());
  for (size_t i = 0; i < args.size(); ++i) a.set(params[i], args[i]);
  return loop(a, result);
}

// Writes the frames of this activation: the chain of an optimised one, the live slots of a stored one.
void Evaluator::capture(Activation& a, const Instr& instr, bool after) {
  if (!a.code.body.optimised) {
    uint32_t flat = a.code.cfg->firstInstr(a.block) + a.index;
    Frame frame{a.code.function, after ? pointAfter(flat) : pointBefore(flat), {}};
    for (ValueId v : a.code.liveness->slots(frame.point)) frame.slots.push_back(a[v]);
    frames_.push_back(std::move(frame));
    return;
  }
  if (!instr.frameState.valid()) return fault("a safepoint has no frame state");
  const auto& states = a.code.body.frameStates;
  const FrameState& innermost = states[instr.frameState.index()];
  std::vector<Val> objects;
  for (const VirtualObject& virtualObject : innermost.virtuals) {
    heap_.push_back({virtualObject.cls, {}, {}, {}});
    objects.push_back({0, &heap_.back()});
  }
  auto read = [&](const SlotSource& s) {
    return s.kind == SlotSource::Kind::Value ? a[s.value] : objects[s.virtualIndex];
  };
  for (size_t i = 0; i < objects.size(); ++i) {
    std::vector<ClassId> lineage;
    for (ClassId c = innermost.virtuals[i].cls; c.valid(); c = module_[c].super) lineage.insert(lineage.begin(), c);
    size_t next = 0;
    for (ClassId c : lineage)
      for (uint32_t f = 0; f < module_[c].fields.size(); ++f)
        objects[i].ref->fields[{c.value, f}] = read(innermost.virtuals[i].fields[next++]);
  }
  for (FrameStateId id = instr.frameState; id.valid(); id = states[id.index()].outer) {
    const FrameState& state = states[id.index()];
    Frame frame{state.function, state.resumePoint, {}};
    for (const SlotSource& s : state.slots) {
      Val v = read(s);
      v.checkedAt = 0;  // a portable frame holds references only
      frame.slots.push_back(v);
    }
    frames_.push_back(std::move(frame));
  }
}

void Evaluator::trace(Activation& a, const Instr& instr) {
  if (!a.code.body.optimised) {
    trace_.push_back({a.code.function.value, a.code.cfg->firstInstr(a.block) + a.index});
    return;
  }
  if (!instr.frameState.valid()) return fault("an instruction that throws has no frame state");
  const auto& states = a.code.body.frameStates;
  for (FrameStateId id = instr.frameState; id.valid(); id = states[id.index()].outer)
    trace_.push_back({states[id.index()].function.value, states[id.index()].resumePoint / 2});
}

// ---------------------------------------------------------------- control

bool Evaluator::goTo(Activation& a, const BlockCall& target, const Val* exception) {
  std::vector<Val> args;
  if (exception) args.push_back(*exception);
  for (ValueId v : target.args) args.push_back(a[v]);
  const auto& params = a.code.body[target.block].params;
  JVMC_CHECK(params.size() == args.size(), params.size(), args.size());
  for (size_t i = 0; i < args.size(); ++i) a.set(params[i], args[i]);
  a.block = target.block;
  a.index = 0;
  return true;
}

bool Evaluator::handle(Activation& a, const Instr&) {
  const auto& handler = a.code.body[a.block].handler;
  if (!handler) return false;
  log_ += fmt::format("caught {} at", module_[exception_.ref->cls].name);
  for (auto [f, i] : trace_) log_ += fmt::format(" {}:{}", module_.functions[f].name, i);
  log_ += "\n";
  Val thrown = exception_;
  return goTo(a, *handler, &thrown);
}

Evaluator::Status Evaluator::raise(ClassId cls) {
  heap_.push_back({cls, {}, {}, {}});
  exception_ = {0, &heap_.back()};
  trace_.clear();
  return Status::Exception;
}

Evaluator::Status Evaluator::loop(Activation& a, Val& result) {
  while (true) {
    const Instr& instr = a.code.body[a.block].instrs[a.index];
    if (++steps_ > kStepsLimit) {
      fault("the program does not end");
      return Status::Normal;
    }
    if (++sinceSafepoint_ == kStepsWithoutSafepoint && a.code.body.optimised)
      fault("too many steps without a safepoint in @" + module_[a.code.function].name);
    switch (instr.op) {
      case Opcode::kReturn:
        if (!instr.operands.empty()) result = a[instr.operands[0]];
        return Status::Normal;
      case Opcode::kBr:
        goTo(a, instr.targets[0], nullptr);
        continue;
      case Opcode::kBrIf:
        goTo(a, instr.targets[a[instr.operands[0]].bits != 0 ? 0 : 1], nullptr);
        continue;
      case Opcode::kSwitch: {
        size_t target = 0;
        for (size_t c = 0; c < instr.cases.size(); ++c)
          if (uint32_t(instr.cases[c]) == uint32_t(a[instr.operands[0]].bits)) target = c + 1;
        goTo(a, instr.targets[target], nullptr);
        continue;
      }
      default:
        break;
    }
    Status status = step(a, instr);
    if (status == Status::Capture) return status;
    if (status == Status::Exception) {
      trace(a, instr);
      if (handle(a, instr)) continue;
      return status;
    }
    ++a.index;
  }
}

// A place where the thread may be stopped: after the instruction (its result is known by now) or before it.
Evaluator::Status Evaluator::safepoint(Activation& a, const Instr& instr) {
  sinceSafepoint_ = 0;
  if (options_.captureEvery == 0 || ++events_ % options_.captureEvery != 0) return Status::Normal;
  ++captures_;
  capture(a, instr, false);
  return Status::Capture;
}

Evaluator::Status Evaluator::call(Activation& a, const Instr& instr) {
  std::vector<Val> args;
  for (ValueId v : instr.operands) args.push_back(a[v]);
  FunctionId callee;
  if (instr.op == Opcode::kCall) {
    callee = instr.symbol.function();
  } else {
    if (!args[0].ref) return raise(builtin::kNullPointerException);
    requireChecked(a, args[0], false, std::nullopt);
    const MethodDecl& named = module_.method(instr.symbol);
    for (ClassId c = args[0].ref->cls; c.valid() && !callee.valid(); c = module_[c].super)
      for (const MethodDecl& m : module_[c].methods)
        if (m.name == named.name && m.params == named.params) callee = m.implementation;
    if (!callee.valid()) return raise(builtin::kAbstractMethodError);
  }
  for (Val& v : args) v.checkedAt = 0;
  Val result;
  uint64_t eventsBefore = events_;
  Status status = invoke(callee, std::move(args), result);
  if (!calls_.mayPollOrThrow(callee)) {
    if (status != Status::Normal || events_ != eventsBefore) fault("@" + module_[callee].name + " polled or threw");
  } else {
    ++epoch_;
  }
  if (status == Status::Capture) capture(a, instr, true);
  if (status == Status::Normal && instr.result.valid()) a.set(instr.result, result);
  return status;
}

Evaluator::Status Evaluator::step(Activation& a, const Instr& instr) {
  Val out;
  if (arithmetic(a, instr, out)) {
    a.set(instr.result, out);
    return Status::Normal;
  }
  Status status = Status::Normal;
  if (access(a, instr, status)) return status;
  auto operand = [&](size_t i) { return a[instr.operands[i]]; };
  switch (instr.op) {
    case Opcode::kPoll: {
      ++epoch_;
      return safepoint(a, instr);
    }
    case Opcode::kCall:
    case Opcode::kCallVirtual:
    case Opcode::kCallInterface:
      return call(a, instr);
    case Opcode::kCallNative:
      log_ += module_[instr.symbol.native()].name;
      for (ValueId v : instr.operands) log_ += " " + describe(a[v], a.code.body[v].type);
      log_ += "\n";
      ++epoch_;
      return Status::Normal;
    case Opcode::kThrow:
      if (!operand(0).ref) return raise(builtin::kNullPointerException);
      exception_ = operand(0);
      exception_.checkedAt = 0;
      trace_.clear();
      return Status::Exception;
    case Opcode::kInitClass:
      ++epoch_;
      return options_.captureEvery > 1 ? safepoint(a, instr) : Status::Normal;
    case Opcode::kNew: {
      if (mayInitialise(instr)) {
        ++epoch_;
        if (options_.captureEvery > 1)
          if (Status s = safepoint(a, instr); s != Status::Normal) return s;
      }
      heap_.push_back({instr.symbol.owner, {}, {}, {}});
      a.set(instr.result, fresh(&heap_.back()));
      return Status::Normal;
    }
    case Opcode::kNewArray: {
      int32_t length = int32_t(operand(0).bits);
      if (length < 0) return raise(builtin::kNegativeArraySizeException);
      a.set(instr.result, fresh(newArray(instr.symbol.type, size_t(length))));
      return Status::Normal;
    }
    case Opcode::kDiv:
    case Opcode::kRem:
      return raise(builtin::kArithmeticException);  // anything but zero is arithmetic's
    case Opcode::kFreeze:
    case Opcode::kFence:
      ++epoch_;
      return Status::Normal;
    default:
      coherence(a, instr);
      return Status::Normal;
  }
}

// ---------------------------------------------------------------- memory

/// What has just been made is at home until the next acquire.
Val Evaluator::fresh(Object* object) const {
  Val made{0, object};
  made.checkedAt = epoch_;
  made.checkedWrite = true;
  return made;
}

void Evaluator::requireChecked(Activation& a, const Val& object, bool write, std::optional<int64_t> index) {
  if (!options_.pipeline.checked || !a.code.body.optimised) return;
  if (object.checkedAt != epoch_)
    return fault("an access in @" + module_[a.code.function].name + " has no valid check");
  if (write && !object.checkedWrite) fault("a store behind a read check");
  if (index && (*index < object.from || *index >= object.to)) fault("an access outside the checked range");
}

bool Evaluator::access(Activation& a, const Instr& instr, Status& status) {
  auto operand = [&](size_t i) { return a[instr.operands[i]]; };
  auto null = [&] {
    if (instr.flags & kNoNullCheck) fault("null behind nonnull in @" + module_[a.code.function].name);
    status = raise(builtin::kNullPointerException);
    return true;
  };
  std::pair<uint32_t, uint32_t> key{instr.symbol.owner.value, instr.symbol.member};
  auto stored = [](Val v, TypeId storage) {
    v.checkedAt = 0;
    v.bits = truncated(storage, v.bits);
    return v;
  };
  bool isVolatile = isVolatileAccess(module_, instr);
  switch (instr.op) {
    case Opcode::kLoadField:
    case Opcode::kStoreField: {
      Val object = operand(0);
      if (!object.ref) return null();
      bool isStore = instr.op == Opcode::kStoreField;
      if (isVolatile)
        ++epoch_;
      else
        requireChecked(a, object, isStore, std::nullopt);
      Val& field = object.ref->fields[key];
      if (isStore)
        field = stored(operand(1), module_.field(instr.symbol).type);
      else
        a.set(instr.result, field);
      return true;
    }
    case Opcode::kLoadStatic:
    case Opcode::kStoreStatic:
      if (mayInitialise(instr)) {
        ++epoch_;
        if (options_.captureEvery > 1 && a.code.body.optimised)
          if (status = safepoint(a, instr); status != Status::Normal) return true;
      }
      if (isVolatile) ++epoch_;
      if (instr.op == Opcode::kLoadStatic)
        a.set(instr.result, statics_[key]);
      else
        statics_[key] = stored(operand(0), module_.staticField(instr.symbol).type);
      return true;
    case Opcode::kArrayLength: {
      Val array = operand(0);
      if (!array.ref) return null();
      requireChecked(a, array, false, std::nullopt);
      a.set(instr.result, {array.ref->elements.size()});
      return true;
    }
    case Opcode::kLoadElem:
    case Opcode::kStoreElem: {
      Val array = operand(0);
      if (!array.ref) return null();
      int32_t index = int32_t(operand(1).bits);
      if (index < 0 || size_t(index) >= array.ref->elements.size()) {
        if (instr.flags & kNoBoundsCheck) fault("bad index behind inbounds in @" + module_[a.code.function].name);
        status = raise(builtin::kArrayIndexOutOfBoundsException);
        return true;
      }
      requireChecked(a, array, instr.op == Opcode::kStoreElem, index);
      Val& element = array.ref->elements[size_t(index)];
      if (instr.op == Opcode::kLoadElem)
        a.set(instr.result, element);
      else
        element = stored(operand(2), array.ref->array);
      return true;
    }
    case Opcode::kInstanceOf:
    case Opcode::kCheckCast: {
      Val object = operand(0);
      if (object.ref) requireChecked(a, object, false, std::nullopt);
      TypeId type = object.ref && object.ref->array.valid()
                        ? module_.types.find({TypeKind::Array, object.ref->array.value})
                        : TypeId();
      if (object.ref && !type.valid()) type = module_.types.find({TypeKind::Ref, object.ref->cls.value});
      bool fits = object.ref && type.valid() && module_.isAssignable(type, instr.symbol.type);
      if (instr.op == Opcode::kInstanceOf) {
        a.set(instr.result, {fits});
        return true;
      }
      if (object.ref && !fits) {
        status = raise(builtin::kClassCastException);
        return true;
      }
      a.set(instr.result, object);
      return true;
    }
    default:
      return false;
  }
}

void Evaluator::coherence(Activation& a, const Instr& instr) {
  if (instr.op == Opcode::kCoherenceToken) return a.set(instr.result, {epoch_});
  bool isRange = instr.op == Opcode::kCheckRangeRead || instr.op == Opcode::kCheckRangeWrite;
  bool isElem = instr.op == Opcode::kCheckElemRead || instr.op == Opcode::kCheckElemWrite;
  bool isWrite =
      instr.op == Opcode::kCheckWrite || instr.op == Opcode::kCheckRangeWrite || instr.op == Opcode::kCheckElemWrite;
  if (!isRange && !isElem && instr.op != Opcode::kCheckRead && !isWrite)
    return fault("the evaluator does not know " + std::string(instr.info().mnemonic));
  if (a[instr.operands.back()].bits != epoch_) fault("a stale token in @" + module_[a.code.function].name);
  Val checked = a[instr.operands[0]];
  checked.checkedAt = epoch_;
  checked.checkedWrite = isWrite;
  if (isElem) {
    checked.from = int32_t(a[instr.operands[1]].bits);
    checked.to = checked.from + 1;
  } else if (isRange) {
    checked.from = int32_t(a[instr.operands[1]].bits);
    checked.to = int32_t(a[instr.operands[2]].bits);
  } else {
    checked.from = checked.to = 0;
  }
  a.set(instr.result, checked);
}

// ---------------------------------------------------------------- arithmetic

bool Evaluator::arithmetic(Activation& a, const Instr& instr, Val& out) {
  auto bits = [&](size_t i) { return a[instr.operands[i]].bits; };
  TypeId type = instr.type;
  bool isFloat = type == kF64 || type == kF32;
  JVMC_CHECK(type != kF32, "the evaluator has no f32");
  auto x = [&] { return asSigned(type, bits(0)); };
  auto y = [&] { return asSigned(type, bits(1)); };
  auto fx = [&] { return asDouble(bits(0)); };
  auto fy = [&] { return asDouble(bits(1)); };
  auto integer = [&](uint64_t v) {
    out.bits = narrow(type, v);
    return true;
  };
  auto real = [&](double v) {
    out.bits = bitsOf(v);
    return true;
  };
  auto truth = [&](bool v) {
    out.bits = v;
    return true;
  };
  unsigned mask = type == kI32 ? 31 : 63;
  switch (instr.op) {
    case Opcode::kAdd:
      return isFloat ? real(fx() + fy()) : integer(bits(0) + bits(1));
    case Opcode::kSub:
      return isFloat ? real(fx() - fy()) : integer(bits(0) - bits(1));
    case Opcode::kMul:
      return isFloat ? real(fx() * fy()) : integer(bits(0) * bits(1));
    case Opcode::kFDiv:
      return real(fx() / fy());
    case Opcode::kNeg:
      return isFloat ? real(-fx()) : integer(0 - bits(0));
    case Opcode::kAnd:
      return integer(bits(0) & bits(1));
    case Opcode::kOr:
      return integer(bits(0) | bits(1));
    case Opcode::kXor:
      return integer(bits(0) ^ bits(1));
    case Opcode::kShl:
      return integer(bits(0) << (bits(1) & mask));
    case Opcode::kShr:
      return integer(uint64_t(x() >> (bits(1) & mask)));
    case Opcode::kUshr:
      return integer(narrow(type, bits(0)) >> (bits(1) & mask));
    case Opcode::kMin:
      return isFloat ? real(std::fmin(fx(), fy())) : integer(uint64_t(std::min(x(), y())));
    case Opcode::kMax:
      return isFloat ? real(std::fmax(fx(), fy())) : integer(uint64_t(std::max(x(), y())));
    case Opcode::kEq:
      return truth(isFloat ? fx() == fy() : x() == y());
    case Opcode::kNe:
      return truth(isFloat ? fx() != fy() : x() != y());
    case Opcode::kLt:
      return truth(isFloat ? fx() < fy() : x() < y());
    case Opcode::kLe:
      return truth(isFloat ? fx() <= fy() : x() <= y());
    case Opcode::kGt:
      return truth(isFloat ? fx() > fy() : x() > y());
    case Opcode::kGe:
      return truth(isFloat ? fx() >= fy() : x() >= y());
    case Opcode::kUlt:
      return truth(narrow(type, bits(0)) < narrow(type, bits(1)));
    case Opcode::kRefEq:
      return truth(a[instr.operands[0]].ref == a[instr.operands[1]].ref);
    case Opcode::kRefNe:
      return truth(a[instr.operands[0]].ref != a[instr.operands[1]].ref);
    case Opcode::kSelect:
      out = a[instr.operands[bits(0) != 0 ? 1 : 2]];
      return true;
    case Opcode::kSext8:
      out.bits = truncated(kI8, bits(0));
      return true;
    case Opcode::kSext16:
      out.bits = truncated(kI16, bits(0));
      return true;
    case Opcode::kI32ToI64:
      out.bits = uint64_t(int64_t(int32_t(bits(0))));
      return true;
    case Opcode::kI64ToI32:
      out.bits = uint32_t(bits(0));
      return true;
    case Opcode::kI32ToF64:
      return real(int32_t(bits(0)));
    case Opcode::kI64ToF64:
      return real(double(int64_t(bits(0))));
    case Opcode::kF64ToI32:
      out.bits = uint32_t(int32_t(fx()));
      return true;
    case Opcode::kDiv:
    case Opcode::kRem: {
      if (y() == 0) return false;
      if (y() == -1) return integer(instr.op == Opcode::kDiv ? 0 - uint64_t(x()) : 0);
      return integer(uint64_t(instr.op == Opcode::kDiv ? x() / y() : x() % y()));
    }
    default:
      return false;
  }
}

std::string Evaluator::describe(const Val& v, TypeId type) const {
  if (type == kVoid) return "nothing";
  if (type == kI32) return std::to_string(int32_t(v.bits));
  if (type == kI64) return std::to_string(int64_t(v.bits));
  if (type == kF64) return fmt::format("{}", asDouble(v.bits));
  if (!v.ref) return "null";
  return v.ref->array.valid() ? fmt::format("array of {}", v.ref->elements.size()) : module_[v.ref->cls].name;
}

}  // namespace jvmc::ir::test
