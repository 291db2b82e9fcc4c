#include "tests/unit/cluster/support/test_cluster.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <semaphore>
#include <thread>

namespace jvmc::cluster::test {
namespace {

// At the base of this build's plan: sanitizers leave only some ranges free.
const rt::AddressPlan kPlan{.base = rt::AddressPlan{}.base, .regionShift = 30, .regionCount = 16};

/// ClassInfos of the TestClasses, by hand: no module is needed.
class TestClasses {
 public:
  TestClasses() {
    for (uint32_t i = 0; i < kTestClasses; ++i) infos_[i].index = i;
    infos_[kRecord].instanceBytes = kFirstField + 8 * kRecordFields;
    infos_[kRecord].wordGranularity = wide_;
    infos_[kThread].instanceBytes = kFirstField + 8;
    infos_[kThread].wordGranularity = narrow_;
    for (uint32_t i = 0; i < 4; ++i) {
      infos_[kBytes + i].shape = rt::ObjectShape::PrimitiveArray;
      infos_[kBytes + i].elementShift = uint8_t(i);
      infos_[kBytes + i].instanceBytes = rt::kArrayElementsOffset;
    }
    infos_[kReferences].shape = rt::ObjectShape::ReferenceArray;
    infos_[kReferences].elementShift = 3;
  }
  const rt::ClassInfo* at(uint32_t index) const { return index > 0 && index < kTestClasses ? &infos_[index] : nullptr; }

 private:
  const uint8_t wide_[kRecordFields] = {3, 3, 3, 3, 3, 3, 3, 3};
  const uint8_t narrow_[1] = {2};
  rt::ClassInfo infos_[kTestClasses];
};

struct Semaphore {
  std::mutex mutex;
  std::condition_variable changed;
  bool set = false;
};

/// Timers that cannot be taken back.
class NetTimers final : public rt::Timers {
 public:
  explicit NetTimers(NodeNet& net) : net_(net) {}
  int64_t now() const override { return steadyNanos(); }
  Id arm(int64_t nanos, Sink& sink, uint64_t a, uint64_t b, uint64_t c) override {
    net_.postAfter(nanos, [&sink, a, b, c] { sink.onTimer(a, b, c); });
    return 0;
  }
  void cancel(Id) override {}
  void forget(Sink&) override {}

 private:
  NodeNet& net_;
};

}  // namespace

/// One process: memory, net, object space, SyncHome and the mutators.
class TestNode final : public SpaceHost, public BlockHost, private rt::ThreadPost {
 public:
  TestNode(TestCluster& cluster, uint32_t id, std::vector<int> sockets)
      : cluster(cluster),
        id(id),
        net_(NodeId(id), std::move(sockets),
             {.seed = cluster.options().seed, .delayOneIn = cluster.options().delayOneIn}),
        homes_(kPlan, cluster.options().nodes),
        syncHome_({.post = *this,
                   .timers = timers_,
                   .clock = clock,
                   .threadStateOffset = kFirstField,
                   .storeBarrier = {},
                   .self = NodeId(id)}) {
    mapMemory();
    space = std::make_unique<ClusterObjectSpace>(*this, *this, net_, homes_, clock, cluster.options().space);
    space->releaseEarly(cluster.options().releasing);
    space->loans().open(syncHome_);
    net_.setHandler(Channel::Threads, [this](NodeId, Bytes payload, std::shared_ptr<Responder>) {
      ByteReader in(payload);
      const uint64_t thread = in.get<uint64_t>();
      const uint64_t ticket = in.get<uint64_t>();
      deliver(thread, ticket, getResumption(in));
    });
    for (const auto& planned : cluster.planned_) create(planned);
  }

  void start() { net_.start(); }

