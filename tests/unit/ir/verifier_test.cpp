// Invariants that a text cannot break, because the parser refuses it first or has no words for it: modules broken by
// hand. Together with the files of tests/golden/verify they must cover the whole list of verifier.h.
#include "ir/verifier.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <map>

#include "ir/builder.h"

namespace jvmc::ir {
namespace {

/// func @f(i32) -> i32 with blocks: entry (%s = add %n, 1; br next(%s)), next(%p) (return %p). Values: n 0, s 1, p 2,
/// the constant 3.
std::unique_ptr<Module> smallModule(const std::function<void(Module&, FunctionBody&)>& breakIt) {
  ModuleBuilder builder("small");
  FunctionId f = builder.declareFunction("f", {kI32}, kI32);
  FunctionBuilder b(builder.module(), f);
  BlockId next = b.createBlock("next", {kI32});
  b.emitBr(next, {b.emitAdd(kI32, b.param(0), b.i32(1))});
  b.switchTo(next);
  b.emitReturn(b.param(next, 0));
  FunctionBody body = b.take();
  std::unique_ptr<Module> module = builder.finish();
  breakIt(*module, body);
  module->setBody(f, std::move(body));
  return module;
}

struct Case {
  Invariant invariant;
  const char* what;
  std::function<void(Module&, FunctionBody&)> breakIt;
};

Instr& firstInstr(FunctionBody& body) {
  return body.blocks[0].instrs[0];
}

const std::vector<Case>& brokenModules() {
  static const std::vector<Case> cases = {
      {Invariant::Types, "reference to a class out of range",
       [](Module& m, FunctionBody&) { m.types.ref(ClassId(999)); }},
      {Invariant::Types, "array of a type out of range", [](Module& m, FunctionBody&) { m.types.array(TypeId(999)); }},
      {Invariant::Types, "array of void", [](Module& m, FunctionBody&) { m.types.array(kVoid); }},
      {Invariant::Types, "256 dimensions",
       [](Module& m, FunctionBody&) {
         TypeId type = kI32;
         for (int i = 0; i < 256; ++i) type = m.types.array(type);
       }},
      {Invariant::Builtins, "Throwable without its fields",
       [](Module& m, FunctionBody&) { m.classes[builtin::kIndexThrowable].fields.clear(); }},
      {Invariant::Builtins, "another class called builtin",
       [](Module& m, FunctionBody&) {
         ClassDecl decl;
         decl.name = "Mine";
         decl.super = builtin::kObject;
         decl.isBuiltin = true;
         m.addClass(decl);
       }},
      {Invariant::Names, "two functions of one name",
       [](Module& m, FunctionBody&) { m.addFunction({"f", {}, kVoid, {}}); }},
      {Invariant::Names, "an empty name",
       [](Module& m, FunctionBody&) { m.addNative({"", {}, kVoid, NativeEffect::Pure, {}}); }},
      {Invariant::Ids, "a parameter of a type out of range",
       [](Module& m, FunctionBody&) { m.functions[0].params[0] = TypeId(999); }},
      {Invariant::Ids, "entry out of range", [](Module& m, FunctionBody&) { m.entry = FunctionId(7); }},
      {Invariant::Ids, "superclass out of range",
       [](Module& m, FunctionBody&) {
         ClassDecl decl;
         decl.name = "Mine";
         decl.super = ClassId(99);
         m.addClass(decl);
       }},
      {Invariant::Ids, "operand out of range",
       [](Module&, FunctionBody& b) { firstInstr(b).operands[0] = ValueId(99); }},
      {Invariant::Ids, "no operand at all", [](Module&, FunctionBody& b) { firstInstr(b).operands[0] = ValueId(); }},
      {Invariant::Ids, "target out of range",
       [](Module&, FunctionBody& b) { b.blocks[0].instrs[1].targets[0].block = BlockId(9); }},
      {Invariant::Ids, "handler out of range",
       [](Module&, FunctionBody& b) { b.blocks[1].handler = BlockCall{BlockId(9), {}}; }},
      {Invariant::Ids, "unknown opcode", [](Module&, FunctionBody& b) { firstInstr(b).op = Opcode::kCount; }},
      {Invariant::Ids, "suffix out of range", [](Module&, FunctionBody& b) { firstInstr(b).type = TypeId(999); }},
      {Invariant::Ids, "byte literal out of range",
       [](Module&, FunctionBody& b) {
         firstInstr(b).op = Opcode::kNewBytes;
         firstInstr(b).symbol.member = 3;
       }},
      {Invariant::Ids, "field of a class that has none",
       [](Module&, FunctionBody& b) {
         firstInstr(b).op = Opcode::kLoadField;
         firstInstr(b).symbol.owner = builtin::kObject;
       }},
      {Invariant::Locations, "file out of range", [](Module&, FunctionBody& b) { firstInstr(b).loc.file = 5; }},
      {Invariant::Limits, "too many blocks", [](Module&, FunctionBody& b) { b.blocks.resize((1u << 20) + 1); }},
      {Invariant::Bodies, "no blocks", [](Module&, FunctionBody& b) { b.blocks.clear(); }},
      {Invariant::Bodies, "a function without a body",
       [](Module& m, FunctionBody&) { m.addFunction({"g", {}, kVoid, {}}); }},
      {Invariant::EntryBlock, "a branch to the entry",
       [](Module&, FunctionBody& b) { b.blocks[0].instrs[1].targets[0] = {BlockId(0), {}}; }},
      {Invariant::EntryBlock, "one parameter less than the function",
       [](Module& m, FunctionBody&) { m.functions[0].params.push_back(kI64); }},
      {Invariant::Terminators, "an empty block", [](Module&, FunctionBody& b) { b.blocks[1].instrs.clear(); }},
      {Invariant::Values, "defined twice", [](Module&, FunctionBody& b) { b.blocks[1].params[0] = ValueId(0); }},
      {Invariant::Values, "defined elsewhere than its entry says",
       [](Module&, FunctionBody& b) { b.values[1].block = BlockId(1); }},
      {Invariant::Values, "a block out of range", [](Module&, FunctionBody& b) { b.values[1].block = BlockId(77); }},
      {Invariant::Values, "a value of type i8", [](Module&, FunctionBody& b) { b.values[3].type = kI8; }},
      {Invariant::Values, "an i32 constant of 33 bits",
       [](Module&, FunctionBody& b) { b.values[3].constant = uint64_t(1) << 32; }},
      {Invariant::Values, "a reference constant that is not null",
       [](Module&, FunctionBody& b) {
         b.values[3].type = kNull;
         b.values[3].constant = 1;
       }},
      {Invariant::Values, "an unknown kind", [](Module&, FunctionBody& b) { b.values[3].kind = Value::Kind(9); }},
      {Invariant::Targets, "a branch without target",
       [](Module&, FunctionBody& b) { b.blocks[0].instrs[1].targets.clear(); }},
      {Invariant::Targets, "an addition with a target",
       [](Module&, FunctionBody& b) { firstInstr(b).targets.push_back({BlockId(1), {ValueId(0)}}); }},
      {Invariant::Dominance, "a value that nothing defines",
       [](Module&, FunctionBody& b) {
         b.values.push_back({Value::Kind::Result, kI32, BlockId(0), 0, ""});
         b.blocks[1].instrs[0].operands[0] = ValueId(uint32_t(b.values.size() - 1));
       }},
      {Invariant::Suffix, "an integer operation on references",
       [](Module&, FunctionBody& b) { firstInstr(b).type = kNull; }},
      {Invariant::ResultType, "no result", [](Module&, FunctionBody& b) { firstInstr(b).result = ValueId(); }},
      {Invariant::ResultType, "a result of another type", [](Module&, FunctionBody& b) { b.values[1].type = kI64; }},
      {Invariant::ResultType, "a branch with a result",
       [](Module&, FunctionBody& b) {
         b.values.push_back({Value::Kind::Result, kI32, BlockId(1), 0, ""});
         b.blocks[1].instrs[0].result = ValueId(uint32_t(b.values.size() - 1));
       }},
      {Invariant::TypeOperand, "an array of nulls",
       [](Module&, FunctionBody& b) {
         firstInstr(b).op = Opcode::kNewArray;
         firstInstr(b).operands = {ValueId(0)};
         firstInstr(b).symbol.type = kNull;
       }},
      {Invariant::StoredForm, "a flag in a body that calls itself optimised",
       [](Module&, FunctionBody& b) {
         firstInstr(b).flags = kNoNullCheck;
         b.optimised = true;
       }},
  };
  return cases;
}

TEST(Verifier, AcceptsTheModuleThatTheCasesBreak) {
  std::unique_ptr<Module> module = smallModule([](Module&, FunctionBody&) {});
  for (const VerifyError& error : verifyModule(*module)) ADD_FAILURE() << error.message;
}

TEST(Verifier, FindsEachInvariantThatABrokenModuleBreaks) {
  for (const Case& c : brokenModules()) {
    std::unique_ptr<Module> module = smallModule(c.breakIt);
    std::vector<VerifyError> errors = verifyModule(*module);
    bool found = false;
    std::string all;
    for (const VerifyError& error : errors) {
      found = found || error.invariant == c.invariant;
      all += std::string(invariantName(error.invariant)) + ": " + error.message + "\n";
    }
    EXPECT_TRUE(found) << invariantName(c.invariant) << ", " << c.what << "; found:\n" << all;
  }
}

TEST(Verifier, EveryInvariantHasATestThatBreaksIt) {
  std::map<std::string, bool> covered;
#define JVMC_INVARIANT(name, text, sentence) covered[text] = false;
  JVMC_INVARIANTS(JVMC_INVARIANT)
#undef JVMC_INVARIANT
  for (const Case& c : brokenModules()) covered[std::string(invariantName(c.invariant))] = true;
  for (const auto& file :
       std::filesystem::directory_iterator(std::filesystem::path(JVMC_SOURCE_DIR) / "tests/golden/verify"))
    for (auto& [name, isCovered] : covered)
      isCovered = isCovered || (file.path().extension() == ".ir" && file.path().filename().string().starts_with(name));
  for (const auto& [name, isCovered] : covered) EXPECT_TRUE(isCovered) << "nothing breaks " << name;
}

TEST(Verifier, StopsAtItsLimit) {
  std::unique_ptr<Module> module = smallModule([](Module& m, FunctionBody&) {
    for (int i = 0; i < 10; ++i) m.addNative({"same", {}, kVoid, NativeEffect::Pure, {}});
  });
  EXPECT_EQ(verifyModule(*module, 3).size(), 3u);
}

TEST(Verifier, ADiamondOfManyInterfacesIsQuick) {
  // 2^60 paths lead from the last interface to the first: each must be looked at once only.
  ModuleBuilder builder;
  ClassId below = builder.addClass("I0", {.isInterface = true, .isAbstract = true});
  ClassId first = below;
  for (int i = 1; i < 60; ++i) {
    ClassId left =
        builder.addClass("L" + std::to_string(i), {.interfaces = {below}, .isInterface = true, .isAbstract = true});
    ClassId right =
        builder.addClass("R" + std::to_string(i), {.interfaces = {below}, .isInterface = true, .isAbstract = true});
    below = builder.addClass("I" + std::to_string(i),
                             {.interfaces = {left, right}, .isInterface = true, .isAbstract = true});
  }
  std::unique_ptr<Module> module = builder.finish();
  EXPECT_TRUE(verifyModule(*module).empty());
  EXPECT_TRUE(module->isSubclass(below, first));
  EXPECT_FALSE(module->isSubclass(first, below));
}

TEST(Verifier, AVeryLongChainOfBlocksIsNoProblem) {
  ModuleBuilder builder;
  FunctionId f = builder.declareFunction("f", {});
  FunctionBuilder b(builder.module(), f);
  for (int i = 0; i < 100000; ++i) {
    BlockId next = b.createBlock();
    b.emitBr(next);
    b.switchTo(next);
  }
  b.emitReturn();
  b.finish();
  EXPECT_TRUE(verifyModule(*builder.finish()).empty());
}

TEST(Verifier, AHugeSwitchIsNoProblem) {
  ModuleBuilder builder;
  FunctionId f = builder.declareFunction("f", {kI32});
  FunctionBuilder b(builder.module(), f);
  std::vector<FunctionBuilder::Case> cases;
  for (int32_t i = 0; i < 100000; ++i) cases.push_back({i, {b.createBlock(), {}}});
  BlockId otherwise = cases[0].target.block;
  b.emitSwitch(b.param(0), {otherwise, {}}, cases);
  for (const FunctionBuilder::Case& c : cases) {
    b.switchTo(c.target.block);
    b.emitSwitch(b.param(0), {cases.back().target.block, {}}, {{1, cases[1].target}});
  }
  b.finish();
  EXPECT_TRUE(verifyModule(*builder.finish()).empty());
}

}  // namespace
}  // namespace jvmc::ir
