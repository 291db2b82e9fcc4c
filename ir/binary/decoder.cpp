// A failed check throws BadModule, an exception that does not leave this file: checks stand in dozens of places, and
// the code reads like a description of the format this way.
#include "ir/binary/decoder.h"

#include <capnp/serialize.h>

#include "binary/module.capnp.h"

namespace jvmc::ir {
namespace {

constexpr uint32_t kArrayDepthLimit = 255;  // as in class files; types are walked recursively

struct BadModule {
  std::string what;
};

template <class... Args>
void require(bool condition, fmt::format_string<Args...> what, Args&&... args) {
  if (!condition) throw BadModule{fmt::format(what, std::forward<Args>(args)...)};
}

/// A message reader of the content that gives up after reading about twice as much as there is: pointers of a hostile
/// message may share their targets.
class Message {
 public:
  explicit Message(std::span<const uint8_t> content)
      : reader_(kj::arrayPtr(reinterpret_cast<const ::capnp::word*>(content.data()), content.size() / 8),
                options(content.size() / 8)) {}
  schema::Module::Reader root() { return reader_.getRoot<schema::Module>(); }

 private:
  static ::capnp::ReaderOptions options(uint64_t words) {
    ::capnp::ReaderOptions options;
    options.traversalLimitInWords = 2 * words + 64;
    return options;
  }
  ::capnp::FlatArrayMessageReader reader_;
};

std::string toString(::capnp::Text::Reader text) {
  return {text.cStr(), text.size()};
}

class Decoder {
 public:
  Decoder(const Module& module, const DecodeMaps& maps) : module_(module), maps_(maps) {}

  TypeId type(uint32_t id) const {
    require(id < maps_.types.size(), "there is no type {}", id);
    return maps_.types[id];
  }
  ClassId classId(uint32_t id) const {
    require(id < maps_.classes.size(), "there is no class {}", id);
    return maps_.classes[id];
  }
  FunctionId functionOrNone(uint32_t id, size_t functions) const {
    require(id < functions || id == schema::NONE, "there is no function {}", id);
    return FunctionId(id);
  }

  template <class Loc>
  SourceLoc loc(Loc from) const {
    require(from.getFile() < module_.files.size(), "there is no source file {}", from.getFile());
    return {from.getFile(), from.getLine(), from.getColumn()};
  }

  std::vector<TypeId> types(::capnp::List<uint32_t>::Reader from) const {
    std::vector<TypeId> to;
    for (uint32_t id : from) to.push_back(type(id));
    return to;
  }

 protected:
  const Module& module_;
  const DecodeMaps& maps_;
};

// ---------------------------------------------------------------- declarations

class DeclarationDecoder : Decoder {
 public:
  DeclarationDecoder(Module& module, DecodeMaps& maps, schema::Module::Reader from)
      : Decoder(module, maps),
        module_(module),
        maps_(maps),
        from_(from),
        classes_(from.getClasses()),
        functions_(from.getFunctions()) {}

  void run() {
    module_.name = toString(from_.getName());
    files();
    opcodes();
    nameClasses();
    typeTable();
    uint32_t next = 0;
    for (auto c : classes_) fillClass(maps_.classes[next++], c);
    functions();
    natives();
    // Not addByteLiteral, which looks for equal ones: positions must stay.
    for (auto bytes : from_.getByteLiterals())
      module_.byteLiterals.emplace_back(reinterpret_cast<const char*>(bytes.begin()), bytes.size());
    module_.entry = functionOrNone(from_.getEntry(), module_.functions.size());
  }

 private:
  void files() {
    module_.files.clear();
    for (auto file : from_.getFiles()) module_.files.push_back(toString(file));
    require(!module_.files.empty(), "it has no table of source files");
  }

  void opcodes() {
    for (auto mnemonic : from_.getOpcodes()) {
      maps_.opcodeNames.push_back(toString(mnemonic));
      maps_.opcodes.push_back(opcodeFromMnemonic(maps_.opcodeNames.back()).value_or(Opcode::kCount));
    }
  }

  // Types name classes and classes name types: first only the classes' names, to have their ids.
  void nameClasses() {
    for (auto from : classes_) {
      std::string className = toString(from.getName());
      if (from.getIsBuiltin()) {
        ClassId id = module_.findClass(className);
        require(id.valid() && module_[id].isBuiltin, "there is no built-in class '{}'", className);
        maps_.classes.push_back(id);
        continue;
      }
      ClassDecl decl;
      decl.name = std::move(className);
      maps_.classes.push_back(module_.addClass(std::move(decl)));
    }
  }

