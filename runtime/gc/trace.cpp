#include "runtime/gc/trace.h"

#include <utility>

#include "ir/support/check.h"
#include "ir/support/fault.h"

namespace jvmc::rt {

bool PlanBits::set(uint64_t address) {
  std::atomic<Words*>& entry = regions_[plan_.regionOf(address)];
  Words* words = entry.load(std::memory_order_acquire);
  if (!words) {
    std::scoped_lock lock(mutex_);
    words = entry.load(std::memory_order_relaxed);
    if (!words) {
      words = new Words((size_t(1) << plan_.regionShift) >> (kGranuleShift + 6));
      entry.store(words, std::memory_order_release);
    }
  }
  const uint64_t granule = granuleOf(address), bit = uint64_t(1) << (granule % 64);
  std::atomic<uint64_t>& word = (*words)[granule / 64];
  if (word.load(std::memory_order_relaxed) & bit) return false;
  return (word.fetch_or(bit, std::memory_order_relaxed) & bit) == 0;
}

void PlanBits::clear() {
  for (uint32_t i = 0; i < plan_.regionCount; ++i) delete regions_[i].exchange(nullptr);
}

void Trace::begin(const TraceHost& host) {
  JVMC_CHECK(!isActive());
  host_ = &host;
  setArrivals(Arrivals::All);
  active_.store(true, std::memory_order_relaxed);
}

void Trace::end() {
  std::scoped_lock lock(mutex_);
  active_.store(false, std::memory_order_relaxed);
  marks_.clear();
  kept_.clear();
  grey_.clear();
  rests_.clear();
  foreign_.clear();
}

void Trace::grey(ObjectRef ref) {
  if (!isReference(ref) || !marks_.set(ref)) return;
  const bool elsewhere = host_->isElsewhere(ref);
  // Of most that is elsewhere nothing is here. And a word that only looks like a reference must not be taken for an
  // object if its block comes here meanwhile.
  const bool hasContent = !elsewhere || host_->isCopy(ref);
  std::scoped_lock lock(mutex_);
  if (elsewhere) foreign_.push_back(ref);
  if (hasContent) grey_.push_back(ref);
}

void Trace::arrived(ObjectRef ref) {
  if (JVMC_FAULT("arriving-reference-is-not-greyed")) return;
  arrivals() == Arrivals::All ? grey(ref) : greyHere(ref);
}

void Trace::greyHere(ObjectRef ref) {
  if (!isReference(ref) || !marks_.set(ref)) return;
  // Most are new, and nothing of them is here.
  if (host_->isElsewhere(ref) && !host_->isCopy(ref)) return;
  std::scoped_lock lock(mutex_);
  grey_.push_back(ref);
}

void Trace::keepContent(ObjectRef copy) {
  if (kept_.test(copy)) return;
  ObjectModel::forEachReference(model_.classOf(copy), copy, [&](ObjectRef ref) { grey(ref); });
  kept_.set(copy);
}

bool Trace::work(uint64_t budget) {
  for (uint64_t done = 0; done < budget;) {
    ObjectRef ref = kNullRef;
    Rest rest{};
    {
      std::scoped_lock lock(mutex_);
      inHand_ = false;
      if (!grey_.empty()) {
        ref = grey_.back();
        grey_.pop_back();
      } else if (!rests_.empty()) {
        rest = rests_.back();
        rests_.pop_back();
      } else {
        return true;
      }
      inHand_ = true;
    }
    done += 1 + (ref != kNullRef ? visit(ref) : visitElements(rest.array, rest.next));
  }
  std::scoped_lock lock(mutex_);
  inHand_ = false;
  return grey_.empty() && rests_.empty();
}

uint64_t Trace::visit(ObjectRef ref) {
  const bool isHere = !host_->isElsewhere(ref);
  if (!isHere && (!host_->isCopy(ref) || JVMC_FAULT("copies-are-not-traced"))) return 0;
  const ClassInfo& info = model_.classOf(ref);
  if (info.shape == ObjectShape::PrimitiveArray) return 0;
  if (info.shape == ObjectShape::ReferenceArray) return visitElements(ref, 0);
  ObjectModel::forEachReference(info, ref, [&](ObjectRef target) { grey(target); });
  if (!isHere) kept_.set(ref);
  return info.refCount;
}

uint64_t Trace::visitElements(ObjectRef array, uint32_t from) {
  const bool isHere = !host_->isElsewhere(array);
  if (!isHere && !host_->isCopy(array)) return 0;  // what it held has been made grey when it went
  const uint32_t length = uint32_t(arrayLength(array));
  const uint32_t end = length - from > kPieceElements ? from + kPieceElements : length;
  for (uint32_t i = from; i < end; ++i) grey(loadGuest<uint64_t>(array + kArrayElementsOffset + 8 * uint64_t(i)));
  if (end < length) {
    std::scoped_lock lock(mutex_);
    rests_.push_back({array, end});
  } else if (!isHere) {
    kept_.set(array);
  }
  return end - from;
}

bool Trace::isTraced() const {
  std::scoped_lock lock(mutex_);
  return grey_.empty() && rests_.empty() && !inHand_;
}

bool Trace::isIdle() const {
  std::scoped_lock lock(mutex_);
  return grey_.empty() && rests_.empty() && !inHand_ && foreign_.empty();
}

std::vector<ObjectRef> Trace::takeForeign() {
  std::scoped_lock lock(mutex_);
  return std::exchange(foreign_, {});
}

}  // namespace jvmc::rt
