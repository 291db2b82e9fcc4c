// Declarations: ids first, then the class hierarchy, then what the members of each class promise each other.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "ir/lookup.h"
#include "ir/text/printer.h"
#include "ir/verify/report.h"

namespace jvmc::ir::verify {
namespace {

using Kind = VerifyPlace::Kind;
using text::typeText;

class DeclarationVerifier {
 public:
  DeclarationVerifier(const Module& module, Report& report) : module_(module), report_(report) {}

  bool run() {
    if (!types() || !builtins() || !ids() || !hierarchy()) return false;
    names();
    for (uint32_t f = 0; f < module_.functions.size(); ++f) signature(functionPlace(f), module_.functions[f]);
    for (uint32_t n = 0; n < module_.natives.size(); ++n) signature(nativePlace(n), module_.natives[n]);
    for (uint32_t c = 0; c < module_.classes.size() && !report_.full(); ++c) classDecl(ClassId(c));
    entry();
    return true;
  }

 private:
  static VerifyPlace functionPlace(uint32_t f) { return {.kind = Kind::Function, .function = FunctionId(f)}; }
  static VerifyPlace nativePlace(uint32_t n) { return {.kind = Kind::Native, .index = n}; }
  static VerifyPlace classPlace(ClassId c) { return {.kind = Kind::Class, .cls = c}; }
  static VerifyPlace memberPlace(Kind kind, ClassId c, uint32_t i) { return {.kind = kind, .cls = c, .index = i}; }

  void error(Invariant invariant, const VerifyPlace& place, const SourceLoc& loc, std::string message) {
    report_.add(invariant, place, loc, std::move(message));
  }

  bool typeOk(TypeId type) const { return type.index() < module_.types.size(); }

  // -- what everything else relies on

  bool types() {
    std::vector<uint32_t> depth(module_.types.size());
    for (uint32_t i = 0; i < module_.types.size(); ++i) {
      const Type& type = module_.types[TypeId(i)];
      bool ok = true;
      if (type.kind == TypeKind::Ref) ok = type.payload < module_.classes.size();
      if (type.kind == TypeKind::Array) {
        // An element type stands before its array, so types cannot contain themselves.
        ok = type.payload < i && type.element() != kVoid && type.element() != kNull;
        if (ok) depth[i] = depth[type.payload] + 1;
        ok = ok && depth[i] <= 255;
      }
      if (!ok) {
        error(Invariant::Types, {}, {}, fmt::format("type {} of the type table is not well formed", i));
        return false;
      }
    }
    return true;
  }

  bool builtins() {
    static const Module reference;
    auto same = [](const ClassDecl& a, const ClassDecl& b) {
      bool fieldsSame = a.fields.size() == b.fields.size();
      for (size_t i = 0; fieldsSame && i < a.fields.size(); ++i)
        fieldsSame = a.fields[i].name == b.fields[i].name && a.fields[i].isVolatile == b.fields[i].isVolatile &&
                     a.fields[i].isFinal == b.fields[i].isFinal;
      return fieldsSame && a.name == b.name && a.super == b.super && b.interfaces.empty() && b.statics.empty() &&
             b.methods.empty() && !b.initializer.valid() && b.isBuiltin && !b.isInterface && !b.isAbstract &&
             !b.isImmutable;
    };
    for (uint32_t i = 0; i < builtin::kBuiltinCount; ++i) {
      bool ok = i < module_.classes.size() && same(reference.classes[i], module_.classes[i]);
      for (size_t f = 0; ok && f < reference.classes[i].fields.size(); ++f)
        ok = typeOk(module_.classes[i].fields[f].type) && typeText(reference, reference.classes[i].fields[f].type) ==
                                                              typeText(module_, module_.classes[i].fields[f].type);
      if (ok) continue;
      error(Invariant::Builtins, {}, {},
            fmt::format("class {} is not the builtin class '{}'", i, reference.classes[i].name));
      return false;
    }
    for (uint32_t i = builtin::kBuiltinCount; i < module_.classes.size(); ++i) {
      if (!module_.classes[i].isBuiltin) continue;
      error(Invariant::Builtins, classPlace(ClassId(i)), module_.classes[i].loc,
            fmt::format("class '{}' claims to be builtin", module_.classes[i].name));
      return false;
    }
    return true;
  }

