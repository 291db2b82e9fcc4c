#include "runtime/helpers/access.h"
#include "runtime/vm.h"

namespace jvmc::rt {
namespace {

ObjectRef orOutOfMemory(ThreadContext* ctx, ObjectRef object) {
  if (object == kNullRef) [[unlikely]]
    jvmc_throwBuiltin(ctx, uint32_t(BuiltinThrow::OutOfMemory), 0);
  return object;
}

}  // namespace

std::string readBytes(ThreadContext* ctx, ObjectRef array) {
  ensureReadable(ctx, array);
  int32_t length = arrayLength(array);
  jvmc_checkRangeRead(ctx, array, 0, length);
  std::string bytes(size_t(length), '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = loadGuest<char>(array + kArrayElementsOffset + i);
  return bytes;
}

ObjectRef newByteArray(ThreadContext* ctx, std::string_view bytes) {
  Vm& vm = *ctx->vm;
  ClassIndex index = vm.layout().arrayIndexOfElement(ir::kI8);
  ObjectRef array = orOutOfMemory(ctx, vm.heap().allocateArray(*ctx, index, uint32_t(bytes.size())));
  if (array == kNullRef) return kNullRef;
  for (size_t i = 0; i < bytes.size(); ++i) storeGuest<char>(array + kArrayElementsOffset + i, bytes[i]);
  return array;
}

}  // namespace jvmc::rt

using namespace jvmc::rt;

extern "C" ObjectRef jvmc_newObject(JvmcContext* ctx, uint32_t classIndex) {
  return orOutOfMemory(ctx, ctx->vm->heap().allocateObject(*ctx, classIndex));
}

extern "C" ObjectRef jvmc_newArray(JvmcContext* ctx, uint32_t classIndex, int32_t length) {
  if (length < 0) {
    jvmc_throwBuiltin(ctx, uint32_t(BuiltinThrow::NegativeSize), length);
    return kNullRef;
  }
  return orOutOfMemory(ctx, ctx->vm->heap().allocateArray(*ctx, classIndex, uint32_t(length)));
}

extern "C" ObjectRef jvmc_newBytes(JvmcContext* ctx, uint32_t literal) {
  return newByteArray(ctx, ctx->vm->module().byteLiterals[literal]);
}

// Capture must not collect and must not fail.
extern "C" ObjectRef jvmc_materialise(JvmcContext* ctx, uint32_t classIndex) {
  Vm& vm = *ctx->vm;
  uint32_t bytes = vm.classes()[classIndex].instanceBytes;
  ObjectRef object = vm.heap().allocateDetached(classIndex, bytes, 0);
  JVMC_CHECK(object != kNullRef, "no memory left for an object that a capture must write", classIndex);
  return object;
}
