// What the grammar says, before any name is looked up: the parser's first step builds this for every source, the second
// resolves all of it into one module, so that the order of files, items and blocks does not matter.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ir/opcodes.h"
#include "ir/text/source.h"

namespace jvmc::ir::text::ast {

struct Name {
  std::string text;
  Span span;
};

/// `arrayDepth` times array( ) around a primitive type or a class.
struct Type {
  uint32_t arrayDepth = 0;
  bool isClass = false;
  std::string base;  ///< "i32" or the name of the class
  Span span;
  Span baseSpan;
};

/// !LINE, !LINE:COL or !"file":LINE:COL.
struct Location {
  std::optional<std::string> file;
  uint32_t line = 0;
  uint32_t column = 0;
};

/// `file` in force and `!` given; the resolver makes a SourceLoc of it.
struct Place {
  Span span;
  std::optional<Location> given;
  std::optional<std::string> currentFile;  ///< of the last `file` line before it
};

struct Operand {
  enum class Kind : uint8_t { Value, Literal };
  Kind kind = Kind::Value;
  std::string text;  ///< name without %, or the literal as written
  Span span;
};

struct BlockCall {
  Name block;
  std::vector<Operand> args;
  Span span = {};  ///< with the arguments
};

struct Case {
  int32_t value = 0;
  Span span;
};

struct Instr {
  std::optional<Name> result;
  Name mnemonic;             ///< with its suffix
  std::optional<Opcode> op;  ///< none if the mnemonic is unknown: reported already
  std::optional<Type> suffix;
  uint8_t flags = 0;
  std::optional<Type> symbolType;
  std::optional<Name> symbol;  ///< class, member, function, native; for Bytes the bytes
  std::vector<Operand> operands;
  std::vector<BlockCall> targets;
  std::vector<Case> cases;
  std::optional<uint32_t> frameState;
  Span frameStateSpan;
  Place place;
};

struct Param {
  Name name;
  Type type;
};

struct Block {
  Name label;
  std::vector<Param> params;
  std::optional<BlockCall> handler;
  std::vector<Instr> instrs;
  Place place;
};

struct Slot {
  enum class Kind : uint8_t { Value, Literal, Virtual };
  Kind kind = Kind::Value;
  std::string text;
  std::string literalType;
  uint32_t virtualIndex = 0;
  Span span;
};

struct Virtual {
  Name className;
  uint32_t elidedLocks = 0;
  std::vector<Slot> fields;
};

struct FrameState {
  Span span;
  Name function;
  uint32_t resumePoint = 0;
  std::vector<Slot> slots;
  std::vector<Virtual> virtuals;
  std::optional<uint32_t> outer;
};

struct Function {
  Name name;
  std::vector<Param> params;
  std::optional<Type> result;
  std::vector<Block> blocks;
  std::vector<FrameState> frameStates;
  bool optimised = false;
  bool broken = false;  ///< something of it could not be parsed
  Place place;
};

struct Field {
  Name name;
  Type type;
  bool isStatic = false, isFinal = false, isVolatile = false;
  Place place;
};

struct Method {
  Name name;
  std::vector<Type> params;
  std::optional<Type> result;
  std::optional<Name> implementation;
  Place place;
};

struct Class {
  Name name;
  bool isInterface = false, isAbstract = false, isImmutable = false;
  std::optional<Name> super;
  std::vector<Name> interfaces;
  std::vector<Field> fields;
  std::vector<Method> methods;
  std::optional<Name> initializer;
  Place place;
};

struct Native {
  Name name;
  std::vector<Type> params;
  std::optional<Type> result;
  std::string effect;
  Place place;
};

/// One source. Items keep their order by kind; declaration order between kinds means nothing.
struct File {
  std::optional<Name> moduleName;
  std::vector<Class> classes;
  std::vector<Native> natives;
  std::vector<Function> functions;
};

}  // namespace jvmc::ir::text::ast
