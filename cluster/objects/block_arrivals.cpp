#include "cluster/objects/block_arrivals.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <set>

namespace jvmc::cluster {

using rt::BlockGroup;

namespace {

/// Class word and lock word, as one.
constexpr uint64_t kHeadOffset = offsetof(rt::ObjectHeader, classWord);
static_assert(offsetof(rt::ObjectHeader, lockWord) == kHeadOffset + sizeof(uint32_t));

/// Of a group with so many bytes of objects, all memory is needed.
bool fillsMostOf(uint64_t bytes, const BlockGroup& group) {
  return 2 * bytes >= group.bytes();
}

uint64_t wordAt(std::span<const uint8_t> data, uint64_t offset) {
  uint64_t word;
  std::memcpy(&word, data.data() + offset, sizeof word);
  return word;
}

}  // namespace

/// Transactions of this node with the blocks' objects that are still in flight; the last one answers.
struct BlockArrivals::Drain {
  std::shared_ptr<Responder> responder;
  std::atomic<int> left{1};

  void step() {
    if (left.fetch_sub(1) == 1) responder->reply({uint8_t(ReplyStatus::Done)});
  }
};

struct BlockArrivals::Cursors {
  ClassCursor classes;
  ServedCursor servedHere;
};

void BlockArrivals::handlePrepare(NodeId from, std::span<const uint8_t> payload, std::shared_ptr<Responder> responder) {
  ByteReader in(payload);
  in.get<uint8_t>();
  std::vector<GroupHeader> groups(in.getCount(kPreparedGroupBytes));
  std::vector<uint64_t> ends;  // of what will need memory
  uint64_t bytes = 0;
  bool sensible = true;
  for (GroupHeader& header : groups) {
    header = getGroupHeader(in);
    const auto filled = in.get<uint64_t>();
    ends.push_back(header.group.address + (fillsMostOf(filled, header.group) ? filled : 0));
    sensible = sensible && filled <= header.group.bytes();
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
  for (size_t i = 0; i < groups.size(); ++i)
    if (ends[i] > groups[i].group.address) host_.expectObjects(groups[i].group.address, ends[i]);
  // From now on no transaction begins in these blocks, and nobody joins the writers of a copy there (who does looks at
  // the state under the lock of the shard).
  const auto drain = std::make_shared<Drain>();
  drain->responder = std::move(responder);
  core_.table.forEach([&](const CopyUnit& unit, Entry& entry) {
    const uint64_t block = unit.object & ~uint64_t(rt::kBlockBytes - 1);
    if (!blocks.contains(block)) return;
    written_[block].push_back(unit);
    if (!entry.busy) return;
    ++drain->left;
    entry.waiters.push_back([drain] { drain->step(); });
  });
  drain->step();
}

void BlockArrivals::handleBlocks(NodeId from, std::span<const uint8_t> payload, Responder& responder) {
  const char* problem = nullptr;
  bool waitedFor = false;
  core_.host.accessGuest([&] {
    BlockGates::Ready ready;
    problem = install(from, payload, ready);
    waitedFor = ready.any();
    ready.go();
  });
  ByteWriter out;
  out.put(uint8_t(problem ? ReplyStatus::Refused : ReplyStatus::Done));
  if (problem)
    out.append({reinterpret_cast<const uint8_t*>(problem), std::strlen(problem)});
  else
    out.put(waitedFor);
  responder.reply(out.take());
}

/// Null, or what is wrong with the message. All of it is looked at before any of it is brought in.
const char* BlockArrivals::install(NodeId from, std::span<const uint8_t> payload, BlockGates::Ready& ready) {
  ByteReader in(payload);
  in.get<uint8_t>();
  std::vector<GroupContents> groups(in.getCount(kGroupContentsBytes));
  for (GroupContents& group : groups) group = getGroupContents(in);
  std::set<uint64_t> seen;
  Cursors cursors{ClassCursor(core_.host), ServedCursor(core_)};
  for (GroupContents& group : groups) {
    group.data = in.take(group.bytes);
    if (!in.ok()) return "the message is too short";
    if (!seen.insert(group.header.group.address).second) return "a group that comes twice";
    if (const char* problem = check(from, group, cursors)) return problem;
  }
  if (!in.finished()) return "the message is too long";
  for (const GroupContents& group : groups)
    if (!install(group, ready)) return "waiters that cannot be";
  return nullptr;
}

bool BlockArrivals::install(const GroupContents& contents, BlockGates::Ready& ready) {
  const auto& [group, moves] = contents.header;
  const bool copies = core_.forgetCopies(group.address, group.end());
  const std::vector<CopyUnit> written = takeWritten(group.address);
  if (fillsMostOf(contents.bytes, group)) host_.populate(group.address, group.address + contents.bytes);
  if (copies || !written.empty()) {
    copyObjects(contents, written);
  } else {
    for (const GroupContents::Piece& piece : contents.pieces)
      rt::fillGuest(group.address + piece.offset, piece.data.data(), piece.data.size());
  }
  std::vector<ObjectRef> writtenObjects;
  for (const CopyUnit& unit : written)
    if (writtenObjects.empty() || writtenObjects.back() != unit.object) writtenObjects.push_back(unit.object);
  host_.adopt(group, contents.objects, writtenObjects);
  for (const GroupContents::HomeState& each : contents.homeStates)
    if (!host_.putHomeState(group.address + each.offset, each.state)) return false;
  if (core_.homes.at(group.address).state == HomeState::Incoming) awaitedBytes_ -= group.bytes();
  for (const CopyUnit& unit : written) forgetWrites(unit);
  contents.objects.forEach([&](uint64_t offset) {
    rt::header(group.address + offset)->epochWord.store(rt::kEpochHome, std::memory_order_release);
  });
  // I6: whoever acquires here after a release that the old home has seen must find older copies stale.
  if (core_.options.fault != Fault::ArrivalDoesNotTick) core_.tick();
  core_.stats.adoptedGroups++;
  core_.gates.settle(group.address, core_.self, moves + 1, ready);
  return true;
}

/// Copies here that threads may have written to, ascending.
std::vector<CopyUnit> BlockArrivals::takeWritten(uint64_t block) {
  if (core_.options.fault == Fault::MoveWithoutPrepare)  // it was not announced
    core_.table.forEach([&](const CopyUnit& unit, const Entry&) {
      if ((unit.object & ~uint64_t(rt::kBlockBytes - 1)) == block) written_[block].push_back(unit);
    });
  auto found = written_.extract(block);
  if (found.empty()) return {};
  std::vector<CopyUnit> written = std::move(found.mapped());
  std::sort(written.begin(), written.end());
  return written;
}

/// Null, or why the group cannot be brought in.
const char* BlockArrivals::check(NodeId from, GroupContents& contents, Cursors& cursors) {
  const auto& [group, moves] = contents.header;
  if (!fitsPlan(core_.homes.plan(), group)) return "a group of blocks that cannot be";
  const BlockHome known = core_.homes.at(group.address);
  const bool awaited = known.state == HomeState::Incoming && known.node == from && known.moves == moves;
  if (!awaited && core_.options.fault != Fault::MoveWithoutPrepare) return "blocks that nobody awaits";
  std::span<const uint8_t> data = contents.data;
  const char* problem = nullptr;
  uint64_t end = group.address;  // of the objects so far
  contents.objects.forEach([&](uint64_t offset) {
    if (problem) return;
    const ObjectRef object = group.address + offset;
    const uint64_t bytes = object < end ? 0 : checkObject(data, cursors);
    if (bytes == 0 || object + bytes > group.end()) {
      problem = "an object of no class, that does not fit, or that refers to none";
      return;
    }
    if (object != end || contents.pieces.empty()) contents.pieces.push_back({offset, data.first(0)});
    std::span<const uint8_t>& piece = contents.pieces.back().data;
    piece = {piece.data(), piece.size() + bytes};
    end = object + bytes;
    data = data.subspan(bytes);
  });
  for (const GroupContents::HomeState& each : contents.homeStates)
    if (!contents.objects.has(each.offset)) problem = "waiters for no object";
  return problem || data.empty() ? problem : "more than the objects";
}

/// Bytes of the object that `data` begins with; 0: there is none.
uint64_t BlockArrivals::checkObject(std::span<const uint8_t> data, Cursors& cursors) {
  ByteReader in(data);
  const uint64_t epoch = in.get<uint64_t>();
  const uint32_t classWord = in.get<uint32_t>();
  in.get<uint32_t>();
  const rt::ClassInfo* info = in.ok() && epoch == rt::kEpochInvalid ? cursors.classes.of(classWord) : nullptr;
  if (!info) return 0;
  const bool array = info->shape != rt::ObjectShape::Instance;
  const uint32_t length = array ? in.get<uint32_t>() : 0;
  const ObjectShape shape(*info, length, core_.forcedGranularity());
  if (!in.ok() || length > uint32_t(INT32_MAX) || shape.end() > data.size()) return 0;
  bool acceptable = true;
  shape.forEachReference(
      [&](uint64_t offset) { acceptable = acceptable && core_.acceptable(wordAt(data, offset), cursors.servedHere); });
  return acceptable ? shape.end() : 0;
}

/// Brings checked objects into memory, merged with what threads here have written to their copies. Copies that are
/// valid stay so meanwhile: who has checked one reads older values or newer ones.
void BlockArrivals::copyObjects(const GroupContents& contents, const std::vector<CopyUnit>& written) {
  std::span<const uint8_t> data = contents.data;
  auto nextWritten = written.begin();
  ClassCursor classes(core_.host);
  contents.objects.forEach([&](uint64_t offset) {
    const ObjectRef object = contents.header.group.address + offset;
    if (rt::header(object)->epochWord.load(std::memory_order_relaxed) != rt::kEpochInvalid)
      core_.contentChanges(object);
    const auto head = wordAt(data, kHeadOffset);
    rt::storeGuest<uint64_t>(object + kHeadOffset, head);
    const rt::ClassInfo& info = *classes.of(uint32_t(head));
    const bool array = info.shape != rt::ObjectShape::Instance;
    if (array) rt::storeGuest<uint64_t>(object + rt::kArrayLengthOffset, wordAt(data, rt::kArrayLengthOffset));
    const ObjectShape shape(info, array ? uint32_t(rt::arrayLength(object)) : 0, core_.forcedGranularity());
    shape.forEachDataUnit(object, [&](const CopyUnit& unit) {
      const ObjectShape part = shape.forUnit(unit);
      const auto fields = data.subspan(unit.base() - object + part.begin(), part.dataBytes());
      while (nextWritten != written.end() && *nextWritten < unit) ++nextWritten;
      if (nextWritten != written.end() && *nextWritten == unit)
        mergeWritten(unit, part, fields);
      else
        mergeFresh(unit.base(), part, fields, nullptr);
    });
    data = data.subspan(shape.end());
  });
}

void BlockArrivals::mergeWritten(const CopyUnit& unit, const ObjectShape& shape, std::span<const uint8_t> fields) {
  EntryTable::Shard& shard = core_.table.shard(unit);
  std::lock_guard lock(shard.mutex);
  const auto entry = shard.entries.find(unit);
  const bool written = entry != shard.entries.end() && entry->second.hasTwin;
  mergeFresh(unit.base(), shape, fields, written ? &entry->second.twin : nullptr);
}

/// What threads here have written, and did not flush yet, is part of the truth now.
void BlockArrivals::forgetWrites(const CopyUnit& unit) {
  EntryTable::Shard& shard = core_.table.shard(unit);
  std::lock_guard lock(shard.mutex);
  const auto entry = shard.entries.find(unit);
  if (entry == shard.entries.end()) return;
  entry->second.writers.clear();
  entry->second.hasTwin = false;
  entry->second.twin = {};
  shard.dropIfIdle(unit);
  rt::header(unit.object)->epochWord.store(rt::kEpochHome, std::memory_order_release);
}

}  // namespace jvmc::cluster
