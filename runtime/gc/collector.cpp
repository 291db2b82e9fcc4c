#include "runtime/gc/collector.h"

#include <algorithm>
#include <utility>

#include "ir/support/fault.h"
#include "runtime/gc/reachability_check.h"

namespace jvmc::rt {
namespace {

constexpr uint32_t kAllBlocks = ~uint32_t(0);
constexpr uint32_t kExportedBlocksAtOnce = 64;
constexpr size_t kPrefetchedSlots = 24;

/// Reads another fiber's stack: red zones between its variables are none of the sanitizer's business here.
template <class Sink>
[[gnu::no_sanitize("address", "thread")]] void scanWords(Sink& sink, const volatile uint64_t* low,
                                                         const volatile uint64_t* high) {
  for (const volatile uint64_t* word = low; word < high; ++word) sink.markConservative(*word);
}

}  // namespace

// ---------------------------------------------------------------- roots

void Collector::addStatics(ObjectRef ref) {
  space_.regionOf(ref)->mark(space_.oldSide(), ref);
  ObjectModel::flagOld(ref);
  statics_.push_back(ref);
}

/// Takes away the contexts' areas and logs.
void Collector::takeContexts() {
  world_.forEachContext([&](ThreadContext& ctx) {
    allocator_.returnArea(ctx);
    log_.flush(ctx);
  });
}

template <class Sink>
void Collector::visitRoots(Sink& sink) {
  for (const RootSource& source : roots_) source([&](ObjectRef ref) { sink.markPrecise(ref); });
  for (const RootSource& source : words_) source([&](uint64_t word) { sink.markConservative(word); });
  world_.forEachStack([&](const uint64_t* low, const uint64_t* high) { scanWords(sink, low, high); });
  if (trace_.isActive()) trace_.forEachGrey([&](ObjectRef ref) { sink.markPrecise(ref); });
}

template <class Sink>
void Collector::visitStaticsAndExported(Sink& sink) {
  for (ObjectRef ref : statics_) sink.markPrecise(ref);
  for (ExportedRange range : exportedRanges()) visitExported(range, kAllBlocks, sink);
}

std::vector<Collector::ExportedRange> Collector::exportedRanges() const {
  std::vector<ExportedRange> ranges;
  for (const auto& region : space_.regions()) ranges.push_back({region.get(), 0, region->highWater});
  return ranges;
}

template <class Sink>
void Collector::visitExported(ExportedRange& range, uint32_t blocks, Sink& sink) {
  Region& region = *range.region;
  for (; range.next < range.end && blocks > 0; ++range.next, --blocks) {
    if (!region.blocks[range.next].hasExported.load(std::memory_order_relaxed)) continue;
    const auto* bits = &region.exported[size_t(range.next) * kBitmapWordsPerBlock];
    forEachBit(
        region, range.next, [&](uint32_t w) { return bits[w].load(std::memory_order_relaxed); },
        [&](ObjectRef ref) { sink.markPrecise(ref); });
  }
}

void Collector::objectExported(ObjectRef ref) {
  std::scoped_lock lock(exportedMutex_);
  newlyExported_.push_back(ref);
}

void Collector::blocksLeave(const Region& region, uint32_t first) {
  sweeper_.blocksLeave(region, first);
  if (region.blocks[first].kind != BlockKind::Statics) return;
  const uint64_t begin = region.blockAddress(first), end = region.blockAddress(first + region.blocks[first].run);
  std::erase_if(statics_, [&](ObjectRef ref) { return ref >= begin && ref < end; });
}

void Collector::adopt(Region& region, uint32_t block, const ObjectStarts& objects,
                      const std::vector<ObjectRef>& written) {
  BlockInfo& info = region.blocks[block];
  const bool isMarking = phase() == Phase::Marking;
  MarkWords* marks = region.blockMarks(block);
  for (uint32_t w = 0; w < ObjectStarts::kWords; ++w) {
    if (objects.words[w] == 0) continue;
    marks[w].side[space_.oldSide()].store(objects.words[w], std::memory_order_relaxed);
    if (isMarking) marks[w].side[space_.newSide()].store(objects.words[w], std::memory_order_relaxed);
  }
  const auto markLines = [&](uint64_t begin, uint64_t end) {
    if (info.kind != BlockKind::Small || begin == end) return;
    info.lines.mark(uint32_t(begin >> kLineShift), uint32_t((end - 1) >> kLineShift));
    if (isMarking) info.marked.mark(uint32_t(begin >> kLineShift), uint32_t((end - 1) >> kLineShift));
  };
  const bool isTracing = trace_.isActive() && !JVMC_FAULT("adopted-objects-are-white");
  auto nextWritten = written.begin();
  uint64_t begin = 0, end = 0;  // of neighbours
  objects.forEach([&](uint64_t offset) {
    const ObjectRef ref = region.blockAddress(block) + offset;
    const ClassInfo& cls = model_.classOf(ref);
    if (isTracing) trace_.blacken(ref);
    ObjectModel::flag(ref, kFlagOld | kFlagExported);
    if (offset != end) {
      markLines(begin, end);
      begin = offset;
    }
    end = offset + ObjectModel::bytes(cls, ref);
    while (nextWritten != written.end() && *nextWritten < ref) ++nextWritten;
    logAdopted(region, cls, ref, nextWritten != written.end() && *nextWritten == ref);
  });
  markLines(begin, end);
}

void Collector::logAdopted(Region& region, const ClassInfo& info, ObjectRef ref, bool all) {
  const auto log = [&](uint64_t slot) {
    if (!all && !isYoung(loadGuest<uint64_t>(slot))) return;
    if (Region::set(region.logged, region.place(slot))) log_.addSlot(nullptr, slot);
  };
  if (info.shape == ObjectShape::Instance)
    for (uint32_t i = 0; i < info.refCount; ++i) log(ref + info.refOffsets[i]);
  if (info.shape == ObjectShape::ReferenceArray)
    for (uint32_t i = 0; i < uint32_t(arrayLength(ref)); ++i) log(ref + kArrayElementsOffset + 8 * uint64_t(i));
}

// ---------------------------------------------------------------- the barrier

/// Homed here, and has not survived a collection. Most are old, and their headers are nearer than their mark bits.
bool Collector::isYoung(ObjectRef value) const {
  const Region* region = value == kNullRef ? nullptr : space_.regionOf(value);
  return region && !ObjectModel::isFlaggedOld(value) && !region->isAway(value);
}

// Code calls it for old objects only: what a young one refers to when it is overwritten could be reached elsewhere when
// marking began, or has been made since. Runs before the store, and no pause comes between the two. So the first store
// to a place after a pause logs what the place held then; a racing second one finds a value that the first had stored,
// which the snapshot need not keep.
void Collector::beforeStore(ThreadContext* ctx, uint32_t flags, ObjectRef object, uint64_t offset, ObjectRef value) {
  if ((flags & kBarrierTrace) && !JVMC_FAULT("overwritten-reference-is-not-greyed"))
    trace_.grey(loadGuest<uint64_t>(object + offset));
  if (flags & kBarrierMarking) {
    ObjectRef overwritten = loadGuest<uint64_t>(object + offset);
    Region* region = space_.regionOf(overwritten);
    if (region && space_.isOld(*region, overwritten) && !region->isMarked(space_.newSide(), overwritten) &&
        !JVMC_FAULT("barrier-does-not-log"))
      log_.addOverwritten(ctx, overwritten);
  }
  if (!(flags & kBarrierYoung) || !isYoung(value)) return;
  Region* region = space_.regionOf(object);
  if (!region || !space_.isOld(*region, object)) return;
  if (Region::set(region->logged, region->place(object + offset))) log_.addSlot(ctx, object + offset);
}

// ---------------------------------------------------------------- young

void Collector::collectYoung() {
  takeContexts();
  if (phase() == Phase::Sweeping) sweep(kAllBlocks);
  MarkScope scope = phase() == Phase::Marking ? MarkScope::YoungInCycle : MarkScope::Young;
  endYoung(markYoung(scope, nullptr));
}

uint64_t Collector::markYoung(MarkScope scope, std::vector<ObjectRef>* roots) {
  allocator_.beginCollection();
  Marker marker(space_, allocator_, model_, scope, zeal_, activeTrace());
  marker.copyTo(roots);
  visitRoots(marker);
  marker.copyTo(nullptr);
  {
    std::scoped_lock lock(exportedMutex_);
    for (ObjectRef ref : std::exchange(newlyExported_, {})) {
      marker.markPrecise(ref);
      // Part of the snapshot, or young; but what only looked like a reference to it may have been exported too.
      if (cycleMarker_) cycleMarker_->markPrecise(ref);
    }
  }
  markSlots(marker);
  marker.drain();
  checkMarks(space_.oldSide());
  return marker.lineCount();
}

// Logged places lie anywhere in the heap: each costs two cache misses, which prefetching lets overlap.
void Collector::markSlots(Marker& marker) {
  const std::vector<uint64_t> slots = log_.takeSlots();
  for (size_t i = 0; i < slots.size(); ++i) {
    if (i + kPrefetchedSlots < slots.size()) {
      const uint64_t ahead = slots[i + kPrefetchedSlots];
      const Region& region = *space_.regionOf(ahead);
      __builtin_prefetch(reinterpret_cast<const void*>(ahead));
      __builtin_prefetch(&region.logged[region.place(ahead).word], 1);
    }
    const uint64_t slot = slots[i];
    Region& region = *space_.regionOf(slot);
    Region::clearWhileStopped(region.logged, region.place(slot));
    if (region.isAway(slot)) continue;  // another node's now; what it refers to was exported
    if (!JVMC_FAULT("slots-of-old-objects-are-forgotten")) marker.markPrecise(loadGuest<uint64_t>(slot));
  }
}

void Collector::endYoung(uint64_t newLines) {
  sweeper_.poisonYoung(space_.oldSide());
  sweeper_.sweepYoung(newLines);
  allocator_.endCollection(/*keepHoles=*/true);
  sweeper_.publishHoles();
}

void Collector::checkMarks(int side) {
  if (!zeal_ || checksToSkip_-- > 0) return;
  ReachabilityCheck check(space_, allocator_, model_, side);
  visitRoots(check);
  visitStaticsAndExported(check);
  check.run();
  // It costs ten times a marking. The turns of zeal call this five times, so the interval must not be a multiple.
  checksToSkip_ = int64_t(check.objectCount() / 1024);
  if (checksToSkip_ % 5 == 4) ++checksToSkip_;
}

// ---------------------------------------------------------------- the concurrent cycle

void Collector::beginCycle() {
  JVMC_CHECK(phase() != Phase::Marking);
  takeContexts();
  if (phase() == Phase::Sweeping) sweep(kAllBlocks);
  std::vector<ObjectRef> snapshot;
  endYoung(markYoung(MarkScope::Young, &snapshot));
  cycleMarker_ = std::make_unique<Marker>(space_, allocator_, model_, MarkScope::Old);
  for (ObjectRef ref : snapshot) cycleMarker_->markPrecise(ref);
  for (ObjectRef ref : statics_) cycleMarker_->markPrecise(ref);
  exportedTodo_ = exportedRanges();
  phase_.store(Phase::Marking, std::memory_order_relaxed);
}

bool Collector::mark(uint64_t budget) {
  for (ObjectRef ref : log_.takeOverwritten()) cycleMarker_->markPrecise(ref);
  bool exportedDone = markSomeExported();
  return cycleMarker_->work(budget) && exportedDone;
}

/// True: all that were exported when the cycle began have been given to the marker. Those exported since could be
/// reached then, or are young.
bool Collector::markSomeExported() {
  if (exportedTodo_.empty()) return true;
  ExportedRange& range = exportedTodo_.back();
  visitExported(range, kExportedBlocksAtOnce, *cycleMarker_);
  if (range.next == range.end) exportedTodo_.pop_back();
  return exportedTodo_.empty();
}

bool Collector::finishCycle(uint64_t budget) {
  JVMC_CHECK(phase() == Phase::Marking);
  takeContexts();
  uint64_t newLines = markYoung(MarkScope::YoungInCycle, nullptr);
  if (!JVMC_FAULT("remark-is-left-out"))
    for (ObjectRef ref : log_.takeOverwritten()) cycleMarker_->markPrecise(ref);
  while (!markSomeExported()) continue;
  if (trace_.isActive()) trace_.forEachGrey([&](ObjectRef ref) { cycleMarker_->markPrecise(ref); });
  if (!cycleMarker_->work(budget)) {
    endYoung(newLines);
    return false;
  }
  checkMarks(space_.newSide());
  endYoung(newLines);
  cycleMarker_.reset();
  changeSides();
  return true;
}

/// What the full marking has marked is what is old; all blocks wait to be swept.
void Collector::changeSides() {
  space_.changeSides();
  allocator_.endCollection(/*keepHoles=*/false);
  sweeper_.begin();
  phase_.store(Phase::Sweeping, std::memory_order_relaxed);
}

bool Collector::sweep(uint32_t blocks) {
  if (phase() != Phase::Sweeping) return true;
  if (!sweeper_.sweep(blocks)) return false;
  phase_.store(Phase::Idle, std::memory_order_relaxed);
  return true;
}

// ---------------------------------------------------------------- full

void Collector::collectFull() {
  takeContexts();
  if (phase() == Phase::Sweeping) sweep(kAllBlocks);
  if (phase() == Phase::Marking) abandonCycle();
  forgetLogs();
  allocator_.beginCollection();
  Marker marker(space_, allocator_, model_, MarkScope::All, zeal_, activeTrace());
  visitRoots(marker);
  visitStaticsAndExported(marker);
  marker.drain();
  sweeper_.poisonYoung(space_.newSide());
  changeSides();
  sweep(kAllBlocks);
}

// ---------------------------------------------------------------- cluster-wide collection

class Collector::SnapshotSink {
 public:
  SnapshotSink(Collector& collector, const TraceHost& host) : collector_(collector), host_(host) {}