  // -- SpaceHost
  const rt::ClassInfo* classInfo(uint32_t index) override { return classes_.at(index); }
  bool plausible(ObjectRef) override { return true; }
  bool isOrdinary(ObjectRef object) override { return rt::classIndexOf(object) != kThread; }
  void exportObject(ObjectRef) override {}
  void beforeReferenceStore(ObjectRef, uint64_t, ObjectRef) override {}
  void visitHomeRoots(const std::function<void(ObjectRef)>&) override {}
  void accessGuest(const std::function<void()>& body) override {
    static thread_local int depth = 0;
    while (depth == 0 && stopWanted_) std::this_thread::yield();  // the lock alone is not fair
    std::lock_guard lock(runtimeAccess_);
    ++depth;
    body();
    --depth;
  }
  WaitToken prepareWait(rt::ThreadContext&) override { return std::make_shared<Semaphore>(); }
  void wait(rt::ThreadContext& ctx, WaitToken token) override {
    std::mutex& guest = mutatorOf(ctx).guest_;
    guest.unlock();
    {
      auto& semaphore = *static_cast<Semaphore*>(token.get());
      std::unique_lock lock(semaphore.mutex);
      semaphore.changed.wait(lock, [&] { return semaphore.set; });
    }
    guest.lock();
  }
  void wake(const WaitToken& token) override {
    auto& semaphore = *static_cast<Semaphore*>(token.get());
    std::lock_guard lock(semaphore.mutex);
    semaphore.set = true;
    semaphore.changed.notify_one();
  }
  std::optional<rt::Resumption> carryOut(const rt::SyncRequest& request, NodeId from) override {
    // SyncHome ticks the clock itself for remote releases; with the seeded fault nobody does.
    const bool remote = from.value != id && cluster.options().space.fault != Fault::HomeClockNotBumped;
    return syncHome_.handle(request, remote ? from : NodeId());
  }
  void post(const rt::ThreadRef& to, const rt::ThreadMail& mail) override { send(to, mail); }
  void fatal(Error error) override { reportError("fatal: " + error.message); }

  // -- BlockHost: every block with planned objects is a group
  void stopWorld(const std::function<void()>& body) override {
    stopWanted_ = true;
    std::lock_guard lock(runtimeAccess_);
    stopWanted_ = false;
    for (auto& mutator : mutators) mutator->stopWanted_ = true;
    for (auto& mutator : mutators) mutator->guest_.lock();
    body();
    for (auto& mutator : mutators) mutator->stopWanted_ = false;
    for (auto& mutator : mutators) mutator->guest_.unlock();
  }
  void forEachReliance(const VisitReliance& visit) override {
    for (auto& mutator : mutators) {
      if (mutator->context.quiescent) continue;
      std::set<uint64_t> blocks;
      for (ObjectRef object : mutator->held_) blocks.insert(object & ~uint64_t(rt::kBlockBytes - 1));
      visit(mutator->context, blocks);
    }
  }
  std::vector<rt::BlockGroup> withdraw(uint64_t, const std::set<uint64_t>&) override {
    std::map<uint64_t, rt::BlockGroup> here;
    for (const auto& planned : cluster.planned_) {
      const uint64_t block = planned.address & ~uint64_t(rt::kBlockBytes - 1);
      const ObjectShape shape(*classes_.at(planned.type), planned.length);
      const bool large = shape.chunksOf(planned.address) != 0;
      const auto blocks = large ? uint32_t((shape.end() + rt::kBlockBytes - 1) / rt::kBlockBytes) : 1;
      if (homes_.isSettledAt(NodeId(id), block)) here.emplace(block, rt::BlockGroup{block, blocks, large});
    }
    if (here.empty()) return {};
    return {std::next(here.begin(), ptrdiff_t(moverRandom_.below(here.size())))->second};
  }
  void restore(const rt::BlockGroup&) override {}
  rt::ObjectStarts objectsOf(const rt::BlockGroup& group) override {
    rt::ObjectStarts objects;
    for (const auto& planned : cluster.planned_)
      if (planned.address >= group.address && planned.address < group.end())
        objects.add(planned.address - group.address);
    return objects;
  }
  void giveAway(const rt::BlockGroup& group) override {
    madvise(reinterpret_cast<void*>(group.address), group.bytes(), MADV_DONTNEED);
  }
  void adopt(const rt::BlockGroup&, const rt::ObjectStarts&, const std::vector<ObjectRef>&) override {}
  bool hasRoomFor(uint64_t) override { return true; }
  Bytes takeHomeState(ObjectRef object) override {
    if (!(rt::header(object)->lockWord.load() & rt::kLockInflated)) return {};
    ByteWriter out;
    putSyncState(out, syncHome_.take(object));
    return out.take();
  }
  bool putHomeState(ObjectRef object, std::span<const uint8_t> bytes) override {
    ByteReader in(bytes);
    const rt::SyncState state = getSyncState(in);
    if (in.finished()) syncHome_.put(object, state);
    return in.finished();
  }
  /// On a busy machine a run goes on until some blocks have moved, within reason.
  bool timeIsUp() const {
    constexpr uint64_t kMovesWanted = 10;
    constexpr int64_t kPatienceNanos = 15'000'000'000;
    const int64_t late = steadyNanos() - deadline;
    const bool movesEnough = !cluster.options().moving || cluster.shared().moves >= kMovesWanted;
    return late > 0 && (movesEnough || late > kPatienceNanos);
  }
  /// Hands a block to another node, again and again.
  void keepMoving() {
    if (timeIsUp()) return;
    const uint32_t others = cluster.options().nodes - 1;
    const NodeId target((id + 1 + uint32_t(moverRandom_.below(others))) % cluster.options().nodes);
    space->mover().move({target}, 1, [this](const MoveResult& result) {
      cluster.shared().moves += result.groups;
      cluster.shared().revoked += result.revoked;
      usleep(useconds_t(moverRandom_.below(300)));
      keepMoving();
    });
  }

