// A program: classes, functions, natives. Typed SSA with block parameters.
//
// A function *declaration* (name, signature) is always in memory; its *body* may be decoded on first use (see
// ir/binary). Bodies are immutable once the module is sealed, and then safe to share between threads.
//
// SSA: a value is a block parameter, an instruction's result, or a constant. Branches pass arguments to the parameters
// of their target. A block may name a `handler`: an exception thrown by any instruction of the block goes to that
// block, whose first parameter receives the exception and whose other parameters receive the handler's arguments. Those
// are read at the *start* of the block: they are its own parameters, constants, or values that dominate the block.
//
// A *resume point* names a place in a stored body (see docs/internals/frames.md):
//     2 * i       before instruction i (it will be executed)
//     2 * i + 1   after call-like instruction i (its result is supplied by the callee or the runtime)
// where i is the flat index of the instruction: blocks in order, instructions in order.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ir/opcodes.h"
#include "ir/support/ids.h"
#include "ir/support/result.h"
#include "ir/types.h"

namespace jvmc::ir {

/// Where something stands in a source file. Line and column count from 1; line 0 means unknown.
struct SourceLoc {
  uint32_t file = 0;  ///< index in Module::files
  uint32_t line = 0;
  uint32_t column = 0;
  friend bool operator==(const SourceLoc&, const SourceLoc&) = default;
};

// ---------------------------------------------------------------- bodies

struct Value {
  enum class Kind : uint8_t { Param, Result, Const };
  Kind kind = Kind::Param;
  TypeId type;            ///< a stack type
  BlockId block;          ///< Param, Result: where it is defined
  uint64_t constant = 0;  ///< Const: i32 zero-extended, i64, IEEE bits of f32 and f64; null is 0
  std::string name;       ///< without the %, may be empty; for people only
};

/// A branch target with the arguments for its parameters.
struct BlockCall {
  BlockId block;
  std::vector<ValueId> args;
};

/// What an instruction names besides values; which members count follows from OpInfo::symbol.
///   Type: type. Class: owner. Field, Static, Method: owner and member (index in ClassDecl::fields, statics, methods;
///   the class that declares it). Function, Native: index. Bytes: index in Module::byteLiterals.
struct SymbolRef {
  TypeId type;
  ClassId owner;
  uint32_t member = 0;
  FunctionId function() const { return FunctionId(member); }
  NativeId native() const { return NativeId(member); }
  friend bool operator==(const SymbolRef&, const SymbolRef&) = default;
};

/// What optimisation proved about an instruction; never in a stored module.
enum InstrFlags : uint8_t {
  kNoNullCheck = 1,
  kNoBoundsCheck = 2,
  kNoStoreCheck = 4,
  kNoInitCheck = 8,
  kAwaitsChange = 16  ///< a volatile load: the code around it does nothing but wait for another value
};

struct Instr {
  Opcode op = Opcode::kUnreachable;
  uint8_t flags = 0;
  TypeId type;     ///< the suffix type T, where the opcode has one
  ValueId result;  ///< invalid if it has none
  SymbolRef symbol;
  std::vector<ValueId> operands;
  std::vector<BlockCall> targets;  ///< br: 1; br_if: then, else; switch: default, then one per case
  std::vector<int32_t> cases;      ///< switch
  SourceLoc loc;
  FrameStateId frameState;  ///< optimised IR: the portable frames this instruction would capture

