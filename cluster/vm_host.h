// The node's VM as object space and migration see it.
#pragma once

#include "cluster/memory_ahead.h"
#include "cluster/migration/thread_host.h"
#include "cluster/node_services.h"
#include "cluster/objects/block_mover.h"
#include "cluster/objects/home_map.h"
#include "cluster/objects/space_host.h"
#include "runtime/sync/sync_home.h"

namespace jvmc::cluster {

class ClusterObjectSpace;
class ThreadRouter;

class VmHost final : public SpaceHost, public ThreadHost, public BlockHost {
 public:
  /// `router` and `space` are set before anything is called.
  VmHost(rt::Vm& vm, const HomeMap& homes, NodeId self, ThreadCodec codec, std::function<void(Error)> fatal);

  ThreadRouter* router = nullptr;
  ClusterObjectSpace* space = nullptr;
  /// Threads that are neither in the scheduler nor sent yet: roots.
  std::function<void(const std::function<void(const rt::GuestThread&)>&)> threadsLeaving;
  /// Makes the operations of homes here available; needs the post that mail goes out by.
  void openHome(rt::ThreadPost& post);
  const rt::SyncHome& syncHome() const { return *syncHome_; }

  // -- SpaceHost
  const rt::ClassInfo* classInfo(uint32_t index) override;
  bool plausible(ObjectRef object) override;
  bool isOrdinary(ObjectRef object) override;
  void exportObject(ObjectRef object) override;
  void beforeReferenceStore(ObjectRef object, uint64_t offset, ObjectRef value) override;
  void visitHomeRoots(const std::function<void(ObjectRef)>& visit) override;
  void accessGuest(const std::function<void()>& body) override;
  WaitToken prepareWait(rt::ThreadContext& ctx) override;
  void wait(rt::ThreadContext& ctx, WaitToken token) override;
  void wake(const WaitToken& token) override;
  std::optional<rt::Resumption> carryOut(const rt::SyncRequest& request, NodeId from) override;
  void post(const rt::ThreadRef& to, const rt::ThreadMail& mail) override;

  void trace(const rt::TraceEvent& event) override;

  // -- ThreadHost
  bool isHere(rt::ThreadId thread) const override;
  bool deliver(const rt::ThreadRef& to, const rt::ThreadMail& mail) override;
  bool adopt(std::unique_ptr<rt::GuestThread> thread) override;
  Bytes encode(const rt::GuestThread& thread) override;
  Result<std::unique_ptr<rt::GuestThread>> decode(std::span<const uint8_t> image) override;
  void exportReferences(const rt::GuestThread& thread) override;
  void exportAnswer(const rt::Resumption& answer) override;
  void answerArrived(const rt::Resumption& answer) override;
  void leave(rt::ThreadId thread, std::function<void()> action) override;
  void afterDeferred(std::function<void()> action) override;
  uint64_t arrivalEpoch() override;
  bool hasEnded(const rt::ThreadRef& thread) override;

  // -- BlockHost
  void stopWorld(const std::function<void()>& body) override;
  void forEachReliance(const VisitReliance& visit) override;
  std::vector<rt::BlockGroup> withdraw(uint64_t bytes, const std::set<uint64_t>& only) override;
  void restore(const rt::BlockGroup& group) override;
  rt::ObjectStarts objectsOf(const rt::BlockGroup& group) override;
  void giveAway(const rt::BlockGroup& group) override;
  void adopt(const rt::BlockGroup& group, const rt::ObjectStarts& objects,
             const std::vector<ObjectRef>& written) override;
  bool hasRoomFor(uint64_t bytes) override;
  void expectObjects(uint64_t begin, uint64_t end) override { memoryAhead_.want({begin, end}); }
  void populate(uint64_t begin, uint64_t end) override { memoryAhead_.need({begin, end}); }
  Bytes takeHomeState(ObjectRef object) override;
  bool mayHaveHomeState(const rt::BlockGroup& group, const rt::ClassInfo& info) override;
  bool putHomeState(ObjectRef object, std::span<const uint8_t> state) override;

  // -- SpaceHost and ThreadHost
  void fatal(Error error) override;

 private:
  void exportIfHere(ObjectRef object);
  std::optional<rt::Resumption> carryOutOnThread(const rt::SyncRequest& request, bool remote);
  bool isThreadObject(ObjectRef object);
  rt::ThreadId threadOf(ObjectRef threadObject);

  rt::Vm& vm_;
  const HomeMap& homes_;
  const NodeId self_;
  const ThreadCodec codec_;
  const std::function<void(Error)> fatal_;
  const uint32_t threadIdOffset_, threadStateOffset_;
  std::unique_ptr<rt::SyncHome> syncHome_;
  MemoryAhead memoryAhead_;
};

}  // namespace jvmc::cluster
