#include "cluster/objects/copy_map.h"

#include <bit>

namespace jvmc::cluster {

namespace {

constexpr uint64_t kPagesPerBlock = rt::kBlockBytes / CopyMap::kPageBytes;

uint32_t pageBit(uint64_t address) {
  return 1u << (address / CopyMap::kPageBytes % kPagesPerBlock);
}
uint64_t granuleOf(uint64_t address) {
  return address % rt::kBlockBytes / 8;
}

}  // namespace

struct CopyMap::Region {
  explicit Region(size_t blocks) : blocks(std::make_unique<std::atomic<Block*>[]>(blocks)), count(blocks) {}
  ~Region() {
    for (size_t i = 0; i < count; ++i) delete blocks[i].load();
  }
  std::unique_ptr<std::atomic<Block*>[]> blocks;
  size_t count;
};

CopyMap::CopyMap(const rt::AddressPlan& plan)
    : plan_(plan), regions_(std::make_unique<std::atomic<Region*>[]>(plan.regionCount)) {}

CopyMap::~CopyMap() {
  for (uint32_t i = 0; i < plan_.regionCount; ++i) delete regions_[i].load();
}

CopyMap::Block* CopyMap::find(uint64_t address) const {
  const uint64_t offset = address - plan_.base;
  const Region* region = regions_[offset >> plan_.regionShift].load(std::memory_order_acquire);
  if (!region) return nullptr;
  return region->blocks[(offset & ((uint64_t(1) << plan_.regionShift) - 1)) >> rt::kBlockShift].load(
      std::memory_order_acquire);
}

CopyMap::Block& CopyMap::make(uint64_t address) {
  if (Block* block = find(address)) return *block;
  std::lock_guard lock(mutex_);
  if (Block* block = find(address)) return *block;
  const uint64_t offset = address - plan_.base;
  std::atomic<Region*>& slot = regions_[offset >> plan_.regionShift];
  if (!slot.load()) slot.store(new Region(size_t(1) << (plan_.regionShift - rt::kBlockShift)));
  const size_t index = (offset & ((uint64_t(1) << plan_.regionShift) - 1)) >> rt::kBlockShift;
  auto* block = new Block;
  slot.load()->blocks[index].store(block, std::memory_order_release);
  known_.push_back(address & ~uint64_t(rt::kBlockBytes - 1));
  return *block;
}

void CopyMap::note(ObjectRef object, uint64_t bytes) {
  std::atomic<uint64_t>& word = make(object).starts[granuleOf(object) / 64];
  const uint64_t bit = uint64_t(1) << (granuleOf(object) % 64);
  if (word.load(std::memory_order_relaxed) & bit) return;
  word.fetch_or(bit, std::memory_order_release);
  notePages(object, object + bytes);
}

void CopyMap::notePages(uint64_t begin, uint64_t end) {
  uint64_t fresh = 0;
  for (uint64_t page = begin & ~(kPageBytes - 1); page < end; page += kPageBytes) {
    const uint32_t bit = pageBit(page);
    fresh += (make(page).pages.fetch_or(bit, std::memory_order_relaxed) & bit) == 0;
  }
  if (fresh == 0) return;
  const uint64_t now = pages_.fetch_add(fresh, std::memory_order_relaxed) + fresh;
  uint64_t budget = budgetPages_.load(std::memory_order_relaxed);
  if (now <= budget || !budgetPages_.compare_exchange_strong(budget, UINT64_MAX)) return;
  std::function<void()> exceeded;
  {
    std::lock_guard lock(mutex_);
    exceeded = exceeded_;
  }
  if (exceeded) exceeded();
}

void CopyMap::setBudget(uint64_t bytes, std::function<void()> exceeded) {
  std::lock_guard lock(mutex_);
  exceeded_ = std::move(exceeded);
  budgetPages_ = bytes / kPageBytes;
}

bool CopyMap::forget(uint64_t begin, uint64_t end) {
  uint64_t gone = 0;
  for (uint64_t address = begin; address < end; address += rt::kBlockBytes) {
    Block* block = find(address);
    if (!block) continue;
    for (auto& word : block->starts) word.store(0, std::memory_order_relaxed);
    gone += uint64_t(std::popcount(block->pages.exchange(0, std::memory_order_relaxed)));
  }
  pages_ -= gone;
  return gone != 0;
}

std::vector<uint64_t> CopyMap::nextBlocks(size_t count) {
  std::lock_guard lock(mutex_);
  std::vector<uint64_t> blocks;
  for (size_t tried = 0; tried < known_.size() && blocks.size() < count; ++tried) {
    next_ = next_ + 1 < known_.size() ? next_ + 1 : 0;
    if (find(known_[next_])->pages.load(std::memory_order_relaxed) != 0) blocks.push_back(known_[next_]);
  }
  return blocks;
}

void CopyMap::forEachCopy(uint64_t address, const std::function<void(ObjectRef)>& visit) const {
  const Block* block = find(address);
  if (!block) return;
  for (size_t w = 0; w < block->starts.size(); ++w)
    for (uint64_t word = block->starts[w].load(std::memory_order_relaxed); word; word &= word - 1)
      visit(address + (w * 64 + uint64_t(std::countr_zero(word))) * 8);
}

std::vector<uint64_t> CopyMap::blocks() {
  std::lock_guard lock(mutex_);
  std::vector<uint64_t> blocks;
  for (uint64_t block : known_)
    if (find(block)->pages.load(std::memory_order_relaxed) != 0) blocks.push_back(block);
  return blocks;
}

ObjectRef CopyMap::lastBefore(uint64_t address) const {
  uint64_t block = address & ~uint64_t(rt::kBlockBytes - 1);
  for (uint64_t granule = granuleOf(address);; granule = rt::kBlockBytes / 8 - 1, block -= rt::kBlockBytes) {
    const Block* found = plan_.contains(block) ? find(block) : nullptr;
    if (!found) return rt::kNullRef;
    size_t w = granule / 64;
    uint64_t word = found->starts[w].load(std::memory_order_relaxed) << (63 - granule % 64) >> (63 - granule % 64);
    while (!word && w > 0) word = found->starts[--w].load(std::memory_order_relaxed);
    if (word) return block + (w * 64 + 63 - uint64_t(std::countl_zero(word))) * 8;
    // A copy that reaches here from the block before has the pages in between.
    if (!(found->pages.load(std::memory_order_relaxed) & 1)) return rt::kNullRef;
  }
}

void CopyMap::drop(ObjectRef object) {
  find(object)->starts[granuleOf(object) / 64].fetch_and(~(uint64_t(1) << (granuleOf(object) % 64)),
                                                         std::memory_order_relaxed);
}

void CopyMap::dropPage(uint64_t page) {
  Block* block = find(page);
  if (block && block->pages.fetch_and(~pageBit(page), std::memory_order_relaxed) & pageBit(page)) pages_--;
}

}  // namespace jvmc::cluster
