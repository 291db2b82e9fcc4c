// Natives: C++ functions that programs declare by name, signature and effect (docs/reference/natives.md). The table of
// all of them is native_list.def; a module's declarations are checked against it before it runs.
#pragma once

#include <string_view>
#include <vector>

#include "ir/module.h"
#include "runtime/abi/context.h"

namespace jvmc::rt {

/// Argument slots in, result slot out. May leave an exception pending; may allocate. Keeps no references.
using NativeFn = void (*)(ThreadContext& ctx, const uint64_t* args, uint64_t* result);

struct NativeDef {
  std::string_view name;
  std::string_view signature;  ///< as in a declaration: "(array(i8), f64) -> i32"
  ir::NativeEffect effect;
  NativeFn run;  ///< null: outside
};

/// Every native, by name.
const std::vector<NativeDef>& allNatives();

/// The declarations of `module` name natives that exist, with their signatures and effects. The error names the
/// culprit.
Status checkNatives(const ir::Module& module);

/// What each declaration of a (checked) module means.
class NativeTable {
 public:
  explicit NativeTable(const ir::Module& module);
  const NativeDef& operator[](ir::NativeId native) const { return *defs_[native.index()]; }

 private:
  std::vector<const NativeDef*> defs_;
};

}  // namespace jvmc::rt
