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

BlocksWriter::BlocksWriter(SpaceCore& core, BlockHost& host, uint32_t groups) : core_(core), host_(host) {
  heads_.put(uint8_t(ObjectMessage::Blocks));
  heads_.put(groups);
}

void BlocksWriter::add(const GroupHeader& header) {
  const rt::ObjectStarts objects = host_.objectsOf(header.group);
  putGroupHeader(heads_, header);
  if (!header.group.large)
    heads_.append({reinterpret_cast<const uint8_t*>(objects.words.data()), sizeof objects.words});
  // First: no timer of a waiter grants a monitor after this.
  putHomeStates(header.group, objects);
  heads_.put(gather(header.group, objects));
}

void BlocksWriter::putHomeStates(const rt::BlockGroup& group, const rt::ObjectStarts& objects) {
  const size_t countAt = heads_.size();
  uint32_t count = 0;
  heads_.put(count);
  objects.forEach([&](uint64_t offset) {
    const Bytes state = host_.takeHomeState(group.address + offset);
    if (state.empty()) return;
    heads_.put(uint32_t(offset));
    heads_.putBytes(state);
    ++count;
  });
  heads_.patch(countAt, count);
}

/// The objects' bytes, neighbours as one piece. How many there are.
uint64_t BlocksWriter::gather(const rt::BlockGroup& group, const rt::ObjectStarts& objects) {
  uint64_t bytes = 0, begin = 0, end = 0;
  const auto addPiece = [&] {
    if (begin < end) objects_.push_back({reinterpret_cast<const uint8_t*>(begin), end - begin});
  };
  objects.forEach([&](uint64_t offset) {
    const ObjectRef object = group.address + offset;
    const ObjectShape shape = core_.shapeOf(object);
    shape.forEachReference([&](uint64_t at) { core_.exportOut(rt::loadGuest<uint64_t>(object + at)); });
    if (object != end) {
      addPiece();
      begin = object;
    }
    end = object + shape.end();
    bytes += shape.end();
  });
  addPiece();
  return bytes;
}

Payload BlocksWriter::take() {
  return {heads_.take(), std::move(objects_)};
}

}  // namespace jvmc::cluster