  const OpInfo& info() const { return opInfo(op); }
};

struct Block {
  std::string name;
  std::vector<ValueId> params;
  std::vector<Instr> instrs;  ///< the last one, and only it, is a terminator
  std::optional<BlockCall> handler;
  SourceLoc loc;
};

/// One slot of a portable frame as optimised code knows it.
struct SlotSource {
  enum class Kind : uint8_t { Value, Virtual };
  Kind kind = Kind::Value;
  ValueId value;              ///< Value: SSA value of the optimised body, constants included
  uint32_t virtualIndex = 0;  ///< Virtual: index in FrameState::virtuals of the innermost state of the chain
};

/// An object that optimised code keeps in registers; capture materialises it.
struct VirtualObject {
  ClassId cls;
  uint32_t elidedLocks = 0;
  std::vector<SlotSource> fields;  ///< every instance field, superclass first
};

/// The frame of one *baseline* function at one of its resume points: one source for each live baseline slot, in slot
/// order (see analysis/liveness.h). `outer` is the frame it was inlined into.
///
/// On an instruction that may throw but is no safepoint the state has no slots: it only names the place for the stack
/// trace, with `outer` as the places it was inlined at (see passes/pass.h).
struct FrameState {
  FunctionId function;
  uint32_t resumePoint = 0;
  std::vector<SlotSource> slots;
  std::vector<VirtualObject> virtuals;
  FrameStateId outer;
};

struct FunctionBody {
  std::deque<Value> values;
  std::vector<Block> blocks;  ///< blocks[0] is the entry; its parameters are the function's
  std::vector<FrameState> frameStates;
  bool optimised = false;  ///< holds markers, flags or frame states: never stored, resume points mean the baseline

  const Value& operator[](ValueId v) const { return values[v.index()]; }
  Value& operator[](ValueId v) { return values[v.index()]; }
  const Block& operator[](BlockId b) const { return blocks[b.index()]; }
  Block& operator[](BlockId b) { return blocks[b.index()]; }
  uint32_t instrCount() const;
};

inline constexpr uint32_t pointBefore(uint32_t flatIndex) {
  return 2 * flatIndex;
}
inline constexpr uint32_t pointAfter(uint32_t flatIndex) {
  return 2 * flatIndex + 1;
}

// ---------------------------------------------------------------- declarations

struct FieldDecl {
  std::string name;
  TypeId type;  ///< a storage type
  bool isFinal = false;
  bool isVolatile = false;
  SourceLoc loc;
};

/// A virtual method. `implementation` takes the receiver first, then `params`; invalid if abstract.
/// A subclass method of the same name overrides and has the same `params` and `result`.
struct MethodDecl {
  std::string name;
  std::vector<TypeId> params;  ///< stack types, without the receiver
  TypeId result = kVoid;
  FunctionId implementation;
  SourceLoc loc;
};

struct ClassDecl {
  std::string name;
  ClassId super;  ///< invalid only for Object; Object for interfaces
  std::vector<ClassId> interfaces;
  std::vector<FieldDecl> fields;    ///< instance fields declared here
  std::vector<FieldDecl> statics;   ///< static fields declared here
  std::vector<MethodDecl> methods;  ///< declared here
  FunctionId initializer;           ///< class initialiser, no parameters, no result; may be invalid
  bool isInterface = false;
  bool isAbstract = false;
  bool isImmutable = false;  ///< every field final; instances are frozen when published by `freeze`
  bool isBuiltin = false;
  SourceLoc loc;
};

struct FunctionDecl {
  std::string name;            ///< without the @
  std::vector<TypeId> params;  ///< stack types
  TypeId result = kVoid;
  SourceLoc loc;
};

/// What a native may do (see docs/reference/ir.md): Pure: depends on its arguments only. Node: does not block, keeps no
/// state. Outside: files, stdio, clocks of the world: parks the thread and runs once at the launcher.
enum class NativeEffect : uint8_t { Pure, Node, Outside };

struct NativeDecl {
  std::string name;
  std::vector<TypeId> params;
  TypeId result = kVoid;
  NativeEffect effect = NativeEffect::Node;
  SourceLoc loc;
};

/// Hash of a baseline function: name, signature and body with every symbol by name (so that it does not depend on
/// table positions). Names the function in portable frames.
struct FunctionHash {
  uint64_t high = 0, low = 0;
  friend auto operator<=>(const FunctionHash&, const FunctionHash&) = default;
};

/// Gives bodies on demand; implemented by the binary reader. Must be thread-safe.
class BodySource {
 public:
  virtual ~BodySource() = default;
  virtual Result<FunctionBody> load(FunctionId function) = 0;
  virtual FunctionHash hash(FunctionId function) = 0;
};

class Module {
 public:
  /// A module with the builtin classes in it.
  Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  std::string name;
  std::vector<std::string> files;  ///< source file names; [0] is "" (unknown)
  TypeTable types;
  std::vector<ClassDecl> classes;
  std::vector<FunctionDecl> functions;
  std::vector<NativeDecl> natives;
  std::vector<std::string> byteLiterals;
  FunctionId entry;  ///< `main`: takes nothing or array(array(i8)) (the arguments), gives nothing or i32 (exit code)

