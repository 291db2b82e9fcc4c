#include "tests/simulator/sim_heap.h"

#include <sys/mman.h>

#include "runtime/abi/guest_memory.h"

namespace jvmc::sim {

/// Of a block that is home here, so that nobody need be asked.
ObjectRef SimHeap::make() {
  const ObjectRef cell = around_.cells.make([this](ObjectRef place) { return homes_.isSettledAt(self_, place); });
  if (cell == rt::kNullRef) return cell;
  rt::header(cell)->classWord = kRecord;
  for (uint32_t i = 0; i < kRecordReferences + kRecordNumbers; ++i)
    rt::storeGuest<uint64_t>(cell + rt::kHeaderBytes + 8 * i, 0);
  rt::header(cell)->epochWord = rt::kEpochHome;
  if (trace_.isActive()) trace_.blacken(cell);
  return cell;
}

void SimHeap::exportObject(ObjectRef object) {
  if (trace_.isActive()) trace_.grey(object);
  exported_.insert(object);
}

void SimHeap::beforeReferenceStore(ObjectRef object, uint64_t offset) {
  if (trace_.isActive()) trace_.grey(rt::loadGuest<uint64_t>(object + offset));
}

// ---------------------------------------------------------------- blocks

std::vector<rt::BlockGroup> SimHeap::withdraw(uint64_t bytes, const std::set<uint64_t>& only) {
  std::vector<uint64_t> here;
  for (uint64_t block : around_.world.blocks())
    if (homes_.isSettledAt(self_, block) && (only.empty() || only.contains(block))) here.push_back(block);
  std::vector<rt::BlockGroup> taken;
  for (uint64_t sum = 0; sum < bytes && !here.empty(); sum += rt::kBlockBytes) {
    const size_t at = around_.events.random.below(here.size());
    taken.push_back({here[at], 1, false});
    here.erase(here.begin() + ptrdiff_t(at));
  }
  return taken;
}

rt::ObjectStarts SimHeap::objectsOf(const rt::BlockGroup& group) const {
  rt::ObjectStarts objects;
  around_.world.forEachObject(group.address, group.end(), [&](ObjectRef object) {
    if (isObject(object)) objects.add(object - group.address);
  });
  return objects;
}

void SimHeap::adopt(const rt::BlockGroup& group, const rt::ObjectStarts& objects) {
  objects.forEach([&](uint64_t offset) {
    exported_.insert(group.address + offset);
    if (trace_.isActive()) trace_.blacken(group.address + offset);
  });
}

void SimHeap::giveAway(const rt::BlockGroup& group) {
  madvise(reinterpret_cast<void*>(group.address), group.bytes(), MADV_DONTNEED);
}

// ---------------------------------------------------------------- rounds

bool SimHeap::beginTrace(const rt::TraceHost& host, const std::function<void(rt::Trace&)>& moreRoots) {
  trace_.begin(host);
  const auto grey = [this](ObjectRef object) { trace_.grey(object); };
  // Constants of the code, as statics are.
  around_.world.forEachObject(0, UINT64_MAX, [this](ObjectRef object) {
    if (!around_.world.isCell(object)) trace_.greyHere(object);
  });
  roots_(grey);
  moreRoots(trace_);
  // A word of a stack that looks like a reference; mostly there is no such node.
  trace_.grey(World::plan().regionBase(World::kNodesMax - 1) + 8 * self_.value);
  return true;
}

void SimHeap::greyIfExported(uint64_t address) {
  if (exported_.contains(address)) trace_.grey(address);
}

rt::TraceResult SimHeap::endTrace(bool isComplete) {
  rt::TraceResult result;
  std::vector<ObjectRef> dead;
  if (isComplete)
    around_.cells.forEachAlive([&](ObjectRef cell) {
      if (homes_.isServedBy(self_, cell) && !trace_.isMarked(cell)) dead.push_back(cell);
    });
  for (ObjectRef cell : dead) {
    around_.cells.bury(cell);
    rt::header(cell)->epochWord = rt::kEpochInvalid;
    exported_.erase(cell);
    ++result.objects;
  }
  around_.history.note(What::Collected, self_.value, isComplete, result.objects);
  trace_.end();
  return result;
}

}  // namespace jvmc::sim