  /// Every id of every declaration; reports what is out of range and then gives up.
  bool ids() {
    size_t before = report_.count();
    for (uint32_t f = 0; f < module_.functions.size(); ++f) signatureIds(functionPlace(f), module_.functions[f]);
    for (uint32_t n = 0; n < module_.natives.size(); ++n) {
      signatureIds(nativePlace(n), module_.natives[n]);
      if (module_.natives[n].effect > NativeEffect::Outside) missing(nativePlace(n), module_.natives[n].loc, "effect");
    }
    for (uint32_t c = 0; c < module_.classes.size(); ++c) classIds(ClassId(c), module_.classes[c]);
    if (module_.entry.valid() && module_.entry.index() >= module_.functions.size()) missing({}, {}, "entry function");
    return report_.count() == before;
  }

  void missing(const VerifyPlace& place, const SourceLoc& loc, std::string_view what) {
    error(Invariant::Ids, place, loc, fmt::format("the {} named here does not exist", what));
  }

  void location(const VerifyPlace& place, const SourceLoc& loc) {
    if (loc.file >= module_.files.size())
      error(Invariant::Locations, place, {}, "the file of a location does not exist");
  }

  template <class Decl>
  void signatureIds(const VerifyPlace& place, const Decl& decl) {
    location(place, decl.loc);
    bool ok = typeOk(decl.result);
    for (TypeId param : decl.params) ok = ok && typeOk(param);
    if (!ok) missing(place, decl.loc, "type");
  }

  void classIds(ClassId c, const ClassDecl& decl) {
    auto classOk = [&](ClassId id) { return id.index() < module_.classes.size(); };
    auto functionOk = [&](FunctionId id) { return !id.valid() || id.index() < module_.functions.size(); };
    location(classPlace(c), decl.loc);
    if (decl.super.valid() ? !classOk(decl.super) : c != builtin::kObject)
      missing(classPlace(c), decl.loc, "superclass");
    for (ClassId interface : decl.interfaces)
      if (!classOk(interface)) missing(classPlace(c), decl.loc, "interface");
    if (!functionOk(decl.initializer)) missing(classPlace(c), decl.loc, "class initialiser");
    for (uint32_t i = 0; i < decl.methods.size(); ++i) {
      VerifyPlace place = memberPlace(Kind::Method, c, i);
      signatureIds(place, decl.methods[i]);
      if (!functionOk(decl.methods[i].implementation)) missing(place, decl.methods[i].loc, "implementation");
    }
    fieldIds(Kind::Field, c, decl.fields);
    fieldIds(Kind::Static, c, decl.statics);
  }

  void fieldIds(Kind kind, ClassId c, const std::vector<FieldDecl>& fields) {
    for (uint32_t i = 0; i < fields.size(); ++i) {
      location(memberPlace(kind, c, i), fields[i].loc);
      if (!typeOk(fields[i].type)) missing(memberPlace(kind, c, i), fields[i].loc, "type");
    }
  }

  /// Depth-first over superclasses and interfaces with an own stack; a class met again on the way is a cycle.
  bool hierarchy() {
    enum class Mark : uint8_t { Fresh, OnPath, Done };
    std::vector<Mark> marks(module_.classes.size(), Mark::Fresh);
    std::vector<std::pair<ClassId, size_t>> path;
    auto parent = [&](ClassId c, size_t i) {
      const ClassDecl& decl = module_[c];
      if (i == 0) return decl.super;
      return i <= decl.interfaces.size() ? decl.interfaces[i - 1] : ClassId();
    };
    for (uint32_t start = 0; start < module_.classes.size(); ++start) {
      if (marks[start] == Mark::Done) continue;
      path.push_back({ClassId(start), 0});
      marks[start] = Mark::OnPath;
      while (!path.empty()) {
        auto& [c, next] = path.back();
        if (next > module_[c].interfaces.size()) {
          marks[c.index()] = Mark::Done;
          path.pop_back();
          continue;
        }
        if (path.size() > kMaxDepth) return tooDeep(c);
        ClassId p = parent(c, next++);
        if (!p.valid() || marks[p.index()] == Mark::Done) continue;
        if (marks[p.index()] == Mark::OnPath) {
          error(Invariant::Hierarchy, classPlace(p), module_[p].loc,
                fmt::format("class '{}' inherits from itself", module_[p].name));
          return false;
        }
        marks[p.index()] = Mark::OnPath;
        path.push_back({p, 0});
      }
    }
    return true;
  }

