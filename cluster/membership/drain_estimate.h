// How long a node will need to get empty: told to whoever has set it a deadline, before it is too late to do something
// else.
#pragma once

#include <cstdint>

namespace jvmc::cluster {

/// Nanoseconds, of so many threads and bytes of blocks on the node. A guess from what was measured
/// (benchmarks/elastic.py on two cores), on the careful side; a program that uses much of what leaves takes longer.
constexpr int64_t estimateDrainNanos(uint64_t threads, uint64_t bytes) {
  constexpr int64_t kAlways = 25'000'000;       // the steps of the protocol, with nothing to move
  constexpr int64_t kNanosPerThread = 100'000;  // 1000 threads in a tenth of a second
  constexpr uint64_t kBytesPerMilli = 250'000;  // 250 MB a second
  return kAlways + int64_t(threads) * kNanosPerThread + int64_t(bytes / kBytesPerMilli) * 1'000'000;
}

}  // namespace jvmc::cluster
