#include "runtime/heap/object_model.h"
#include "runtime/helpers/access.h"
#include "runtime/vm.h"

namespace jvmc::rt {
namespace {

/// Room that others could have taken before us is not asked for forever.
constexpr int kRetries = 8;
/// Results of natives up to this size may come from the heap's reserve.
constexpr size_t kSpareBytes = 1024;

ObjectRef orOutOfMemory(ThreadContext* ctx, ObjectRef object) {
  if (object == kNullRef) [[unlikely]]
    jvmc_throwBuiltin(ctx, uint32_t(BuiltinThrow::OutOfMemory), 0);
  return object;
}

/// The heap has refused: tries again whenever the cluster has made room.
template <class Allocate>
[[gnu::noinline]] ObjectRef allocateWithRelief(ThreadContext* ctx, uint64_t bytes, Allocate allocate) {
  ObjectRef object = kNullRef;
  MemoryRelief* relief = ctx->vm->relief();
  for (int i = 0; relief && object == kNullRef && i < kRetries && relief->awaitMemory(*ctx, bytes); ++i)
    object = allocate();
  return orOutOfMemory(ctx, object);
}

void fillBytes(ObjectRef array, std::string_view bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) storeGuest<char>(array + kArrayElementsOffset + i, bytes[i]);
}

ObjectRef newArray(ThreadContext* ctx, ClassIndex index, uint32_t length) {
  Heap& heap = ctx->vm->heap();
  const ObjectRef array = heap.allocateArray(*ctx, index, length);
  if (array != kNullRef) [[likely]]
    return array;
  return allocateWithRelief(ctx, ObjectModel::arrayBytes(ctx->vm->classes()[index], length),
                            [&] { return heap.allocateArray(*ctx, index, length); });
}

}  // namespace

std::string readBytes(ThreadContext* ctx, ObjectRef array) {
  ensureReadable(ctx, array);
  int32_t length = arrayLength(array);
  ensureElementsReadable(ctx, array, 0, length);
  std::string bytes(size_t(length), '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = loadGuest<char>(array + kArrayElementsOffset + i);
  return bytes;
}

ObjectRef newByteArray(ThreadContext* ctx, std::string_view bytes) {
  Vm& vm = *ctx->vm;
  ClassIndex index = vm.layout().arrayIndexOfElement(ir::kI8);
  ObjectRef array = vm.heap().allocateArray(*ctx, index, uint32_t(bytes.size()));
  // The caller may own something, so it cannot wait for room (MemoryRelief).
  if (array == kNullRef && bytes.size() <= kSpareBytes)
    array = vm.heap().allocateDetached(index, ObjectModel::arrayBytes(vm.classes()[index], uint32_t(bytes.size())),
                                       uint32_t(bytes.size()));
  orOutOfMemory(ctx, array);
  if (array == kNullRef) return kNullRef;
  fillBytes(array, bytes);
  return array;
}

}  // namespace jvmc::rt

using namespace jvmc::rt;

extern "C" ObjectRef jvmc_newObject(JvmcContext* ctx, uint32_t classIndex) {
  Heap& heap = ctx->vm->heap();
  const ObjectRef object = heap.allocateObject(*ctx, classIndex);
  if (object != kNullRef) [[likely]]
    return object;
  return allocateWithRelief(ctx, ctx->vm->classes()[classIndex].instanceBytes,
                            [&] { return heap.allocateObject(*ctx, classIndex); });
}

extern "C" ObjectRef jvmc_newArray(JvmcContext* ctx, uint32_t classIndex, int32_t length) {
  if (length < 0) {
    jvmc_throwBuiltin(ctx, uint32_t(BuiltinThrow::NegativeSize), length);
    return kNullRef;
  }
  return newArray(ctx, classIndex, uint32_t(length));
}

extern "C" ObjectRef jvmc_newBytes(JvmcContext* ctx, uint32_t literal) {
  const std::string_view bytes = ctx->vm->module().byteLiterals[literal];
  const ObjectRef array = newArray(ctx, ctx->vm->layout().arrayIndexOfElement(jvmc::ir::kI8), uint32_t(bytes.size()));
  if (array != kNullRef) fillBytes(array, bytes);
  return array;
}

// Capture must not collect and must not fail.
extern "C" ObjectRef jvmc_materialise(JvmcContext* ctx, uint32_t classIndex) {
  Vm& vm = *ctx->vm;
  uint32_t bytes = vm.classes()[classIndex].instanceBytes;
  ObjectRef object = vm.heap().allocateDetached(classIndex, bytes, 0);
  JVMC_CHECK(object != kNullRef, "no memory left for an object that a capture must write", classIndex);
  return object;
}
