#include "runtime/natives/native_table.h"

#include <algorithm>

#include "ir/text/printer.h"
#include "runtime/natives/natives.h"

namespace jvmc::rt {
namespace {

std::string signatureText(const ir::Module& module, const ir::NativeDecl& decl) {
  std::string text = "(";
  for (size_t i = 0; i < decl.params.size(); ++i) text += (i ? ", " : "") + ir::text::typeText(module, decl.params[i]);
  text += ")";
  if (decl.result != ir::kVoid) text += " -> " + ir::text::typeText(module, decl.result);
  return text;
}

std::string_view effectText(ir::NativeEffect effect) {
  switch (effect) {
    case ir::NativeEffect::Pure:
      return "pure";
    case ir::NativeEffect::Node:
      return "node";
    case ir::NativeEffect::Outside:
      return "outside";
  }
  JVMC_UNREACHABLE(int(effect));
}

const NativeDef* findDef(std::string_view name) {
  const auto& all = allNatives();
  auto it =
      std::lower_bound(all.begin(), all.end(), name, [](const NativeDef& d, std::string_view n) { return d.name < n; });
  return it != all.end() && it->name == name ? &*it : nullptr;
}

Status checkNative(const ir::Module& module, const ir::NativeDecl& decl) {
  const NativeDef* def = findDef(decl.name);
  if (def == nullptr) return Error{ErrorCode::kInvalidInput, fmt::format("unknown native '@{}'", decl.name)};
  std::string signature = signatureText(module, decl);
  if (signature != def->signature || decl.effect != def->effect)
    return Error{ErrorCode::kInvalidInput,
                 fmt::format("native '@{}' is declared as {} {}, but it is {} {}", decl.name, signature,
                             effectText(decl.effect), def->signature, effectText(def->effect))};
  return Unit{};
}

}  // namespace

const std::vector<NativeDef>& allNatives() {
  static const std::vector<NativeDef> defs = [] {
    std::vector<NativeDef> list = {
#define JVMC_NATIVE(name, signature, effect, function) {name, signature, ir::NativeEffect::effect, function},
#define JVMC_OUTSIDE(name, signature) {name, signature, ir::NativeEffect::Outside, nullptr},
#include "runtime/natives/native_list.def"
    };
    std::sort(list.begin(), list.end(), [](const NativeDef& a, const NativeDef& b) { return a.name < b.name; });
    return list;
  }();
  return defs;
}

Status checkNatives(const ir::Module& module) {
  for (const ir::NativeDecl& decl : module.natives)
    if (Status status = checkNative(module, decl); !status.ok()) return status;
  return Unit{};
}

NativeTable::NativeTable(const ir::Module& module) {
  for (const ir::NativeDecl& decl : module.natives) {
    const NativeDef* def = findDef(decl.name);
    JVMC_CHECK(def != nullptr, "checkNatives comes first", decl.name);
    defs_.push_back(def);
  }
}

}  // namespace jvmc::rt
