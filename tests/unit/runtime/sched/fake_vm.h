// A VM whose guest threads are C++ scripts: real scheduler, world, heap, fibers and object space, no IR. A script is
// called again and again; each call does one thing and says whether the thread goes on, was captured (parked,
// preempted, moved), or has ended. What it must remember it keeps outside its stack, as guest code keeps it in frames.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "runtime/abi/guest_memory.h"
#include "runtime/class_table.h"
#include "runtime/sched/node_scheduler.h"
#include "runtime/sync/local_object_space.h"
#include "runtime/vm.h"

namespace jvmc::rt {

class FakeVm;

enum class Did { Next, Captured, Ended };

/// What a script sees of its thread.
struct Guest {
  FakeVm& vm;
  ThreadContext& ctx;
  GuestThread& thread;
  int& pc;         ///< for scripts with steps: counts the calls unless the script sets it
  Resumption& in;  ///< the answer of the last blocking operation

  Did end() { return Did::Ended; }
  Did capture(CaptureReason reason) {
    thread.captureReason = reason;
    return Did::Captured;
  }
  Did yield() { return capture(CaptureReason::Preempt); }
  Did sleep(int64_t nanos);
  Did park(int64_t nanos = 0);
  Did sync(SyncOp op, ObjectRef object, WaitKind kind = WaitKind::Access, int64_t nanos = 0);
  Did enter(ObjectRef o) { return sync(SyncOp::MonitorEnter, o, WaitKind::MonitorEnter); }
  Did exit(ObjectRef o) { return sync(SyncOp::MonitorExit, o); }
  Did wait(ObjectRef o, int64_t nanos = 0) { return sync(SyncOp::MonitorWait, o, WaitKind::MonitorWait, nanos); }
  Did join(ObjectRef o, int64_t nanos = 0) { return sync(SyncOp::ThreadJoin, o, WaitKind::Join, nanos); }
  /// As a loop's poll: true if the script must return Did::Captured now.
  bool poll();
  bool interruptedIn() const { return in.kind == Resumption::Kind::Throw && in.builtin == BuiltinThrow::Interrupted; }
};

using Script = std::function<Did(Guest&)>;

/// Scripts by thread: shared by the nodes of a test, because threads move.
class Scripts {
 public:
  struct Entry {
    Script script;
    int pc = 0;
  };
  void add(ThreadId id, Script script) {
    std::scoped_lock lock(mutex_);
    entries_[id].script = std::move(script);
  }
  Entry& of(ThreadId id) {
    std::scoped_lock lock(mutex_);
    return entries_.at(id);
  }

 private:
  std::mutex mutex_;
  std::map<ThreadId, Entry> entries_;
};

struct FakeVmOptions {
  uint32_t workers = 2;
  int64_t timeSliceNanos = 2'000'000;
  uint32_t node = 0;
  size_t maxFibers = 256;
  ThreadShipper* shipper = nullptr;
  ThreadPost* post = nullptr;
  Scripts* scripts = nullptr;
};

class FakeVm final : public Vm {
 public:
  explicit FakeVm(FakeVmOptions options = {}) : fake_(options) {
    if (!fake_.scripts) fake_.scripts = &ownScripts_;
    options_.workers = fake_.workers;
    options_.node = NodeId(fake_.node);
    // Each node of a test has its own address range.
    options_.plan.regionCount = 16;
    options_.plan.base += fake_.node * options_.plan.bytes();
    module_.types.array(ir::kI8);
    layout_ = std::make_unique<ModuleLayout>(module_, options_.plan);
    classes_ = std::make_unique<ClassTable>(*layout_);
    regions_ = std::make_unique<LocalRegionSource>(options_.plan);
    heap_ = Heap::create(*layout_, classes_->infos(), *world_, *regions_, {}, true);
    FiberOptions fibers;
    fibers.nativeBytes = 256 << 10;
    fibers.interpreterBytes = 64 << 10;
    fibers.maxFibers = fake_.maxFibers;
    fibers_ = FiberPool::create(fibers);
    GuestCode code{
        [this](ThreadContext& ctx) { return runScript(ctx); },
        [](const GuestThread& thread, const std::function<void(ObjectRef)>& visit) { visit(thread.ref.object); }};
    scheduler_ = createScheduler(*this, {fake_.workers, fake_.timeSliceNanos}, code);
    local_ = std::make_unique<LocalObjectSpace>(*layout_, post(), scheduler_->timers(), clock_);
    space_ = local_.get();
  }
  ~FakeVm() override {
    scheduler_->stopAll();
    local_.reset();
    scheduler_.reset();
  }

