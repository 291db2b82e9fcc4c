#include "runtime/sync/atomic_access.h"

#include <atomic>

#include "ir/support/check.h"

namespace jvmc::rt {
namespace {

template <class T>
uint64_t asSlot(T value) {
  if constexpr (sizeof(T) < 4) return uint32_t(int32_t(value));  // sign-extended within its 32 bits
  if constexpr (sizeof(T) == 4) return uint32_t(value);
  return uint64_t(value);
}

template <class T>
uint64_t access(AtomicOp op, uint64_t address, uint64_t a, uint64_t b) {
  auto& cell = *reinterpret_cast<std::atomic<T>*>(address);
  switch (op) {
    case AtomicOp::Load:
      return asSlot(cell.load());
    case AtomicOp::Store:
      cell.store(T(a));
      return 0;
    case AtomicOp::Cas: {
      T expected = T(a);
      return cell.compare_exchange_strong(expected, T(b)) ? 1 : 0;
    }
    case AtomicOp::Add:
      return asSlot(cell.fetch_add(T(a)));
    case AtomicOp::Swap:
      return asSlot(cell.exchange(T(a)));
  }
  JVMC_UNREACHABLE(uint32_t(op));
}

}  // namespace

uint64_t accessAtomically(AtomicOp op, uint64_t address, uint32_t sizeLog2, uint64_t a, uint64_t b) {
  switch (sizeLog2) {
    case 0:
      return access<int8_t>(op, address, a, b);
    case 1:
      return access<int16_t>(op, address, a, b);
    case 2:
      return access<int32_t>(op, address, a, b);
    case 3:
      return access<int64_t>(op, address, a, b);
  }
  JVMC_UNREACHABLE(sizeLog2);
}

}  // namespace jvmc::rt
