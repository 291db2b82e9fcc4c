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

}  // namespace jvmc::cluster
