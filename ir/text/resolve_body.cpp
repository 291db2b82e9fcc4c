// One function: from names to values. Values may be used before the text defines them, and the type of some results
// depends on an operand (an element of an array), so types are found on demand before instructions are made.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "ir/builder.h"
#include "ir/signature.h"
#include "ir/text/literals.h"
#include "ir/text/resolver.h"
#include "ir/text/syntax.h"

namespace jvmc::ir::text {
namespace {

bool isNumber(const std::string& name) {
  return parseCount(name).has_value();
}

class BodyResolver {
 public:
  BodyResolver(NameResolver& names, FunctionId function, const ast::Function& decl, BodySpans& spans)
      : names_(names),
        module_(names.module()),
        decl_(decl),
        spans_(spans),
        builder_(module_, function),
        result_(module_[function].result) {}

  std::optional<FunctionBody> run() {
    ok_ = !decl_.broken;
    if (decl_.optimised) builder_.setOptimised();
    makeBlocks();
    for (Definition& d : definitions_) typeOf(d);
    makeFrameStates();
    for (size_t b = 0; b < decl_.blocks.size(); ++b) fillBlock(b);
    if (!ok_) return std::nullopt;
    return builder_.take();
  }

 private:
  /// An instruction with its symbol looked up, and the value it defines.
  struct Definition {
    const ast::Instr* source = nullptr;
    uint32_t block = 0;
    Instr instr;
    bool usable = false;  ///< the symbol is known
    enum class State : uint8_t { Fresh, Visiting, Done } state = State::Fresh;
  };
  static constexpr uint32_t kNoDefinition = ~0u;
  struct NamedValue {
    Span span;
    ValueId value;                        ///< invalid: not typed yet, or poisoned by an error
    uint32_t definition = kNoDefinition;  ///< index in definitions_; none for parameters
  };

  void error(Code code, Span span, std::string message, std::vector<std::string> helps = {},
             std::vector<Note> notes = {}) {
    ok_ = false;
    names_.error(code, span, std::move(message), std::move(helps), std::move(notes));
  }

  // -- blocks, parameters, names

  /// Blocks, parameters and the names of results, in the order of the text.
  void makeBlocks() {
    for (uint32_t i = 0; i < decl_.blocks.size(); ++i) {
      spans_.blocks.push_back(decl_.blocks[i].label.span);
      builder_.setLocation(names_.location(decl_.blocks[i].place));
      if (i == 0) {
        for (uint32_t p = 0; p < decl_.params.size(); ++p) nameParam(decl_.params[p].name, builder_.param(p));
      } else {
        makeBlock(i);
      }
      builder_.setLocation({});
      collectResults(i);
    }
  }

  void makeBlock(uint32_t index) {
    const ast::Block& block = decl_.blocks[index];
    BlockId id = builder_.createBlock(block.label.text);
    auto [it, isNew] = blocks_.try_emplace(block.label.text, index);
    if (!isNew)
      error(Code::Redefinition, block.label.span, fmt::format("block '{}' is defined twice", block.label.text), {},
            {{"first defined here", decl_.blocks[it->second].label.span}});
    for (const ast::Param& param : block.params) {
      auto type = names_.type(param.type);
      ok_ = ok_ && type;
      ValueId value = builder_.addParam(id, type.value_or(kI32));
      nameParam(param.name, type ? value : ValueId());
    }
  }

  void nameParam(const ast::Name& name, ValueId value) {
    if (value.valid() && !isNumber(name.text)) builder_.setName(value, name.text);
    define(name, {name.span, value, kNoDefinition});
  }

  void define(const ast::Name& name, NamedValue value) {
    auto [it, isNew] = values_.try_emplace(name.text, value);
    if (isNew) return;
    error(Code::Redefinition, name.span, fmt::format("value '%{}' is defined twice", name.text), {},
          {{"first defined here", it->second.span}});
  }

  void collectResults(uint32_t b) {
    for (const ast::Instr& source : decl_.blocks[b].instrs) {
      Definition d;
      d.source = &source;
      d.block = b;
      d.usable = source.op && resolveSymbol(source, d.instr);
      ok_ = ok_ && d.usable;
      if (source.result) define(*source.result, {source.result->span, {}, uint32_t(definitions_.size())});
      definitions_.push_back(std::move(d));
    }
  }

