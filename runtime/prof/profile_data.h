// A profile as data: what one node saw of its guest threads. Whoever wants to show it adds the nodes' together: a
// thread keeps its id wherever it goes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "runtime/ids.h"
#include "runtime/thread.h"

namespace jvmc::rt {

enum class SampleKind : uint8_t {
  Cpu,    ///< CPU time of guest threads, sampled by time
  Alloc,  ///< allocated bytes, sampled by bytes
  Wait,   ///< each time a thread parked, and for how long
  Fetch,  ///< each object fetched from its home on another node
  kCount
};
inline constexpr const char* kSampleKindNames[] = {"cpu", "alloc", "wait", "fetch"};

struct ProfileOptions {
  uint32_t kinds = 1;               ///< bit set, by SampleKind
  uint32_t hz = 100;                ///< Cpu: samples for each second of a worker's CPU time
  uint64_t allocBytes = 512 << 10;  ///< Alloc: bytes between two samples of a thread, on average
  int64_t leaseNanos = 0;           ///< ends by itself unless started again within; 0: never
  bool wants(SampleKind kind) const { return kinds >> unsigned(kind) & 1; }
};

struct ProfileFrame {
  std::string function;  ///< of the program; or what the runtime was doing, in brackets: "[newObject]"
  std::string file;      ///< empty: unknown, or the runtime
  uint32_t line = 0;     ///< 0: unknown
};

struct ProfileSample {
  SampleKind kind = SampleKind::Cpu;
  ThreadId thread = 0;
  uint32_t stack = 0;  ///< index in Profile::stacks
  std::string cls;     ///< Alloc, Fetch: of the object; Wait: of the object that is waited for; empty: unknown, none
  int32_t home = -1;   ///< Fetch: the node that had it; Wait: none
  WaitKind wait = WaitKind::None;
  uint64_t count = 0;  ///< samples, waits, fetches
  uint64_t value = 0;  ///< Cpu, Wait: nanoseconds; Alloc, Fetch: bytes
  uint64_t nanos = 0;  ///< Fetch: time the thread waited
};

struct Profile {
  std::vector<ProfileFrame> frames;
  std::vector<std::vector<uint32_t>> stacks;  ///< indexes in frames, innermost first
  std::vector<ProfileSample> samples;
  std::map<ThreadId, std::string> threads;  ///< names of those that were here
  uint64_t lost = 0;                        ///< samples for which there was no room
};

}  // namespace jvmc::rt
