#include "ir/module.h"

#include <algorithm>

#include "ir/binary/hash.h"
#include "ir/verifier.h"

namespace jvmc::ir {
namespace {

template <class Map>
auto lookUp(const Map& map, std::string_view key) -> typename Map::mapped_type {
  auto it = map.find(std::string(key));
  return it == map.end() ? typename Map::mapped_type() : it->second;
}

namespace supers {
constexpr ClassId kNone;
using namespace builtin;
}  // namespace supers

struct BuiltinRow {
  const char* name;
  ClassId super;
};

constexpr BuiltinRow kBuiltins[] = {
#define JVMC_BUILTIN(name, super) {#name, supers::k##super},
#include "ir/builtin_classes.def"
};

}  // namespace

uint32_t FunctionBody::instrCount() const {
  uint32_t count = 0;
  for (const Block& block : blocks) count += uint32_t(block.instrs.size());
  return count;
}

Module::Module() : files{""} {
  for (const BuiltinRow& row : kBuiltins) {
    ClassDecl decl;
    decl.name = row.name;
    decl.super = row.super;
    decl.isBuiltin = true;
    addClass(std::move(decl));
  }
  TypeId bytes = types.array(kI8);
  auto field = [](const char* fieldName, TypeId type, bool isVolatile = false) {
    return FieldDecl{fieldName, type, false, isVolatile, {}};
  };
  classes[builtin::kThrowable.index()].fields = {
      field("message", bytes), field("cause", types.ref(builtin::kThrowable)), field("trace", types.array(kI64))};
  classes[builtin::kThread.index()].fields = {field("id", kI64), field("state", kI32, true), field("name", bytes)};
}

ClassId Module::findClass(std::string_view className) const {
  return lookUp(classByName_, className);
}
FunctionId Module::findFunction(std::string_view functionName) const {
  return lookUp(functionByName_, functionName);
}
NativeId Module::findNative(std::string_view nativeName) const {
  return lookUp(nativeByName_, nativeName);
}

ClassId Module::addClass(ClassDecl decl) {
  ClassId id(uint32_t(classes.size()));
  classByName_.try_emplace(decl.name, id);
  classes.push_back(std::move(decl));
  return id;
}

FunctionId Module::addFunction(FunctionDecl decl) {
  FunctionId id(uint32_t(functions.size()));
  functionByName_.try_emplace(decl.name, id);
  functions.push_back(std::move(decl));
  bodies_.emplace_back();
  return id;
}

NativeId Module::addNative(NativeDecl decl) {
  NativeId id(uint32_t(natives.size()));
  nativeByName_.try_emplace(decl.name, id);
  natives.push_back(std::move(decl));
  return id;
}

uint32_t Module::addByteLiteral(std::string_view bytes) {
  for (uint32_t i = 0; i < byteLiterals.size(); ++i)
    if (byteLiterals[i] == bytes) return i;
  byteLiterals.emplace_back(bytes);
  return uint32_t(byteLiterals.size() - 1);
}

uint32_t Module::addFile(std::string_view fileName) {
  for (uint32_t i = 0; i < files.size(); ++i)
    if (files[i] == fileName) return i;
  files.emplace_back(fileName);
  return uint32_t(files.size() - 1);
}

void Module::setBody(FunctionId function, FunctionBody body) {
  BodySlot& slot = bodies_[function.index()];
  slot.body = std::make_unique<FunctionBody>(std::move(body));
  slot.ready.store(slot.body.get(), std::memory_order_release);
}

Result<const FunctionBody*> Module::body(FunctionId function) const {
  BodySlot& slot = bodies_[function.index()];
  if (const FunctionBody* ready = slot.ready.load(std::memory_order_acquire)) return ready;
  std::call_once(slot.once, [&] {
    if (!source_) {
      slot.error =
          Error{ErrorCode::kNotFound, fmt::format("function '@{}' has no body", functions[function.index()].name)};
      return;
    }
    Result<FunctionBody> loaded = source_->load(function);
    if (!loaded.ok()) {
      slot.error = std::move(loaded).error();
      return;
    }
    auto body = std::make_unique<FunctionBody>(std::move(loaded).value());
    if (Status valid = verifyStoredBody(*this, function, *body); !valid.ok()) {
      slot.error = std::move(valid).error();
      return;
    }
    slot.body = std::move(body);
    slot.ready.store(slot.body.get(), std::memory_order_release);
  });
  if (const FunctionBody* ready = slot.ready.load(std::memory_order_acquire)) return ready;
  return *slot.error;
}

FunctionHash Module::hash(FunctionId function) const {
  if (source_) return source_->hash(function);
  std::scoped_lock lock(hashMutex_);
  auto [it, isNew] = hashes_.try_emplace(function.value);
  if (isNew) it->second = hashFunction(*this, function);
  return it->second;
}

bool Module::isSubclass(ClassId sub, ClassId super) const {
  for (ClassId c = sub; c.valid(); c = classes[c.index()].super)
    if (c == super) return true;
  if (!classes[super.index()].isInterface) return false;
  // Interfaces form a graph in which one may be reached on very many paths: each is looked at once.
  std::vector<ClassId> found;
  auto addAll = [&](const std::vector<ClassId>& interfaces) {
    for (ClassId i : interfaces)
      if (std::find(found.begin(), found.end(), i) == found.end()) found.push_back(i);
  };
  for (ClassId c = sub; c.valid(); c = classes[c.index()].super) addAll(classes[c.index()].interfaces);
  for (size_t i = 0; i < found.size(); ++i) {
    if (found[i] == super) return true;
    addAll(classes[found[i].index()].interfaces);
  }
  return false;
}

bool Module::isAssignable(TypeId from, TypeId to) const {
  if (from == to) return true;
  const Type &f = types[from], &t = types[to];
  if (!f.isReference() || !t.isReference()) return false;
  if (f.kind == TypeKind::Null) return true;
  if (t.kind == TypeKind::Ref && f.kind == TypeKind::Ref) return isSubclass(f.classId(), t.classId());
  if (t.kind == TypeKind::Ref && f.kind == TypeKind::Array) return t.classId() == builtin::kObject;
  if (t.kind == TypeKind::Array && f.kind == TypeKind::Array)
    return types[f.element()].isReference() && isAssignable(f.element(), t.element());
  return false;
}

}  // namespace jvmc::ir
