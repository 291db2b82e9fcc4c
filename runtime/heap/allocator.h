// Hands out memory between two collections.
//
//   small    bump allocation in an *area*, a hole (or a whole block) that belongs to one context. The area is zeroed a
//            piece at a time just before use, so that it is in the cache when objects are made in it
//   medium   an object that does not fit into the rest of its context's area, and is too large to give that up for:
//            from a block that all contexts share
//   large    above kLargeBytes: blocks of its own
//
// Objects in an area lie one after another. Behind the last one comes either the end of the area or a zero word, and no
// object's first word (its epoch) is zero: so a walk finds them again. It is done only for areas that a word on a
// native stack points into: allocation keeps no record of objects, and of most areas nobody ever asks.
//
// What was handed out since the last collection is *young*: the areas, and the large objects.
#pragma once

#include <vector>

#include "runtime/abi/context.h"
#include "runtime/heap/block_space.h"
#include "runtime/heap/object_model.h"

namespace jvmc::rt {

inline constexpr uint64_t kLargeBytes = 32u << 10;

/// Not thread-safe: the heap's lock guards it. extend() and allocateFrom() touch the context only.
class Allocator {
 public:
  Allocator(BlockSpace& space, ObjectModel model) : space_(space), model_(model) {}

  /// True if the context has `bytes` in its area now, after zeroing a further piece of it. Takes no lock.
  static bool extend(ThreadContext& ctx, uint64_t bytes);

  /// Gives the context a new area with room for `bytes`; what was left of the old one is lost until the next
  /// collection.
  BlockSpace::Refusal takeArea(ThreadContext& ctx, uint64_t bytes);
  /// Takes the context's area away; what is left of it serves the next takeArea().
  void returnArea(ThreadContext& ctx);

  /// Zeroed memory for an object of at most kLargeBytes in the shared area: a free block or, if `holes`, a hole first
  /// (small objects only: a hole that is too short is passed over until the next collection).
  BlockSpace::Blocks takeShared(uint64_t bytes, bool reserve, bool holes = false);
  /// Memory for a large object; not yet zeroed unless `zeroed` says so.
  BlockSpace::Blocks takeLarge(uint64_t bytes, bool reserve);

  // -- while collecting: from beginCollection() (world stopped, every context's area returned) to endCollection()
  void beginCollection();
  /// The young object in an area that contains `address`; null if there is none.
  ObjectRef youngObjectAt(uint64_t address);
  /// Calls `visit(block address)` once for each block with a young area.
  template <class Visit>
  void forEachYoungBlock(Visit visit) const {
    uint64_t last = 0;
    for (const Area& area : areas_) {
      uint64_t block = area.begin & ~uint64_t(kBlockBytes - 1);
      if (block != last) visit(block);
      last = block;
    }
  }
  /// Calls `visit(ObjectRef)` for each young object, large ones excluded. Costs a visit to each.
  template <class Visit>
  void forEachYoungObject(Visit visit) {
    for (Area& area : areas_) {
      walk(area);
      for (uint32_t start : area.starts) visit(area.begin + start);
    }
  }
  const std::vector<ObjectRef>& youngLarge() const { return youngLarge_; }
  /// Nothing is young any more. `keepHoles`: holes that were not handed out yet still are holes.
  void endCollection(bool keepHoles);
  /// Hands out no memory in [begin, end), whole blocks without young areas, until they are recyclable again.
  void withdraw(uint64_t begin, uint64_t end);
  /// A block's holes may be handed out (again).
  void addRecyclable(uint64_t block) { recyclable_.push_back(block); }
  bool hasHoles() const { return holeLine_ != kLinesPerBlock || recyclableNext_ < recyclable_.size(); }

  uint64_t bytesSinceReset() const { return bytesSinceReset_; }

 private:
  struct Area {
    uint64_t begin = 0, end = 0;
    bool zeroed = false;
    bool walked = false;           ///< while collecting: `starts` is filled
    std::vector<uint32_t> starts;  ///< where objects begin, relative to `begin`
  };

  bool takeReturned(uint64_t bytes, Area& area);
  bool takeHole(uint64_t bytes, Area& area);
  void record(const Area& area);
  void walk(Area& area);
  Area* areaAround(uint64_t address);

  BlockSpace& space_;
  ObjectModel model_;
  std::vector<Area> areas_;     // handed out since the last collection
  std::vector<Area> returned_;  // rests that contexts gave back
  std::vector<ObjectRef> youngLarge_;
  std::vector<uint64_t> recyclable_;
  size_t recyclableNext_ = 0;
  uint64_t holeBlock_ = 0;  // the block whose holes are being handed out, and the line to go on from
  uint32_t holeLine_ = kLinesPerBlock;
  Area shared_;  // `begin` moves
  uint64_t bytesSinceReset_ = 0;
};

}  // namespace jvmc::rt