  void typeTable() {
    std::unordered_map<TypeId, uint32_t> depth;
    for (auto from : from_.getTypes()) {
      uint32_t index = uint32_t(maps_.types.size());
      auto kind = TypeKind(from.getKind());
      if (kind == TypeKind::Ref) {
        maps_.types.push_back(module_.types.ref(classId(from.getPayload())));
      } else if (kind == TypeKind::Array) {
        TypeId element = type(from.getPayload());
        require(depth[element] < kArrayDepthLimit, "type {} is an array of too many dimensions", index);
        maps_.types.push_back(module_.types.array(element));
        depth[maps_.types.back()] = depth[element] + 1;
      } else {
        require(index <= kNull.index() && from.getKind() == index, "type {} is of an unknown kind", index);
        maps_.types.push_back(TypeId(index));
      }
    }
  }

  FieldDecl field(schema::Field::Reader from) const {
    return {toString(from.getName()), type(from.getType()), from.getIsFinal(), from.getIsVolatile(),
            loc(from.getLoc())};
  }

  void fillClass(ClassId id, schema::Class::Reader from) {
    ClassDecl& to = module_.classes[id.index()];
    size_t functionCount = functions_.size();
    bool isRoot = from.getSuper() == schema::NONE;
    require(!isRoot || id == builtin::kObject, "class '{}' has no superclass", to.name);
    if (!isRoot) to.super = classId(from.getSuper());
    to.interfaces.clear();
    for (uint32_t i : from.getInterfaces()) to.interfaces.push_back(classId(i));
    fillFields(to, from.getFields());
    to.statics.clear();
    for (auto f : from.getStatics()) to.statics.push_back(field(f));
    to.methods.clear();
    for (auto m : from.getMethods())
      to.methods.push_back({toString(m.getName()), types(m.getParams()), type(m.getResult()),
                            functionOrNone(m.getImplementation(), functionCount), loc(m.getLoc())});
    to.initializer = functionOrNone(from.getInitializer(), functionCount);
    to.isInterface = from.getIsInterface();
    to.isAbstract = from.getIsAbstract();
    to.isImmutable = from.getIsImmutable();
    to.loc = loc(from.getLoc());
  }

  // The runtime knows the fields of built-in classes by position.
  void fillFields(ClassDecl& to, ::capnp::List<schema::Field>::Reader from) {
    std::vector<FieldDecl> fields;
    for (auto f : from) fields.push_back(field(f));
    bool startsAlike = fields.size() >= to.fields.size();
    for (size_t i = 0; startsAlike && i < to.fields.size(); ++i)
      startsAlike = fields[i].name == to.fields[i].name && fields[i].type == to.fields[i].type &&
                    fields[i].isVolatile == to.fields[i].isVolatile;
    require(startsAlike, "the fields of built-in class '{}' differ from this program's", to.name);
    to.fields = std::move(fields);
  }

  void functions() {
    for (auto from : functions_) {
      module_.addFunction(
          {toString(from.getName()), types(from.getParams()), type(from.getResult()), loc(from.getLoc())});
      maps_.hashes.push_back({from.getHashHigh(), from.getHashLow()});
    }
  }

  void natives() {
    for (auto from : from_.getNatives()) {
      require(from.getEffect() <= uint16_t(NativeEffect::Outside), "a native has unknown effect {}", from.getEffect());
      module_.addNative({toString(from.getName()), types(from.getParams()), type(from.getResult()),
                         NativeEffect(from.getEffect()), loc(from.getLoc())});
    }
  }

  Module& module_;
  DecodeMaps& maps_;
  schema::Module::Reader from_;
  // Each call of a getter counts the whole list against the limit: get lists once.
  ::capnp::List<schema::Class>::Reader classes_;
  ::capnp::List<schema::Function>::Reader functions_;
};

// ---------------------------------------------------------------- bodies

class BodyDecoder : Decoder {
 public:
  using Decoder::Decoder;

  FunctionBody run(schema::Body::Reader from) {
    for (auto v : from.getValues()) value(v);
    auto blocks = from.getBlocks();
    body_.blocks.resize(blocks.size());
    for (uint32_t i = 0; i < blocks.size(); ++i) block(BlockId(i), blocks[i]);
    for (size_t i = 0; i < body_.values.size(); ++i)
      require(body_.values[i].kind == Value::Kind::Const || body_.values[i].block.valid(), "nothing defines value {}",
              i);
    return std::move(body_);
  }

