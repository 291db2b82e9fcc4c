#include "cluster/vm_host.h"

#include "cluster/migration/thread_router.h"
#include "cluster/objects/cluster_object_space.h"
#include "runtime/frames/function_info.h"

namespace jvmc::cluster {

using rt::Resumption;
using rt::SyncOp;
using rt::SyncRequest;
using rt::ThreadContext;
using rt::ThreadMail;

namespace {

constexpr int32_t kThreadAlive = 1, kThreadEnded = 2;

/// Reads another fiber's stack: red zones between its variables are none of the sanitizer's business here.
template <class Visit>
[[gnu::no_sanitize("address", "thread")]] void scanWords(const volatile uint64_t* low, const volatile uint64_t* high,
                                                         Visit visit) {
  for (const volatile uint64_t* word = low; word < high; ++word) {
    const uint64_t value = *word;
    visit(value);
    visit(value - 1);
  }
}

uint32_t threadField(rt::Vm& vm, uint32_t field) {
  return vm.layout()[ir::builtin::kThread].fields[field].offset;
}

}  // namespace

VmHost::VmHost(rt::Vm& vm, const HomeMap& homes, NodeId self, ThreadCodec codec, std::function<void(Error)> fatal)
    : vm_(vm),
      homes_(homes),
      self_(self),
      codec_(std::move(codec)),
      fatal_(std::move(fatal)),
      threadIdOffset_(threadField(vm, ir::builtin::kThreadId)),
      threadStateOffset_(threadField(vm, ir::builtin::kThreadState)) {}

void VmHost::openHome(rt::ThreadPost& post) {
  syncHome_ = std::make_unique<rt::SyncHome>(rt::SyncHome::Ports{
      post, vm_.scheduler().timers(), vm_.clock(), threadStateOffset_,
      [this](ObjectRef object, uint32_t offset, ObjectRef value) { beforeReferenceStore(object, offset, value); },
      self_});
  space->loans().open(*syncHome_);
}

// ---------------------------------------------------------------- memory

const rt::ClassInfo* VmHost::classInfo(uint32_t index) {
  if (index >= vm_.layout().indexCount()) return nullptr;
  const rt::ClassInfo& info = vm_.classes()[index];
  return info.instanceBytes != 0 ? &info : nullptr;
}

bool VmHost::plausible(ObjectRef object) {
  return vm_.heap().isLocal(object) && vm_.heap().plausible(object);
}

bool VmHost::isOrdinary(ObjectRef object) {
  return !isThreadObject(object) && !vm_.layout().isInStaticsBlock(object);
}

void VmHost::exportObject(ObjectRef object) {
  vm_.heap().exportObject(object);
}

void VmHost::beforeReferenceStore(ObjectRef object, uint64_t offset, ObjectRef value) {
  vm_.heap().onBarrier(nullptr, object, offset, value);
}

void VmHost::visitHomeRoots(const std::function<void(ObjectRef)>& visit) {
  syncHome_->visitRoots(visit);
  threadsLeaving([&](const rt::GuestThread& thread) { visitThreadReferences(vm_.functionInfos(), thread, visit); });
}

void VmHost::accessGuest(const std::function<void()>& body) {
  rt::World::GuestAccess access(vm_.world());
  body();
}

// ---------------------------------------------------------------- waiting

WaitToken VmHost::prepareWait(ThreadContext& ctx) {
  return vm_.scheduler().prepareSuspend(ctx);
}

void VmHost::wait(ThreadContext& ctx, WaitToken token) {
  vm_.scheduler().suspend(ctx, std::static_pointer_cast<rt::Scheduler::Suspension>(std::move(token)));
}

void VmHost::wake(const WaitToken& token) {
  vm_.scheduler().resume(*static_cast<rt::Scheduler::Suspension*>(token.get()));
}

// ---------------------------------------------------------------- at the home

std::optional<Resumption> VmHost::carryOut(const SyncRequest& request, NodeId from) {
  const bool remote = from != self_;
  switch (request.op) {
    case SyncOp::ThreadStart:
    case SyncOp::ThreadEnd:
    case SyncOp::ThreadJoin:
    case SyncOp::ThreadIsAlive:
    case SyncOp::Unpark:
    case SyncOp::Interrupt:
    case SyncOp::IsInterrupted:
      if (!isThreadObject(request.object)) {  // only from a broken peer
        Resumption wrong;
        wrong.kind = Resumption::Kind::Throw;
        wrong.builtin = rt::BuiltinThrow::IllegalArgument;
        return wrong;
      }
      break;
    default:
      break;
  }
  switch (request.op) {
    case SyncOp::ThreadStart:
      router->starting(request.a, from);
      break;
    case SyncOp::ThreadEnd:
      router->ended(request.thread.id);
      break;
    case SyncOp::Unpark:
    case SyncOp::Interrupt:
    case SyncOp::IsInterrupted:
      return carryOutOnThread(request, remote);
    default:
      break;
  }
  return syncHome_->handle(request, remote ? from : NodeId());
}

bool VmHost::isThreadObject(ObjectRef object) {
  const rt::ClassInfo* info = classInfo(rt::classIndexOf(object));
  return info && rt::isInstance(*info, vm_.classes()[vm_.layout().classIndex(ir::builtin::kThread)]);
}

/// What concerns a thread itself becomes mail to it, wherever it is.
std::optional<Resumption> VmHost::carryOutOnThread(const SyncRequest& request, bool remote) {
  Resumption done;
  done.acquire = request.op == SyncOp::IsInterrupted;
  done.remote = remote;
  // A thread that does not live hears nothing and is not interrupted.
  const auto state = rt::loadGuest<int32_t>(request.object + threadStateOffset_, std::memory_order_acquire);
  if (state != kThreadAlive) return done;
  ThreadMail mail{};
  mail.ticket = request.ticket;
  mail.asker = request.thread;
  mail.answer.acquire = true;
  mail.answer.remote = remote;
  mail.kind = request.op == SyncOp::Unpark      ? ThreadMail::Kind::Unpark
              : request.op == SyncOp::Interrupt ? ThreadMail::Kind::Interrupt
                                                : ThreadMail::Kind::QueryInterrupted;
  post({threadOf(request.object), request.object}, mail);
  if (mail.isQuestion()) return std::nullopt;
  return done;
}

rt::ThreadId VmHost::threadOf(ObjectRef threadObject) {
  return rt::ThreadId(rt::loadGuest<int64_t>(threadObject + threadIdOffset_));
}

void VmHost::post(const rt::ThreadRef& to, const ThreadMail& mail) {
  router->send(to, mail);
}

// ---------------------------------------------------------------- threads

bool VmHost::isHere(rt::ThreadId thread) const {
  return vm_.scheduler().isHere(thread);
}

bool VmHost::deliver(const rt::ThreadRef& to, const ThreadMail& mail) {
  return vm_.scheduler().deliver(to, mail);
}

bool VmHost::adopt(std::unique_ptr<rt::GuestThread> thread) {
  return vm_.scheduler().adopt(std::move(thread));
}

Bytes VmHost::encode(const rt::GuestThread& thread) {
  return codec_.encode(thread);
}

Result<std::unique_ptr<rt::GuestThread>> VmHost::decode(std::span<const uint8_t> image) {
  Result<std::unique_ptr<rt::GuestThread>> decoded = codec_.decode(image);
  if (!decoded.ok()) return decoded;
  bool plausible = true;
  accessGuest([&] {
    visitThreadReferences(vm_.functionInfos(), **decoded,
                          [&](ObjectRef object) { plausible = plausible && space->core().acceptable(object); });
  });
  if (!plausible) return Error{ErrorCode::kCorrupt, "a frame holds a reference to no object"};
  return decoded;
}

void VmHost::exportReferences(const rt::GuestThread& thread) {
  accessGuest([&] {
    visitThreadReferences(vm_.functionInfos(), thread, [this](ObjectRef object) { exportIfHere(object); });
    exportAnswer(thread.resumption);
    if (thread.earlyAnswer) exportAnswer(*thread.earlyAnswer);
  });
}

/// Whether an answer's value is a reference only its instruction knows. One that looks like an object here is kept
/// alive.
void VmHost::exportAnswer(const Resumption& answer) {
  exportIfHere(answer.value);
  exportIfHere(answer.exception);
}

void VmHost::answerArrived(const Resumption& answer) {
  space->core().answerArrived(answer);
}

void VmHost::exportIfHere(ObjectRef object) {
  if (space->core().isConceivable(object)) space->core().exportOut(object);
}

void VmHost::leave(rt::ThreadId thread, std::function<void()> action) {
  space->leave(thread, std::move(action));
}

void VmHost::afterDeferred(std::function<void()> action) {
  space->afterDeferred(std::move(action));
}

uint64_t VmHost::arrivalEpoch() {
  return space->arrivalEpoch();
}

/// A letter does not keep a Thread object alive: something else may lie there by now.
bool VmHost::hasEnded(const rt::ThreadRef& thread) {
  if (!plausible(thread.object) || !isThreadObject(thread.object) || threadOf(thread.object) != thread.id) return true;
  return rt::loadGuest<int32_t>(thread.object + threadStateOffset_, std::memory_order_acquire) == kThreadEnded;
}

// ---------------------------------------------------------------- blocks

void VmHost::stopWorld(const std::function<void()>& body) {
  vm_.world().stop(nullptr, body);
}

/// A word may point into an object or right behind its end. Addresses of statics objects are constants of the code: no
/// stack need show them.
void VmHost::forEachReliance(const VisitReliance& visit) {
  std::set<uint64_t> statics;
  for (uint64_t block = vm_.layout().staticsBegin(); block < vm_.layout().staticsEnd(); block += rt::kBlockBytes)
    statics.insert(block);
  vm_.world().forEachContext([&](ThreadContext& ctx) {
    if (ctx.quiescent) return;
    std::set<uint64_t> blocks = statics;
    const auto add = [&](uint64_t word) {
      if (homes_.plan().contains(word)) blocks.insert(word & ~uint64_t(rt::kBlockBytes - 1));
    };
    vm_.world().visitStack(ctx, [&](const uint64_t* low, const uint64_t* high) { scanWords(low, high, add); });
    visit(ctx, blocks);
  });
}

std::vector<rt::BlockGroup> VmHost::withdraw(uint64_t bytes, const std::set<uint64_t>& only) {
  return vm_.heap().withdraw(bytes, only);
}

void VmHost::restore(const rt::BlockGroup& group) {
  vm_.heap().restore(group);
}

rt::ObjectStarts VmHost::objectsOf(const rt::BlockGroup& group) {
  return vm_.heap().objectsOf(group);
}

void VmHost::giveAway(const rt::BlockGroup& group) {
  vm_.heap().giveAway(group);
}

void VmHost::adopt(const rt::BlockGroup& group, const rt::ObjectStarts& objects,
                   const std::vector<ObjectRef>& written) {
  vm_.heap().adopt(group, objects, written);
}

bool VmHost::hasRoomFor(uint64_t bytes) {
  return vm_.heap().hasRoomFor(bytes);
}

/// Only what has state is asked: monitors with an inflated word, Thread objects (joins, whereabouts), and statics
/// objects (class initialisation).
Bytes VmHost::takeHomeState(ObjectRef object) {
  const bool isThread = isThreadObject(object);
  const bool inflated = (rt::header(object)->lockWord.load(std::memory_order_acquire) & rt::kLockInflated) != 0;
  if (!isThread && !inflated && !vm_.layout().isInStaticsBlock(object)) return {};
  ByteWriter out;
  std::optional<LastSeen> seen = isThread ? router->takeLocation(threadOf(object)) : std::nullopt;
  // Of a thread that has never moved, the main thread too, nothing need be known as long as its home is where it runs.
  if (isThread && !seen && isHere(threadOf(object))) seen = LastSeen{self_, 0};
  out.put(seen.has_value());
  out.put(seen ? seen->node.value : 0u);
  out.put(seen ? seen->incarnation : 0u);
  putSyncState(out, syncHome_->take(object));
  return out.take();
}

bool VmHost::mayHaveHomeState(const rt::BlockGroup& group, const rt::ClassInfo& info) {
  return vm_.layout().isInStaticsBlock(group.address) ||
         rt::isInstance(info, vm_.classes()[vm_.layout().classIndex(ir::builtin::kThread)]);
}

bool VmHost::putHomeState(ObjectRef object, std::span<const uint8_t> state) {
  ByteReader in(state);
  const bool seen = in.getBool();
  LastSeen place;
  place.node = NodeId(in.get<uint32_t>());
  place.incarnation = in.get<uint32_t>();
  const rt::SyncState sync = getSyncState(in);
  if (!in.finished() || (seen && (place.node.value >= homes_.nodesMax() || !isThreadObject(object)))) return false;
  if (seen) router->putLocation(threadOf(object), place);
  if (!sync.empty()) syncHome_->put(object, sync);
  return true;
}

void VmHost::trace(const rt::TraceEvent& event) {
  if (!vm_.tracer().isOn()) return;
  rt::TraceEvent seen = event;
  seen.begin = std::max(event.begin, vm_.tracer().since());
  vm_.tracer().add(seen);
}

void VmHost::fatal(Error error) {
  fatal_(std::move(error));
}

}  // namespace jvmc::cluster
