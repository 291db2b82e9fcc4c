// `Class.member` as Java resolves it: the class itself, its superclasses, then the interfaces of all of them. The
// result names the class that declares the member. Safe on modules that are not verified (cyclic hierarchies, ids out
// of range).
#pragma once

#include <optional>
#include <string_view>

#include "ir/module.h"

namespace jvmc::ir {

std::optional<SymbolRef> findField(const Module& module, ClassId cls, std::string_view name);
std::optional<SymbolRef> findStatic(const Module& module, ClassId cls, std::string_view name);
std::optional<SymbolRef> findMethod(const Module& module, ClassId cls, std::string_view name);

/// `cls`, its superclasses, then all interfaces, each once; ids out of range are left out.
std::vector<ClassId> supertypes(const Module& module, ClassId cls);

/// The instance fields of an object of class `cls` in slot order, superclass first.
std::vector<SymbolRef> instanceFields(const Module& module, ClassId cls);

}  // namespace jvmc::ir
