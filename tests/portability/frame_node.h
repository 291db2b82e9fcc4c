// A node with one guest thread, whose frames leave for a file or come from one: the program that shows that frames
// captured on one machine go on on another. Numbers only: objects do not travel here.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>

#include "runtime/outside_local.h"
#include "runtime/sync/local_object_space.h"
#include "runtime/vm.h"

namespace jvmc::portability {

class FrameNode final : private rt::ThreadShipper, private rt::ThreadEvents {
 public:
  /// 1 GiB only: qemu-user keeps a record of every page that is mapped.
  static constexpr rt::AddressPlan kPlan{.base = 0x1400'0000'0000, .regionShift = 28, .regionCount = 4};

  /// With zeal migrate:K the thread leaves at about its K-th poll.
  FrameNode(const ir::Module& module, rt::VmOptions options, rt::MakeCodeProvider makeCode) : regions_(kPlan) {
    options.plan = kPlan;
    options.heap.limitBytes = 64u << 20;
    vm_ = rt::Vm::create(module, std::move(options), std::move(makeCode), [this](rt::Vm& vm) {
      space_ = std::make_unique<rt::LocalObjectSpace>(vm.layout(), vm.scheduler(), vm.scheduler().timers(), vm.clock());
      outside_ = std::make_unique<rt::LocalOutsideWorld>(
          rt::OutsideExecutor::Options{}, [&vm](const rt::ThreadRef& to, uint64_t ticket, rt::OutsideResult result) {
            vm.scheduler().completeOutside(to, ticket, std::move(result));
          });
      rt::VmPorts ports;
      ports.space = space_.get();
      ports.regions = &regions_;
      ports.outside = outside_.get();
      ports.shipper = this;
      ports.events = this;
      return ports;
    });
  }
  ~FrameNode() override { vm_->scheduler().stopAll(); }

  rt::Vm& vm() { return *vm_; }

  /// The thread that left, or null if it has ended instead; its exit code then.
  std::unique_ptr<rt::GuestThread> await(int32_t& exitCode) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return left_ || ended_; });
    exitCode = exitCode_;
    return std::move(left_);
  }

 private:
  void ship(std::unique_ptr<rt::GuestThread> thread, rt::NodeId) override {
    std::scoped_lock lock(mutex_);
    left_ = std::move(thread);
    changed_.notify_all();
  }
  rt::NodeId placeNewThread(std::span<const rt::ObjectRef>) override { return {}; }
  rt::NodeId nextNode() override { return rt::NodeId(1); }
  void threadCreated(rt::ThreadId) override {}
  void threadEnded(rt::ThreadEnd end) override {
    std::scoped_lock lock(mutex_);
    exitCode_ = end.exitCode;
    ended_ = true;
    changed_.notify_all();
  }

  rt::LocalRegionSource regions_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<rt::GuestThread> left_;
  bool ended_ = false;
  int32_t exitCode_ = 0;
  std::unique_ptr<rt::LocalObjectSpace> space_;
  std::unique_ptr<rt::Vm> vm_;
  std::unique_ptr<rt::OutsideWorld> outside_;  // first to go: its answers reach the scheduler until then
};

}  // namespace jvmc::portability
