// Builds modules in memory: what a front end uses, and what the text parser uses.
//
//     ModuleBuilder program("demo");
//     FunctionId sum = program.declareFunction("sum", {kI32}, kI64);
//     FunctionBuilder b(program.module(), sum);
//     BlockId loop = b.createBlock("loop", {kI32, kI64});
//     b.emitBr(loop, {b.i32(0), b.i64(0)});
//     b.switchTo(loop);
//     ValueId wide = b.emitI32ToI64(b.param(loop, 0));
//     ...
//     b.finish();
//     std::unique_ptr<Module> module = program.finish();
//
// There is one `emitX` for every row of opcodes.def. Its arguments are, in this order: the suffix type, if the opcode
// takes one; the symbol, if it names one; the operands. The C++ compiler checks their number and kinds; IR types are
// checked by the verifier (ir/verifier.h), which a front end should run on what it built. Misuse that would leave a
// malformed body (an instruction after a terminator, an unknown block) is a bug of the caller: JVMC_CHECK.
#pragma once

#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "ir/module.h"

namespace jvmc::ir {

struct FieldOptions {
  bool isFinal = false;
  bool isVolatile = false;
};

struct ClassOptions {
  ClassId super = builtin::kObject;
  std::vector<ClassId> interfaces = {};
  bool isInterface = false;
  bool isAbstract = false;
  bool isImmutable = false;
};

/// Declarations. Ids are valid at once, so that bodies may use classes and functions whose details come later.
class ModuleBuilder {
 public:
  explicit ModuleBuilder(std::string name = "");

  Module& module() { return *module_; }
  TypeId ref(ClassId cls) { return module_->types.ref(cls); }
  TypeId array(TypeId element) { return module_->types.array(element); }

  ClassId addClass(std::string name, ClassOptions options = {});
  SymbolRef addField(ClassId cls, std::string name, TypeId type, FieldOptions options = {});
  SymbolRef addStatic(ClassId cls, std::string name, TypeId type, FieldOptions options = {});
  /// `params` without the receiver; `implementation` takes the receiver first, invalid means abstract.
  SymbolRef addMethod(ClassId cls, std::string name, std::vector<TypeId> params, TypeId result,
                      FunctionId implementation = {});
  void setInitializer(ClassId cls, FunctionId function) { module_->classes[cls.index()].initializer = function; }
  FunctionId declareFunction(std::string name, std::vector<TypeId> params, TypeId result = kVoid);
  NativeId declareNative(std::string name, std::vector<TypeId> params, TypeId result, NativeEffect effect);

  /// The module, with `main` as its entry if no other was set. The builder is empty afterwards.
  std::unique_ptr<Module> finish();

 private:
  std::unique_ptr<Module> module_;
};

namespace detail {

/// The compile-time face of one row of opcodes.def.
template <Opcode op>
struct OpShape;
#define JVMC_OP(name, mnemonic, suffix_, operands_, result_, symbol_, flags_) \
  template <>                                                                 \
  struct OpShape<Opcode::k##name> {                                           \
    static constexpr bool kSuffix = Suffix::suffix_ != Suffix::None;          \
    static constexpr std::string_view kOperands = operands_;                  \
    static constexpr bool kResult = result_[0] != '-';                        \
    static constexpr Symbol kSymbol = Symbol::symbol_;                        \
  };
#include "ir/opcodes.def"

template <Symbol symbol>
struct SymbolArgument {  // Field, Static, Method: as addField, addStatic, addMethod gave it
  using Type = const SymbolRef&;
  static SymbolRef toRef(const SymbolRef& ref) { return ref; }
};
template <>
struct SymbolArgument<Symbol::Type> {
  using Type = TypeId;
  static SymbolRef toRef(TypeId type) { return {type, {}, 0}; }
};
template <>
struct SymbolArgument<Symbol::Class> {
  using Type = ClassId;
  static SymbolRef toRef(ClassId cls) { return {{}, cls, 0}; }
};
template <>
struct SymbolArgument<Symbol::Function> {
  using Type = FunctionId;
  static SymbolRef toRef(FunctionId function) { return {{}, {}, function.value}; }
};
template <>
struct SymbolArgument<Symbol::Native> {
  using Type = NativeId;
  static SymbolRef toRef(NativeId native) { return {{}, {}, native.value}; }
};

}  // namespace detail

/// Fills in one body. Not thread-safe; several builders of one module must not run at the same time (types are
/// interned).
class FunctionBuilder {
 public:
  /// Starts the body of a declared function: the entry block has its parameters and is the current block.
  FunctionBuilder(Module& module, FunctionId function);

  Module& module() { return module_; }
  const FunctionBody& body() const { return body_; }

