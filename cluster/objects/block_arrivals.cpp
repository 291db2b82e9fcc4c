#include "cluster/objects/block_arrivals.h"

#include <algorithm>
#include <cstring>
#include <set>

namespace jvmc::cluster {

using rt::BlockGroup;

/// Transactions of this node with the blocks' objects that are still in flight; the last one answers.
struct BlockArrivals::Drain {
  std::shared_ptr<Responder> responder;
  std::atomic<int> left{1};

  void step() {
    if (left.fetch_sub(1) == 1) responder->reply({uint8_t(ReplyStatus::Done)});
  }
};

void BlockArrivals::handlePrepare(NodeId from, std::span<const uint8_t> payload, std::shared_ptr<Responder> responder) {
  ByteReader in(payload);
  in.get<uint8_t>();
  std::vector<GroupHeader> groups(in.getCount(kGroupHeaderBytes));
  uint64_t bytes = 0;
  bool sensible = true;
  for (GroupHeader& header : groups) {
    header = getGroupHeader(in);
    sensible = sensible && in.ok() && fitsPlan(core_.homes.plan(), header.group);
    const BlockHome known = sensible ? core_.homes.at(header.group.address) : BlockHome{};
    sensible = sensible && known.state == HomeState::Settled && known.moves <= header.moves && known.node != core_.self;
    bytes += header.group.bytes();
  }
  if (!in.finished() || !sensible || !host_.hasRoomFor(awaitedBytes_ + bytes) || !core_.net.isPlace(core_.self))
    return responder->reply({uint8_t(ReplyStatus::Refused)});
  awaitedBytes_ += bytes;
  std::set<uint64_t> blocks;
  for (const GroupHeader& header : groups) {
    core_.gates.set(header.group.address, {from, HomeState::Incoming, header.moves});
    blocks.insert(header.group.address);
  }
  // From now on no transaction begins in these blocks (it looks at the state under the lock of the shard).
  const auto drain = std::make_shared<Drain>();
  drain->responder = std::move(responder);
  core_.table.forEach([&](ObjectRef object, Entry& entry) {
    if (!entry.busy || !blocks.contains(object & ~uint64_t(rt::kBlockBytes - 1))) return;
    ++drain->left;
    entry.waiters.push_back([drain] { drain->step(); });
  });
  drain->step();
}

void BlockArrivals::handleBlocks(NodeId from, std::span<const uint8_t> payload, Responder& responder) {
  ByteReader in(payload);
  in.get<uint8_t>();
  const uint32_t groups = in.getCount(kGroupHeaderBytes);
  const char* problem = nullptr;
  core_.host.accessGuest([&] {
    for (uint32_t i = 0; i < groups && !problem; ++i) problem = install(from, in);
  });
  if (!problem && !in.finished()) problem = "the message is too long or too short";
  ByteWriter out;
  out.put(uint8_t(problem ? ReplyStatus::Refused : ReplyStatus::Done));
  if (problem) out.append({reinterpret_cast<const uint8_t*>(problem), std::strlen(problem)});
  responder.reply(out.take());
}

/// Null, or what is wrong with the group.
const char* BlockArrivals::install(NodeId from, ByteReader& in) {
  const GroupHeader header = getGroupHeader(in);
  const uint32_t count = in.getCount(20);
  if (!in.ok() || !fitsPlan(core_.homes.plan(), header.group) || (header.group.large && count != 1))
    return "a group of blocks that cannot be";
  const BlockHome known = core_.homes.at(header.group.address);
  const bool awaited = known.state == HomeState::Incoming && known.node == from && known.moves == header.moves;
  if (!awaited && core_.options.fault != Fault::MoveWithoutPrepare) return "blocks that nobody awaits";
  core_.copyMap.forget(header.group.address, header.group.end());
  std::vector<ObjectRef> objects;
  objects.reserve(count);
  uint64_t end = header.group.address;
  for (uint32_t i = 0; i < count; ++i)
    if (const char* problem = installObject(header.group, end, in, objects)) return problem;
  host_.adopt(header.group, objects);
  if (awaited) awaitedBytes_ -= header.group.bytes();
  for (ObjectRef object : objects) {
    // What threads here have written, and did not flush yet, is part of the truth now.
    EntryTable::Shard& shard = core_.table.shard(object);
    std::lock_guard lock(shard.mutex);
    if (const auto entry = shard.entries.find(object); entry != shard.entries.end()) {
      entry->second.writers.clear();
      entry->second.hasTwin = false;
      entry->second.twin = {};
      shard.dropIfIdle(object);
    }
    rt::header(object)->epochWord.store(rt::kEpochHome, std::memory_order_release);
  }
  // I6: whoever acquires here after a release that the old home has seen must find older copies stale.
  if (core_.options.fault != Fault::ArrivalDoesNotTick) core_.tick();
  core_.stats.adoptedGroups++;
  core_.gates.settle(header.group.address, core_.self, header.moves + 1);
  return nullptr;
}

/// Brings one object into memory, merged with what threads here have written to their copy.
const char* BlockArrivals::installObject(const BlockGroup& group, uint64_t& end, ByteReader& in,
                                         std::vector<ObjectRef>& objects) {
  const ObjectRef object = group.address + in.get<uint32_t>();
  const uint32_t classWord = in.get<uint32_t>();
  const uint32_t lockWord = in.get<uint32_t>();
  const uint32_t length = in.get<uint32_t>();
  const rt::ClassInfo* info = in.ok() ? core_.host.classInfo(classWord & rt::kClassMask) : nullptr;
  if (!info || object % rt::kObjectAlignment != 0 || object < end || length > uint32_t(INT32_MAX))
    return "an object of no class, or on top of another";
  const ObjectShape shape(*info, length, core_.forcedGranularity());
  if ((!shape.isArray() && length != 0) || object + shape.end() > group.end()) return "an object that does not fit";
  end = object + shape.end();
  const std::span<const uint8_t> data = in.take(shape.dataBytes());
  const std::span<const uint8_t> homeState = in.getBytes();
  if (!in.ok()) return "an object is cut off";
  bool acceptable = true;
  shape.forEachReference([&](uint64_t offset) {
    ObjectRef reference;
    std::memcpy(&reference, data.data() + (offset - shape.begin()), 8);
    acceptable = acceptable && core_.acceptable(reference);
  });
  if (!acceptable) return "a reference to no object";
  {
    EntryTable::Shard& shard = core_.table.shard(object);
    std::lock_guard lock(shard.mutex);
    rt::ObjectHeader& header = *rt::header(object);
    header.classWord.store(classWord | rt::kFlagExported, std::memory_order_relaxed);
    header.lockWord.store(lockWord, std::memory_order_relaxed);
    if (shape.isArray()) rt::storeGuest<uint32_t>(object + rt::kArrayLengthOffset, length);
    const auto entry = shard.entries.find(object);
    const bool written = entry != shard.entries.end() && entry->second.hasTwin;
    if (header.epochWord.load(std::memory_order_relaxed) != rt::kEpochInvalid) core_.contentChanges(object);
    mergeFresh(object, shape, data, written ? &entry->second.twin : nullptr);
  }
  objects.push_back(object);
  return homeState.empty() || host_.putHomeState(object, homeState) ? nullptr : "waiters that cannot be";
}

}  // namespace jvmc::cluster
