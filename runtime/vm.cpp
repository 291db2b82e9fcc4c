// Composition of one VM. What needs what:
//
//     layout -> class table -> heap (world, regions) -> scheduler -> ports -> main thread
//
// The heap asks for regions, and the scheduler for ports, only once guest code runs; so both are made before the ports,
// and the ports may use them.
#include "runtime/vm.h"

#include "runtime/abi/guest_memory.h"
#include "runtime/frames/capture_stats.h"
#include "runtime/frames/function_info.h"
#include "runtime/interp/interp_frame.h"
#include "runtime/natives/native_table.h"

namespace jvmc::rt {
namespace {

/// Regions come from a port that is known later than the heap.
class LateRegions final : public RegionSource {
 public:
  std::optional<uint32_t> lease() override { return target->lease(); }
  RegionSource* target = nullptr;
};

class NodeVm final : public Vm {
 public:
  NodeVm(const ir::Module& module, VmOptions options, MakeCodeProvider makeCode)
      : module_(module),
        options_(std::move(options)),
        makeCode_(std::move(makeCode)),
        layout_(module, options_.plan),
        classes_(layout_),
        world_(World::create()),
        fibers_(FiberPool::create({})),
        infos_(module),
        codes_(layout_, infos_),
        natives_(module) {}

  ~NodeVm() override {
    profiler_.stop();
    if (scheduler_) scheduler_->stopAll();
    if (heap_) heap_->stopThread();
  }

  void build(const std::function<VmPorts(Vm&)>& makePorts) {
    options_.heap.collectEvery = std::max(options_.heap.collectEvery, options_.zeal.collectEvery);
    options_.heap.phaseOver = [this](HeapPhase phase, int64_t begin, int64_t end) {
      if (tracer_.isOn())
        tracer_.add({TraceKind::Collect, uint32_t(phase), 0, std::max(begin, tracer_.since()), end, 0});
    };
    options_.code.compiled = [this](ir::FunctionId function, std::optional<uint32_t> resumePoint, int64_t nanos) {
      if (!tracer_.isOn()) return;
      const int64_t now = Tracer::now();
      tracer_.add({TraceKind::Compile, function.value, 0, now - nanos, now, resumePoint ? *resumePoint + 1u : 0u});
    };
    options_.heap.poison |= options_.zeal.roundsEvery != 0;
    options_.heap.countBarriers |= options_.zeal.countBarriers != 0;
    if (options_.code.unmovable) options_.heap.young = false;  // such code has no store barrier
    heap_ = Heap::create(layout_, classes_.infos(), *world_, regions_, options_.heap, options_.node.value == 0);
    scheduler_ = Scheduler::create(*this, {.workers = options_.workers});
    ports_ = makePorts(*this);
    regions_.target = ports_.regions;
    heap_->addRoots([this](const std::function<void(ObjectRef)>& visit) { visitRoots(visit); });
    heap_->addWords([this](const std::function<void(ObjectRef)>& visit) {
      scheduler_->visitAnswers([&](const Resumption& answer) {
        visit(answer.value);
        visit(answer.exception);
      });
    });
    for (uint32_t c = 0; c < module_.classes.size(); ++c)
      if (!layout_.needsInit(ir::ClassId(c)))
        classes_.info(layout_.classIndex(ir::ClassId(c))).initEpoch.store(0, std::memory_order_relaxed);
    makeOutOfMemoryError();
    // Mode jit compiles everything, so it needs the provider now; mode auto loads it when something gets hot.
    if (options_.mode == RunMode::Jit) code();
  }

  const ir::Module& module() const override { return module_; }
  const ModuleLayout& layout() const override { return layout_; }
  const VmOptions& options() const override { return options_; }
  ClassTable& classes() override { return classes_; }
  Heap& heap() override { return *heap_; }
  World& world() override { return *world_; }
  FiberPool& fibers() override { return *fibers_; }
  Scheduler& scheduler() override { return *scheduler_; }
  ObjectSpace& space() override { return *ports_.space; }
  ThreadPost& post() override { return ports_.post ? *ports_.post : *scheduler_; }
  ThreadShipper* shipper() override { return ports_.shipper; }
  OutsideWorld& outside() override { return *ports_.outside; }
  ThreadEvents* events() override { return ports_.events; }
  MemoryRelief* relief() override { return ports_.relief; }
  CaptureStats& captureStats() override { return stats_; }
  Profiler& profiler() override { return profiler_; }
  Tracer& tracer() override { return tracer_; }
  std::atomic<uint64_t>& clock() override { return clock_; }
  FunctionInfos& functionInfos() override { return infos_; }
  FunctionCodes& functionCodes() override { return codes_; }
  const NativeTable& natives() override { return natives_; }
  ObjectRef outOfMemoryError() override { return outOfMemoryError_; }

  CodeProvider* code() override {
    if (options_.mode == RunMode::Interp || !makeCode_) return nullptr;
    std::call_once(codeOnce_, [&] {
      CodeOptions code = options_.code;
      code.checked = ports_.space->checked();
      code.synchronous = options_.mode == RunMode::Jit;
      code_ = makeCode_(layout_, classes_.cells(), classes_.infos(), code);
    });
    return code_.get();
  }