  bool resolveSymbol(const ast::Instr& source, Instr& instr) {
    instr.op = *source.op;
    instr.flags = source.flags;
    instr.loc = names_.location(source.place);
    if (source.suffix) {
      auto type = suffixType(source, instr.info());
      if (!type) return false;
      instr.type = *type;
    }
    switch (instr.info().symbol) {
      case Symbol::None:
        return true;
      case Symbol::Type:
        return assign(names_.type(*source.symbolType, true), instr.symbol.type);
      case Symbol::Class:
        return assign(names_.classNamed(*source.symbol), instr.symbol.owner);
      case Symbol::Field:
      case Symbol::Static:
      case Symbol::Method:
        return assign(names_.member(*source.symbol, instr.info().symbol), instr.symbol);
      case Symbol::Function:
        return assignIndex(names_.functionNamed(*source.symbol), instr.symbol.member);
      case Symbol::Native:
        return assignIndex(names_.nativeNamed(*source.symbol), instr.symbol.member);
      case Symbol::Bytes:
        instr.symbol.member = byteLiteral(source.symbol->text);
        return true;
    }
    return false;
  }

  template <class T>
  static bool assign(std::optional<T> from, T& to) {
    if (from) to = *from;
    return from.has_value();
  }
  template <class Id>
  static bool assignIndex(std::optional<Id> from, uint32_t& to) {
    if (from) to = from->value;
    return from.has_value();
  }

  uint32_t byteLiteral(const std::string& bytes) { return module_.addByteLiteral(bytes); }

  std::optional<TypeId> suffixType(const ast::Instr& source, const OpInfo& info) {
    auto type = names_.type(*source.suffix);
    if (!type) return std::nullopt;
    const Type& t = module_.types[*type];
    bool isInt = *type == kI32 || *type == kI64;
    bool fits = (info.suffix == Suffix::Int && isInt) || (info.suffix == Suffix::Float && t.isFloat()) ||
                (info.suffix == Suffix::Num && (isInt || t.isFloat())) ||
                (info.suffix == Suffix::Any && (isInt || t.isFloat() || t.isReference()));
    if (fits) return type;
    static constexpr std::string_view kTakes[] = {"none", "i32 or i64", "f32 or f64", "i32, i64, f32 or f64",
                                                  "i32, i64, f32, f64 or a reference type"};
    error(Code::BadSuffix, source.mnemonic.span, fmt::format("'{}' does not take this type", info.mnemonic),
          {fmt::format("it takes {}", kTakes[static_cast<size_t>(info.suffix)])});
    return std::nullopt;
  }

  // -- types of results

  /// Gives the definition its result value. Follows first operands with an own stack: the text may nest them deeply.
  void typeOf(Definition& start) {
    std::vector<Definition*> chain = {&start};
    while (!chain.empty()) {
      Definition& d = *chain.back();
      Definition* needed = d.state == Definition::State::Done ? nullptr : firstOperandDefinition(d);
      if (needed && needed->state == Definition::State::Fresh) {
        d.state = Definition::State::Visiting;
        chain.push_back(needed);
        continue;
      }
      if (needed && needed->state == Definition::State::Visiting) {
        error(Code::CyclicType, d.source->place.span, "the type of this value depends on itself");
        d.usable = false;
      }
      finishType(d);
      chain.pop_back();
    }
  }

  Definition* firstOperandDefinition(const Definition& d) {
    if (!d.usable || d.source->operands.empty()) return nullptr;
    char letter = d.instr.info().result;
    const ast::Operand& first = d.source->operands[0];
    if ((letter != 'E' && letter != 'Q') || first.kind != ast::Operand::Kind::Value) return nullptr;
    auto it = values_.find(first.text);
    if (it == values_.end() || it->second.definition == kNoDefinition) return nullptr;
    return &definitions_[it->second.definition];
  }

  void finishType(Definition& d) {
    if (d.state == Definition::State::Done) return;
    d.state = Definition::State::Done;
    if (!d.usable) return;
    TypeId firstType = firstOperandType(d);
    std::optional<Type> type = resultType(module_, d.instr, firstType);
    const std::optional<ast::Name>& name = d.source->result;
    if (!type && hasResult(module_, d.instr)) {
      // An element of something that is no array. Unless that is poisoned itself, say so here: the verifier, which
      // would say it better, needs a type.
      d.usable = false;
      bool poisoned =
          !firstType.valid() && !d.source->operands.empty() && d.source->operands[0].kind == ast::Operand::Kind::Value;
      if (!poisoned)
        error(Code::UntypedLiteral, d.source->place.span,
              fmt::format("the first operand of '{}' must be an array", d.instr.info().mnemonic));
      ok_ = false;
      return;
    }
    if (!type) {
      if (name) error(Code::NoResult, name->span, fmt::format("'{}' gives no result here", d.instr.info().mnemonic));
      return;
    }
    if (arrayDepth(*type) > kMaxArrayDepth) {
      d.usable = false;
      return error(Code::TooDeep, d.source->place.span,
                   fmt::format("an array type has at most {} dimensions", kMaxArrayDepth));
    }
    builder_.switchTo(BlockId(d.block));
    d.instr.result =
        builder_.declareResult(internType(module_, *type), name && !isNumber(name->text) ? name->text : "");
    if (name) values_[name->text].value = d.instr.result;
  }

