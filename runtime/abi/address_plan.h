// The one address range that every node of a program reserves. Agreed when a node joins; the same on all nodes.
#pragma once

#include <cstdint>

#include "runtime/abi/object.h"

#if defined(__SANITIZE_THREAD__)
#define JVMC_SMALL_ADDRESS_PLAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define JVMC_SMALL_ADDRESS_PLAN 1
#endif
#endif

namespace jvmc::rt {

/// Regions are leased to nodes; a region's objects have the lessee as home. Blocks are the unit of the collector.
struct AddressPlan {
#ifdef JVMC_SMALL_ADDRESS_PLAN
  uint64_t base = 0x10'0000'0000;  ///< ThreadSanitizer admits program memory in a few narrow windows only
  uint32_t regionShift = 30;
  uint32_t regionCount = 64;
#else
  uint64_t base = 0x1400'0000'0000;  ///< above ASan's shadow, below position-independent executables
  uint32_t regionShift = 30;         ///< 1 GiB
  uint32_t regionCount = 65536;
#endif

  uint64_t bytes() const { return uint64_t(regionCount) << regionShift; }
  uint64_t end() const { return base + bytes(); }
  uint64_t regionBase(uint32_t region) const { return base + (uint64_t(region) << regionShift); }
  bool contains(ObjectRef ref) const { return ref - base < bytes(); }
  uint32_t regionOf(ObjectRef ref) const { return uint32_t((ref - base) >> regionShift); }
  friend bool operator==(const AddressPlan&, const AddressPlan&) = default;
};

inline constexpr uint32_t kBlockShift = 16;
inline constexpr uint32_t kBlockBytes = 1u << kBlockShift;

/// Statics objects of all classes lie one after another from here on, in region 0; at first the first node is their
/// home. Every node computes the same addresses (see layout.h).
inline constexpr uint64_t kStaticsOffset = kBlockBytes;

}  // namespace jvmc::rt
