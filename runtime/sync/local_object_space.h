// The object space of a node alone: every object is home, so markers have nothing to check, writes are home as they are
// made, and operations go straight to SyncHome.
#pragma once

#include <atomic>

#include "runtime/abi/layout.h"
#include "runtime/object_space.h"
#include "runtime/sync/sync_home.h"

namespace jvmc::rt {

class LocalObjectSpace final : public ObjectSpace {
 public:
  /// All must outlive it. `clock` is the node clock that contexts point to.
  LocalObjectSpace(const ModuleLayout& layout, ThreadPost& post, Timers& timers, std::atomic<uint64_t>& clock);

  void checkRead(ThreadContext&, ObjectRef) override {}
  void checkWrite(ThreadContext&, ObjectRef) override {}
  void checkElementsRead(ThreadContext&, ObjectRef, uint32_t, uint32_t) override {}
  void checkElementsWrite(ThreadContext&, ObjectRef, uint32_t, uint32_t) override {}
  void publish(ThreadContext&) override {}
  bool owesWrites() const override { return false; }
  std::optional<Resumption> submit(ThreadContext&, const SyncRequest& request) override;
  void post(const SyncRequest& request) override { home_.handle(request); }
  void acquire(ThreadContext& ctx, bool remote) override;
  bool release(ThreadContext&, uint64_t) override { return true; }
  void standsInPoll(ThreadContext&) override {}
  bool isHome(ObjectRef) const override { return true; }
  void exportReference(ObjectRef) override {}
  /// What monitors and waits refer to (there are no cached copies).
  void visitRoots(const std::function<void(ObjectRef)>& visit) override { home_.visitRoots(visit); }
  bool checked() const override { return false; }

  SyncHome& syncHome() { return home_; }

 private:
  std::optional<Resumption> submitToThread(const SyncRequest& request);

  ThreadPost& post_;
  std::atomic<uint64_t>& clock_;
  uint32_t threadIdOffset_, threadStateOffset_;
  SyncHome home_;
};

/// Regions for a node alone: one after another.
class LocalRegionSource final : public RegionSource {
 public:
  explicit LocalRegionSource(const AddressPlan& plan) : count_(plan.regionCount) {}
  std::optional<uint32_t> lease() override;

 private:
  const uint32_t count_;
  std::atomic<uint32_t> next_{0};
};

}  // namespace jvmc::rt