  bool tooDeep(ClassId c) {
    error(Invariant::Hierarchy, classPlace(c), module_[c].loc,
          fmt::format("more than {} classes inherit from each other", kMaxDepth));
    return false;
  }

  // -- names

  void names() {
    uniqueNames(module_.classes, "class", [&](uint32_t i) { return classPlace(ClassId(i)); });
    uniqueNames(module_.functions, "function", [&](uint32_t i) { return functionPlace(i); });
    uniqueNames(module_.natives, "native", [&](uint32_t i) { return nativePlace(i); });
  }

  template <class Decls, class ToPlace>
  void uniqueNames(const Decls& decls, std::string_view what, ToPlace toPlace, bool isMember = false) {
    std::unordered_set<std::string_view> seen;
    for (uint32_t i = 0; i < decls.size(); ++i) {
      const std::string& name = decls[i].name;
      if (name.empty()) error(Invariant::Names, toPlace(i), decls[i].loc, fmt::format("a {} has an empty name", what));
      if (isMember && name.find('.') != std::string::npos)
        error(Invariant::Names, toPlace(i), decls[i].loc, fmt::format("the name of {} '{}' has a '.'", what, name));
      if (!seen.insert(name).second)
        error(Invariant::Names, toPlace(i), decls[i].loc, fmt::format("{} '{}' is declared twice", what, name));
    }
  }

  // -- members

  template <class Decl>
  void signature(const VerifyPlace& place, const Decl& decl) {
    auto usable = [&](TypeId t) { return isStackType(module_, t) && t != kNull; };
    for (TypeId param : decl.params)
      if (!usable(param)) badType(place, decl.loc, "a parameter", param);
    if (decl.result != kVoid && !usable(decl.result)) badType(place, decl.loc, "a result", decl.result);
  }

  void badType(const VerifyPlace& place, const SourceLoc& loc, std::string_view what, TypeId type) {
    error(Invariant::MemberTypes, place, loc, fmt::format("{} cannot have type {}", what, typeText(module_, type)));
  }

  void classDecl(ClassId c) {
    const ClassDecl& decl = module_[c];
    kinds(c, decl);
    uniqueNames(decl.fields, "field", [&](uint32_t i) { return memberPlace(Kind::Field, c, i); }, true);
    uniqueNames(decl.statics, "static field", [&](uint32_t i) { return memberPlace(Kind::Static, c, i); }, true);
    uniqueNames(decl.methods, "method", [&](uint32_t i) { return memberPlace(Kind::Method, c, i); }, true);
    fields(c, decl);
    for (uint32_t i = 0; i < decl.methods.size(); ++i) method(c, i);
    overrides(c);
    if (!decl.initializer.valid()) return;
    const FunctionDecl& function = module_[decl.initializer];
    if (!function.params.empty() || function.result != kVoid)
      error(Invariant::Initializers, classPlace(c), decl.loc,
            fmt::format("the initialiser '@{}' of class '{}' must take and give nothing", function.name, decl.name));
  }

  void kinds(ClassId c, const ClassDecl& decl) {
    if (decl.super.valid() && module_[decl.super].isInterface)
      error(Invariant::Hierarchy, classPlace(c), decl.loc,
            fmt::format("the superclass '{}' is an interface", module_[decl.super].name));
    if (decl.isInterface && decl.super != builtin::kObject)
      error(Invariant::Hierarchy, classPlace(c), decl.loc,
            fmt::format("interface '{}' has a superclass other than Object", decl.name));
    for (ClassId interface : decl.interfaces)
      if (!module_[interface].isInterface)
        error(Invariant::Hierarchy, classPlace(c), decl.loc,
              fmt::format("'{}' is not an interface", module_[interface].name));
  }

  void fields(ClassId c, const ClassDecl& decl) {
    fieldList(Kind::Field, c, decl.fields);
    fieldList(Kind::Static, c, decl.statics);
    if (decl.isInterface && !decl.fields.empty())
      error(Invariant::FieldModifiers, memberPlace(Kind::Field, c, 0), decl.fields[0].loc,
            fmt::format("interface '{}' has an instance field", decl.name));
    if (!decl.isImmutable) return;
    for (const SymbolRef& field : instanceFields(module_, c))
      if (!module_.field(field).isFinal)
        error(Invariant::FieldModifiers, field.owner == c ? memberPlace(Kind::Field, c, field.member) : classPlace(c),
              module_.field(field).loc,
              fmt::format("field '{}.{}' of immutable class '{}' is not final", module_[field.owner].name,
                          module_.field(field).name, decl.name));
  }

