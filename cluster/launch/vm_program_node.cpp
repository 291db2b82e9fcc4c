#include "cluster/launch/vm_program_node.h"

#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "ir/binary/reader.h"
#include "runtime/frames/capture_stats.h"
#include "runtime/natives/native_table.h"
#include "runtime/sync/local_object_space.h"

namespace jvmc::cluster {

namespace {

using Json = nlohmann::ordered_json;

const char* stateName(rt::ThreadState state) {
  switch (state) {
    case rt::ThreadState::New: return "new";
    case rt::ThreadState::Ready: return "ready";
    case rt::ThreadState::Running: return "running";
    case rt::ThreadState::Parked: return "parked";
    case rt::ThreadState::Shipped: return "moving";
    case rt::ThreadState::Ended: return "ended";
  }
  return "unknown";
}

const char* waitName(rt::WaitKind kind) {
  switch (kind) {
    case rt::WaitKind::None: return "";
    case rt::WaitKind::Sleep: return "sleep";
    case rt::WaitKind::MonitorEnter: return "monitor";
    case rt::WaitKind::MonitorWait: return "wait";
    case rt::WaitKind::Join: return "join";
    case rt::WaitKind::Park: return "park";
    case rt::WaitKind::ClassInit: return "class-init";
    case rt::WaitKind::Outside: return "outside";
    case rt::WaitKind::Access: return "access";
    case rt::WaitKind::Yield: return "yield";
  }
  return "unknown";
}

ThreadView viewOf(const rt::ThreadSnapshot& snapshot, NodeId node) {
  ThreadView view;
  view.id = snapshot.ref.id;
  view.name = snapshot.name;
  view.node = node.value;
  view.state = stateName(snapshot.state);
  if (snapshot.state == rt::ThreadState::Parked) view.wait = waitName(snapshot.wait.kind);
  view.moves = snapshot.incarnation;
  view.cpuNanos = snapshot.stats.cpuNanosInterpreter + snapshot.stats.cpuNanosCompiled;
  view.pinned = snapshot.pinned;
  return view;
}

Json heapJson(const rt::HeapStats& heap) {
  return {{"allocatedBytes", heap.allocatedBytes},   {"liveBytesAfterLast", heap.liveBytesAfterLast},
          {"reservedBytes", heap.reservedBytes},     {"collections", heap.collections},
          {"pauseNanosTotal", heap.pauseNanosTotal}, {"pauseNanosMax", heap.pauseNanosMax},
          {"barrierCalls", heap.barrierCalls}};
}

Json codeJson(const rt::CodeStats& code) {
  return {{"functions", code.functions},
          {"continuations", code.continuations},
          {"codeBytes", code.codeBytes},
          {"compileNanos", code.compileNanos},
          {"failures", code.failures}};
}

/// What the VM's ports are: everything at home.
class LocalParts {
 public:
  LocalParts(rt::Vm& vm)
      : regions_(vm.options().plan), space_(vm.layout(), vm.scheduler(), vm.scheduler().timers(), vm.clock()) {}
  rt::VmPorts ports() {
    rt::VmPorts ports;
    ports.space = &space_;
    ports.regions = &regions_;
    return ports;
  }

 private:
  rt::LocalRegionSource regions_;
  rt::LocalObjectSpace space_;
};

class VmProgramNode final : public ProgramNode {
 public:
  VmProgramNode(const ProgramNodeParts& parts, std::unique_ptr<ir::Module> module, const rt::MakeCodeProvider& makeCode)
      : self_(parts.control.net().self()), module_(std::move(module)) {
    vm_ = rt::Vm::create(*module_, vmOptions(parts.plan, self_.value), makeCode, [&](rt::Vm& vm) {
      local_ = std::make_unique<LocalParts>(vm);
      rt::VmPorts ports = local_->ports();
      ports.outside = &parts.outside;
      ports.events = &parts.events;
      return ports;
    });
  }

  void begin() override { vm_->startMain(); }

  std::string finish() override {
    vm_->scheduler().stopAll();
    Json stats = {{"node", self_.value}, {"pid", getpid()}};
    stats["captures"] = Json::parse(vm_->captureStats().toJson());
    stats["heap"] = heapJson(vm_->heap().stats());
    if (vm_->options().mode != rt::RunMode::Interp && vm_->code()) stats["code"] = codeJson(vm_->code()->stats());
    return stats.dump();
  }

  std::vector<ThreadView> threads() override {
    std::vector<ThreadView> views;
    for (auto& snapshot : vm_->scheduler().snapshot()) views.push_back(viewOf(snapshot, self_));
    return views;
  }

  void describe(NodeView& view) override {
    auto heap = vm_->heap().stats();
    view.threads = uint32_t(vm_->scheduler().threadCount());
    view.heapBytes = heap.collections ? heap.liveBytesAfterLast : heap.allocatedBytes;
  }

  bool migrate(uint64_t thread, NodeId target) override {
    for (auto& snapshot : vm_->scheduler().snapshot()) {
      if (snapshot.ref.id != thread) continue;
      rt::ThreadMail mail{};
      mail.kind = rt::ThreadMail::Kind::Migrate;
      mail.target = target;
      if (target != self_) vm_->post().send(snapshot.ref, mail);
      return true;
    }
    return false;
  }

  void completeOutside(const rt::ThreadRef& thread, uint64_t ticket, rt::OutsideResult result) override {
    vm_->scheduler().completeOutside(thread, ticket, std::move(result));
  }

 private:
  NodeId self_;
  std::unique_ptr<ir::Module> module_;
  std::unique_ptr<LocalParts> local_;
  std::unique_ptr<rt::Vm> vm_;  // first to go: it uses the rest
};

}  // namespace

MakeProgramNode vmProgramNodes(rt::MakeCodeProvider makeCode) {
  return [makeCode = std::move(makeCode)](const ProgramNodeParts& parts) -> Result<std::unique_ptr<ProgramNode>> {
    auto module = ir::openModuleBytes(parts.plan.module);
    if (!module.ok()) return std::move(module).error().withContext("cannot load the program");
    if (auto natives = rt::checkNatives(**module); !natives.ok()) return natives.error();
    return std::unique_ptr<ProgramNode>(std::make_unique<VmProgramNode>(parts, std::move(*module), makeCode));
  };
}

}  // namespace jvmc::cluster