  uint32_t arrayDepth(Type type) const {
    uint32_t depth = 0;
    for (; type.kind == TypeKind::Array; type = module_.types[type.element()]) ++depth;
    return depth;
  }

  TypeId firstOperandType(const Definition& d) {
    if (d.source->operands.empty()) return {};
    const ast::Operand& first = d.source->operands[0];
    if (first.kind == ast::Operand::Kind::Literal) return first.text == "null" ? kNull : TypeId();
    auto it = values_.find(first.text);
    if (it == values_.end() || !it->second.value.valid()) return {};
    return builder_.body()[it->second.value].type;
  }

  // -- operands

  /// A value by its name; invalid if there is none (reported) or if its definition is broken (reported there).
  ValueId valueNamed(const std::string& name, Span span) {
    auto it = values_.find(name);
    if (it != values_.end()) return it->second.value;
    ok_ = false;
    if (!unknownValues_.insert(name).second) return {};  // said once
    std::vector<std::string_view> all;
    for (const auto& [known, value] : values_) all.push_back(known);
    std::sort(all.begin(), all.end());
    error(Code::UnknownValue, span, fmt::format("unknown value '%{}'", name), didYouMean(name, all, "%"));
    return {};
  }

  ValueId operandOf(const ast::Operand& operand, TypeId type) {
    if (operand.kind == ast::Operand::Kind::Value) return valueNamed(operand.text, operand.span);
    return literal(operand, type);
  }

  ValueId literal(const ast::Operand& operand, TypeId type) {
    if (operand.text == "null") return builder_.null();  // the verifier says if null does not fit
    TypeKind kind = module_.types[type].kind;
    if (auto bits = parseLiteral(operand.text, kind)) return builder_.constant(type, *bits);
    error(Code::BadLiteral, operand.span,
          fmt::format("'{}' is not a literal of type {}", operand.text, typeText(kind)));
    return {};
  }

  static std::string_view typeText(TypeKind kind) {
    for (auto [name, id] : kPrimitiveNames)
      if (id.value == static_cast<uint32_t>(kind)) return name;
    return "reference";
  }

  /// The verifier will say that this operand is one too many; until then its literal gets a likely type.
  static TypeId guessType(const ast::Operand& operand) {
    return parseLiteral(operand.text, TypeKind::I32) ? kI32 : parseLiteral(operand.text, TypeKind::I64) ? kI64 : kF64;
  }

  void resolveOperands(Definition& d) {
    size_t count = operandCount(module_, d.instr, result_);
    TypeId firstType = firstOperandType(d);
    for (size_t i = 0; i < d.source->operands.size(); ++i) {
      const ast::Operand& operand = d.source->operands[i];
      OperandRule rule = i < count ? operandRule(module_, d.instr, i, firstType, result_) : OperandRule{};
      if (i >= count) rule = {OperandRule::Kind::Assignable, guessType(operand), {}};
      TypeId type = rule.kind == OperandRule::Kind::Assignable ? rule.type : kNull;
      bool isNumberLiteral = operand.kind == ast::Operand::Kind::Literal && operand.text != "null";
      if (isNumberLiteral && rule.kind == OperandRule::Kind::Unknown) {
        if (firstType.valid())
          error(Code::UntypedLiteral, operand.span,
                "nothing gives this literal a type: the first operand is not an array");
        ok_ = false;
        continue;
      }
      d.instr.operands.push_back(operandOf(operand, type));
    }
  }

  std::optional<BlockCall> resolveTarget(const ast::BlockCall& call, bool isHandler) {
    auto it = blocks_.find(call.block.text);
    if (it == blocks_.end()) {
      std::vector<std::string_view> all;
      for (const auto& [known, index] : blocks_) all.push_back(known);
      std::sort(all.begin(), all.end());
      error(Code::UnknownBlock, call.block.span, fmt::format("unknown block '{}'", call.block.text),
            didYouMean(call.block.text, all));
      return std::nullopt;
    }
    BlockCall out{BlockId(it->second), {}};
    const Block& block = builder_.body()[out.block];
    for (size_t i = 0; i < call.args.size(); ++i) {
      size_t param = i + (isHandler ? 1 : 0);
      TypeId type = param < block.params.size() ? builder_.body()[block.params[param]].type : guessType(call.args[i]);
      out.args.push_back(operandOf(call.args[i], type));
    }
    return out;
  }

