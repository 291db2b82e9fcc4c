#include "runtime/gc/policy.h"

#include <algorithm>

#include "runtime/abi/address_plan.h"

namespace jvmc::rt {
namespace {

constexpr uint64_t kMiB = uint64_t(1) << 20;
constexpr uint64_t kLeastInterval = 16 * kMiB;
constexpr uint64_t kGenerationalAbove = 8 * kMiB;
// If all objects of the largest nursery live, which no measurement has foretold, the pause is still bearable.
constexpr uint64_t kNurseryLeast = kMiB, kNurseryFirst = 4 * kMiB, kNurseryMost = 16 * kMiB;
constexpr uint64_t kWantedPause = 4'000'000;

}  // namespace

CollectionPolicy::CollectionPolicy(uint64_t limitBytes)
    : limit_(limitBytes),
      leastInterval_(std::max<uint64_t>(kBlockBytes, std::min(kLeastInterval, limitBytes / 4))),
      fullInterval_(leastInterval_),
      nursery_(std::min(kNurseryFirst, leastInterval_)) {}

// Down at once, up in small steps.
void CollectionPolicy::youngDone(uint64_t cpuNanos) {
  const uint64_t least = std::min(kNurseryLeast, leastInterval_),
                 most = std::max(least, std::min(kNurseryMost, limit_ / 8));
  if (cpuNanos > kWantedPause) nursery_ = nursery_ / 64 * std::max<uint64_t>(64 * kWantedPause / cpuNanos, 8);
  if (cpuNanos < kWantedPause / 2) nursery_ += nursery_ / 8;
  nursery_ = std::clamp(nursery_, least, most);
}

void CollectionPolicy::fullDone(uint64_t liveBytes) {
  fullInterval_ = std::max(leastInterval_, std::min(liveBytes, limit_ / 2));
  generational_ = liveBytes >= (generational_ ? kGenerationalAbove / 2 : kGenerationalAbove);
  const uint64_t room = limit_ > liveBytes ? limit_ - liveBytes : 0;
  cycleAt_ = liveBytes + std::min(std::max(liveBytes / 4 * 3, 2 * kLeastInterval), room / 2);
}

}  // namespace jvmc::rt
