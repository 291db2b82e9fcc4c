// One VM: everything a node needs to run one program. A composition root without logic of its own; parts arrive from
// outside (object space, outside world, code provider) or are made here (heap, scheduler, class table).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ir/module.h"
#include "runtime/abi/code_provider.h"
#include "runtime/class_table.h"
#include "runtime/fiber/fiber.h"
#include "runtime/gc/world.h"
#include "runtime/heap/heap.h"
#include "runtime/memory_relief.h"
#include "runtime/object_space.h"
#include "runtime/outside.h"
#include "runtime/prof/profiler.h"
#include "runtime/prof/tracer.h"
#include "runtime/sched/scheduler.h"
#include "runtime/thread_events.h"

namespace jvmc::rt {

enum class RunMode : uint8_t { Interp, Jit, Auto };

/// Forced events that make rare paths common. 0 = off.
struct Zeal {
  uint64_t captureEvery = 0;   ///< every K-th safepoint captures and resumes in place
  uint64_t migrateEvery = 0;   ///< every K-th safepoint moves the thread to the next node
  uint64_t blocksEvery = 0;    ///< every K milliseconds some blocks of the heap move to the next node
  uint64_t collectEvery = 0;   ///< every K-th allocation collects
  uint64_t roundsEvery = 0;    ///< every K milliseconds the nodes collect together; dead objects are filled
  uint64_t outsideEvery = 0;   ///< every K-th request to and answer from the launcher is dropped and repeated
  uint64_t leasesEvery = 0;    ///< every K milliseconds whatever other nodes have asked for is leased to them
  uint64_t countBarriers = 0;  ///< non-zero: every reference store calls the barrier, which counts (HeapStats)
  bool any() const { return captureEvery || migrateEvery || collectEvery || outsideEvery; }
};

struct VmOptions {
  RunMode mode = RunMode::Auto;
  Zeal zeal;
  uint32_t workers = 1;
  NodeId node{0};
  AddressPlan plan;
  HeapOptions heap;
  uint32_t guestDepthLimit = 16384;  ///< frames of functions that may recurse
  uint64_t tierUpHeat = 2000;        ///< calls plus back-edges before a function is compiled (mode auto)
  CodeOptions code;                  ///< for the code provider; `checked` and `synchronous` are set by the VM
  std::vector<std::string> arguments;
};

/// What the cluster layer supplies; in a node alone the local implementations.
struct VmPorts {
  ObjectSpace* space = nullptr;
  ThreadPost* post = nullptr;        ///< null: the scheduler itself
  ThreadShipper* shipper = nullptr;  ///< null: threads never leave
  RegionSource* regions = nullptr;
  MemoryRelief* relief = nullptr;  ///< null: a full heap is the end of it
  OutsideWorld* outside = nullptr;
  ThreadEvents* events = nullptr;  ///< null: nobody asks
};

using MakeCodeProvider = std::function<std::unique_ptr<CodeProvider>(const ModuleLayout&, FunctionCell*,
                                                                     const ClassInfo* const*, CodeOptions)>;

/// Statistics for --stats: what was captured where, by which tier.
struct CaptureStats;

class FunctionInfos;
class FunctionCodes;
class NativeTable;

class Vm {
 public:
  virtual ~Vm() = default;
  /// `module` has passed checkNatives (runtime/natives/native_table.h).
  /// `makePorts` is called once the heap and scheduler exist (they need each other); see LocalNode in
  /// runtime/local_node.h.
  static std::unique_ptr<Vm> create(const ir::Module& module, VmOptions options, MakeCodeProvider makeCode,
                                    std::function<VmPorts(Vm&)> makePorts);

  virtual const ir::Module& module() const = 0;
  virtual const ModuleLayout& layout() const = 0;
  virtual const VmOptions& options() const = 0;
  virtual ClassTable& classes() = 0;
  virtual Heap& heap() = 0;
  virtual World& world() = 0;
  virtual FiberPool& fibers() = 0;
  virtual Scheduler& scheduler() = 0;
  virtual ObjectSpace& space() = 0;
  virtual ThreadPost& post() = 0;
  virtual ThreadShipper* shipper() = 0;
  virtual OutsideWorld& outside() = 0;
  virtual ThreadEvents* events() = 0;  ///< null: nobody asks
  virtual MemoryRelief* relief() = 0;  ///< null: nobody helps
  virtual CodeProvider* code() = 0;    ///< null in mode interp; loads the JIT on first use
  virtual CaptureStats& captureStats() = 0;
  virtual Profiler& profiler() = 0;
  virtual Tracer& tracer() = 0;
  virtual std::atomic<uint64_t>& clock() = 0;  ///< node clock as an epoch word, starts at kEpochFirst

  /// Creates the main thread (running the module's entry) and hands it to the scheduler.
  virtual void startMain() = 0;
  virtual ThreadId newThreadId() = 0;

  // -- the execution engine's own (runtime/frames, runtime/interp, runtime/natives)
  virtual FunctionInfos& functionInfos() = 0;
  virtual FunctionCodes& functionCodes() = 0;
  virtual const NativeTable& natives() = 0;
  virtual ObjectRef outOfMemoryError() = 0;  ///< made beforehand: thrown when nothing else can be allocated
  /// Called by the scheduler once for each thread that ends on this node; tells VmPorts::events.
  virtual void onThreadEnd(GuestThread& thread, bool uncaught) = 0;
};

}  // namespace jvmc::rt
