#include "cluster/objects/home_map.h"

namespace jvmc::cluster {
namespace {

// An entry: bit 63 set | moves (31 bits) | 0 (8) | state (8) | node (16).
constexpr uint64_t kPresent = uint64_t(1) << 63;

uint64_t pack(const BlockHome& home) {
  return kPresent | uint64_t(home.moves & 0x7FFF'FFFF) << 32 | uint64_t(home.state) << 16 | (home.node.value & 0xFFFF);
}
BlockHome unpack(uint64_t word) {
  return {NodeId(uint32_t(word & 0xFFFF)), HomeState(word >> 16 & 0xFF), uint32_t(word >> 32 & 0x7FFF'FFFF)};
}

}  // namespace

HomeMap::HomeMap(const rt::AddressPlan& plan, uint32_t nodesMax)
    : plan_(plan), nodesMax_(nodesMax), regions_(std::make_unique<std::atomic<Entry*>[]>(plan.regionCount)) {}

HomeMap::~HomeMap() {
  for (uint32_t i = 0; i < plan_.regionCount; ++i) delete[] regions_[i].load();
}

HomeMap::Entry* HomeMap::find(uint64_t address) const {
  const uint64_t offset = address - plan_.base;
  Entry* blocks = regions_[offset >> plan_.regionShift].load(std::memory_order_acquire);
  if (!blocks) return nullptr;
  return &blocks[(offset & ((uint64_t(1) << plan_.regionShift) - 1)) >> rt::kBlockShift];
}

HomeMap::Entry& HomeMap::make(uint64_t address) {
  std::atomic<Entry*>& region = regions_[plan_.regionOf(address)];
  if (!region.load(std::memory_order_acquire)) {
    Entry* fresh = new Entry[size_t(1) << (plan_.regionShift - rt::kBlockShift)]();
    Entry* none = nullptr;
    if (!region.compare_exchange_strong(none, fresh, std::memory_order_acq_rel)) delete[] fresh;
  }
  return *find(address);
}

BlockHome HomeMap::at(ObjectRef object) const {
  if (const Entry* entry = find(object))
    if (const uint64_t word = entry->load(std::memory_order_acquire)) return unpack(word);
  return {ownerOf(plan_.regionOf(object)), HomeState::Settled, 0};
}

void HomeMap::set(uint64_t address, BlockHome home) {
  make(address).store(pack(home), std::memory_order_release);
}

bool HomeMap::learn(ObjectRef object, BlockHome whereabouts, BlockHome asked) {
  if (whereabouts.moves <= asked.moves || whereabouts.node.value >= nodesMax_) return false;
  believe(object, whereabouts);
  return true;
}

void HomeMap::believe(uint64_t address, const BlockHome& home) {
  Entry& entry = make(address);
  for (uint64_t word = entry.load();;) {
    const BlockHome known = word != 0 ? unpack(word) : BlockHome{};
    if (known.state != HomeState::Settled || known.moves >= home.moves) return;
    if (entry.compare_exchange_weak(word, pack({home.node, HomeState::Settled, home.moves}))) return;
  }
}

std::vector<uint8_t> HomeMap::beliefs() const {
  ByteWriter out;
  uint32_t count = 0;
  out.put(count);
  for (uint32_t region = 0; region < plan_.regionCount; ++region) {
    const Entry* blocks = regions_[region].load(std::memory_order_acquire);
    if (!blocks) continue;
    for (size_t i = 0; i < size_t(1) << (plan_.regionShift - rt::kBlockShift); ++i) {
      const uint64_t word = blocks[i].load(std::memory_order_acquire);
      if (word == 0) continue;
      const BlockHome home = unpack(word);
      out.put(plan_.regionBase(region) + (uint64_t(i) << rt::kBlockShift));
      out.put(home.node.value);
      out.put(home.moves);
      ++count;
    }
  }
  out.patch(0, count);
  return out.take();
}

bool HomeMap::takeOver(std::span<const uint8_t> beliefs) {
  ByteReader in(beliefs);
  for (uint32_t left = in.getCount(16); left > 0; --left) {
    const uint64_t address = in.get<uint64_t>();
    BlockHome home;
    home.node = NodeId(in.get<uint32_t>());
    home.moves = in.get<uint32_t>();
    if (!in.ok() || !plan_.contains(address) || address % rt::kBlockBytes != 0 || home.node.value >= nodesMax_ ||
        home.moves == 0)
      return false;
    believe(address, home);
  }
  return in.finished();
}

}  // namespace jvmc::cluster
