# The binary form of a module: what stands in an `.irm` file behind its header.
#
# Roles. `irc build` and front ends write it (ir/binary/writer.h). Every node of a program, and every tool, reads it
# (ir/binary/reader.h). The launcher sends the file's bytes to the nodes unchanged, so all nodes run the same content.
#
# File.
#
#     offset  bytes
#          0      8  "JVMC-IRM"
#          8      4  format version, little-endian: kFormatVersion below
#         12      4  0
#         16      8  content length in bytes, a multiple of 8
#         24     16  XXH3-128 of the content, low word first: the *module hash*
#         40     24  0
#         64         content: one Module in Cap'n Proto's standard framing
#
# A file whose first 8 bytes differ is no module; with a greater version it is from a newer program; with another length
# it is truncated; with another hash it is corrupt. The hash is checked when the file is opened, so later damage can only
# be of the reader's own memory. Nothing in the content is trusted for that: whoever writes a file can also write its
# hash. Every index is checked before it is used, each function is verified before it runs, and reading stops after a
# bounded number of words.
#
# Life of a module. Opening maps the file and decodes the tables: types, classes, functions without their bodies,
# natives, literals. A body is decoded when the function is first needed, with a message reader of its own, so that any
# number of threads may do so at once. Then its FunctionHash is computed again and compared with the stored one.
#
# Ids. Every table is a list, and an id is the position in it. Ids mean something inside one file only; between programs
# functions are named by FunctionHash. `none` is 0xffffffff. Instructions are named by mnemonic through a table
# (`opcodes`), built-in classes by name, so inserting a row in opcodes.def or builtin_classes.def does not change the
# meaning of stored files.
#
# Evolution. Fields are added at the end with new numbers; a reader that does not know them ignores them. What an old
# reader must not ignore needs a new kFormatVersion. What optimisation adds to a body (markers, flags, frame states) has
# no place here and never will: a module is the baseline.
#
# Writing is deterministic: equal modules give equal bytes. tests/unit/ir/binary/golden/ holds one to prove it.
@0xb7f2c3a15d9e4c01;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("jvmc::ir::schema");

const formatVersion :UInt32 = 1;
const none :UInt32 = 0xffffffff;

struct Module {
  name @0 :Text;
  files @1 :List(Text);       # source files; [0] is "", unknown
  opcodes @2 :List(Text);     # mnemonics; Instr.op is a position in this list
  types @3 :List(Type);       # the first are void i8 i16 i32 i64 f32 f64 null
  classes @4 :List(Class);    # the built-in ones first
  functions @5 :List(Function);
  natives @6 :List(Native);
  byteLiterals @7 :List(Data);
  entry @8 :UInt32;           # function, or none
}

struct Type {
  kind @0 :UInt16;            # void i8 i16 i32 i64 f32 f64 null ref array
  payload @1 :UInt32;         # ref: class; array: an earlier type
}

# Where something stands in a source file; line 0 is unknown.
struct Loc {
  file @0 :UInt32;
  line @1 :UInt32;
  column @2 :UInt32;
}

struct Class {
  name @0 :Text;
  super @1 :UInt32;           # none for Object only
  interfaces @2 :List(UInt32);
  fields @3 :List(Field);
  statics @4 :List(Field);
  methods @5 :List(Method);
  initializer @6 :UInt32;     # function, or none
  isInterface @7 :Bool;
  isAbstract @8 :Bool;
  isImmutable @9 :Bool;
  isBuiltin @10 :Bool;        # its first fields are given by the reader and must be the same here
  loc @11 :Loc;
}

struct Field {
  name @0 :Text;
  type @1 :UInt32;
  isFinal @2 :Bool;
  isVolatile @3 :Bool;
  loc @4 :Loc;
}

struct Method {
  name @0 :Text;
  params @1 :List(UInt32);    # types, without the receiver
  result @2 :UInt32;
  implementation @3 :UInt32;  # function, or none: abstract
  loc @4 :Loc;
}

struct Function {
  name @0 :Text;
  params @1 :List(UInt32);
  result @2 :UInt32;
  loc @3 :Loc;
  hashHigh @4 :UInt64;        # FunctionHash: content of the function by names, see ir/binary/hash.h
  hashLow @5 :UInt64;
  body @6 :Body;
}

struct Native {
  name @0 :Text;
  params @1 :List(UInt32);
  result @2 :UInt32;
  effect @3 :UInt16;          # pure node outside
  loc @4 :Loc;
}

# SSA with block parameters. Blocks and instructions stand in the order that resume points count.
struct Body {
  values @0 :List(Value);
  blocks @1 :List(Block);
}

struct Value {
  type @0 :UInt32;
  isConstant @1 :Bool;        # else it is the parameter or result that names it
  constant @2 :UInt64;        # i32 zero-extended, IEEE bits of floats, null is 0
  name @3 :Text;              # for people, often empty
}

struct Block {
  name @0 :Text;
  params @1 :List(UInt32);    # values
  instrs @2 :List(Instr);
  handler @3 :Target;         # absent: none
  loc @4 :Loc;
}

struct Target {
  block @0 :UInt32;
  args @1 :List(UInt32);      # values
}

# The symbol is what the opcode asks for. Type: symbol is a type. Class: a class. Field, static, method: a class and the
# position in its list. Function, native, byte literal: a position in the module's list.
struct Instr {
  op @0 :UInt16;
  type @1 :UInt32;            # suffix type, or none
  result @2 :UInt32;          # value, or none
  symbol @3 :UInt32;
  member @4 :UInt32;
  file @5 :UInt32;            # source location
  line @6 :UInt32;
  column @7 :UInt32;
  operands @8 :List(UInt32);  # values
  targets @9 :List(Target);
  cases @10 :List(Int32);     # of a switch: one for each target after the first
}
