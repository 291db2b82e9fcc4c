#include "tests/simulator/arena.h"

#include <sys/mman.h>

#include "ir/support/check.h"

namespace jvmc::sim {

namespace {

/// Page tables move as a whole if both ends are aligned so.
constexpr uint64_t kAlignment = 2 << 20;

void* reserve(void* at, uint64_t bytes) {
  void* memory = mmap(at, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED : 0), -1, 0);
  JVMC_CHECK(memory != MAP_FAILED);
  return memory;
}

void makeUsable(void* at, uint64_t bytes) {
  void* memory =
      mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  JVMC_CHECK(memory == at);
}

}  // namespace

Arena::Arena(const rt::AddressPlan& plan) : plan_(plan) {
  JVMC_CHECK(plan.bytes() % kAlignment == 0 && plan.base % kAlignment == 0);
  void* memory =
      mmap(base(), plan_.bytes(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  JVMC_CHECK(memory == base());
}

Arena::~Arena() {
  leave();
  for (void* memory : aside_) munmap(memory, plan_.bytes());
  munmap(base(), plan_.bytes());
}

void Arena::leave() {
  if (acting_ < 0) return;
  void* moved = mremap(base(), plan_.bytes(), plan_.bytes(), MREMAP_MAYMOVE | MREMAP_FIXED, aside_[size_t(acting_)]);
  JVMC_CHECK(moved == aside_[size_t(acting_)]);
  acting_ = -1;
}

void Arena::enter(uint32_t node) {
  if (acting_ == int(node)) return;
  leave();
  while (aside_.size() <= node) {
    const uint64_t raw = reinterpret_cast<uint64_t>(reserve(nullptr, plan_.bytes() + kAlignment));
    void* at = reinterpret_cast<void*>((raw + kAlignment - 1) / kAlignment * kAlignment);
    makeUsable(at, plan_.bytes());
    aside_.push_back(at);
  }
  // Where they were stays reserved: they come back.
  void* moved =
      mremap(aside_[node], plan_.bytes(), plan_.bytes(), MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, base());
  JVMC_CHECK(moved == base());
  acting_ = int(node);
}

void Arena::clear() {
  leave();
  for (void* memory : aside_) madvise(memory, plan_.bytes(), MADV_DONTNEED);
}

}  // namespace jvmc::sim
