// One node's part of a cluster-wide collection (docs/internals/cluster_collection.md): finds everything that this
// node's memory leads to, from its own roots alone. Exported objects are no roots here; copies of other nodes' objects
// are looked at like objects homed here, for what they hold may be older than what their homes hold.
//
// It works beside the program and beside the local collector, with marks of its own: a snapshot at the beginning, whose
// objects are all old; whatever is overwritten, arrives or leaves from then on is grey as well, and what is made since
// is black. So when nothing is grey, everything that threads here can have hold of is marked.
//
// Words: *marked* = found; *grey* = marked, not yet looked at; *black* = marked, need not be looked at.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "runtime/abi/address_plan.h"
#include "runtime/heap/object_model.h"
#include "runtime/heap/region.h"

namespace jvmc::rt {

/// What a trace asks about memory that other nodes are home of. Any thread.
class TraceHost {
 public:
  virtual ~TraceHost() = default;
  /// `address`, in the plan and aligned, belongs to another node: that one must hear of the object.
  virtual bool isElsewhere(ObjectRef address) const = 0;
  /// A cached copy begins there, with class and length.
  virtual bool isCopy(ObjectRef address) const = 0;
  /// The copy that contains `address`, or null. World stopped.
  virtual ObjectRef copyAround(uint64_t address) const = 0;
};

/// One bit per 8 bytes of the address plan; memory for regions that have bits. Thread-safe but for clear().
class PlanBits {
 public:
  explicit PlanBits(const AddressPlan& plan)
      : plan_(plan), regions_(std::make_unique<std::atomic<Words*>[]>(plan.regionCount)) {}
  ~PlanBits() { clear(); }

  bool test(uint64_t address) const {
    const Words* words = regions_[plan_.regionOf(address)].load(std::memory_order_acquire);
    const uint64_t granule = granuleOf(address);
    return words && ((*words)[granule / 64].load(std::memory_order_relaxed) >> (granule % 64) & 1) != 0;
  }
  /// True if the bit was clear.
  bool set(uint64_t address);
  /// The bits of 64 granules from `address` on, a multiple of 512.
  uint64_t word(uint64_t address) const {
    const Words* words = regions_[plan_.regionOf(address)].load(std::memory_order_acquire);
    return words ? (*words)[granuleOf(address) / 64].load(std::memory_order_relaxed) : 0;
  }
  void clear();

 private:
  using Words = MappedArray<std::atomic<uint64_t>>;
  uint64_t granuleOf(uint64_t address) const {
    return ((address - plan_.base) & ((uint64_t(1) << plan_.regionShift) - 1)) >> kGranuleShift;
  }

  AddressPlan plan_;
  std::unique_ptr<std::atomic<Words*>[]> regions_;
  std::mutex mutex_;  ///< of who makes a region's words
};

/// Thread-safe: calls are made in guest code, with GuestAccess, or while the world is stopped.
class Trace {
 public:
  /// What becomes of references that come in messages.
  enum class Arrivals : uint8_t {
    All,    ///< grey, and the home is told: the sender may know nothing of this round yet
    Local,  ///< the sender has seen to it that the home knows; only what this node holds of the object is looked at
  };

  Trace(const AddressPlan& plan, ObjectModel model) : plan_(plan), model_(model), marks_(plan), kept_(plan) {}

  // -- world stopped
  void begin(const TraceHost& host);
  void end();
  /// Calls visit(ObjectRef) for what is grey: roots of the local collector.
  template <class Visit>
  void forEachGrey(Visit visit) const {
    std::scoped_lock lock(mutex_);
    for (ObjectRef ref : grey_) visit(ref);
    for (const Rest& rest : rests_) visit(rest.array);
  }

  bool isActive() const { return active_.load(std::memory_order_relaxed); }
  void setArrivals(Arrivals arrivals) { arrivals_.store(arrivals, std::memory_order_relaxed); }
  Arrivals arrivals() const { return arrivals_.load(std::memory_order_relaxed); }

  // -- while active. `ref`: null is ignored, and so is what cannot be a reference
  /// This node has hold of the object, and its home hears of it.
  void grey(ObjectRef ref);
  /// A word that may be a reference to an object of another node: that one knows.
  void greyWord(uint64_t word) {
    if (isReference(word) && host_->isElsewhere(word)) grey(word);
  }
  /// The reference has come in a message.
  void arrived(ObjectRef ref);
  /// As grey(), but the home knows or is told by others.
  void greyHere(ObjectRef ref);
  /// A new object of ours, or one that has just got its home here.
  void blacken(ObjectRef ref) { marks_.set(ref); }
  bool isMarked(ObjectRef ref) const { return marks_.test(ref); }
  /// A copy is about to lose what it holds: threads may have read it since the snapshot.
  void keepContent(ObjectRef copy);
  /// Marks of 64 granules.
  uint64_t markWord(uint64_t address) const { return marks_.word(address); }

  /// Looks at about so many references. Not while blocks are given away or adopted. True: nothing is grey.
  bool work(uint64_t budget);
  /// Nothing is grey; takeForeign() may have something.
  bool isTraced() const;
  /// Nor has that.
  bool isIdle() const;
  /// Objects of other nodes that were found since the last call.
  std::vector<ObjectRef> takeForeign();

 private:
  static constexpr uint32_t kPieceElements = 4096;
  struct Rest {
    ObjectRef array;
    uint32_t next;  ///< element to go on from
  };

  bool isReference(ObjectRef ref) const {
    return ref != kNullRef && ref % kObjectAlignment == 0 && plan_.contains(ref);
  }
  uint64_t visit(ObjectRef ref);
  uint64_t visitElements(ObjectRef array, uint32_t from);

  const AddressPlan plan_;
  const ObjectModel model_;
  const TraceHost* host_ = nullptr;
  std::atomic<bool> active_{false};
  std::atomic<Arrivals> arrivals_{Arrivals::All};
  PlanBits marks_;
  PlanBits kept_;  ///< copies whose content of the snapshot, or of later, has been made grey as a whole
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<ObjectRef> grey_;
  std::vector<Rest> rests_;
  std::vector<ObjectRef> foreign_;
  bool inHand_ = false;  ///< work() looks at one
};

}  // namespace jvmc::rt