  void startMain() override {
    const ir::FunctionDecl& entry = module_[module_.entry];
    auto thread = std::make_unique<GuestThread>();
    thread->name = "main";
    thread->epoch = clock_.load();
    ObjectRef arguments = kNullRef;
    {
      World::GuestAccess access(*world_);
      thread->ref = {newThreadId(), makeThreadObject(kMainThreadId)};
      if (!entry.params.empty()) arguments = makeArguments();
      // From here on the frame is a root.
      const PointSlots& point = infos_[module_.entry].slots(ir::pointBefore(0));
      uint64_t* slots = thread->frames.push(module_.entry.value, ir::pointBefore(0), uint32_t(point.values.size()));
      if (!point.values.empty()) slots[0] = arguments;
      if (ports_.events) ports_.events->threadCreated(thread->ref.id);
      scheduler_->adopt(std::move(thread));
    }
  }

  ThreadId newThreadId() override { return threadCounter_.fetch_add(1) * kNodesMax + options_.node.value + 1; }

  void onThreadEnd(GuestThread& thread, bool) override {
    if (!ports_.events) return;
    ThreadEnd end;
    end.id = thread.ref.id;
    end.exitCode = thread.exitCode;
    end.uncaught = !thread.report.empty();
    end.report = std::move(thread.report);
    ports_.events->threadEnded(std::move(end));
  }

 private:
  void visitRoots(const std::function<void(ObjectRef)>& visit) {
    scheduler_->visitRoots(visit);
    ports_.space->visitRoots(visit);
    if (outOfMemoryError_ != kNullRef) visit(outOfMemoryError_);
    world_->forEachContext([&](ThreadContext& ctx) { visitInterpreterReferences(ctx, visit); });
  }

  ObjectRef allocate(ClassIndex index, uint64_t bytes, uint32_t length = 0) {
    ObjectRef object = heap_->allocateDetached(index, bytes, length);
    JVMC_CHECK(object != kNullRef, "no memory left to start the program");
    return object;
  }

  ObjectRef makeInstance(ir::ClassId cls) { return allocate(layout_.classIndex(cls), layout_[cls].instanceBytes); }

  ObjectRef makeBytes(const std::string& text) {
    uint32_t length = uint32_t(text.size());
    ObjectRef array = allocate(layout_.arrayIndexOfElement(ir::kI8), arrayBytes(ir::TypeKind::I8, length), length);
    for (uint32_t i = 0; i < length; ++i) storeGuest<char>(array + kArrayElementsOffset + i, text[i]);
    return array;
  }

  void makeOutOfMemoryError() {
    World::GuestAccess access(*world_);
    outOfMemoryError_ = makeInstance(ir::builtin::kOutOfMemoryError);
  }

  ObjectRef makeThreadObject(ThreadId id) {
    ObjectRef object = makeInstance(ir::builtin::kThread);
    const auto& fields = layout_[ir::builtin::kThread].fields;
    storeGuest<uint64_t>(object + fields[ir::builtin::kThreadId].offset, id);
    storeGuest<uint32_t>(object + fields[ir::builtin::kThreadState].offset, 1);
    storeGuest<uint64_t>(object + fields[ir::builtin::kThreadName].offset, makeBytes("main"));
    return object;
  }

  ObjectRef makeArguments() {
    uint32_t count = uint32_t(options_.arguments.size());
    ir::TypeId bytes = module_.types.find({ir::TypeKind::Array, ir::kI8.value});
    ObjectRef array = allocate(layout_.arrayIndexOfElement(bytes), arrayBytes(ir::TypeKind::Array, count), count);
    for (uint32_t i = 0; i < count; ++i)
      storeGuest<uint64_t>(array + kArrayElementsOffset + uint64_t(i) * 8, makeBytes(options_.arguments[i]));
    return array;
  }

  const ir::Module& module_;
  VmOptions options_;
  MakeCodeProvider makeCode_;
  ModuleLayout layout_;
  ClassTable classes_;
  std::atomic<uint64_t> clock_{kEpochFirst};
  std::atomic<ThreadId> threadCounter_{0};
  LateRegions regions_;
  std::unique_ptr<World> world_;
  std::unique_ptr<FiberPool> fibers_;
  FunctionInfos infos_;
  FunctionCodes codes_;
  NativeTable natives_;
  CaptureStats stats_;
  std::unique_ptr<Heap> heap_;
  VmPorts ports_;
  std::once_flag codeOnce_;
  std::unique_ptr<CodeProvider> code_;
  Profiler profiler_{*this};
  Tracer tracer_;
  std::unique_ptr<Scheduler> scheduler_;  // first to go: its workers use all of the above
  ObjectRef outOfMemoryError_ = kNullRef;
};

}  // namespace

std::unique_ptr<Vm> Vm::create(const ir::Module& module, VmOptions options, MakeCodeProvider makeCode,
                               std::function<VmPorts(Vm&)> makePorts) {
  auto vm = std::make_unique<NodeVm>(module, std::move(options), std::move(makeCode));
  vm->build(makePorts);
  return vm;
}

}  // namespace jvmc::rt
