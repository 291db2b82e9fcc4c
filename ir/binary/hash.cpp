// The function is written to a byte string in which nothing depends on where things stand in the module's tables; the
// hash is XXH3-128 of that string. Every list carries its length and every string too, so that the encoding is
// prefix-free: two different functions have different strings.
//
// Changing this encoding renames every function: stored modules and frames of older builds would be refused. Bump
// kEncoding then, and say so in the change log.
#include "ir/binary/hash.h"

#include <xxhash.h>

namespace jvmc::ir {
namespace {

constexpr std::string_view kEncoding = "jvmc function 1";

class Encoder {
 public:
  explicit Encoder(const Module& module) : module_(module) { string(kEncoding); }

  void declaration(const FunctionDecl& decl) {
    string(decl.name);
    signature(decl.params, decl.result);
  }

  void body(const FunctionBody& body) {
    rankValues(body);
    number(body.blocks.size());
    for (const Block& block : body.blocks) {
      number(block.params.size());
      for (ValueId p : block.params) {
        value(body, p);
        type(body[p].type);
      }
      number(block.handler.has_value());
      if (block.handler) call(body, *block.handler);
      number(block.instrs.size());
      for (const Instr& instr : block.instrs) instruction(body, instr);
    }
  }

  FunctionHash finish() const {
    XXH128_hash_t hash = XXH3_128bits(bytes_.data(), bytes_.size());
    return {hash.high64, hash.low64};
  }

 private:
  // LEB128: prefix-free and independent of the machine's byte order.
  void number(uint64_t n) {
    for (; n >= 0x80; n >>= 7) bytes_.push_back(char(n | 0x80));
    bytes_.push_back(char(n));
  }

  void string(std::string_view s) {
    number(s.size());
    bytes_ += s;
  }

  void type(TypeId id) {
    if (!id.valid()) return number(0xff);
    const Type& t = module_.types[id];
    number(uint64_t(t.kind));
    if (t.kind == TypeKind::Ref) string(module_[t.classId()].name);
    if (t.kind == TypeKind::Array) type(t.element());
  }

  void signature(const std::vector<TypeId>& params, TypeId result) {
    number(params.size());
    for (TypeId p : params) type(p);
    type(result);
  }

  // Values are named by their rank among the defined values: gaps and constants in the table do not count.
  void rankValues(const FunctionBody& body) {
    ranks_.assign(body.values.size(), 0);
    for (const Block& block : body.blocks) {
      for (ValueId p : block.params) ranks_[p.index()] = 1;
      for (const Instr& instr : block.instrs)
        if (instr.result.valid()) ranks_[instr.result.index()] = 1;
    }
    uint32_t next = 0;
    for (uint32_t& rank : ranks_)
      if (rank != 0) rank = next++;
  }

  void value(const FunctionBody& body, ValueId id) {
    const Value& v = body[id];
    number(v.kind == Value::Kind::Const);
    if (v.kind != Value::Kind::Const) return number(ranks_[id.index()]);
    type(v.type);
    number(v.constant);
  }

  void values(const FunctionBody& body, const std::vector<ValueId>& list) {
    number(list.size());
    for (ValueId v : list) value(body, v);
  }

  void call(const FunctionBody& body, const BlockCall& target) {
    number(target.block.index());
    values(body, target.args);
  }

  void field(const ClassDecl& owner, const FieldDecl& decl) {
    string(owner.name);
    string(decl.name);
    type(decl.type);
    number(decl.isVolatile);
  }

  void symbol(Symbol kind, const SymbolRef& s) {
    switch (kind) {
      case Symbol::None:
        return;
      case Symbol::Type:
        return type(s.type);
      case Symbol::Class:
        return string(module_[s.owner].name);
      case Symbol::Field:
        return field(module_[s.owner], module_.field(s));
      case Symbol::Static:
        return field(module_[s.owner], module_.staticField(s));
      case Symbol::Function:
        return declaration(module_[s.function()]);
      case Symbol::Bytes:
        return string(module_.byteLiterals[s.member]);
      case Symbol::Native: {
        const NativeDecl& native = module_[s.native()];
        string(native.name);
        signature(native.params, native.result);
        return number(uint64_t(native.effect));
      }
      case Symbol::Method: {
        const MethodDecl& method = module_.method(s);
        string(module_[s.owner].name);
        string(method.name);
        return signature(method.params, method.result);
      }
    }
  }

  void instruction(const FunctionBody& body, const Instr& instr) {
    string(instr.info().mnemonic);  // by name: inserting a row in opcodes.def renames no function
    if (instr.info().suffix != Suffix::None) type(instr.type);
    symbol(instr.info().symbol, instr.symbol);
    values(body, instr.operands);
    number(instr.targets.size());
    for (const BlockCall& target : instr.targets) call(body, target);
    number(instr.cases.size());
    for (int32_t c : instr.cases) number(uint32_t(c));
    number(instr.result.valid());
    if (instr.result.valid()) {
      value(body, instr.result);
      type(body[instr.result].type);
    }
  }

  const Module& module_;
  std::string bytes_;
  std::vector<uint32_t> ranks_;
};

}  // namespace

FunctionHash hashBody(const Module& module, FunctionId function, const FunctionBody& body) {
  Encoder encoder(module);
  encoder.declaration(module[function]);
  encoder.body(body);
  return encoder.finish();
}

FunctionHash hashFunction(const Module& module, FunctionId function) {
  if (auto body = module.body(function); body.ok()) return hashBody(module, function, **body);
  Encoder encoder(module);
  encoder.declaration(module[function]);
  return encoder.finish();
}

}  // namespace jvmc::ir
