#include "ir/builder.h"

#include <bit>

#include "ir/signature.h"
#include "ir/support/check.h"

namespace jvmc::ir {

// ---------------------------------------------------------------- declarations

ModuleBuilder::ModuleBuilder(std::string name) : module_(std::make_unique<Module>()) {
  module_->name = std::move(name);
}

ClassId ModuleBuilder::addClass(std::string name, ClassOptions options) {
  ClassDecl decl;
  decl.name = std::move(name);
  decl.super = options.super;
  decl.interfaces = std::move(options.interfaces);
  decl.isInterface = options.isInterface;
  decl.isAbstract = options.isAbstract;
  decl.isImmutable = options.isImmutable;
  return module_->addClass(std::move(decl));
}

SymbolRef ModuleBuilder::addField(ClassId cls, std::string name, TypeId type, FieldOptions options) {
  auto& fields = module_->classes[cls.index()].fields;
  fields.push_back({std::move(name), type, options.isFinal, options.isVolatile, {}});
  return {{}, cls, uint32_t(fields.size() - 1)};
}

SymbolRef ModuleBuilder::addStatic(ClassId cls, std::string name, TypeId type, FieldOptions options) {
  auto& statics = module_->classes[cls.index()].statics;
  statics.push_back({std::move(name), type, options.isFinal, options.isVolatile, {}});
  return {{}, cls, uint32_t(statics.size() - 1)};
}

SymbolRef ModuleBuilder::addMethod(ClassId cls, std::string name, std::vector<TypeId> params, TypeId result,
                                   FunctionId implementation) {
  auto& methods = module_->classes[cls.index()].methods;
  methods.push_back({std::move(name), std::move(params), result, implementation, {}});
  return {{}, cls, uint32_t(methods.size() - 1)};
}

FunctionId ModuleBuilder::declareFunction(std::string name, std::vector<TypeId> params, TypeId result) {
  return module_->addFunction({std::move(name), std::move(params), result, {}});
}

NativeId ModuleBuilder::declareNative(std::string name, std::vector<TypeId> params, TypeId result,
                                      NativeEffect effect) {
  return module_->addNative({std::move(name), std::move(params), result, effect, {}});
}

std::unique_ptr<Module> ModuleBuilder::finish() {
  if (!module_->entry.valid()) module_->entry = module_->findFunction("main");
  return std::move(module_);
}

// ---------------------------------------------------------------- bodies

FunctionBuilder::FunctionBuilder(Module& module, FunctionId function) : module_(module), function_(function) {
  createBlock("entry", module[function].params);
}

BlockId FunctionBuilder::createBlock(std::string name, const std::vector<TypeId>& params) {
  BlockId id(uint32_t(body_.blocks.size()));
  body_.blocks.emplace_back();
  body_.blocks.back().name = std::move(name);
  body_.blocks.back().loc = loc_;
  for (TypeId type : params) addParam(id, type);
  return id;
}

ValueId FunctionBuilder::addParam(BlockId block, TypeId type, std::string name) {
  ValueId id(uint32_t(body_.values.size()));
  body_.values.push_back({Value::Kind::Param, type, block, 0, std::move(name)});
  body_[block].params.push_back(id);
  return id;
}

void FunctionBuilder::setHandler(BlockId block, BlockId handler, std::vector<ValueId> args) {
  body_[block].handler = BlockCall{handler, std::move(args)};
}

bool FunctionBuilder::isTerminated() const {
  const auto& instrs = body_[current_].instrs;
  return !instrs.empty() && instrs.back().info().has(kTerminator);
}

ValueId FunctionBuilder::f32(float value) {
  return constant(kF32, std::bit_cast<uint32_t>(value));
}
ValueId FunctionBuilder::f64(double value) {
  return constant(kF64, std::bit_cast<uint64_t>(value));
}

ValueId FunctionBuilder::constant(TypeId type, uint64_t bits) {
  auto [it, isNew] = constants_.try_emplace({type.value, bits}, ValueId(uint32_t(body_.values.size())));
  if (isNew) body_.values.push_back({Value::Kind::Const, type, {}, bits, ""});
  return it->second;
}

ValueId FunctionBuilder::emit(Opcode op, TypeId suffix, SymbolRef symbol, std::span<const ValueId> operands) {
  Instr instr;
  instr.op = op;
  instr.type = suffix;
  instr.symbol = symbol;
  instr.operands.assign(operands.begin(), operands.end());
  TypeId firstType = operands.empty() ? TypeId() : body_[operands[0]].type;
  if (std::optional<Type> type = resultType(module_, instr, firstType))
    instr.result = declareResult(internType(module_, *type));
  ValueId result = instr.result;
  appendChecked(std::move(instr));
  return result;
}

void FunctionBuilder::emitBr(BlockId target, std::vector<ValueId> args) {
  Instr instr;
  instr.op = Opcode::kBr;
  instr.targets.push_back({target, std::move(args)});
  appendChecked(std::move(instr));
}

void FunctionBuilder::emitBrIf(ValueId condition, BlockId thenBlock, std::vector<ValueId> thenArgs, BlockId elseBlock,
                               std::vector<ValueId> elseArgs) {
  Instr instr;
  instr.op = Opcode::kBrIf;
  instr.operands.push_back(condition);
  instr.targets.push_back({thenBlock, std::move(thenArgs)});
  instr.targets.push_back({elseBlock, std::move(elseArgs)});
  appendChecked(std::move(instr));
}

void FunctionBuilder::emitSwitch(ValueId value, BlockCall otherwise, std::vector<Case> cases) {
  Instr instr;
  instr.op = Opcode::kSwitch;
  instr.operands.push_back(value);
  instr.targets.push_back(std::move(otherwise));
  for (Case& c : cases) {
    instr.cases.push_back(c.value);
    instr.targets.push_back(std::move(c.target));
  }
  appendChecked(std::move(instr));
}

ValueId FunctionBuilder::declareResult(TypeId type, std::string name) {
  ValueId id(uint32_t(body_.values.size()));
  body_.values.push_back({Value::Kind::Result, type, current_, 0, std::move(name)});
  return id;
}

void FunctionBuilder::appendChecked(Instr instr) {
  JVMC_CHECK(!isTerminated(), module_[function_].name, body_[current_].name);
  for (ValueId operand : instr.operands) JVMC_CHECK(operand.index() < body_.values.size(), instr.info().mnemonic);
  for (const BlockCall& target : instr.targets)
    JVMC_CHECK(target.block.index() < body_.blocks.size(), instr.info().mnemonic);
  append(std::move(instr));
}

void FunctionBuilder::append(Instr instr) {
  JVMC_CHECK(current_.index() < body_.blocks.size(), current_.value);
  if (instr.loc == SourceLoc{}) instr.loc = loc_;
  if (instr.result.valid()) body_[instr.result].block = current_;
  body_[current_].instrs.push_back(std::move(instr));
}

FrameStateId FunctionBuilder::addFrameState(FrameState state) {
  body_.frameStates.push_back(std::move(state));
  return FrameStateId(uint32_t(body_.frameStates.size() - 1));
}

void FunctionBuilder::renumber() {
  std::deque<Value> ordered;
  std::vector<ValueId> newId(body_.values.size());
  auto keep = [&](ValueId old) {
    if (newId[old.index()].valid()) return;
    newId[old.index()] = ValueId(uint32_t(ordered.size()));
    ordered.push_back(std::move(body_[old]));
  };
  for (Block& block : body_.blocks) {
    for (ValueId param : block.params) keep(param);
    for (Instr& instr : block.instrs)
      if (instr.result.valid()) keep(instr.result);
  }
  auto rename = [&](ValueId& value) {
    keep(value);  // constants, in the order of their first use
    value = newId[value.index()];
  };
  auto renameAll = [&](std::vector<ValueId>& values) {
    for (ValueId& value : values) rename(value);
  };
  auto renameSlots = [&](std::vector<SlotSource>& slots) {
    for (SlotSource& slot : slots)
      if (slot.kind == SlotSource::Kind::Value) rename(slot.value);
  };
  for (Block& block : body_.blocks) {
    renameAll(block.params);
    if (block.handler) renameAll(block.handler->args);
    for (Instr& instr : block.instrs) {
      if (instr.result.valid()) rename(instr.result);
      renameAll(instr.operands);
      for (BlockCall& target : instr.targets) renameAll(target.args);
    }
  }
  for (FrameState& state : body_.frameStates) {
    renameSlots(state.slots);
    for (VirtualObject& object : state.virtuals) renameSlots(object.fields);
  }
  body_.values = std::move(ordered);
}

FunctionBody FunctionBuilder::take() {
  renumber();
  return std::move(body_);
}

void FunctionBuilder::finish() {
  module_.setBody(function_, take());
}

}  // namespace jvmc::ir
