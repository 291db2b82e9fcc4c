#include "cluster/objects/block_messages.h"

namespace jvmc::cluster {

void putGroupHeader(ByteWriter& out, const GroupHeader& header) {
  out.put(header.group.address);
  out.put(header.group.blocks);
  out.put(header.group.large);
  out.put(header.moves);
}

GroupHeader getGroupHeader(ByteReader& in) {
  GroupHeader header;
  header.group.address = in.get<uint64_t>();
  header.group.blocks = in.get<uint32_t>();
  header.group.large = in.getBool();
  header.moves = in.get<uint32_t>();
  return header;
}

bool fitsPlan(const rt::AddressPlan& plan, const rt::BlockGroup& group) {
  return group.blocks > 0 && (group.large || group.blocks == 1) && group.address % rt::kBlockBytes == 0 &&
         plan.contains(group.address) &&
         group.bytes() <=
             plan.regionBase(plan.regionOf(group.address)) + (uint64_t(1) << plan.regionShift) - group.address;
}

GroupContents getGroupContents(ByteReader& in) {
  GroupContents contents;
  contents.header = getGroupHeader(in);
  if (contents.header.group.large) {
    contents.objects.add(0);
  } else {
    const std::span<const uint8_t> bits = in.take(sizeof contents.objects.words);
    if (in.ok()) std::memcpy(contents.objects.words.data(), bits.data(), bits.size());
  }
  contents.homeStates.resize(in.getCount(8));
  for (GroupContents::HomeState& each : contents.homeStates) {
    each.offset = in.get<uint32_t>();
    each.state = in.getBytes();
  }
  contents.bytes = in.get<uint64_t>();
  return contents;
}

BlocksWriter::BlocksWriter(SpaceCore& core, BlockHost& host, uint32_t groups)
    : core_(core), host_(host), classes_(core.host) {
  heads_.put(uint8_t(ObjectMessage::Blocks));
  heads_.put(groups);
}

/// Of one group.
struct BlocksWriter::Tally {
  uint32_t homeStates = 0;
  uint64_t bytes = 0;
  uint64_t begin = 0, end = 0;  ///< of the last piece
  ServedCursor servedHere;
};

void BlocksWriter::add(const GroupHeader& header) {
  const rt::BlockGroup& group = header.group;
  const rt::ObjectStarts objects = host_.objectsOf(group);
  putGroupHeader(heads_, header);
  if (!group.large) heads_.append({reinterpret_cast<const uint8_t*>(objects.words.data()), sizeof objects.words});
  const size_t countAt = heads_.size();
  heads_.put(uint32_t(0));
  Tally tally{.servedHere = ServedCursor(core_)};
  const rt::ClassInfo* last = nullptr;
  bool mayHaveState = false;
  objects.forEach([&](uint64_t offset) {
    const ObjectRef object = group.address + offset;
    const rt::ClassInfo& info = *classes_.of(rt::classIndexOf(object));
    if (&info != last) mayHaveState = host_.mayHaveHomeState(group, info);
    last = &info;
    const uint32_t lock = rt::header(object)->lockWord.load(std::memory_order_acquire);
    if (mayHaveState || (lock & rt::kLockInflated)) putHomeState(object, offset, tally);
    gather(object, info, tally);
  });
  addPiece(tally);
  heads_.patch(countAt, tally.homeStates);
  heads_.put(tally.bytes);
}

/// No timer of a waiter grants a monitor after this; the object is sent later.
void BlocksWriter::putHomeState(ObjectRef object, uint64_t offset, Tally& tally) {
  const Bytes state = host_.takeHomeState(object);
  if (state.empty()) return;
  heads_.put(uint32_t(offset));
  heads_.putBytes(state);
  ++tally.homeStates;
}

/// The object's bytes: neighbours are one piece.
void BlocksWriter::gather(ObjectRef object, const rt::ClassInfo& info, Tally& tally) {
  const ObjectShape shape = ObjectShape::of(info, object, core_.forcedGranularity());
  shape.forEachReference([&](uint64_t at) { core_.exportOut(rt::loadGuest<uint64_t>(object + at), tally.servedHere); });
  if (object != tally.end) {
    addPiece(tally);
    tally.begin = object;
  }
  tally.end = object + shape.end();
  tally.bytes += shape.end();
}

void BlocksWriter::addPiece(const Tally& tally) {
  if (tally.begin < tally.end)
    objects_.push_back({reinterpret_cast<const uint8_t*>(tally.begin), tally.end - tally.begin});
}

Payload BlocksWriter::take() {
  return {heads_.take(), std::move(objects_)};
}

}  // namespace jvmc::cluster
