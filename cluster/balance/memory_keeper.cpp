// Message (ControlKind::MemoryRoom), a request: u64 bytes wanted -> u64 bytes that may be sent.
#include "cluster/balance/memory_keeper.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "cluster/collect/collector.h"

namespace jvmc::cluster {

namespace {

constexpr auto kCheckEvery = std::chrono::milliseconds(50);
constexpr auto kPause = std::chrono::milliseconds(5);  ///< between evictions, or attempts to move: threads run
/// Of its limit a node takes blocks of others up to this share; the rest is for its own threads.
constexpr double kAcceptedShare = 0.9;
/// Heap and copies together may take this share of the limit.
constexpr double kResidentShare = 1.2;
/// However full the heap is, so much of the limit may be used for copies.
constexpr double kCopyShareMin = 1.0 / 16;
/// For rounds of collection before OutOfMemoryError.
constexpr auto kRoundsMax = std::chrono::seconds(10);
/// Threads may be using just what was to go; then other blocks are tried, after a pause.
constexpr int kMoveAttempts = 3;
/// What a relief moves at least: moving little often costs more.
constexpr uint64_t kReliefFraction = 8;

uint64_t part(double share, uint64_t bytes) {
  return uint64_t(share * double(bytes));
}

uint64_t residentBytesOfProcess() {
  uint64_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * uint64_t(sysconf(_SC_PAGESIZE));
}

}  // namespace

MemoryKeeper::MemoryKeeper(ControlChannel& control, SpaceHost& host, ClusterObjectSpace& space, rt::Vm& vm, bool evicts,
                           ClusterCollector& collector)
    : control_(control), host_(host), space_(space), vm_(vm), evicts_(evicts), collector_(collector) {
  control_.setHandler(ControlKind::MemoryRoom, [this](NodeId, Bytes payload, std::shared_ptr<Responder> responder) {
    ByteReader in(payload);
    const uint64_t bytes = in.get<uint64_t>();
    if (!in.finished()) return responder->fail({ErrorCode::kCorrupt, "malformed question"});
    std::lock_guard lock(mutex_);
    questions_.push_back({bytes, std::move(responder)});
    changed_.notify_all();
  });
}

void MemoryKeeper::start() {
  thread_ = std::thread([this] { run(); });
}

void MemoryKeeper::stop() {
  space_.evictor().stop();
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    questions_.clear();
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

// ---------------------------------------------------------------- guest threads

bool MemoryKeeper::awaitMemory(rt::ThreadContext& ctx, uint64_t bytes) {
  if (bytes > vm_.heap().use().limit) return false;
  WaitToken token = host_.prepareWait(ctx);
  {
    std::lock_guard lock(mutex_);
    if (!thread_.joinable() || stopping_) return false;
    waiting_.push_back({&ctx, token, bytes});
    changed_.notify_all();
  }
  waits_++;
  host_.wait(ctx, std::move(token));
  std::lock_guard lock(mutex_);
  return answers_.extract(&ctx).mapped();
}

// ---------------------------------------------------------------- keeper thread

void MemoryKeeper::run() {
  for (;;) {
    std::vector<Waiter> waiters;
    std::vector<Question> questions;
    std::optional<BlockGift> gift;
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kCheckEvery, [&] { return stopping_ || hasWork(); });
      if (stopping_) return;
      waiters.swap(waiting_);
      questions.swap(questions_);
      pressed_ = false;
      relieving_ = !waiters.empty();
      if (!gifts_.empty() && waiters.empty()) {
        gift = gifts_.front();
        gifts_.pop_front();
      }
    }
    for (const Question& question : questions) answer(question);
    if (!waiters.empty()) relieve(std::move(waiters));
    if (gift) carryOut(*gift);
    if (evicts_) keepCopiesInBounds();
  }
}