  ThreadRef spawn(Script script) {
    static std::atomic<ThreadId> lastId{0};
    auto thread = std::make_unique<GuestThread>();
    ThreadRef ref{++lastId, newThreadObject()};
    storeGuest<int64_t>(ref.object + field(ir::builtin::kThreadId), int64_t(ref.id));
    storeGuest<int32_t>(ref.object + field(ir::builtin::kThreadState), 1);
    thread->ref = ref;
    scripts().add(ref.id, std::move(script));
    EXPECT_TRUE(scheduler_->adopt(std::move(thread)));
    return ref;
  }
  ObjectRef newObject() { return heap_->allocateDetached(layout_->classIndex(ir::builtin::kObject), kHeaderBytes, 0); }
  Scripts& scripts() { return *fake_.scripts; }
  void setSpace(ObjectSpace& space) { space_ = &space; }
  LocalObjectSpace& localSpace() { return *local_; }
  void interrupt(const ThreadRef& to) { scheduler_->send(to, {ThreadMail::Kind::Interrupt, 0, {}, {}, {}}); }
  void unpark(const ThreadRef& to) { scheduler_->send(to, {ThreadMail::Kind::Unpark, 0, {}, {}, {}}); }
  void migrate(const ThreadRef& to, uint32_t node) {
    scheduler_->send(to, {ThreadMail::Kind::Migrate, 0, {}, {}, NodeId(node)});
  }
  ThreadSnapshot snapshotOf(const ThreadRef& ref) {
    for (const ThreadSnapshot& each : scheduler_->snapshot())
      if (each.ref == ref) return each;
    return {};
  }
  /// Waits until the thread is parked with this kind of wait.
  void awaitParked(const ThreadRef& ref, WaitKind kind) {
    while (true) {
      ThreadSnapshot now = snapshotOf(ref);
      if (now.state == ThreadState::Parked && now.wait.kind == kind) return;
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  }

  const ir::Module& module() const override { return module_; }
  const ModuleLayout& layout() const override { return *layout_; }
  const VmOptions& options() const override { return options_; }
  ClassTable& classes() override { return *classes_; }
  Heap& heap() override { return *heap_; }
  World& world() override { return *world_; }
  FiberPool& fibers() override { return *fibers_; }
  Scheduler& scheduler() override { return *scheduler_; }
  ObjectSpace& space() override { return *space_; }
  ThreadPost& post() override { return fake_.post ? *fake_.post : *scheduler_; }
  ThreadShipper* shipper() override { return fake_.shipper; }
  std::atomic<uint64_t>& clock() override { return clock_; }
  ThreadEvents* events() override { return nullptr; }
  MemoryRelief* relief() override { return nullptr; }
  CodeProvider* code() override { return nullptr; }
  void onThreadEnd(GuestThread& thread, bool) override {
    storeGuest<int32_t>(thread.ref.object + field(ir::builtin::kThreadState), 1);
    SyncRequest end{};
    end.op = SyncOp::ThreadEnd;
    end.thread = thread.ref;
    end.object = thread.ref.object;
    space_->post(end);
    ++ended;  // last: a test that sees it may take the nodes down
  }
  // Parts that scripts do not use.
  OutsideWorld& outside() override { return missing<OutsideWorld>(); }
  CaptureStats& captureStats() override { return missing<CaptureStats>(); }
  Profiler& profiler() override { return profiler_; }
  Tracer& tracer() override { return tracer_; }
  void startMain() override {}
  ThreadId newThreadId() override { return 0; }
  FunctionInfos& functionInfos() override { return missing<FunctionInfos>(); }
  FunctionCodes& functionCodes() override { return missing<FunctionCodes>(); }
  const NativeTable& natives() override { return missing<const NativeTable>(); }
  ObjectRef outOfMemoryError() override { return kNullRef; }

  std::atomic<int> ended{0};

 private:
  Profiler profiler_{*this};
  Tracer tracer_;

  template <class T>
  T& missing() {
    JVMC_UNREACHABLE("a script needs no such part");
  }
  uint32_t field(uint32_t index) { return (*layout_)[ir::builtin::kThread].fields[index].offset; }
  ObjectRef newThreadObject() {
    return heap_->allocateDetached(layout_->classIndex(ir::builtin::kThread),
                                   (*layout_)[ir::builtin::kThread].instanceBytes, 0);
  }
  RunOutcome runScript(ThreadContext& ctx) {
    GuestThread& thread = *ctx.thread;
    Scripts::Entry& entry = scripts().of(thread.ref.id);
    Resumption in = std::exchange(thread.resumption, {});
    Guest guest{*this, ctx, thread, entry.pc, in};
    while (true) {
      Did did = entry.script(guest);
      if (did == Did::Ended) return RunOutcome::Ended;
      ++entry.pc;
      if (did == Did::Captured) return RunOutcome::Captured;
    }
  }

  FakeVmOptions fake_;
  Scripts ownScripts_;
  VmOptions options_;
  ir::Module module_;
  std::unique_ptr<ModuleLayout> layout_;
  std::unique_ptr<ClassTable> classes_;
  std::unique_ptr<LocalRegionSource> regions_;
  std::unique_ptr<World> world_ = World::create();
  std::unique_ptr<Heap> heap_;
  std::unique_ptr<FiberPool> fibers_;
  std::atomic<uint64_t> clock_{kEpochStep};
  std::unique_ptr<Scheduler> scheduler_;
  std::unique_ptr<LocalObjectSpace> local_;
  ObjectSpace* space_ = nullptr;
};

inline Did Guest::sleep(int64_t nanos) {
  thread.beginWait(WaitKind::Sleep, kNullRef, true);
  vm.scheduler().armTimer(thread, nanos);
  return capture(CaptureReason::Park);
}

inline Did Guest::park(int64_t nanos) {
  in = {};
  if (thread.takeParkPermit()) return Did::Next;
  thread.beginWait(WaitKind::Park, kNullRef, true);
  if (nanos) vm.scheduler().armTimer(thread, nanos);
  return capture(CaptureReason::Park);
}

inline Did Guest::sync(SyncOp op, ObjectRef object, WaitKind kind, int64_t nanos) {
  SyncRequest request{};
  request.op = op;
  request.thread = thread.ref;
  request.object = object;
  request.nanos = nanos;
  request.ticket = thread.beginWait(kind, object, kind == WaitKind::MonitorWait || kind == WaitKind::Join);
  std::optional<Resumption> answer = vm.space().submit(ctx, request);
  if (!answer) return capture(CaptureReason::Park);
  thread.endWait();
  in = *answer;
  return Did::Next;
}

inline bool Guest::poll() {
  if (ctx.pollLimit.load() != kPollRequested) return false;
  ctx.pollLimit.store(ctx.stackLimit);
  uint32_t bits = thread.requests.load();
  vm.world().safepoint(ctx);
  if (bits & kRequestStop)
    thread.captureReason = CaptureReason::Stop;
  else if (bits & kRequestMigrate)
    thread.captureReason = CaptureReason::Migrate;
  else if (bits & kRequestPreempt)
    thread.captureReason = CaptureReason::Preempt;
  else
    return false;
  return true;
}

inline int64_t nowNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace jvmc::rt
