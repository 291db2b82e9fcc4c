#include "runtime/prof/thread_dump.h"

#include <unordered_map>

#include "runtime/prof/stack_walk.h"
#include "runtime/vm.h"

namespace jvmc::rt {

std::vector<ThreadDump> dumpThreads(Vm& vm) {
  std::vector<ThreadDump> all;
  std::vector<std::vector<uint64_t>> stacks;
  vm.world().stop(nullptr, [&] {
    std::unordered_map<const GuestThread*, const ThreadContext*> contexts;
    vm.world().forEachContext([&](ThreadContext& ctx) {
      if (ctx.thread) contexts[ctx.thread] = &ctx;
    });
    vm.scheduler().visitThreads([&](const GuestThread& thread, bool moving, bool suspended) {
      all.push_back({thread.ref,
                     thread.name,
                     thread.state,
                     thread.wait,
                     thread.incarnation,
                     thread.pinned,
                     moving,
                     suspended,
                     {}});
      uint64_t words[kWalkWordsMax];
      const auto found = contexts.find(&thread);
      const uint64_t frame = found == contexts.end() ? 0 : vm.world().standingFrame(*found->second);
      const size_t count = frame == 0 ? walkFrames(thread.frames, words)
                                      : walkStack(*found->second, {.pc = 0, .sp = frame - 64, .fp = frame}, words);
      stacks.emplace_back(words, words + count);
    });
  });
  for (size_t i = 0; i < all.size(); ++i)
    if (!stacks[i].empty()) all[i].stack = Profiler::describe(vm, stacks[i]);
  return all;
}

}  // namespace jvmc::rt