  void fieldList(Kind kind, ClassId c, const std::vector<FieldDecl>& list) {
    for (uint32_t i = 0; i < list.size(); ++i) {
      VerifyPlace place = memberPlace(kind, c, i);
      if (list[i].type == kVoid || list[i].type == kNull) badType(place, list[i].loc, "a field", list[i].type);
      if (list[i].isFinal && list[i].isVolatile)
        error(Invariant::FieldModifiers, place, list[i].loc,
              fmt::format("field '{}' is both final and volatile", list[i].name));
    }
  }

  void method(ClassId c, uint32_t index) {
    const MethodDecl& decl = module_[c].methods[index];
    VerifyPlace place = memberPlace(Kind::Method, c, index);
    signature(place, decl);
    if (!decl.implementation.valid()) return;
    const FunctionDecl& function = module_[decl.implementation];
    bool hasReceiver = !function.params.empty() && module_.types[function.params[0]].kind == TypeKind::Ref &&
                       module_.isSubclass(c, module_.types[function.params[0]].classId());
    bool same = hasReceiver && function.result == decl.result &&
                std::vector<TypeId>(function.params.begin() + 1, function.params.end()) == decl.params;
    if (same) return;
    error(Invariant::Implementations, place, decl.loc,
          fmt::format(
              "'@{}' does not fit method '{}.{}': it must take ref({}) and then the method's parameters, and give {}",
              function.name, module_[c].name, decl.name, module_[c].name,
              decl.result == kVoid ? "nothing" : typeText(module_, decl.result)));
  }

  /// Every two methods of one name among a class and its supertypes agree. The nearest is compared with each other one;
  /// what a supertype inherits both of is that one's own error.
  void overrides(ClassId c) {
    const ClassDecl& decl = module_[c];
    std::unordered_map<std::string_view, SymbolRef> nearest;
    for (ClassId super : supertypes(module_, c)) {
      for (uint32_t i = 0; i < module_[super].methods.size(); ++i) {
        const MethodDecl& method = module_[super].methods[i];
        auto [it, isNew] = nearest.try_emplace(method.name, SymbolRef{{}, super, i});
        if (isNew || (it->second.owner == super)) continue;
        const MethodDecl& own = module_.method(it->second);
        if (inheritedTogether(decl, it->second.owner, super)) continue;
        if (own.params == method.params && own.result == method.result) continue;
        bool isOwn = it->second.owner == c;
        error(Invariant::Overrides, isOwn ? memberPlace(Kind::Method, c, it->second.member) : classPlace(c),
              isOwn ? own.loc : decl.loc,
              fmt::format("method '{}.{}' differs from '{}.{}' in parameters or result", module_[it->second.owner].name,
                          own.name, module_[super].name, method.name));
        if (report_.full()) return;
      }
    }
  }

  bool inheritedTogether(const ClassDecl& decl, ClassId a, ClassId b) const {
    auto inheritsBoth = [&](ClassId c) { return module_.isSubclass(c, a) && module_.isSubclass(c, b); };
    return (decl.super.valid() && inheritsBoth(decl.super)) ||
           std::any_of(decl.interfaces.begin(), decl.interfaces.end(), inheritsBoth);
  }

  void entry() {
    if (!module_.entry.valid()) return;
    const FunctionDecl& decl = module_[module_.entry];
    auto isArguments = [&](TypeId type) {
      const Type& outer = module_.types[type];
      return outer.kind == TypeKind::Array && module_.types[outer.element()] == Type{TypeKind::Array, kI8.value};
    };
    bool paramsOk = decl.params.empty() || (decl.params.size() == 1 && isArguments(decl.params[0]));
    if (paramsOk && (decl.result == kVoid || decl.result == kI32)) return;
    error(Invariant::Entry, functionPlace(module_.entry.value), decl.loc,
          fmt::format("the entry '@{}' must take nothing or array(array(i8)) and give nothing or i32", decl.name));
  }

  static constexpr size_t kMaxDepth = 1000;  // real programs stay below 20; looking up a member is linear in this
  const Module& module_;
  Report& report_;
};

}  // namespace

bool checkDeclarations(const Module& module, Report& report) {
  return DeclarationVerifier(module, report).run();
}

}  // namespace jvmc::ir::verify
