#include "cluster/objects/word_diff.h"

#include <cstring>

namespace jvmc::cluster {
namespace {

constexpr uint64_t kOnes = ~uint64_t(0);

std::atomic<uint64_t>& word(ObjectRef object, uint64_t offset) {
  return *reinterpret_cast<std::atomic<uint64_t>*>(object + offset);
}

uint64_t spread(uint64_t difference, uint64_t highBits, int bits, uint64_t field) {
  const uint64_t low = ~highBits;
  const uint64_t dirty = (((difference & low) + low) | difference) & highBits;
  return (dirty >> (bits - 1)) * field;
}

/// Collects dirty fields and joins neighbours into runs.
class RunWriter {
 public:
  explicit RunWriter(ByteWriter& out) : out_(out) {}

  void add(uint64_t offset, uint64_t value, uint32_t bytes) {
    if (runs_ == 0 || offset != end_) {
      out_.put(uint32_t(offset));
      lengthAt_ = out_.size();
      out_.put(uint32_t(0));
      start_ = offset;
      ++runs_;
    }
    std::memcpy(out_.grow(bytes), &value, bytes);
    end_ = offset + bytes;
    out_.patch(lengthAt_, uint32_t(end_ - start_));
  }
  uint32_t runs() const { return runs_; }

 private:
  ByteWriter& out_;
  size_t lengthAt_ = 0;
  uint64_t start_ = 0, end_ = 0;
  uint32_t runs_ = 0;
};

void addFields(RunWriter& runs, uint64_t offset, uint64_t value, uint64_t mask, uint8_t log2) {
  if (mask == kOnes) return runs.add(offset, value, 8);
  const uint32_t size = 1u << log2;
  for (uint32_t at = 0; at < 8; at += size) {
    if ((mask >> (8 * at)) & 1) runs.add(offset + at, value >> (8 * at), size);
  }
}

}  // namespace

uint64_t fieldMask(uint64_t difference, uint8_t log2) {
  if (difference == 0) return 0;
  switch (log2) {
    case 0:
      return spread(difference, 0x8080'8080'8080'8080, 8, 0xFF);
    case 1:
      return spread(difference, 0x8000'8000'8000'8000, 16, 0xFFFF);
    case 2:
      return spread(difference, 0x8000'0000'8000'0000, 32, 0xFFFF'FFFF);
    default:
      return kOnes;
  }
}

Twin makeTwin(ObjectRef object, const ObjectShape& shape) {
  Twin twin(shape.words());
  for (size_t i = 0; i < twin.size(); ++i)
    twin[i] = word(object, shape.begin() + 8 * i).load(std::memory_order_relaxed);
  return twin;
}

uint32_t writeDiff(ObjectRef object, const ObjectShape& shape, Twin& twin, ByteWriter& out,
                   const std::function<void(ObjectRef)>& onReference) {
  RunWriter runs(out);
  for (size_t i = 0; i < twin.size(); ++i) {
    const uint64_t offset = shape.begin() + 8 * i;
    const uint64_t now = word(object, offset).load(std::memory_order_seq_cst);
    if (now == twin[i]) continue;
    const uint8_t log2 = shape.granularity(offset);
    const uint64_t mask = fieldMask(now ^ twin[i], log2);
    twin[i] = now;
    if (shape.isReference(offset)) onReference(now);
    addFields(runs, offset, now, mask, log2);
  }
  return runs.runs();
}

void mergeFresh(ObjectRef object, const ObjectShape& shape, std::span<const uint8_t> fresh, Twin* twin) {
  for (size_t i = 0; i < shape.words(); ++i) {
    const uint64_t offset = shape.begin() + 8 * i;
    uint64_t incoming;
    std::memcpy(&incoming, fresh.data() + 8 * i, 8);
    std::atomic<uint64_t>& place = word(object, offset);
    if (!twin) {
      place.store(incoming, std::memory_order_relaxed);
    } else {
      const uint8_t log2 = shape.granularity(offset);
      uint64_t now = place.load(std::memory_order_seq_cst);
      for (;;) {
        const uint64_t dirty = fieldMask(now ^ (*twin)[i], log2);
        const uint64_t merged = (now & dirty) | (incoming & ~dirty);
        if (merged == now || place.compare_exchange_weak(now, merged)) break;
      }
    }
    if (twin) (*twin)[i] = incoming;
  }
}

bool runFits(const ObjectShape& shape, const DiffRun& run) {
  const uint64_t end = run.offset + run.data.size();
  if (run.data.empty() || run.offset < shape.begin() || end > shape.end()) return false;
  const uint64_t firstField = uint64_t(1) << shape.granularity(run.offset & ~uint64_t(7));
  const uint64_t lastField = uint64_t(1) << shape.granularity((end - 1) & ~uint64_t(7));
  return run.offset % firstField == 0 && end % lastField == 0;
}

bool applyRun(ObjectRef object, const ObjectShape& shape, const DiffRun& run,
              const std::function<bool(uint64_t, ObjectRef)>& beforeReference) {
  size_t at = 0;
  while (at < run.data.size()) {
    const uint64_t offset = run.offset + at;
    const uint8_t log2 = shape.granularity(offset & ~uint64_t(7));
    uint64_t value = 0;
    std::memcpy(&value, run.data.data() + at, size_t(1) << log2);
    if (shape.isReference(offset) && !beforeReference(offset, value)) return false;
    switch (log2) {
      case 0:
        rt::storeGuest<uint8_t>(object + offset, uint8_t(value));
        break;
      case 1:
        rt::storeGuest<uint16_t>(object + offset, uint16_t(value));
        break;
      case 2:
        rt::storeGuest<uint32_t>(object + offset, uint32_t(value));
        break;
      default:
        rt::storeGuest<uint64_t>(object + offset, value);
        break;
    }
    at += size_t(1) << log2;
  }
  return true;
}

}  // namespace jvmc::cluster
