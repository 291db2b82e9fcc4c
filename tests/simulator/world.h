// What the programs of a run work on: a few objects on a few blocks of each node, and what each of their fields is for.
// Made from the seed before anything runs; every node computes the same addresses.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "ir/support/prng.h"
#include "runtime/abi/address_plan.h"
#include "runtime/abi/class_info.h"
#include "runtime/ids.h"

namespace jvmc::sim {

using rt::ObjectRef;

enum ClassIndex : uint32_t { kRecord = 1, kBytes, kThreadClass, kClasses };
inline constexpr uint32_t kRecordReferences = 2, kRecordNumbers = 6;
inline constexpr uint32_t kThreadStateOffset = rt::kHeaderBytes;

/// A field of 8 bytes, or a byte of an array.
struct Field {
  ObjectRef object = 0;
  uint32_t offset = 0;
  bool isByte = false;
  uint64_t address() const { return object + offset; }
};

/// ClassInfos, by hand: no module is needed.
class Classes {
 public:
  Classes();
  const rt::ClassInfo* at(uint32_t index) const { return index > 0 && index < kClasses ? &infos_[index] : nullptr; }
  /// By index.
  const rt::ClassInfo* const* table() const { return table_; }

 private:
  rt::ClassInfo infos_[kClasses];
  const rt::ClassInfo* table_[kClasses];
};

struct WorldOptions {
  uint32_t nodes = 3;  ///< that have objects at first
  uint32_t threads = 6;
  uint32_t objectsPerNode = 8;
  uint32_t cellsPerNode = 0;  ///< objects that may be made
};

class World {
 public:
  static constexpr uint32_t kNodesMax = 8;  ///< in a run, those that have left included
  static constexpr uint32_t kRegionShift = 18, kBlocksUsed = 3;
  static constexpr uint32_t kFinals = 6;  ///< of each thread
  static constexpr uint32_t kFinalFields = 3;

  static rt::AddressPlan plan();

  World(uint64_t seed, WorldOptions options);

  /// Writes the objects of `node` into its memory, which is the acting one.
  void create(uint32_t node) const;
  bool isObject(ObjectRef object) const { return objects_.contains(object); }
  bool isCell(ObjectRef object) const { return std::binary_search(cells.begin(), cells.end(), object); }
  /// Blocks with objects, wherever their home is now.
  const std::set<uint64_t>& blocks() const { return blocks_; }
  template <class Visit>
  void forEachObject(uint64_t begin, uint64_t end, Visit visit) const {
    for (auto at = objects_.lower_bound(begin); at != objects_.end() && at->first < end; ++at) visit(at->first);
  }
  /// Of the Thread object; 0 if it is none.
  rt::ThreadId threadOf(ObjectRef object) const;
  /// Thread `index`, from 0 (main).
  rt::ThreadRef thread(size_t index) const { return threads_[index]; }
  size_t threads() const { return threads_.size(); }

  const Classes classes;
  std::vector<ObjectRef> records;
  std::vector<ObjectRef> monitors;
  std::vector<std::vector<Field>> guarded;  ///< by monitor
  std::vector<std::vector<Field>> own;      ///< by thread
  std::vector<Field> counters;
  /// Of each thread: the flag, and two fields that it writes before.
  struct Channel {
    Field flag, data[2];
  };
  std::vector<Channel> channels;
  // -- with cells; all others live for ever
  std::vector<ObjectRef> cells;
  std::vector<std::vector<Field>> anchors;  ///< by monitor: references that are used under it
  std::vector<Field> swapped;               ///< references that are used atomically
  /// References that threads write and read without any synchronisation.
  std::vector<Field> racing;
  /// Objects that nobody knows before their thread has frozen the record; the part is what the record refers to.
  struct Final {
    ObjectRef record, part;
    static Field field(ObjectRef object, uint32_t index) {
      return {object, uint32_t(rt::kHeaderBytes + 8 * (kRecordReferences + index))};
    }
  };
  std::vector<std::vector<Final>> finals;  ///< by thread
  /// Where a thread writes, plainly, that it has frozen one: 1 + thread * kFinals + its number.
  std::vector<Field> slots;
  const Final& finalOf(uint64_t slotValue) const {
    return finals[(slotValue - 1) / kFinals][(slotValue - 1) % kFinals];
  }

 private:
  struct Object {
    ClassIndex type;
    uint32_t length;
    ObjectRef references[kRecordReferences] = {};
  };
  void makeCells();
  ObjectRef allocate(uint32_t node, ClassIndex type, uint32_t length);
  Field takeNumber();

  WorldOptions options_;
  Prng random_;
  std::map<ObjectRef, Object> objects_;
  std::set<uint64_t> blocks_;
  std::vector<std::vector<uint64_t>> next_;  // by node and block: the first free offset
  std::vector<rt::ThreadRef> threads_;
  std::vector<Field> numbers_;  // not used for anything yet
};

}  // namespace jvmc::sim