void MemoryKeeper::relieve(std::vector<Waiter> waiters) {
  uint64_t needed = 0;
  for (const Waiter& waiter : waiters) needed += (waiter.bytes + rt::kBlockBytes - 1) & ~uint64_t(rt::kBlockBytes - 1);
  const uint64_t wanted = std::max(needed, vm_.heap().use().limit / kReliefFraction);
  const bool success = makeRoom(needed, wanted) > 0 || collectTogether(needed);
  (success ? reliefs_ : failures_) += waiters.size();
  std::lock_guard lock(mutex_);
  relieving_ = false;
  if (stopping_) return;
  for (const Waiter& waiter : waiters) {
    answers_[waiter.ctx] = success;
    host_.wake(waiter.token);
  }
}

/// Moves blocks away until there is room for `needed` bytes, `wanted` if that is easy. Returns how much was moved.
uint64_t MemoryKeeper::makeRoom(uint64_t needed, uint64_t wanted) {
  uint64_t moved = 0;
  for (int attempt = 0; attempt < kMoveAttempts; ++attempt) {
    if (attempt > 0) std::this_thread::sleep_for(kPause);
    bool anyRoom = false;
    for (const Room& room : askForRoom(wanted)) {
      if (room.bytes < rt::kBlockBytes || moved >= needed) break;
      anyRoom = true;
      moved += move(room.node, std::min(wanted - moved, room.bytes)).bytes;
    }
    if (moved > 0 || !anyRoom) break;
  }
  return moved;
}

/// What no node can find dead by itself may be dead all the same. True if there is room now.
bool MemoryKeeper::collectTogether(uint64_t needed) {
  if (!collector_.isOn()) return false;
  collections_++;
  // The round under way may have begun too early to find it.
  const uint64_t enough = collector_.completedRounds() + 2;
  const auto giveUp = std::chrono::steady_clock::now() + kRoundsMax;
  const auto room = [&] {
    const rt::MemoryUse use = vm_.heap().use();
    return use.limit - std::min(use.limit, use.used) >= needed;
  };
  for (uint64_t seen = enough - 2; seen < enough && std::chrono::steady_clock::now() < giveUp;) {
    collector_.request(/*atOnce=*/true);
    std::vector<Question> questions;
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kPause, [&] { return stopping_; });
      if (stopping_) return false;
      questions.swap(questions_);
    }
    for (const Question& question : questions) answer(question);
    if (collector_.completedRounds() == seen) continue;
    seen = collector_.completedRounds();
    vm_.heap().collect(nullptr);
    if (room()) return true;
  }
  return false;
}

/// Of every other place, the emptiest first.
std::vector<MemoryKeeper::Room> MemoryKeeper::askForRoom(uint64_t bytes) {
  struct Answers {
    std::vector<Room> rooms;
    size_t left = 0;
  };
  const auto answers = std::make_shared<Answers>();
  std::vector<NodeId> places = control_.net().places();
  std::erase(places, control_.net().self());
  answers->left = places.size();
  for (NodeId node : places) {
    ByteWriter out;
    out.put(bytes);
    control_.request(node, ControlKind::MemoryRoom, out.take(), [this, node, answers](Result<Bytes> reply) {
      std::lock_guard lock(mutex_);
      --answers->left;
      if (reply.ok()) {
        ByteReader in(*reply);
        const uint64_t room = in.get<uint64_t>();
        if (in.finished()) answers->rooms.push_back({node, room});
      }
      changed_.notify_all();
    });
  }
  std::unique_lock lock(mutex_);
  awaitAnswering(lock, [&] { return answers->left == 0; });
  std::vector<Room> rooms = answers->rooms;
  std::sort(rooms.begin(), rooms.end(), [](const Room& a, const Room& b) { return a.bytes > b.bytes; });
  return rooms;
}

/// Waits until `ready`, or the program ends, and answers questions meanwhile: two nodes that look for room wait for
/// each other's answer, and a cluster-wide collection, which holds moves up, waits for answers too.
void MemoryKeeper::awaitAnswering(std::unique_lock<std::mutex>& lock, const std::function<bool()>& ready) {
  while (!stopping_ && !ready()) {
    changed_.wait(lock, [&] { return stopping_ || ready() || !questions_.empty(); });
    const std::vector<Question> questions = std::exchange(questions_, {});
    lock.unlock();
    for (const Question& question : questions) answer(question);
    lock.lock();
  }
}

