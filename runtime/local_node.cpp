#include "runtime/local_node.h"

#include <condition_variable>
#include <mutex>
#include <optional>

#include "runtime/sync/local_object_space.h"

namespace jvmc::rt {
namespace {

class SingleNode final : public LocalNode, private ThreadEvents {
 public:
  SingleNode(const ir::Module& module, VmOptions options, MakeCodeProvider makeCode, MakeOutsideWorld makeOutside,
             std::function<void(const std::string&)> report)
      : regions_(options.plan), report_(std::move(report)) {
    vm_ = Vm::create(module, std::move(options), std::move(makeCode), [&](Vm& vm) {
      space_ = std::make_unique<LocalObjectSpace>(vm.layout(), vm.scheduler(), vm.scheduler().timers(), vm.clock());
      outside_ = makeOutside(vm.scheduler());
      VmPorts ports;
      ports.space = space_.get();
      ports.regions = &regions_;
      ports.outside = outside_.get();
      ports.events = this;
      return ports;
    });
  }

  Vm& vm() override { return *vm_; }

  ProgramEnd run() override {
    vm_->startMain();
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return alive_ == 0 || exit_; });
    }
    vm_->scheduler().stopAll();
    std::scoped_lock lock(mutex_);
    if (exit_) end_.exitCode = *exit_;
    return end_;
  }

  void requestExit(int32_t code) override {
    std::scoped_lock lock(mutex_);
    if (!exit_) exit_ = code;
    changed_.notify_all();
  }

 private:
  void threadCreated(ThreadId) override {
    std::scoped_lock lock(mutex_);
    ++alive_;
  }

  void threadEnded(ThreadEnd end) override {
    if (end.uncaught && report_) report_(end.report);
    std::scoped_lock lock(mutex_);
    if (end.id == kMainThreadId) end_.exitCode = end.exitCode;
    end_.uncaught += end.uncaught;
    --alive_;
    changed_.notify_all();
  }

  LocalRegionSource regions_;
  std::function<void(const std::string&)> report_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t alive_ = 0;
  std::optional<int32_t> exit_;
  ProgramEnd end_;
  std::unique_ptr<LocalObjectSpace> space_;
  std::unique_ptr<Vm> vm_;
  std::unique_ptr<OutsideWorld> outside_;  // first to go: its answers reach the scheduler until then
};

}  // namespace

std::unique_ptr<LocalNode> LocalNode::create(const ir::Module& module, VmOptions options, MakeCodeProvider makeCode,
                                             MakeOutsideWorld makeOutside,
                                             std::function<void(const std::string&)> report) {
  return std::make_unique<SingleNode>(module, std::move(options), std::move(makeCode), std::move(makeOutside),
                                      std::move(report));
}

}  // namespace jvmc::rt