  /// Takes copies out of memory, again and again.
  void keepEvicting() {
    for (; !timeIsUp(); usleep(useconds_t(moverRandom_.below(300))))
      cluster.shared().evictedBytes += space->evictor().evict(rt::kBlockBytes);
  }

  void reportError(const std::string& what) { cluster.shared().report(what); }

  TestCluster& cluster;
  const uint32_t id;
  std::atomic<uint64_t> clock{rt::kEpochFirst};
  std::unique_ptr<ClusterObjectSpace> space;
  std::vector<std::unique_ptr<Mutator>> mutators;
  int64_t deadline = 0;

 private:
  Mutator& mutatorOf(const rt::ThreadContext& ctx) {
    for (auto& mutator : mutators)
      if (&mutator->context == &ctx) return *mutator;
    JVMC_CHECK(false);
  }
  void mapMemory() {
    void* at = mmap(reinterpret_cast<void*>(kPlan.base), kPlan.bytes(), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    JVMC_CHECK(at == reinterpret_cast<void*>(kPlan.base));
  }
  void create(const TestCluster::Planned& planned) {
    if (homes_.homeOf(planned.address).value != id) return;
    rt::ObjectHeader& header = *rt::header(planned.address);
    header.classWord = planned.type;
    if (ObjectShape(*classes_.at(planned.type), planned.length).isArray())
      rt::storeGuest<uint32_t>(planned.address + rt::kArrayLengthOffset, planned.length);
    header.epochWord = rt::kEpochHome;
  }
  // -- ThreadPost: thread ids are node * 1000 + index + 1
  void send(const rt::ThreadRef& to, const rt::ThreadMail& mail) override {
    const uint32_t node = uint32_t((to.id - 1) / 1000);
    if (node == id) return deliver(to.id, mail.ticket, mail.answer);
    space->afterDeferred([this, node, to, mail] {
      ByteWriter out;
      out.put(to.id);
      out.put(mail.ticket);
      putResumption(out, mail.answer);
      net_.notify(NodeId(node), Channel::Threads, out.take());
    });
  }
  void deliver(uint64_t thread, uint64_t ticket, const rt::Resumption& answer) {
    Mutator& mutator = *mutators.at((thread - 1) % 1000);
    std::lock_guard lock(mutator.mutex_);
    if (!mutator.mail_.emplace(ticket, answer).second) reportError("two answers to one request");
    mutator.arrived_.notify_one();
  }

  Prng moverRandom_{cluster.options().seed * 31 + id};
  std::atomic<bool> stopWanted_{false};
  std::recursive_mutex runtimeAccess_;
  PipeNet net_;
  HomeMap homes_;
  TestClasses classes_;
  NetTimers timers_{net_};
  rt::SyncHome syncHome_;
};

// ---------------------------------------------------------------- Mutator

Mutator::Mutator(TestNode& node, uint32_t index)
    : node(node),
      nodeId(node.id),
      index(index),
      number(node.id * uint32_t(node.cluster.mutators() / node.cluster.options().nodes) + index),
      random(node.cluster.options().seed * 7919 + number) {
  thread.ref.id = node.id * 1000 + index + 1;
  thread.ref.object = kPlan.regionBase(node.id);  // never touched
  context.thread = &thread;
  context.clock = &node.clock;
  context.epoch = node.clock;
  context.quiescent = true;
}

void Mutator::standInPoll() {
  node.space->standsInPoll(context);
}
void Mutator::checkRead(ObjectRef object) {
  node.space->checkRead(context, object);
}
void Mutator::checkWrite(ObjectRef object) {
  node.space->checkWrite(context, object);
}

void Mutator::checkElementsRead(ObjectRef array, uint32_t index) {
  node.space->checkElementsRead(context, array, index, index + 1);
}

void Mutator::checkElementsWrite(ObjectRef array, uint32_t index) {
  node.space->checkElementsWrite(context, array, index, index + 1);
}

void Mutator::allocate() {
  constexpr uint64_t kMicrosMax = 600;
  guest_.unlock();
  std::this_thread::sleep_for(std::chrono::microseconds(random.below(kMicrosMax)));
  guest_.lock();
}

rt::Resumption Mutator::synchronise(rt::SyncOp op, ObjectRef object) {
  rt::SyncRequest request{};
  request.op = op;
  request.object = object;
  return submit(request);
}

uint64_t Mutator::atomic(rt::AtomicOp op, ObjectRef object, uint32_t offset, uint64_t a, uint64_t b) {
  rt::SyncRequest request{};
  request.op = rt::SyncOp::Atomic;
  request.object = object;
  request.atomicOp = op;
  request.offset = offset;
  request.sizeLog2 = 3;
  request.isElement = node.cluster.isArray(object);
  request.a = a;
  request.b = b;
  return submit(request).value;
}

rt::Resumption Mutator::submit(rt::SyncRequest request) {
  request.thread = thread.ref;
  request.ticket = ++ticket_;
  {
    const InGuest here(*this);
    if (const auto answer = node.space->submit(context, request)) return *answer;
  }
  return awaitMail(request.ticket);
}

rt::Resumption Mutator::awaitMail(uint64_t ticket) {
  rt::Resumption answer;
  {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return mail_.count(ticket) > 0; });
    answer = mail_[ticket];
    mail_.erase(ticket);
  }
  if (answer.kind != rt::Resumption::Kind::Value) error("a request failed");
  if (answer.acquire) node.space->acquire(context, answer.remote);
  return answer;
}

