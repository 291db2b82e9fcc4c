#include "ir/text/resolver.h"

#include <fmt/format.h>

#include "ir/lookup.h"
#include "ir/text/syntax.h"

namespace jvmc::ir::text {
namespace {

template <class Items>
std::vector<std::string_view> namesOf(const Items& items) {
  std::vector<std::string_view> names;
  for (const auto& item : items) names.push_back(item.name);
  return names;
}

std::string_view memberKind(Symbol kind) {
  if (kind == Symbol::Field) return "field";
  return kind == Symbol::Static ? "static field" : "method";
}

std::optional<SymbolRef> findMember(const Module& module, ClassId cls, std::string_view name, Symbol kind) {
  if (kind == Symbol::Field) return findField(module, cls, name);
  if (kind == Symbol::Static) return findStatic(module, cls, name);
  return findMethod(module, cls, name);
}

}  // namespace

std::vector<std::string> didYouMean(std::string_view name, const std::vector<std::string_view>& candidates,
                                    std::string_view sigil) {
  std::optional<std::string> nearest = nearestName(name, candidates);
  if (!nearest) return {};
  return {fmt::format("did you mean '{}{}'?", sigil, *nearest)};
}

void NameResolver::error(Code code, Span span, std::string message, std::vector<std::string> helps,
                         std::vector<Note> notes) {
  sink_.add({.code = code,
             .message = std::move(message),
             .span = span,
             .notes = std::move(notes),
             .helps = std::move(helps)});
}

void NameResolver::unknown(Code code, const ast::Name& name, std::string_view kind, std::string_view sigil,
                           const std::vector<std::string_view>& candidates) {
  error(code, name.span, fmt::format("unknown {} '{}{}'", kind, sigil, name.text),
        didYouMean(name.text, candidates, sigil));
}

std::optional<ClassId> NameResolver::classNamed(const ast::Name& name) {
  ClassId id = module_.findClass(name.text);
  if (id.valid()) return id;
  unknown(Code::UnknownClass, name, "class", "", namesOf(module_.classes));
  return std::nullopt;
}

std::optional<FunctionId> NameResolver::functionNamed(const ast::Name& name) {
  FunctionId id = module_.findFunction(name.text);
  if (id.valid()) return id;
  if (module_.findNative(name.text).valid()) {
    error(Code::UnknownFunction, name.span, fmt::format("'@{}' is a native, not a function", name.text),
          {"natives are called with call_native"});
    return std::nullopt;
  }
  unknown(Code::UnknownFunction, name, "function", "@", namesOf(module_.functions));
  return std::nullopt;
}

std::optional<NativeId> NameResolver::nativeNamed(const ast::Name& name) {
  NativeId id = module_.findNative(name.text);
  if (id.valid()) return id;
  unknown(Code::UnknownNative, name, "native", "@", namesOf(module_.natives));
  return std::nullopt;
}

std::optional<TypeId> NameResolver::type(const ast::Type& type, bool allowBareClass) {
  std::optional<TypeId> base;
  if (!type.isClass)
    for (auto [name, id] : kPrimitiveNames)
      if (name == type.base) base = id;
  bool bareAllowed = allowBareClass && type.arrayDepth == 0;
  if (!base && !type.isClass && !bareAllowed) {
    bool isClass = module_.findClass(type.base).valid();
    std::vector<std::string_view> known;
    for (auto [name, id] : kPrimitiveNames) known.push_back(name);
    auto helps = isClass ? std::vector{fmt::format("a reference to a class is written 'ref({})'", type.base)}
                         : didYouMean(type.base, known);
    error(Code::UnknownType, type.baseSpan, fmt::format("'{}' is not a type", type.base), std::move(helps));
    return std::nullopt;
  }
  if (!base) {
    auto cls = classNamed({type.base, type.baseSpan});
    if (!cls) return std::nullopt;
    base = module_.types.ref(*cls);
  }
  for (uint32_t i = 0; i < type.arrayDepth; ++i) base = module_.types.array(*base);
  return base;
}

std::optional<std::vector<TypeId>> NameResolver::types(const std::vector<ast::Type>& list) {
  std::vector<TypeId> ids;
  for (const ast::Type& element : list)
    if (auto id = type(element)) ids.push_back(*id);
  if (ids.size() != list.size()) return std::nullopt;
  return ids;
}

std::optional<TypeId> NameResolver::resultType(const std::optional<ast::Type>& result) {
  return result ? type(*result) : std::optional<TypeId>(kVoid);
}

std::optional<SymbolRef> NameResolver::member(const ast::Name& name, Symbol kind) {
  size_t dot = name.text.rfind('.');
  if (dot == std::string::npos || dot == 0) {
    error(Code::UnknownMember, name.span,
          fmt::format("expected a {} as Class.{}, found '{}'", memberKind(kind),
                      kind == Symbol::Method ? "method" : "field", name.text));
    return std::nullopt;
  }
  auto cls = classNamed({name.text.substr(0, dot), name.span});
  if (!cls) return std::nullopt;
  std::string_view memberName = std::string_view(name.text).substr(dot + 1);
  if (auto found = findMember(module_, *cls, memberName, kind)) return found;
  unknownMember(name, *cls, memberName, kind);
  return std::nullopt;
}

void NameResolver::unknownMember(const ast::Name& name, ClassId cls, std::string_view memberName, Symbol kind) {
  std::vector<std::string> helps;
  for (Symbol other : {Symbol::Field, Symbol::Static, Symbol::Method})
    if (other != kind && findMember(module_, cls, memberName, other))
      helps.push_back(fmt::format("'{}' is a {} of '{}'", memberName, memberKind(other), module_[cls].name));
  std::vector<std::string_view> candidates;
  for (ClassId c : supertypes(module_, cls)) {
    const ClassDecl& decl = module_[c];
    auto members =
        kind == Symbol::Method ? namesOf(decl.methods) : namesOf(kind == Symbol::Field ? decl.fields : decl.statics);
    candidates.insert(candidates.end(), members.begin(), members.end());
  }
  if (helps.empty()) helps = didYouMean(memberName, candidates);
  error(Code::UnknownMember, name.span,
        fmt::format("class '{}' has no {} '{}'", module_[cls].name, memberKind(kind), memberName), std::move(helps));
}

SourceLoc NameResolver::location(const ast::Place& place) {
  if (place.given) {
    const std::string* file = place.given->file   ? &*place.given->file
                              : place.currentFile ? &*place.currentFile
                                                  : nullptr;
    const std::string& name = file ? *file : sources_[place.span.source].name();
    return {module_.addFile(name), place.given->line, place.given->column};
  }
  if (place.currentFile) return {};
  LineColumn at = sources_.position(place.span);
  return {module_.addFile(sources_[place.span.source].name()), at.line, at.column};
}

}  // namespace jvmc::ir::text
