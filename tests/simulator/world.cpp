#include "tests/simulator/world.h"

#include <algorithm>

#include "cluster/objects/object_shape.h"
#include "ir/support/check.h"
#include "runtime/abi/guest_memory.h"

namespace jvmc::sim {

namespace {

constexpr uint8_t kWide[kRecordReferences + kRecordNumbers] = {3, 3, 3, 3, 3, 3, 3, 3};
constexpr uint8_t kNarrow[1] = {2};
constexpr uint32_t kReferenceOffsets[kRecordReferences] = {rt::kHeaderBytes, rt::kHeaderBytes + 8};
constexpr uint32_t kBytesPerThread = 1;

}  // namespace

Classes::Classes() {
  for (uint32_t i = 0; i < kClasses; ++i) infos_[i].index = i;
  infos_[kRecord].instanceBytes = rt::kHeaderBytes + 8 * (kRecordReferences + kRecordNumbers);
  infos_[kRecord].wordGranularity = kWide;
  infos_[kRecord].refOffsets = kReferenceOffsets;
  infos_[kRecord].refCount = kRecordReferences;
  infos_[kBytes].shape = rt::ObjectShape::PrimitiveArray;
  infos_[kBytes].instanceBytes = rt::kArrayElementsOffset;
  infos_[kThreadClass].instanceBytes = rt::kHeaderBytes + 8;
  infos_[kThreadClass].wordGranularity = kNarrow;
  for (uint32_t i = 0; i < kClasses; ++i) table_[i] = &infos_[i];
}

rt::AddressPlan World::plan() {
  return {.base = rt::AddressPlan{}.base, .regionShift = kRegionShift, .regionCount = kNodesMax};
}

World::World(uint64_t seed, WorldOptions options) : options_(options), random_(seed * 0x9E37 + 1) {
  next_.assign(options.nodes, std::vector<uint64_t>(kBlocksUsed, 0));
  const auto anyNode = [&] { return uint32_t(random_.below(options_.nodes)); };
  for (uint32_t i = 0; i < options.nodes * options.objectsPerNode; ++i)
    records.push_back(allocate(i % options.nodes, kRecord, 0));
  for (ObjectRef record : records) {
    for (ObjectRef& reference : objects_[record].references)
      reference = random_.below(4) == 0 ? rt::kNullRef : records[random_.below(records.size())];
    for (uint32_t i = 0; i < kRecordNumbers; ++i)
      numbers_.push_back({record, rt::kHeaderBytes + 8 * (kRecordReferences + i)});
  }
  std::vector<ObjectRef> bytes;
  for (uint32_t i = 0; i < 2; ++i) bytes.push_back(allocate(anyNode(), kBytes, options.threads * kBytesPerThread));
  for (uint32_t i = 0; i < options.threads; ++i) {
    threads_.push_back(
        {i == 0 ? 1 : uint64_t(i) * rt::kNodesMax + 1, allocate(i == 0 ? 0 : anyNode(), kThreadClass, 0)});
    own.push_back({takeNumber(), takeNumber()});
    for (ObjectRef array : bytes) own.back().push_back({array, rt::kArrayElementsOffset + i, true});
    channels.push_back({takeNumber(), {takeNumber(), takeNumber()}});
  }
  const uint32_t monitorCount = 1 + uint32_t(random_.below(3));
  for (uint32_t i = 0; i < monitorCount; ++i) {
    monitors.push_back(records[random_.below(records.size())]);
    guarded.push_back({takeNumber(), takeNumber(), takeNumber()});
  }
  std::sort(monitors.begin(), monitors.end());
  monitors.erase(std::unique(monitors.begin(), monitors.end()), monitors.end());
  for (uint32_t i = 0; i < 2; ++i) counters.push_back(takeNumber());
  for (uint32_t i = 0; i < 2; ++i)
    for (uint32_t offset : kReferenceOffsets) racing.push_back({records[random_.below(records.size())], offset});
  for (uint32_t i = 0; i < 3; ++i) slots.push_back(takeNumber());
  finals.resize(options.threads);
  for (std::vector<Final>& own : finals)
    for (uint32_t i = 0; i < kFinals; ++i)
      own.push_back({allocate(anyNode(), kRecord, 0), allocate(anyNode(), kRecord, 0)});
  if (options.cellsPerNode > 0) makeCells();
}

void World::makeCells() {
  const auto anyField = [this] {
    const ObjectRef record = allocate(uint32_t(random_.below(options_.nodes)), kRecord, 0);
    return Field{record, kReferenceOffsets[random_.below(kRecordReferences)]};
  };
  for (size_t i = 0; i < monitors.size(); ++i) anchors.push_back({anyField(), anyField()});
  swapped = {anyField(), anyField()};
  for (uint32_t i = 0; i < options_.nodes * options_.cellsPerNode; ++i)
    cells.push_back(allocate(i % options_.nodes, kRecord, 0));
  std::sort(cells.begin(), cells.end());
}

Field World::takeNumber() {
  JVMC_CHECK(!numbers_.empty());
  const size_t at = random_.below(numbers_.size());
  const Field field = numbers_[at];
  numbers_[at] = numbers_.back();
  numbers_.pop_back();
  return field;
}

ObjectRef World::allocate(uint32_t node, ClassIndex type, uint32_t length) {
  const uint32_t block = uint32_t(random_.below(kBlocksUsed));
  uint64_t& next = next_[node][block];
  const ObjectRef object = plan().regionBase(node) + block * uint64_t(rt::kBlockBytes) + next;
  next += (cluster::ObjectShape(*classes.at(type), length).end() + 15) & ~uint64_t(15);
  JVMC_CHECK(next <= rt::kBlockBytes);
  objects_[object] = {type, length};
  blocks_.insert(object & ~uint64_t(rt::kBlockBytes - 1));
  return object;
}

void World::create(uint32_t node) const {
  const uint64_t begin = plan().regionBase(node), end = begin + (uint64_t(1) << kRegionShift);
  for (auto at = objects_.lower_bound(begin); at != objects_.end() && at->first < end; ++at) {
    const auto& [address, object] = *at;
    if (isCell(address)) continue;  // not made yet
    rt::ObjectHeader& header = *rt::header(address);
    header.classWord = object.type;
    if (object.type == kBytes) rt::storeGuest<uint32_t>(address + rt::kArrayLengthOffset, object.length);
    if (object.type == kRecord)
      for (uint32_t i = 0; i < kRecordReferences; ++i)
        rt::storeGuest<uint64_t>(address + kReferenceOffsets[i], object.references[i]);
    // The main thread lives from the beginning; its object is the first node's.
    if (address == threads_[0].object) rt::storeGuest<int32_t>(address + kThreadStateOffset, 1);
    header.epochWord = rt::kEpochHome;
  }
}

rt::ThreadId World::threadOf(ObjectRef object) const {
  for (const rt::ThreadRef& thread : threads_)
    if (thread.object == object) return thread.id;
  return 0;
}

}  // namespace jvmc::sim