MoveResult MemoryKeeper::move(NodeId to, uint64_t bytes, std::set<uint64_t> only) {
  const auto result = std::make_shared<std::optional<MoveResult>>();
  const auto done = [this, result](const MoveResult& moved) {
    std::lock_guard lock(mutex_);
    *result = moved;
    changed_.notify_all();
  };
  space_.mover().move({to}, bytes, done, std::move(only));
  std::unique_lock lock(mutex_);
  awaitAnswering(lock, [&] { return result->has_value(); });
  return result->value_or(MoveResult{});
}

void MemoryKeeper::give(const BlockGift& gift) {
  std::lock_guard lock(mutex_);
  if (giving_) return;
  giving_ = true;
  gifts_.push_back(gift);
  changed_.notify_all();
}

void MemoryKeeper::carryOut(const BlockGift& gift) {
  if (gift.used) {
    // A handful of blocks: what has died in them does not matter.
    std::set<uint64_t> blocks = space_.blockUsers().usedBy(gift.to);
    if (!blocks.empty()) move(gift.to, gift.bytes, std::move(blocks));
  } else {
    const uint64_t before = vm_.heap().use().live;
    vm_.heap().collect(nullptr);
    const uint64_t died = before - std::min(before, vm_.heap().use().live);
    if (gift.bytes > died) move(gift.to, gift.bytes - died);
  }
  gives_++;
  std::lock_guard lock(mutex_);
  giving_ = false;
}

void MemoryKeeper::answer(const Question& question) {
  bool relieving;
  {
    std::lock_guard lock(mutex_);
    relieving = relieving_;
  }
  ByteWriter out;
  out.put(relieving ? uint64_t(0) : roomFor(question.bytes));
  question.responder->reply(out.take());
}

uint64_t MemoryKeeper::roomFor(uint64_t bytes) {
  const auto room = [&] {
    const rt::MemoryUse use = vm_.heap().use();
    const uint64_t accepted = part(kAcceptedShare, use.limit);
    return accepted - std::min(accepted, use.used);
  };
  const uint64_t now = room();
  if (now >= bytes) return now;
  vm_.heap().collect(nullptr);
  return room();
}

void MemoryKeeper::keepCopiesInBounds() {
  CopyMap& copies = space_.copyMap();
  const auto budget = [&] {
    const rt::MemoryUse use = vm_.heap().use();
    const uint64_t all = part(kResidentShare, use.limit);
    return std::max(all - std::min(all, use.resident), part(kCopyShareMin, use.limit));
  };
  // Half of what threads have written are twins, which lie outside of the copies' pages.
  const auto present = [&] { return copies.bytes() + space_.writtenBytes() / 2; };
  if (present() > budget()) {
    vm_.heap().trim();
    const uint64_t taken = present(), allowed = budget();
    if (taken > allowed) {
      space_.evictor().evict(taken - allowed / 4 * 3);
      std::this_thread::sleep_for(kPause);
    }
  }
  // What has been written must go home before it can be evicted.
  const bool isShort = present() > budget();
  space_.releaseEarly(isShort);
  if (isShort) vm_.world().pollAll();
  copies.setBudget(budget(), [this] {
    std::lock_guard lock(mutex_);
    pressed_ = true;
    changed_.notify_all();
  });
}

// ---------------------------------------------------------------- figures

MemoryLoad MemoryKeeper::load() {
  const rt::MemoryUse use = vm_.heap().use();
  MemoryLoad load;
  load.live = use.live;
  load.used = use.used;
  load.limit = use.limit;
  load.copies = space_.copyMap().bytes();
  load.rss = residentBytesOfProcess();
  std::lock_guard lock(mutex_);
  load.moving = giving_ || relieving_;
  return load;
}

void MemoryKeeper::report(const StatSink& sink) const {
  sink("memory.waits", waits_);
  sink("memory.collections", collections_);
  sink("memory.reliefs", reliefs_);
  sink("memory.out_of_memory", failures_);
  sink("memory.gives", gives_);
  sink("memory.copy_bytes", space_.copyMap().bytes());
  sink("memory.written_bytes", space_.writtenBytes());
}

}  // namespace jvmc::cluster
