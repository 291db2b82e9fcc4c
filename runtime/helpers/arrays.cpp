// array_copy and array_fill: element by element with relaxed atomics, because another thread may race.
#include "runtime/class_table.h"
#include "runtime/helpers/access.h"
#include "runtime/vm.h"

namespace jvmc::rt {
namespace {

bool inBounds(int32_t from, int32_t count, int32_t length) {
  return from >= 0 && count >= 0 && int64_t(from) + count <= length;
}

/// The element index to blame for a range that is out of bounds.
int32_t badIndex(int32_t from, int32_t count, int32_t length) {
  if (from < 0 || count < 0) return from < 0 ? from : count;
  return from > length ? from : length;
}

template <class T>
void copyElements(uint64_t from, uint64_t to, int32_t count) {
  if (to <= from)
    for (int32_t i = 0; i < count; ++i)
      storeGuest<T>(to + uint64_t(i) * sizeof(T), loadGuest<T>(from + uint64_t(i) * sizeof(T)));
  else
    for (int32_t i = count; i-- > 0;)
      storeGuest<T>(to + uint64_t(i) * sizeof(T), loadGuest<T>(from + uint64_t(i) * sizeof(T)));
}

void copyPrimitives(uint8_t shift, uint64_t from, uint64_t to, int32_t count) {
  switch (shift) {
    case 0:
      return copyElements<uint8_t>(from, to, count);
    case 1:
      return copyElements<uint16_t>(from, to, count);
    case 2:
      return copyElements<uint32_t>(from, to, count);
    default:
      return copyElements<uint64_t>(from, to, count);
  }
}

/// One reference with its barrier; false if it does not fit the array.
bool copyReference(ThreadContext* ctx, ObjectRef from, int32_t fromIndex, ObjectRef to, int32_t toIndex, bool check) {
  ObjectRef value = loadGuest<uint64_t>(from + kArrayElementsOffset + uint64_t(fromIndex) * 8);
  if (check && !storeAllowed(ctx, to, value)) return false;
  storeReference(ctx, to, kArrayElementsOffset + uint64_t(toIndex) * 8, value);
  return true;
}

void copyReferences(ThreadContext* ctx, ObjectRef from, int32_t fromIndex, ObjectRef to, int32_t toIndex,
                    int32_t count) {
  const ClassInfo* source = ctx->classes[classIndexOf(from)];
  const ClassInfo* target = ctx->classes[classIndexOf(to)];
  bool check = !isInstance(*source, *target);
  bool backwards = from == to && fromIndex < toIndex;
  for (int32_t n = 0; n < count; ++n) {
    int32_t i = backwards ? count - 1 - n : n;
    if (copyReference(ctx, from, fromIndex + i, to, toIndex + i, check)) continue;
    return jvmc_throwBuiltin(ctx, uint32_t(BuiltinThrow::ArrayStore), 0);
  }
}

void throwFor(ThreadContext* ctx, BuiltinThrow kind, int32_t detail) {
  jvmc_throwBuiltin(ctx, uint32_t(kind), detail);
}

}  // namespace
}  // namespace jvmc::rt

using namespace jvmc::rt;

extern "C" void jvmc_arrayCopy(JvmcContext* ctx, ObjectRef from, int32_t fromIndex, ObjectRef to, int32_t toIndex,
                               int32_t count) {
  if (from == kNullRef || to == kNullRef) return throwFor(ctx, BuiltinThrow::NullPointer, 0);
  ensureReadable(ctx, from);
  ensureReadable(ctx, to);
  const ClassInfo& source = *ctx->classes[classIndexOf(from)];
  const ClassInfo& target = *ctx->classes[classIndexOf(to)];
  bool references = source.shape == ObjectShape::ReferenceArray;
  if (source.shape != target.shape || (!references && &source != &target))
    return throwFor(ctx, BuiltinThrow::ArrayStore, int32_t(source.index));
  if (!inBounds(fromIndex, count, arrayLength(from)))
    return throwFor(ctx, BuiltinThrow::ArrayIndex, badIndex(fromIndex, count, arrayLength(from)));
  if (!inBounds(toIndex, count, arrayLength(to)))
    return throwFor(ctx, BuiltinThrow::ArrayIndex, badIndex(toIndex, count, arrayLength(to)));
  if (count == 0) return;
  jvmc_checkRangeRead(ctx, from, fromIndex, fromIndex + count);
  jvmc_checkRangeWrite(ctx, to, toIndex, toIndex + count);
  if (references) return copyReferences(ctx, from, fromIndex, to, toIndex, count);
  copyPrimitives(source.elementShift, from + kArrayElementsOffset + (uint64_t(fromIndex) << source.elementShift),
                 to + kArrayElementsOffset + (uint64_t(toIndex) << source.elementShift), count);
}

extern "C" void jvmc_arrayFill(JvmcContext* ctx, ObjectRef array, int32_t from, int32_t to, int64_t valueBits) {
  if (array == kNullRef) return throwFor(ctx, BuiltinThrow::NullPointer, 0);
  ensureReadable(ctx, array);
  int32_t length = arrayLength(array);
  if (from < 0 || to > length || from > to) return throwFor(ctx, BuiltinThrow::ArrayIndex, from < 0 ? from : to);
  const ClassInfo& info = *ctx->classes[classIndexOf(array)];
  uint64_t value = uint64_t(valueBits);
  bool references = info.shape == ObjectShape::ReferenceArray;
  if (references && !storeAllowed(ctx, array, value)) return throwFor(ctx, BuiltinThrow::ArrayStore, 0);
  if (from == to) return;
  jvmc_checkRangeWrite(ctx, array, from, to);
  for (int32_t i = from; i < to; ++i) {
    uint64_t address = array + kArrayElementsOffset + (uint64_t(i) << info.elementShift);
    if (references) {
      storeReference(ctx, array, address - array, value);
      continue;
    }
    switch (info.elementShift) {
      case 0:
        storeGuest<uint8_t>(address, uint8_t(value));
        break;
      case 1:
        storeGuest<uint16_t>(address, uint16_t(value));
        break;
      case 2:
        storeGuest<uint32_t>(address, uint32_t(value));
        break;
      default:
        storeGuest<uint64_t>(address, value);
    }
  }
}