void Mutator::release() {
  bool done = false;
  {
    const InGuest here(*this);
    done = node.space->release(context, ++ticket_);
  }
  if (!done) awaitMail(ticket_);
}

void Mutator::acquire() {
  node.space->acquire(context, true);
}

void Mutator::freeze(ObjectRef object) {
  const InGuest here(*this);
  if (context.writerSlot != 0 || node.space->owesWrites()) node.space->publish(context);
  const uint64_t epochWord = rt::header(object)->epochWord.load(std::memory_order_acquire);
  if (rt::isHomeEpoch(epochWord) && !rt::isBorrowedEpoch(epochWord))
    rt::header(object)->classWord.fetch_or(rt::kFlagFrozen, std::memory_order_release);
}

void Mutator::leave() {
  release();
  std::binary_semaphore gone(0);
  node.space->leave(thread.ref.id, [&gone] { gone.release(); });
  gone.acquire();
}

void Mutator::barrier() {
  Shared& shared = node.cluster.shared();
  const uint64_t all = node.cluster.mutators();
  const uint64_t target = (shared.barrier.fetch_add(1) / all + 1) * all;
  while (shared.barrier.load() < target) std::this_thread::sleep_for(std::chrono::microseconds(20));
}

uint64_t Mutator::fetchesHere() const {
  return node.space->stats().fetches;
}

uint64_t Mutator::flushesHere() const {
  return node.space->stats().flushMessages;
}

size_t Mutator::borrowedHere() const {
  return node.space->objectLoans().count();
}

void Mutator::giveUpLoans() {
  node.space->objectLoans().giveUp();
}

bool Mutator::timeIsUp() const {
  return node.timeIsUp();
}
void Mutator::error(const std::string& what) {
  node.reportError("node " + std::to_string(node.id) + " thread " + std::to_string(index) + ": " + what);
}
void Mutator::countOperations(uint64_t count) {
  node.cluster.shared().operations += count;
}

// ---------------------------------------------------------------- TestCluster

TestCluster::TestCluster(TestOptions options) : options_(options), nextFree_(options.nodes, 4096) {
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  JVMC_CHECK(memory != MAP_FAILED);
  shared_ = new (memory) Shared;
}