  // -- blocks and parameters
  BlockId entry() const { return BlockId(0); }
  BlockId createBlock(std::string name = "", const std::vector<TypeId>& params = {});
  ValueId addParam(BlockId block, TypeId type, std::string name = "");
  ValueId param(uint32_t index) const { return param(entry(), index); }
  ValueId param(BlockId block, uint32_t index) const { return body_[block].params[index]; }
  /// Exceptions of `block` go to `handler`: its first parameter is the exception, the others get `args`.
  void setHandler(BlockId block, BlockId handler, std::vector<ValueId> args = {});
  void switchTo(BlockId block) { current_ = block; }
  BlockId current() const { return current_; }
  bool isTerminated() const;

  // -- what following instructions carry
  void setLocation(SourceLoc loc) { loc_ = loc; }
  void setName(ValueId value, std::string name) { body_[value].name = std::move(name); }

  // -- constants, one value per type and bits
  ValueId i32(int32_t value) { return constant(kI32, uint32_t(value)); }
  ValueId i64(int64_t value) { return constant(kI64, uint64_t(value)); }
  ValueId f32(float value);
  ValueId f64(double value);
  ValueId null() { return constant(kNull, 0); }
  ValueId constant(TypeId type, uint64_t bits);

  // -- instructions from the table
  /// Appends any instruction but a branch. The result is a new value of the type the table gives, invalid if none.
  ValueId emit(Opcode op, TypeId suffix, SymbolRef symbol, std::span<const ValueId> operands);

#define JVMC_OP(name, ...)                                       \
  template <class... Args>                                       \
  auto emit##name(Args&&... args) {                              \
    return emitOp<Opcode::k##name>(std::forward<Args>(args)...); \
  }
#include "ir/opcodes.def"

  // -- branches (chosen over the templates above: not templates themselves)
  void emitBr(BlockId target, std::vector<ValueId> args = {});
  void emitBrIf(ValueId condition, BlockId thenBlock, std::vector<ValueId> thenArgs, BlockId elseBlock,
                std::vector<ValueId> elseArgs);
  void emitBrIf(ValueId condition, BlockId thenBlock, BlockId elseBlock) {
    emitBrIf(condition, thenBlock, {}, elseBlock, {});
  }
  struct Case {
    int32_t value;
    BlockCall target;
  };
  void emitSwitch(ValueId value, BlockCall otherwise, std::vector<Case> cases);

  // -- for passes and the parser: values before the instructions that define them
  /// A value to be defined by a later append().
  ValueId declareResult(TypeId type, std::string name = "");
  /// Appends `instr` as it is, unchecked; instr.result must come from declareResult or be invalid.
  void append(Instr instr);
  FrameStateId addFrameState(FrameState state);
  void setOptimised() { body_.optimised = true; }

  /// Numbers the values in the order of the text (parameters and results block by block, then constants), so that equal
  /// programs have equal slot orders, and gives the body away.
  FunctionBody take();
  /// take() into the module.
  void finish();

 private:
  template <Opcode op, class... Args>
  auto emitOp(Args&&... args) {
    static_assert(op != Opcode::kBr && op != Opcode::kBrIf && op != Opcode::kSwitch, "see the overloads for branches");
    using Shape = detail::OpShape<op>;
    auto all = std::forward_as_tuple(std::forward<Args>(args)...);
    constexpr size_t kSuffix = Shape::kSuffix ? 1 : 0;
    constexpr size_t kSymbol = Shape::kSymbol != Symbol::None ? 1 : 0;
    constexpr size_t kLeading = kSuffix + kSymbol;
    static_assert(sizeof...(Args) >= kLeading, "suffix type and symbol come first");
    TypeId suffix;
    SymbolRef symbol;
    if constexpr (kSuffix) suffix = std::get<0>(all);
    if constexpr (Shape::kSymbol == Symbol::Bytes) {
      symbol.member = module_.addByteLiteral(std::get<kSuffix>(all));
    } else if constexpr (kSymbol) {
      using Argument = detail::SymbolArgument<Shape::kSymbol>;
      typename Argument::Type argument = std::get<kSuffix>(all);
      symbol = Argument::toRef(argument);
    }
    std::vector<ValueId> operands;
    auto add = [&](const auto& argument) {
      if constexpr (std::is_convertible_v<decltype(argument), ValueId>) {
        operands.push_back(argument);
      } else {
        operands.insert(operands.end(), argument.begin(), argument.end());
      }
    };
    [&]<size_t... i>(std::index_sequence<i...>) {
      (add(std::get<kLeading + i>(all)), ...);
    }(std::make_index_sequence<sizeof...(Args) - kLeading>());
    constexpr bool kOpen = Shape::kOperands.ends_with('*');
    static_assert(kOpen || sizeof...(Args) - kLeading == Shape::kOperands.size(), "wrong number of operands");
    ValueId result = emit(op, suffix, symbol, operands);
    if constexpr (Shape::kResult) return result;
  }

  void appendChecked(Instr instr);
  void renumber();

  Module& module_;
  FunctionId function_;
  FunctionBody body_;
  BlockId current_{0};
  SourceLoc loc_;
  std::map<std::pair<uint32_t, uint64_t>, ValueId> constants_;
};

}  // namespace jvmc::ir
