#include "ir/lookup.h"

#include <algorithm>
#include <unordered_set>

namespace jvmc::ir {
namespace {

template <class Members>
std::optional<uint32_t> indexOf(const Members& members, std::string_view name) {
  for (uint32_t i = 0; i < members.size(); ++i)
    if (members[i].name == name) return i;
  return std::nullopt;
}

template <class Pick>
std::optional<SymbolRef> findMember(const Module& module, ClassId cls, std::string_view name, Pick pick) {
  if (cls.index() < module.classes.size())  // mostly the class itself: no need to list its supertypes
    if (auto index = indexOf(pick(module[cls]), name)) return SymbolRef{{}, cls, *index};
  for (ClassId c : supertypes(module, cls))
    if (auto index = indexOf(pick(module[c]), name)) return SymbolRef{{}, c, *index};
  return std::nullopt;
}

}  // namespace

std::vector<ClassId> supertypes(const Module& module, ClassId cls) {
  std::vector<ClassId> all;
  std::unordered_set<uint32_t> seen;
  auto add = [&](ClassId c) {
    bool isNew = c.index() < module.classes.size() && seen.insert(c.value).second;
    if (isNew) all.push_back(c);
    return isNew;
  };
  for (ClassId c = cls; add(c); c = module[c].super) {
  }
  for (size_t i = 0; i < all.size(); ++i)
    for (ClassId interface : module[all[i]].interfaces) add(interface);
  return all;
}

std::optional<SymbolRef> findField(const Module& module, ClassId cls, std::string_view name) {
  return findMember(module, cls, name, [](const ClassDecl& c) -> const auto& { return c.fields; });
}

std::optional<SymbolRef> findStatic(const Module& module, ClassId cls, std::string_view name) {
  return findMember(module, cls, name, [](const ClassDecl& c) -> const auto& { return c.statics; });
}

std::optional<SymbolRef> findMethod(const Module& module, ClassId cls, std::string_view name) {
  return findMember(module, cls, name, [](const ClassDecl& c) -> const auto& { return c.methods; });
}

std::vector<SymbolRef> instanceFields(const Module& module, ClassId cls) {
  std::vector<ClassId> chain;
  for (ClassId c = cls; c.index() < module.classes.size() && chain.size() <= module.classes.size(); c = module[c].super)
    chain.push_back(c);
  std::vector<SymbolRef> fields;
  for (auto c = chain.rbegin(); c != chain.rend(); ++c)
    for (uint32_t i = 0; i < module[*c].fields.size(); ++i) fields.push_back({{}, *c, i});
  return fields;
}

}  // namespace jvmc::ir
