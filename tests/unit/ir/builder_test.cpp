// A program built by hand is valid and prints as one would write it.
#include "ir/builder.h"

#include <gtest/gtest.h>

#include "ir/lookup.h"
#include "ir/text/printer.h"
#include "ir/verifier.h"

namespace jvmc::ir {
namespace {

std::string printed(const Module& module) {
  for (const VerifyError& error : verifyModule(module)) ADD_FAILURE() << error.message;
  return *text::printModule(module, {.locations = false});
}

TEST(Builder, MakesALoop) {
  ModuleBuilder program("demo");
  FunctionId sum = program.declareFunction("sum", {kI32}, kI64);
  FunctionBuilder b(program.module(), sum);
  b.setName(b.param(0), "n");
  BlockId loop = b.createBlock("loop", {kI32, kI64}), body = b.createBlock("body"), done = b.createBlock("done");
  b.emitBr(loop, {b.i32(0), b.i64(0)});
  b.switchTo(loop);
  ValueId i = b.param(loop, 0), s = b.param(loop, 1);
  b.emitBrIf(b.emitLt(kI32, i, b.param(0)), body, done);
  b.switchTo(body);
  b.emitBr(loop, {b.emitAdd(kI32, i, b.i32(1)), b.emitAdd(kI64, s, b.emitI32ToI64(i))});
  b.switchTo(done);
  b.emitReturn(s);
  b.finish();
  EXPECT_EQ(printed(*program.finish()),
            "module \"demo\"\n"
            "\n"
            "func @sum(%n: i32) -> i64 {\n"
            "  br loop(0, 0)\n"
            "loop(%0: i32, %1: i64):\n"
            "  %2 = lt.i32 %0, %n\n"
            "  br_if %2, body, done\n"
            "body:\n"
            "  %3 = add.i32 %0, 1\n"
            "  %4 = i32_to_i64 %0\n"
            "  %5 = add.i64 %1, %4\n"
            "  br loop(%3, %5)\n"
            "done:\n"
            "  return %1\n"
            "}\n");
}

TEST(Builder, MakesClassesCallsAndHandlers) {
  ModuleBuilder program;
  NativeId print = program.declareNative("print", {program.array(kI8)}, kVoid, NativeEffect::Outside);
  ClassId shape = program.addClass("Shape", {.isInterface = true, .isAbstract = true});
  SymbolRef area = program.addMethod(shape, "area", {}, kF64);
  ClassId square = program.addClass("Square", {.interfaces = {shape}});
  SymbolRef side = program.addField(square, "side", kF64);
  SymbolRef count = program.addStatic(square, "count", kI32, {.isVolatile = true});
  FunctionId areaOf = program.declareFunction("Square.area", {program.ref(square)}, kF64);
  program.addMethod(square, "area", {}, kF64, areaOf);
  FunctionId main = program.declareFunction("main", {}, kI32);
  {
    FunctionBuilder b(program.module(), areaOf);
    ValueId s = b.emitLoadField(side, b.param(0));
    b.emitReturn(b.emitMul(kF64, s, s));
    b.finish();
  }
  {
    FunctionBuilder b(program.module(), main);
    BlockId handler = b.createBlock("failed", {program.ref(builtin::kThrowable), kI32});
    b.setHandler(b.entry(), handler, {b.i32(7)});
    ValueId o = b.emitNew(square);
    b.emitStoreField(side, o, b.f64(2.0));
    b.emitStoreStatic(count, b.i32(1));
    b.emitCallInterface(area, o);
    b.emitCallNative(print, b.emitNewBytes("hi\n"));
    ValueId direct = b.emitCall(areaOf, std::vector<ValueId>{o});
    b.emitSwitch(b.emitF64ToI32(direct), {handler, {b.null(), b.i32(1)}}, {{4, {handler, {b.null(), b.i32(0)}}}});
    b.switchTo(handler);
    b.emitReturn(b.param(handler, 1));
    b.finish();
  }
  std::unique_ptr<Module> module = program.finish();
  EXPECT_EQ(module->entry, main) << "main is the entry unless another is set";
  EXPECT_NE(printed(*module).find("entry handler failed(7):\n"
                                  "  %0 = new Square\n"
                                  "  store_field %0, Square.side, 2.0\n"
                                  "  store_static Square.count, 1\n"
                                  "  %1 = call_interface %0, Shape.area()\n"
                                  "  %2 = new_bytes \"hi\\n\"\n"
                                  "  call_native @print(%2)\n"
                                  "  %3 = call @Square.area(%0)\n"
                                  "  %4 = f64_to_i32 %3\n"
                                  "  switch %4, failed(null, 1) [4: failed(null, 0)]\n"),
            std::string::npos)
      << printed(*module);
}

TEST(Builder, NumbersValuesInTheOrderOfTheText) {
  // Slot order, and with it the frame format, follows the numbers: they must not depend on the order of building.
  ModuleBuilder program;
  FunctionId f = program.declareFunction("f", {kI32}, kI32);
  FunctionBuilder b(program.module(), f);
  BlockId second = b.createBlock("second"), third = b.createBlock("third", {kI32});
  b.switchTo(third);
  b.emitReturn(b.emitAdd(kI32, b.param(third, 0), b.i32(1)));
  b.switchTo(second);
  ValueId early = b.emitNeg(kI32, b.param(0));
  b.emitBr(third, {early});
  b.switchTo(b.entry());
  b.emitBr(second);
  FunctionBody body = b.take();
  EXPECT_EQ(body.blocks[0].params[0], ValueId(0));
  EXPECT_EQ(body.blocks[1].instrs[0].result, ValueId(1));
  EXPECT_EQ(body.blocks[2].params[0], ValueId(2));
  EXPECT_EQ(body.blocks[2].instrs[0].result, ValueId(3));
}

TEST(Lookup, FindsMembersUpTheHierarchyWhereTheyAreDeclared) {
  ModuleBuilder program;
  ClassId top = program.addClass("Top", {.isInterface = true, .isAbstract = true});
  SymbolRef m = program.addMethod(top, "m", {}, kVoid);
  ClassId base = program.addClass("Base", {.interfaces = {top}, .isAbstract = true});
  SymbolRef x = program.addField(base, "x", kI32);
  ClassId derived = program.addClass("Derived", {.super = base});
  SymbolRef hidden = program.addField(derived, "y", kI32);
  const Module& module = program.module();
  EXPECT_EQ(findField(module, derived, "x"), x);
  EXPECT_EQ(findField(module, derived, "y"), hidden);
  EXPECT_EQ(findMethod(module, derived, "m"), m);
  EXPECT_FALSE(findStatic(module, derived, "x"));
  EXPECT_EQ(instanceFields(module, derived), (std::vector<SymbolRef>{x, hidden})) << "superclass first";
}

TEST(Lookup, EndsOnACyclicHierarchy) {
  ModuleBuilder program;
  ClassId a = program.addClass("A"), b = program.addClass("B", {.super = a});
  program.module().classes[a.index()].super = b;
  EXPECT_FALSE(findField(program.module(), a, "x"));
  EXPECT_EQ(supertypes(program.module(), a), (std::vector<ClassId>{a, b}));
}

}  // namespace
}  // namespace jvmc::ir
