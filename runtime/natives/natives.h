// The C++ functions behind native_list.def. Arguments and results are slots; see native_table.h.
#pragma once

#include "runtime/natives/native_table.h"

namespace jvmc::rt {

#define JVMC_NATIVE(name, signature, effect, function) \
  void function(ThreadContext& ctx, const uint64_t* args, uint64_t* result);
#define JVMC_OUTSIDE(name, signature)
#include "runtime/natives/native_list.def"

}  // namespace jvmc::rt