TestCluster::~TestCluster() {
  munmap(shared_, sizeof(Shared));
}

ObjectRef TestCluster::object(uint32_t node, TestClass type, uint32_t length) {
  const TestClasses classes;
  const ObjectShape shape(*classes.at(type), length);
  // As in a heap, none crosses a block but large ones, which begin one.
  uint64_t& next = nextFree_[node];
  if (next % rt::kBlockBytes + shape.end() > rt::kBlockBytes) next = (next / rt::kBlockBytes + 1) * rt::kBlockBytes;
  const ObjectRef address = kPlan.regionBase(node) + next;
  next += (shape.end() + 15) & ~uint64_t(15);
  if (shape.chunksOf(address) != 0) next = (next / rt::kBlockBytes + 1) * rt::kBlockBytes;  // has its blocks for itself
  if (shape.isArray()) arrays_.insert(address);
  planned_.push_back({address, type, length});
  return address;
}

void TestCluster::run(uint32_t threads, const std::function<void(Mutator&)>& body) {
  threads_ = threads;
  const uint32_t nodes = options_.nodes;
  std::vector<std::vector<int>> sockets(nodes, std::vector<int>(nodes, -1));
  for (uint32_t i = 0; i < nodes; ++i) {
    for (uint32_t j = 0; j < i; ++j) {
      int pair[2];
      JVMC_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
      sockets[i][j] = pair[0];
      sockets[j][i] = pair[1];
    }
  }
  std::vector<int> processes;
  for (uint32_t i = 0; i < nodes; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      for (uint32_t j = 0; j < nodes; ++j)
        for (int fd : sockets[j])
          if (j != i && fd >= 0) close(fd);
      runNode(i, sockets[i], body);
      _exit(0);
    }
    processes.push_back(child);
  }
  for (auto& row : sockets)
    for (int fd : row)
      if (fd >= 0) close(fd);
  await(processes);
}

void TestCluster::runNode(uint32_t node, std::vector<int> sockets, const std::function<void(Mutator&)>& body) {
  TestNode self(*this, node, std::move(sockets));
  self.deadline = steadyNanos() + int64_t(options_.seconds * 1e9);
  for (uint32_t i = 0; i < threads_; ++i) self.mutators.push_back(std::make_unique<Mutator>(self, i));
  self.start();
  if (options_.moving) self.keepMoving();
  std::thread evicting;
  if (options_.evicting) evicting = std::thread([&] { self.keepEvicting(); });
  std::vector<std::thread> running;
  for (auto& mutator : self.mutators) running.emplace_back([&] { body(*mutator); });
  for (auto& thread : running) thread.join();
  if (evicting.joinable()) evicting.join();
  shared_->fetches += self.space->stats().fetches;
  shared_->flushes += self.space->stats().flushMessages;
  shared_->earlyReleases += self.space->stats().earlyReleases;
  shared_->leased += self.space->stats().leased;
  shared_->recalls += self.space->stats().recalls;
  shared_->recalledCopies += self.space->stats().recalledCopies;
  shared_->lent += self.space->stats().objectsLent;
  shared_->borrowed += self.space->stats().objectsBorrowed;
  shared_->returned += self.space->stats().objectsReturned;
  shared_->finished++;
  while (shared_->finished < options_.nodes) usleep(500);  // others may still need this home
  usleep(2000);
  _exit(0);
}

void TestCluster::await(const std::vector<int>& processes) {
  const int64_t limit = steadyNanos() + int64_t((options_.seconds + 30) * 1e9);
  bool failed = false;
  for (int process : processes) {
    int status = 0;
    while (!failed && waitpid(process, &status, WNOHANG) == 0) {
      // A thread waits for ever once a fatal error has been reported: that is an error found, not a hang.
      const bool stuck = steadyNanos() > limit || (shared_->errors > 0 && steadyNanos() > limit - 27'000'000'000);
      if (stuck) {
        if (shared_->errors == 0) shared_->report("the nodes hang");
        failed = true;
      }
      usleep(1000);
    }
    if (failed) {
      kill(process, SIGKILL);
      waitpid(process, &status, 0);
    } else if (WIFSIGNALED(status)) {
      shared_->report("a node died by signal " + std::to_string(WTERMSIG(status)));
      failed = true;
    }
  }
}

}  // namespace jvmc::cluster::test
