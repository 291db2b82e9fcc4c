// The verifier: a module that passes it cannot crash a node. Everything read from disk or network goes through it
// before it runs. It may be given anything, ids out of range and cyclic class hierarchies included.
//
// JVMC_INVARIANTS is the list of what it checks. Each invariant has a test that breaks it: a file
// tests/golden/verify/<name>*.ir where text can say it, else a case in tests/unit/ir/verifier_test.cpp.
//
// Optimised bodies come from our own passes, never from outside, and hold what passes know but types do not say: there
// any reference may stand where a reference of another class is asked for (the receiver of an inlined virtual call),
// and final fields may be stored (by an inlined constructor).
//
// What is left to run time on purpose: a class that is not abstract need not implement every abstract method it
// inherits (Java class files need not either); calling such a method throws AbstractMethodError. Null objects, array
// indexes, array stores and casts are checked by the instructions themselves. Blocks that nothing reaches are allowed;
// they are checked like the others, but every value counts as dominating them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ir/module.h"

namespace jvmc::ir {

// clang-format off
//   X(Name, "name", "what always holds")
#define JVMC_INVARIANTS(X)                                                                                              \
  /* -- declarations */                                                                                                 \
  X(Types,            "types",             "a type names a class or type that exists; arrays have 255 dimensions or fewer") \
  X(Builtins,         "builtins",          "the builtin classes come first and are as builtin_classes.def says")        \
  X(Names,            "names",             "classes, functions, natives, and members of a kind in a class, have distinct names; a member's name has no '.'") \
  X(Hierarchy,        "hierarchy",         "no class inherits from itself, or from more than 1000 others in a row; a superclass is a class, the superclass of an interface is Object, and what is implemented is an interface") \
  X(MemberTypes,      "member_types",      "fields have storage types; parameters and results have stack types")         \
  X(FieldModifiers,   "field_modifiers",   "no field is final and volatile; interfaces have no instance fields; every field of an immutable class is final, inherited ones too") \
  X(Overrides,        "overrides",         "a method that overrides or implements another has the same parameters and result") \
  X(Implementations,  "implementations",   "the function of a method takes its receiver, then its parameters, and gives its result") \
  X(Initializers,     "initializers",      "a class initialiser is a function without parameters and result")           \
  X(Entry,            "entry",             "the entry takes nothing or array(array(i8)) and gives nothing or i32")        \
  X(Locations,        "locations",         "a location names a file of the module")                                      \
  X(Limits,           "limits",            "a body is small enough to be analysed: 2^20 blocks and 2^22 instructions, 2^32 for blocks times values") \
  /* -- structure of a body */                                                                                          \
  X(Bodies,           "bodies",            "every function has a body, with at least one block")                         \
  X(Ids,              "ids",               "every block, value, symbol, literal and frame state that is named exists")    \
  X(EntryBlock,       "entry_block",       "the entry block has the parameters of the function, and no branch or handler goes to it") \
  X(Terminators,      "terminators",       "a block ends with a terminator and has no other")                            \
  X(Values,           "values",            "a value is defined once, where its entry says; constants are i32, i64, f32, f64 or null") \
  X(Targets,          "targets",           "br has one target, br_if two, switch one and one for each of its distinct cases, others none") \
  X(BlockArguments,   "block_arguments",   "a branch gives each parameter of its target a value of a type that fits")     \
  X(Handlers,         "handlers",          "a handler's first parameter takes a Throwable; its arguments fit the others") \
  X(Dominance,        "dominance",         "a value is defined on every path to its use; a handler's arguments on every path to the start of the block it protects") \
  /* -- typing of instructions */                                                                                       \
  X(Suffix,           "suffix",            "an instruction has a type suffix that its row in opcodes.def allows")         \
  X(OperandCount,     "operand_count",     "an instruction has the operands that its row and its symbol ask for")         \
  X(OperandTypes,     "operand_types",     "operands have the types that the row and the symbol ask for")                 \
  X(ReturnType,       "return_type",       "return gives what the function declares")                                    \
  X(ResultType,       "result_type",       "the result has the type that the row and the symbol give")                    \
  X(Instantiable,     "instantiable",      "new names a class that is neither abstract nor an interface")                 \
  X(CallKind,         "call_kind",         "call_virtual names a method of a class, call_interface one of an interface")  \
  X(TypeOperand,      "type_operand",      "casts and tests name a reference type, new_array an element type")            \
  X(ArrayCopy,        "array_copy",        "array_copy is between arrays of the same primitive type or of references")    \
  X(AtomicTypes,      "atomic_types",      "add works on i32 and i64, cas and swap on these and references")              \
  X(FinalStores,      "final_stores",      "a final field is stored only by functions named 'Class.' and something, or by the initialiser, of the class that declares it, and never atomically") \
  X(RuntimeFields,    "runtime_fields",    "Thread.id, Thread.state and Throwable.trace are stored only by the runtime")   \
  X(ThreadFunction,   "thread_function",   "a function that a thread starts with gives no result")                        \
  /* -- optimised bodies */                                                                                             \
  X(StoredForm,       "stored_form",       "only optimised bodies hold markers, flags and frame states")                  \
  X(StatePresent,     "state_present",     "every safepoint of an optimised body has a frame state")                      \
  X(StateChain,       "state_chain",       "a frame state names a resume point of its baseline; outer states are at calls and the chain ends") \
  X(StateSlots,       "state_slots",       "the slots of a frame state match the live slots of the baseline in number and type") \
  X(VirtualObjects,   "virtual_objects",   "a virtual object has a class that can be instantiated and a fitting source for each field")
// clang-format on

enum class Invariant : uint8_t {
#define JVMC_INVARIANT(name, text, sentence) name,
  JVMC_INVARIANTS(JVMC_INVARIANT)
#undef JVMC_INVARIANT
};

/// "operand_types".
std::string_view invariantName(Invariant invariant);
/// What always holds.
std::string_view invariantSentence(Invariant invariant);

/// What an error is about; the members that count follow from `kind`.
struct VerifyPlace {
  enum class Kind : uint8_t { Module, Class, Field, Static, Method, Native, Function, Block, Instr, FrameState };
  static constexpr uint32_t kNone = ~0u;
  Kind kind = Kind::Module;
  ClassId cls = {};
  FunctionId function = {};
  BlockId block = {};
  uint32_t index = kNone;    ///< of the member, native, instruction in its block, or frame state
  uint32_t operand = kNone;  ///< Instr: of the operand that is meant, if it is one
  uint32_t target = kNone;   ///< Instr: of the branch target that is meant, if it is one
};

struct VerifyError {
  Invariant invariant;
  std::string message;
  SourceLoc loc;
  VerifyPlace place;
};

/// Checks declarations and all bodies. At most `limit` errors.
std::vector<VerifyError> verifyModule(const Module& module, size_t limit = 20);
/// Checks the declarations only (cheap; done when a stored module is opened).
std::vector<VerifyError> verifyDeclarations(const Module& module, size_t limit = 20);
/// Checks one body against its declaration; the declarations must have passed. Optimised bodies may hold markers, flags
/// and frame states; as they may be continuations, their entry parameters are not compared with the declaration's.
std::vector<VerifyError> verifyBody(const Module& module, FunctionId function, const FunctionBody& body,
                                    size_t limit = 20);
/// As verifyBody for a body that was just read: refuses optimised forms, first error as a Status.
Status verifyStoredBody(const Module& module, FunctionId function, const FunctionBody& body);

}  // namespace jvmc::ir