 private:
  void value(schema::Value::Reader from) {
    Value to;
    to.kind = from.getIsConstant() ? Value::Kind::Const : Value::Kind::Param;
    to.type = type(from.getType());
    to.constant = from.getConstant();
    if (from.hasName()) to.name = toString(from.getName());
    body_.values.push_back(std::move(to));
  }

  ValueId valueId(uint32_t id) const {
    require(id < body_.values.size(), "there is no value {}", id);
    return ValueId(id);
  }
  std::vector<ValueId> valueIds(::capnp::List<uint32_t>::Reader from) const {
    std::vector<ValueId> to;
    to.reserve(from.size());
    for (uint32_t id : from) to.push_back(valueId(id));
    return to;
  }

  ValueId define(uint32_t id, Value::Kind kind, BlockId block) {
    Value& v = body_[valueId(id)];
    require(v.kind != Value::Kind::Const && !v.block.valid(), "value {} is defined twice", id);
    v.kind = kind;
    v.block = block;
    return ValueId(id);
  }

  BlockCall target(schema::Target::Reader from) const {
    require(from.getBlock() < body_.blocks.size(), "there is no block {}", from.getBlock());
    return {BlockId(from.getBlock()), valueIds(from.getArgs())};
  }

  void block(BlockId id, schema::Block::Reader from) {
    Block& to = body_[id];
    to.name = toString(from.getName());
    for (uint32_t p : from.getParams()) to.params.push_back(define(p, Value::Kind::Param, id));
    if (from.hasHandler()) to.handler = target(from.getHandler());
    to.loc = loc(from.getLoc());
    auto instrs = from.getInstrs();
    to.instrs.reserve(instrs.size());
    for (auto i : instrs) to.instrs.push_back(instr(id, i));
  }

  Instr instr(BlockId block, schema::Instr::Reader from) {
    require(from.getOp() < maps_.opcodes.size(), "there is no opcode {}", from.getOp());
    Instr to;
    to.op = maps_.opcodes[from.getOp()];
    require(to.op != Opcode::kCount, "this program has no instruction '{}'", maps_.opcodeNames[from.getOp()]);
    if (from.getType() != schema::NONE) to.type = type(from.getType());
    if (from.getResult() != schema::NONE) to.result = define(from.getResult(), Value::Kind::Result, block);
    to.symbol = symbol(to.info().symbol, from.getSymbol(), from.getMember());
    to.loc = loc(from);
    to.operands = valueIds(from.getOperands());
    for (auto t : from.getTargets()) to.targets.push_back(target(t));
    for (int32_t c : from.getCases()) to.cases.push_back(c);
    return to;
  }

  SymbolRef member(uint32_t owner, uint32_t index, size_t count) const {
    require(index < count, "class '{}' has no member {}", module_[classId(owner)].name, index);
    return {{}, classId(owner), index};
  }
  static SymbolRef position(uint32_t index, size_t count) {
    require(index < count, "a symbol names entry {} of a table of {}", index, count);
    return {{}, {}, index};
  }

  SymbolRef symbol(Symbol kind, uint32_t id, uint32_t index) const {
    switch (kind) {
      case Symbol::None:
        return {};
      case Symbol::Type:
        return {type(id), {}, 0};
      case Symbol::Class:
        return {{}, classId(id), 0};
      case Symbol::Field:
        return member(id, index, module_[classId(id)].fields.size());
      case Symbol::Static:
        return member(id, index, module_[classId(id)].statics.size());
      case Symbol::Method:
        return member(id, index, module_[classId(id)].methods.size());
      case Symbol::Function:
        return position(id, module_.functions.size());
      case Symbol::Native:
        return position(id, module_.natives.size());
      case Symbol::Bytes:
        return position(id, module_.byteLiterals.size());
    }
    JVMC_UNREACHABLE(int(kind));
  }

  FunctionBody body_;
};

Error corrupt(const BadModule& bad) {
  return {ErrorCode::kCorrupt, "the module file is corrupt: " + bad.what};
}

}  // namespace

Status decodeDeclarations(Module& module, DecodeMaps& maps, std::span<const uint8_t> content) {
  Message message(content);
  try {
    DeclarationDecoder(module, maps, message.root()).run();
  } catch (const BadModule& bad) {
    return corrupt(bad);
  }
  return Unit{};
}

Result<FunctionBody> decodeBody(const Module& module, const DecodeMaps& maps, std::span<const uint8_t> content,
                                FunctionId function) {
  Message message(content);
  try {
    auto functions = message.root().getFunctions();
    return BodyDecoder(module, maps).run(functions[function.index()].getBody());
  } catch (const BadModule& bad) {
    return corrupt(bad);
  }
}

}  // namespace jvmc::ir