  void markPrecise(ObjectRef ref) { collector_.trace_.grey(ref); }
  /// Also a reference to an object of which nothing is here, as far as can be told: its home knows better.
  void markConservative(uint64_t word) {
    const BlockSpace& space = collector_.space_;
    for (uint64_t address : {word, word - 1}) {
      if (Region* region = space.homeRegionOf(address))
        collector_.trace_.grey(findObject(space, collector_.allocator_, collector_.model_, *region, address));
      else if (space.plan().contains(address))
        collector_.trace_.grey(host_.copyAround(address));
    }
    if (!space.homeRegionOf(word)) collector_.trace_.greyWord(word);
  }

 private:
  Collector& collector_;
  const TraceHost& host_;
};

void Collector::beginTrace(const TraceHost& host) {
  if (phase() == Phase::Sweeping) sweep(kAllBlocks);  // a dead large object looks alive until then
  SnapshotSink sink(*this, host);
  trace_.begin(host);
  visitRoots(sink);
  for (ObjectRef ref : statics_) trace_.greyHere(ref);
}

TraceResult Collector::endTrace(bool isComplete) {
  TraceResult result;
  // It may stand in the middle of an array that is dead; and a sweep would fill the dead a second time.
  if (isComplete && phase() == Phase::Marking) abandonCycle();
  if (isComplete && phase() == Phase::Sweeping) sweep(kAllBlocks);
  if (isComplete)
    for (const auto& region : space_.regions())
      for (uint32_t i = 0; i < region->highWater; ++i) buryUnmarked(*region, i, result);
  trace_.end();
  return result;
}

/// Lines stay as they are: they are free only after the next marking. A large object's blocks are free at once, because
/// a block of that kind is taken for a living object.
void Collector::buryUnmarked(Region& region, uint32_t block, TraceResult& result) {
  const BlockInfo& info = region.blocks[block];
  JVMC_CHECK(!info.leaving, region.blockAddress(block));
  if (info.kind != BlockKind::Small && info.kind != BlockKind::LargeHead) return;
  MarkWords* marks = region.blockMarks(block);
  auto* exported = &region.exported[size_t(block) * kBitmapWordsPerBlock];
  for (uint32_t w = 0; w < kBitmapWordsPerBlock; ++w) {
    std::atomic<uint64_t>& old = marks[w].side[space_.oldSide()];
    const uint64_t present = old.load(std::memory_order_relaxed);
    if (present == 0) continue;
    const uint64_t base = region.blockAddress(block) + (uint64_t(w) * 64 << kGranuleShift);
    const uint64_t living = present & trace_.markWord(base);
    if (living == present) continue;
    old.store(living, std::memory_order_relaxed);
    exported[w].store(exported[w].load(std::memory_order_relaxed) & living, std::memory_order_relaxed);
    for (uint64_t dead = present & ~living; dead; dead &= dead - 1) {
      const ObjectRef ref = base + (uint64_t(std::countr_zero(dead)) << kGranuleShift);
      result.objects++;
      result.bytes += model_.bytes(ref);
      sweeper_.poison(ref);
    }
  }
  if (info.kind == BlockKind::LargeHead && !space_.isOld(region, region.blockAddress(block)))
    sweeper_.releaseLarge(region, block);
}

void Collector::makeAllOld() {
  takeContexts();
  if (phase() == Phase::Marking) abandonCycle();
  collectYoung();
}

void Collector::abandonCycle() {
  cycleMarker_.reset();
  log_.takeOverwritten();
  for (auto& region : space_.regions()) {
    for (uint32_t i = 0; i < region->highWater; ++i) {
      region->clearMarks(space_.newSide(), i);
      region->blocks[i].marked.clear();
    }
  }
  phase_.store(Phase::Idle, std::memory_order_relaxed);
}

void Collector::forgetLogs() {
  log_.takeOverwritten();
  for (uint64_t slot : log_.takeSlots()) {
    Region& region = *space_.regionOf(slot);
    Region::clearWhileStopped(region.logged, region.place(slot));
  }
  std::scoped_lock lock(exportedMutex_);
  newlyExported_.clear();
}

}  // namespace jvmc::rt