  const ClassDecl& operator[](ClassId c) const { return classes[c.index()]; }
  const FunctionDecl& operator[](FunctionId f) const { return functions[f.index()]; }
  const NativeDecl& operator[](NativeId n) const { return natives[n.index()]; }
  const FieldDecl& field(const SymbolRef& s) const { return classes[s.owner.index()].fields[s.member]; }
  const FieldDecl& staticField(const SymbolRef& s) const { return classes[s.owner.index()].statics[s.member]; }
  const MethodDecl& method(const SymbolRef& s) const { return classes[s.owner.index()].methods[s.member]; }

  ClassId findClass(std::string_view className) const;
  FunctionId findFunction(std::string_view functionName) const;
  NativeId findNative(std::string_view nativeName) const;

  /// Adds a declaration; its body comes by setBody or from the BodySource. Names are unique (checked by the verifier).
  ClassId addClass(ClassDecl decl);
  FunctionId addFunction(FunctionDecl decl);
  NativeId addNative(NativeDecl decl);
  uint32_t addByteLiteral(std::string_view bytes);
  uint32_t addFile(std::string_view fileName);

  void setBody(FunctionId function, FunctionBody body);
  void setBodySource(std::unique_ptr<BodySource> source) { source_ = std::move(source); }

  /// The body of `function`, decoded and verified on first use. Thread-safe. The pointer lives as long as the module.
  /// Fails if the stored body is corrupt or not valid.
  Result<const FunctionBody*> body(FunctionId function) const;
  FunctionHash hash(FunctionId function) const;

  /// `sub` is the same as, or a subclass or implementation of, `super`.
  bool isSubclass(ClassId sub, ClassId super) const;
  /// A value of type `from` may be used where `to` is asked for (stack types).
  bool isAssignable(TypeId from, TypeId to) const;

 private:
  struct BodySlot {
    std::once_flag once;
    std::atomic<const FunctionBody*> ready{nullptr};
    std::unique_ptr<FunctionBody> body;
    std::optional<Error> error;
  };

  mutable std::deque<BodySlot> bodies_;
  mutable std::mutex hashMutex_;
  mutable std::unordered_map<uint32_t, FunctionHash> hashes_;
  std::unique_ptr<BodySource> source_;
  std::unordered_map<std::string, ClassId> classByName_;
  std::unordered_map<std::string, FunctionId> functionByName_;
  std::unordered_map<std::string, NativeId> nativeByName_;
};

/// ClassIds of builtin_classes.def: builtin::kObject, builtin::kThrowable, ...
namespace builtin {
enum Index : uint32_t {
#define JVMC_BUILTIN(name, super) kIndex##name,
#include "ir/builtin_classes.def"
  kBuiltinCount
};
#define JVMC_BUILTIN(name, super) inline constexpr ClassId k##name{kIndex##name};
#include "ir/builtin_classes.def"

// Fields of Throwable, by index in ClassDecl::fields.
inline constexpr uint32_t kThrowableMessage = 0;  ///< array(i8), UTF-8, or null
inline constexpr uint32_t kThrowableCause = 1;    ///< ref(Throwable) or null
inline constexpr uint32_t kThrowableTrace =
    2;  ///< array(i64): (function id << 32 | flat instruction index), innermost first
// Fields of Thread.
inline constexpr uint32_t kThreadId = 0;     ///< i64, cluster-wide thread id; 0 until started
inline constexpr uint32_t kThreadState = 1;  ///< volatile i32: 0 new, 1 alive, 2 ended
inline constexpr uint32_t kThreadName = 2;   ///< array(i8) or null
}  // namespace builtin

}  // namespace jvmc::ir
