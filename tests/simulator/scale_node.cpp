#include "tests/simulator/scale_node.h"

#include <fmt/format.h>

namespace jvmc::sim {

using rt::GuestThread;
using rt::ThreadMail;
using rt::ThreadRef;

namespace {

constexpr uint32_t kWorkers = 30;  // for about 100 threads, of which 60 want a core each
constexpr uint32_t kRegionShift = 24;

}  // namespace

rt::AddressPlan ScaleNode::plan() {
  return {.base = rt::AddressPlan{}.base, .regionShift = kRegionShift, .regionCount = rt::kNodesMax};
}

ScaleNode::ScaleNode(Shared& shared, NodeId id, std::vector<NodeId> members)
    : MemberNode(shared.network, id, std::move(members), plan(), rt::kNodesMax,
                 {.onEnd = shared.programEnded, .onUncaught = {}}),
      shared_(shared),
      load(shared.events, kWorkers),
      blocks(*this, shared.history, shared.directory, *this),
      router(*this, net, homes),
      migrator(*this, net, router, homes),
      meter_({id, kWorkers, false}, load, remoteUse_, blockUsers_, [] { return cluster::MemoryLoad{}; }),
      balancer_(control, shared.balance, false, meter_, {router, [](const cluster::BlockGift&) {}, migrator.placer()}) {
  blocks.open(router);
  net.setHandler(Channel::Threads, [this](NodeId, Bytes payload, std::shared_ptr<Responder> responder) {
    migrator.handleMessage(payload, *responder);
  });
}

void ScaleNode::stop() {
  balancer_.stop();
  migrator.close();
}

cluster::LeftView ScaleNode::evacuate() {
  cluster::LeftView left;
  left.threads = threads_.size() + migrator.onTheirWay() + router.sendLettersOn();
  std::vector<NodeId> places = net.places();
  std::erase(places, id());
  if (places.empty()) return left;
  std::vector<ThreadId> all;
  for (const auto& [id, thread] : threads_) all.push_back(id);
  for (ThreadId id : all) moveTo(id, places[id % places.size()]);
  return left;
}

size_t ScaleNode::owns() {
  return threads_.size() + migrator.onTheirWay() + blocks.count() + router.sendLettersOn();
}

// ---------------------------------------------------------------- threads

void ScaleNode::begin(const ThreadRef& ref) {
  auto thread = std::make_unique<GuestThread>();
  thread->ref = ref;
  programEnd.threadCreated(ref.id);
  shared_.history.created(ref.id);
  adopt(std::move(thread));
}

bool ScaleNode::deliver(const ThreadRef& to, const ThreadMail& mail) {
  if (mail.kind == ThreadMail::Kind::Migrate)
    moveTo(to.id, mail.target);
  else if (++shared_.letters[mail.ticket] > 1)
    shared_.history.fail(fmt::format("letter {} arrives twice", mail.ticket));
  return true;
}

bool ScaleNode::adopt(std::unique_ptr<GuestThread> thread) {
  const ThreadId id = thread->ref.id;
  uint32_t& known = incarnations_[id];
  if (known > thread->incarnation) return false;
  known = thread->incarnation + 1;
  shared_.history.adopted(net.self(), id, thread->incarnation);
  load.add(thread->ref);
  threads_[id] = std::move(thread);
  if (endsThreads_)
    net.post([this, id, alive = alive_] {
      if (*alive) endThread(id);
    });
  return true;
}

Bytes ScaleNode::encode(const GuestThread& thread) {
  cluster::ByteWriter out;
  putThreadRef(out, thread.ref);
  return out.take();
}

Result<std::unique_ptr<GuestThread>> ScaleNode::decode(std::span<const uint8_t> image) {
  cluster::ByteReader in(image);
  auto thread = std::make_unique<GuestThread>();
  thread->ref = cluster::getThreadRef(in);
  return thread;
}

void ScaleNode::moveTo(ThreadId id, NodeId target) {
  const auto found = threads_.find(id);
  if (found == threads_.end() || target == net.self()) return;
  std::unique_ptr<GuestThread> thread = std::move(found->second);
  threads_.erase(found);
  load.remove(id);
  ++thread->incarnation;
  shared_.history.departed(net.self(), id, thread->incarnation, target);
  migrator.ship(std::move(thread), target);
}

void ScaleNode::endThreads() {
  endsThreads_ = true;
  std::vector<ThreadId> all;
  for (const auto& [id, thread] : threads_) all.push_back(id);
  for (ThreadId id : all) endThread(id);
}

void ScaleNode::endThread(ThreadId id) {
  const auto found = threads_.find(id);
  if (found == threads_.end()) return;  // it has left meanwhile
  shared_.ended.insert(found->second->ref.object);
  shared_.history.ended(net.self(), id);
  load.remove(id);
  threads_.erase(found);
  rt::ThreadEnd end;
  end.id = id;
  programEnd.threadEnded(std::move(end));
}

}  // namespace jvmc::sim
