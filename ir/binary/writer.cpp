// Builds the Cap'n Proto message table by table. Deterministic because it walks every table in order and the message
// builder, whose sizes are fixed here, places things in the order it is asked for them.
#include "ir/binary/writer.h"

#include <capnp/message.h>
#include <capnp/serialize.h>

#include "binary/module.capnp.h"
#include "ir/binary/format.h"
#include "ir/support/write_file.h"

namespace jvmc::ir {
namespace {

template <class Ids, class List>
void putIds(const Ids& ids, List list) {
  for (uint32_t i = 0; i < ids.size(); ++i) list.set(i, ids[i].value);
}

template <class Loc>
void putLoc(const SourceLoc& from, Loc to) {
  to.setFile(from.file);
  to.setLine(from.line);
  to.setColumn(from.column);
}

::capnp::Text::Reader text(const std::string& s) {
  return {s.c_str(), s.size()};
}

uint32_t count(size_t n) {
  JVMC_CHECK(n < (1u << 29), n);  // what a Cap'n Proto list can hold
  return uint32_t(n);
}

class ModuleWriter {
 public:
  explicit ModuleWriter(const Module& module) : module_(module) {}

  Result<std::vector<uint8_t>> run() {
    ::capnp::MallocMessageBuilder message(1u << 12, ::capnp::AllocationStrategy::GROW_HEURISTICALLY);
    auto root = message.initRoot<schema::Module>();
    putTables(root);
    if (Status bodies = putFunctions(root.initFunctions(count(module_.functions.size()))); !bodies.ok())
      return bodies.error();
    auto words = ::capnp::messageToFlatArray(message);
    auto content = words.asBytes();
    std::span<const uint8_t> bytes(content.begin(), content.size());
    std::string header = makeHeader(bytes);
    std::vector<uint8_t> file(header.begin(), header.end());
    file.insert(file.end(), bytes.begin(), bytes.end());
    return file;
  }

