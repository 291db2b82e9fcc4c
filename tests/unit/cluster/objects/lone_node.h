// A node whose only peer is the test: its messages are the test's, and so are the answers it gets.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "cluster/objects/block_arrivals.h"
#include "cluster/objects/cluster_object_space.h"
#include "cluster/objects/home_side.h"
#include "cluster/objects/messages.h"
#include "ir/support/check.h"

namespace jvmc::cluster::test {

// At the base of this build's plan: sanitizers leave only some ranges free.
inline const rt::AddressPlan kPlan{.base = rt::AddressPlan{}.base, .regionShift = 24, .regionCount = 4};
inline constexpr uint32_t kInstance = 1, kByteArray = 2, kReferenceArray = 3, kClasses = 4;
inline constexpr uint32_t kArrayLength = 20;

struct Lost {};  // the program has ended: unwinds the "fiber"

/// A node of two whose peer is the test.
class LoneNode : public SpaceHost, public BlockHost, public NodeNet {
 public:
  LoneNode()
      : homes(kPlan, 2),
        space(*this, *this, *this, homes, clock, {}),
        core(*this, *this, homes, clock, {}),
        flusher(core),
        loans(core, flusher),
        leases(core, flusher),
        home(core, flusher, loans, leases),
        arrivals(core, *this) {
    memory = mmap(reinterpret_cast<void*>(kPlan.base), kPlan.bytes(), PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    JVMC_CHECK(memory == reinterpret_cast<void*>(kPlan.base));
    classes[kInstance].instanceBytes = 48;
    classes[kInstance].wordGranularity = granularity;
    classes[kInstance].refOffsets = refOffsets;
    classes[kInstance].refCount = 1;
    for (uint32_t array : {kByteArray, kReferenceArray}) classes[array].instanceBytes = rt::kArrayElementsOffset;
    classes[kByteArray].shape = rt::ObjectShape::PrimitiveArray;
    classes[kReferenceArray].shape = rt::ObjectShape::ReferenceArray;
    classes[kReferenceArray].elementShift = 3;
    for (uint32_t c = kInstance; c < kClasses; ++c) {
      makeObject(local(c), c);
      makeObject(canary(c), c);
    }
    context.thread = &thread;
    context.epoch = clock;
  }
  ~LoneNode() override { munmap(memory, kPlan.bytes()); }

  static ObjectRef local(uint32_t cls) { return kPlan.base + 4096 + 1024 * cls; }
  static ObjectRef canary(uint32_t cls) { return local(cls) + 512; }
  static ObjectRef foreign(uint32_t cls) { return kPlan.regionBase(1) + 4096 + 1024 * cls; }
  void makeObject(ObjectRef object, uint32_t cls) {
    rt::header(object)->classWord = cls;
    if (cls != kInstance) rt::storeGuest<uint32_t>(object + rt::kArrayLengthOffset, kArrayLength);
    rt::header(object)->epochWord = rt::kEpochHome;
  }

  // -- SpaceHost
  const rt::ClassInfo* classInfo(uint32_t index) override {
    return index > 0 && index < kClasses ? &classes[index] : nullptr;
  }
  bool plausible(ObjectRef object) override { return object % 1024 == 0 || homes.homeOf(object).value == 1; }
  void exportObject(ObjectRef) override {}
  void beforeReferenceStore(ObjectRef, uint64_t, ObjectRef) override {}
  void visitHomeRoots(const std::function<void(ObjectRef)>&) override {}
  void accessGuest(const std::function<void()>& body) override { body(); }
  WaitToken prepareWait(rt::ThreadContext&) override { return std::make_shared<bool>(false); }
  void wait(rt::ThreadContext&, WaitToken token) override {
    if (!*static_cast<bool*>(token.get())) throw Lost{};
  }
  void wake(const WaitToken& token) override { *static_cast<bool*>(token.get()) = true; }
  std::optional<rt::Resumption> carryOut(const rt::SyncRequest& request, NodeId) override {
    carriedOut++;
    EXPECT_EQ(homes.homeOf(request.object), NodeId(0));
    return rt::Resumption{};
  }
  void post(const rt::ThreadRef&, const rt::ThreadMail& mail) override { mails.push_back(mail); }
  void fatal(Error) override { ++fatalErrors; }

  // -- BlockHost
  void stopWorld(const std::function<void()>& body) override { body(); }
  void forEachReliance(const VisitReliance& visit) override {
    if (!relyingOn.empty()) visit(context, relyingOn);
  }
  std::vector<rt::BlockGroup> withdraw(uint64_t, const std::set<uint64_t>&) override { return {}; }
  void restore(const rt::BlockGroup&) override {}
  rt::ObjectStarts objectsOf(const rt::BlockGroup&) override { return {}; }
  void giveAway(const rt::BlockGroup&) override {}
  void adopt(const rt::BlockGroup&, const rt::ObjectStarts&, const std::vector<ObjectRef>&) override { ++adopted; }
  bool hasRoomFor(uint64_t bytes) override { return bytes <= rt::kBlockBytes; }
  Bytes takeHomeState(ObjectRef) override { return {}; }
  bool putHomeState(ObjectRef, std::span<const uint8_t> state) override { return state.empty(); }

  // -- NodeNet: every request is answered at once with `nextReply` or by `peer`, or not before the test does it
  NodeId self() const override { return NodeId(0); }
  std::vector<NodeId> nodes() const override { return {NodeId(0), NodeId(1)}; }
  void request(NodeId, Channel, Bytes asked, std::function<void(Result<Bytes>)> done) override {
    unanswered ? unanswered->push_back(std::move(done)) : done(peer ? peer(asked) : nextReply);
  }
  void notify(NodeId, Channel, Bytes) override {}
  void setHandler(Channel, Handler theHandler) override { handler = std::move(theHandler); }
  void post(std::function<void()> task) override { task(); }
  void postAfter(int64_t, std::function<void()>) override {}

  std::atomic<uint64_t> clock{rt::kEpochFirst};
  HomeMap homes;
  rt::ClassInfo classes[kClasses];
  const uint8_t granularity[4] = {3, 3, 2, 0};
  const uint32_t refOffsets[1] = {16};
  Bytes nextReply;
  std::function<Bytes(const Bytes& asked)> peer;
  std::vector<std::function<void(Result<Bytes>)>>* unanswered = nullptr;  ///< if not null, requests wait here
  std::vector<rt::ThreadMail> mails;
  Handler handler;  ///< of the space's messages
  int fatalErrors = 0, carriedOut = 0, adopted = 0;
  rt::GuestThread thread;
  rt::ThreadContext context;
  std::set<uint64_t> relyingOn;  ///< blocks, the thread
  ClusterObjectSpace space;
  SpaceCore core;
  Flusher flusher;
  MonitorLoans loans;
  Leases leases;
  HomeSide home;
  BlockArrivals arrivals;
  void* memory;
};

inline Bytes fetchReply(uint32_t cls, uint32_t length, size_t dataBytes) {
  ByteWriter out;
  out.put(uint8_t(ReplyStatus::Done));
  putImage(out, {cls, Holds::AsUsual, length, {}});
  out.patch(10, uint32_t(dataBytes));
  std::fill_n(out.grow(dataBytes), dataBytes, uint8_t(0));
  out.put(uint32_t(0));
  return out.take();
}

}  // namespace jvmc::cluster::test