  // -- instructions

  void fillBlock(size_t index) {
    const ast::Block& block = decl_.blocks[index];
    BlockId id{uint32_t(index)};
    builder_.switchTo(id);
    spans_.instrs.emplace_back();
    if (block.handler)
      if (auto handler = resolveTarget(*block.handler, true))
        builder_.setHandler(id, handler->block, std::move(handler->args));
    if (block.instrs.empty() && ok_)
      error(Code::EmptyBlock, block.label.span,
            index == 0 ? fmt::format("function '@{}' begins without an instruction", decl_.name.text)
                       : fmt::format("block '{}' has no instructions", block.label.text),
            {"a block ends with br, br_if, switch, return, throw or unreachable"});
    for (size_t i = 0; i < block.instrs.size(); ++i) {
      Definition& d = definitions_[nextDefinition_++];
      spans_.instrs.back().push_back(spansOf(*d.source));
      if (d.usable) appendInstr(d);
    }
  }

  static BodySpans::Instr spansOf(const ast::Instr& source) {
    BodySpans::Instr spans{source.place.span, {}, {}};
    for (const ast::Operand& operand : source.operands) spans.operands.push_back(operand.span);
    for (const ast::BlockCall& target : source.targets) spans.targets.push_back(target.span);
    return spans;
  }

  void appendInstr(Definition& d) {
    resolveOperands(d);
    for (const ast::BlockCall& call : d.source->targets)
      if (auto target = resolveTarget(call, false)) d.instr.targets.push_back(std::move(*target));
    for (const ast::Case& c : d.source->cases) d.instr.cases.push_back(c.value);
    if (d.source->frameState) d.instr.frameState = frameStateId(*d.source->frameState, d.source->frameStateSpan);
    builder_.append(std::move(d.instr));
  }

  FrameStateId frameStateId(uint32_t number, Span span) {
    if (number < decl_.frameStates.size()) return FrameStateId(number);
    error(Code::UnknownFrameState, span, fmt::format("this function has no frame state #{}", number));
    return {};
  }

  void makeFrameStates() {
    for (const ast::FrameState& source : decl_.frameStates) {
      FrameState state;
      spans_.frameStates.push_back(source.span);
      ok_ = assign(names_.functionNamed(source.function), state.function) && ok_;
      state.resumePoint = source.resumePoint;
      state.slots = slots(source.slots);
      for (const ast::Virtual& v : source.virtuals) {
        VirtualObject object;
        ok_ = assign(names_.classNamed(v.className), object.cls) && ok_;
        object.elidedLocks = v.elidedLocks;
        object.fields = slots(v.fields);
        state.virtuals.push_back(std::move(object));
      }
      if (source.outer) state.outer = frameStateId(*source.outer, source.span);
      builder_.addFrameState(std::move(state));
    }
  }

  std::vector<SlotSource> slots(const std::vector<ast::Slot>& sources) {
    std::vector<SlotSource> out;
    for (const ast::Slot& source : sources) {
      SlotSource slot;
      if (source.kind == ast::Slot::Kind::Virtual) {
        slot.kind = SlotSource::Kind::Virtual;
        slot.virtualIndex = source.virtualIndex;
      } else if (source.kind == ast::Slot::Kind::Value) {
        slot.value = valueNamed(source.text, source.span);
      } else {
        slot.value = slotLiteral(source);
      }
      out.push_back(slot);
    }
    return out;
  }

  ValueId slotLiteral(const ast::Slot& source) {
    if (source.text == "null") return builder_.null();
    for (TypeId type : {kI32, kI64, kF32, kF64})
      if (typeText(module_.types[type].kind) == source.literalType)
        return literal({ast::Operand::Kind::Literal, source.text, source.span}, type);
    error(Code::UnknownType, source.span, "a slot's literal is of type i32, i64, f32 or f64");
    return {};
  }

  NameResolver& names_;
  Module& module_;
  const ast::Function& decl_;
  BodySpans& spans_;
  FunctionBuilder builder_;
  TypeId result_;
  bool ok_ = true;
  std::unordered_map<std::string, uint32_t> blocks_;
  std::unordered_map<std::string, NamedValue> values_;
  std::unordered_set<std::string> unknownValues_;
  std::deque<Definition> definitions_;
  size_t nextDefinition_ = 0;
};

}  // namespace

std::optional<FunctionBody> resolveBody(NameResolver& names, FunctionId function, const ast::Function& decl,
                                        BodySpans& spans) {
  return BodyResolver(names, function, decl, spans).run();
}

}  // namespace jvmc::ir::text
