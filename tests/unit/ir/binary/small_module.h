// A small valid module that has one of everything the binary form must carry.
#pragma once

#include "tests/unit/ir/body_maker.h"

namespace jvmc::ir::test {

inline std::unique_ptr<Module> smallModule() {
  auto module = std::make_unique<Module>();
  module->name = "small";
  uint32_t file = module->addFile("src/Small.java");
  TypeId bytes = module->types.array(kI8);

  ClassDecl shape;
  shape.name = "Shape";
  shape.super = builtin::kObject;
  shape.isInterface = true;
  shape.isAbstract = true;
  shape.methods.push_back({"area", {}, kI32, {}, {file, 3, 5}});
  ClassId shapeId = module->addClass(shape);

  ClassDecl square;
  square.name = "Square";
  square.super = builtin::kObject;
  square.interfaces = {shapeId};
  square.fields.push_back({"side", kI32, true, false, {file, 8, 3}});
  square.fields.push_back({"hits", kI64, false, true, {}});
  square.statics.push_back({"label", bytes, false, false, {}});
  square.methods.push_back({"area", {}, kI32, FunctionId(0), {}});
  ClassId squareId = module->addClass(square);
  TypeId squareType = module->types.ref(squareId);

  NativeDecl print;
  print.name = "print";
  print.params = {bytes};
  print.effect = NativeEffect::Outside;
  NativeId printId = module->addNative(print);
  uint32_t hello = module->addByteLiteral(std::string_view("hello\0\xff", 7));

  {
    BodyMaker m;
    BlockId entry = m.block();
    ValueId self = m.param(entry, squareType);
    m.body[self].name = "self";
    ValueId side = m.op(entry, Opcode::kLoadField, {self}, kI32, {{}, squareId, 0});
    m.body[entry].instrs.back().type = {};
    m.body[entry].instrs.back().loc = {file, 12, 9};
    ValueId area = m.op(entry, Opcode::kMul, {side, side});
    m.ret(entry, {area});
    module->addFunction({"Square.area", {squareType}, kI32, {file, 11, 1}});
    module->setBody(FunctionId(0), std::move(m.body));
  }
  {
    BodyMaker m;
    BlockId entry = m.block(), tried = m.block(), caught = m.block(), other = m.block();
    m.body[entry].name = "entry";
    m.body[tried].name = "tried";
    ValueId n = m.param(entry);
    m.br(entry, tried);
    m.body[tried].handler = BlockCall{caught, {n}};
    ValueId q = m.op(tried, Opcode::kDiv, {m.constant(100), n});
    Instr& choose = m.add(tried, Opcode::kSwitch, {q});
    choose.targets = {{other, {q}}, {other, {m.constant(7)}}};
    choose.cases = {-1};
    m.param(caught, module->types.ref(builtin::kThrowable));
    ValueId k = m.param(caught);
    ValueId text = m.op(caught, Opcode::kNewBytes, {}, bytes, {{}, {}, hello});
    m.body[caught].instrs.back().type = {};
    m.add(caught, Opcode::kCallNative, {text}, {{}, {}, printId.value});
    m.ret(caught, {k});
    ValueId r = m.param(other);
    m.ret(other, {r});
    module->addFunction({"choose", {kI32}, kI32, {}});
    module->setBody(FunctionId(1), std::move(m.body));
  }
  {
    BodyMaker m;
    BlockId entry = m.block();
    ValueId r = m.op(entry, Opcode::kCall, {m.constant(4)}, kI32, {{}, {}, 1});
    m.body[entry].instrs.back().type = {};
    m.ret(entry, {r});
    module->entry = module->addFunction({"main", {}, kI32, {}});
    module->setBody(module->entry, std::move(m.body));
  }
  return module;
}

}  // namespace jvmc::ir::test