 private:
  void putTables(schema::Module::Builder to) {
    to.setName(text(module_.name));
    to.setEntry(module_.entry.value);
    auto files = to.initFiles(count(module_.files.size()));
    for (uint32_t i = 0; i < files.size(); ++i) files.set(i, text(module_.files[i]));
    auto opcodes = to.initOpcodes(kOpcodeCount);
    for (uint32_t i = 0; i < kOpcodeCount; ++i) opcodes.set(i, std::string(opInfo(Opcode(i)).mnemonic).c_str());
    auto types = to.initTypes(count(module_.types.size()));
    for (uint32_t i = 0; i < types.size(); ++i) {
      types[i].setKind(uint16_t(module_.types[TypeId(i)].kind));
      types[i].setPayload(module_.types[TypeId(i)].payload);
    }
    auto classes = to.initClasses(count(module_.classes.size()));
    for (uint32_t i = 0; i < classes.size(); ++i) putClass(module_.classes[i], classes[i]);
    auto natives = to.initNatives(count(module_.natives.size()));
    for (uint32_t i = 0; i < natives.size(); ++i) putNative(module_.natives[i], natives[i]);
    auto literals = to.initByteLiterals(count(module_.byteLiterals.size()));
    for (uint32_t i = 0; i < literals.size(); ++i) {
      const std::string& bytes = module_.byteLiterals[i];
      literals.set(i, {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    }
  }

  void putField(const FieldDecl& from, schema::Field::Builder to) {
    to.setName(text(from.name));
    to.setType(from.type.value);
    to.setIsFinal(from.isFinal);
    to.setIsVolatile(from.isVolatile);
    putLoc(from.loc, to.initLoc());
  }

  void putClass(const ClassDecl& from, schema::Class::Builder to) {
    to.setName(text(from.name));
    to.setSuper(from.super.value);
    putIds(from.interfaces, to.initInterfaces(count(from.interfaces.size())));
    auto fields = to.initFields(count(from.fields.size()));
    for (uint32_t i = 0; i < fields.size(); ++i) putField(from.fields[i], fields[i]);
    auto statics = to.initStatics(count(from.statics.size()));
    for (uint32_t i = 0; i < statics.size(); ++i) putField(from.statics[i], statics[i]);
    auto methods = to.initMethods(count(from.methods.size()));
    for (uint32_t i = 0; i < methods.size(); ++i) {
      const MethodDecl& method = from.methods[i];
      putSignature(method, methods[i]);
      methods[i].setImplementation(method.implementation.value);
    }
    to.setInitializer(from.initializer.value);
    to.setIsInterface(from.isInterface);
    to.setIsAbstract(from.isAbstract);
    to.setIsImmutable(from.isImmutable);
    to.setIsBuiltin(from.isBuiltin);
    putLoc(from.loc, to.initLoc());
  }

  template <class Decl, class Builder>
  void putSignature(const Decl& from, Builder to) {
    to.setName(text(from.name));
    putIds(from.params, to.initParams(count(from.params.size())));
    to.setResult(from.result.value);
    putLoc(from.loc, to.initLoc());
  }

  void putNative(const NativeDecl& from, schema::Native::Builder to) {
    putSignature(from, to);
    to.setEffect(uint16_t(from.effect));
  }

  Status putFunctions(::capnp::List<schema::Function>::Builder to) {
    for (uint32_t i = 0; i < to.size(); ++i) {
      FunctionId f(i);
      putSignature(module_[f], to[i]);
      auto body = module_.body(f);
      if (!body.ok()) return body.error();
      JVMC_CHECK(!(*body)->optimised, module_[f].name);
      FunctionHash hash = module_.hash(f);
      to[i].setHashHigh(hash.high);
      to[i].setHashLow(hash.low);
      putBody(**body, to[i].initBody());
    }
    return Unit{};
  }

  void putBody(const FunctionBody& from, schema::Body::Builder to) {
    auto values = to.initValues(count(from.values.size()));
    for (uint32_t i = 0; i < values.size(); ++i) {
      const Value& value = from.values[i];
      values[i].setType(value.type.value);
      values[i].setIsConstant(value.kind == Value::Kind::Const);
      values[i].setConstant(value.constant);
      if (!value.name.empty()) values[i].setName(text(value.name));
    }
    auto blocks = to.initBlocks(count(from.blocks.size()));
    for (uint32_t i = 0; i < blocks.size(); ++i) putBlock(from.blocks[i], blocks[i]);
  }

  void putBlock(const Block& from, schema::Block::Builder to) {
    to.setName(text(from.name));
    putIds(from.params, to.initParams(count(from.params.size())));
    if (from.handler) putTarget(*from.handler, to.initHandler());
    putLoc(from.loc, to.initLoc());
    auto instrs = to.initInstrs(count(from.instrs.size()));
    for (uint32_t i = 0; i < instrs.size(); ++i) putInstr(from.instrs[i], instrs[i]);
  }

  void putTarget(const BlockCall& from, schema::Target::Builder to) {
    to.setBlock(from.block.value);
    putIds(from.args, to.initArgs(count(from.args.size())));
  }

  void putInstr(const Instr& from, schema::Instr::Builder to) {
    to.setOp(uint16_t(from.op));
    to.setType(from.type.value);
    to.setResult(from.result.value);
    putSymbol(from, to);
    putLoc(from.loc, to);
    if (!from.operands.empty()) putIds(from.operands, to.initOperands(count(from.operands.size())));
    if (!from.targets.empty()) {
      auto targets = to.initTargets(count(from.targets.size()));
      for (uint32_t i = 0; i < targets.size(); ++i) putTarget(from.targets[i], targets[i]);
    }
    if (!from.cases.empty()) {
      auto cases = to.initCases(count(from.cases.size()));
      for (uint32_t i = 0; i < cases.size(); ++i) cases.set(i, from.cases[i]);
    }
  }

  void putSymbol(const Instr& from, schema::Instr::Builder to) {
    switch (from.info().symbol) {
      case Symbol::None:
        return;
      case Symbol::Type:
        return to.setSymbol(from.symbol.type.value);
      case Symbol::Class:
        return to.setSymbol(from.symbol.owner.value);
      case Symbol::Function:
      case Symbol::Native:
      case Symbol::Bytes:
        return to.setSymbol(from.symbol.member);
      case Symbol::Field:
      case Symbol::Static:
      case Symbol::Method:
        to.setSymbol(from.symbol.owner.value);
        return to.setMember(from.symbol.member);
    }
  }

  const Module& module_;
};

}  // namespace

Result<std::vector<uint8_t>> writeModuleBytes(const Module& module) {
  return ModuleWriter(module).run();
}

Status writeModule(const Module& module, const std::string& path) {
  auto bytes = writeModuleBytes(module);
  if (!bytes.ok()) return bytes.error();
  return writeFile(path, {reinterpret_cast<const char*>(bytes->data()), bytes->size()});
}

}  // namespace jvmc::ir
