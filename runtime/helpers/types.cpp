// Types at run time, and reference arrays' store checks.
#include "runtime/class_table.h"
#include "runtime/helpers/access.h"

using namespace jvmc::rt;

extern "C" int32_t jvmc_instanceOf(JvmcContext* ctx, ObjectRef object, uint32_t classIndex) {
  ensureReadable(ctx, object);
  return isInstance(*ctx->classes[classIndexOf(object)], *ctx->classes[classIndex]);
}

extern "C" int32_t jvmc_arrayStoreCheck(JvmcContext* ctx, ObjectRef array, ObjectRef value) {
  ensureReadable(ctx, array);
  ensureReadable(ctx, value);
  const ClassInfo* element = ctx->classes[classIndexOf(array)]->element;
  const ClassInfo* stored = ctx->classes[classIndexOf(value)];
  return element == stored || isInstance(*stored, *element);
}
