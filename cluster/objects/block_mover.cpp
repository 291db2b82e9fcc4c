#include "cluster/objects/block_mover.h"

#include <algorithm>
#include <cstring>

#include "cluster/objects/block_messages.h"
#include "cluster/objects/neighbours.h"

namespace jvmc::cluster {

using rt::BlockGroup;

namespace {

/// A window is as large as a short stop of the world allows. Counted is what the blocks add to it.
constexpr int64_t kStopNanos = 300'000;
constexpr uint64_t kWindowBytesMin = 256 << 10, kWindowBytesMax = 8 << 20;
constexpr int kIdleWindows = 3;
/// Who needs a block of a chunk waits for it and those ahead of it; fewer or smaller ones leave the wires idle. While
/// nobody waits, chunks grow by a step each.
constexpr uint64_t kChunkBytesMin = 128 << 10, kChunkBytesMax = 256 << 10, kChunkBytesStep = 32 << 10;
/// Of a node that is about to leave: what its threads need is where they go.
constexpr uint64_t kChunkBytesLeaving = 1 << 20;
constexpr size_t kChunksOnTheirWay = 4;
/// More if there are several targets: each has the next one coming while it takes one in.
constexpr size_t kChunksToEach = 3, kChunksOnTheirWayMax = 12;

bool isHeld(const BlockGroup& group, const std::set<uint64_t>& held) {
  const auto first = held.lower_bound(group.address);
  return first != held.end() && *first < group.end();
}

}  // namespace

void BlockMover::move(std::vector<NodeId> targets, uint64_t bytes, std::function<void(const MoveResult&)> done,
                      std::set<uint64_t> only, OnItsWay onItsWay) {
  std::lock_guard lock(mutex_);
  if (stopping_) return;
  enqueueLocked({std::move(targets), bytes, std::move(done), std::move(only), std::move(onItsWay), {}});
}

void BlockMover::whileStopped(InStop body) {
  std::lock_guard lock(mutex_);
  if (stopping_) return;
  enqueueLocked({{}, 0, {}, {}, {}, std::move(body)});
}

void BlockMover::enqueueLocked(Request request) {
  requests_.push_back(std::move(request));
  if (!std::exchange(started_, true)) thread_->start([this] { run(); });
  thread_->notify();
}

void BlockMover::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    thread_->notify();
  }
  thread_->join();
}

void BlockMover::hold() {
  std::lock_guard lock(mutex_);
  held_ = true;
  thread_->notify();
}

void BlockMover::resume() {
  std::lock_guard lock(mutex_);
  held_ = false;
  thread_->notify();
}

bool BlockMover::isHeldBack() const {
  std::lock_guard lock(mutex_);
  return held_;
}

bool BlockMover::isStill() const {
  std::lock_guard lock(mutex_);
  return window_.empty() && chunksOnTheirWay_ == 0;
}

void BlockMover::run() {
  for (;;) {
    Request request;
    {
      std::unique_lock lock(mutex_);
      thread_->wait(lock, [&] { return stopping_ || !requests_.empty(); });
      if (stopping_) return;
      request = std::move(requests_.front());
      requests_.pop_front();
    }
    if (request.inStop) {
      host_.stopWorld([&] { request.inStop(reliedOn()); });
      continue;
    }
    const MoveResult result = carryOut(request);
    {
      std::lock_guard lock(mutex_);
      if (stopping_) return;
    }
    request.done(result);
  }
}

MoveResult BlockMover::carryOut(const Request& request) {
  windowBytes_ = std::max(windowBytes_, kWindowBytesMin);
  shortestStopNanos_ = INT64_MAX;
  {
    std::lock_guard lock(mutex_);
    chunkBytes_ = kChunkBytesMin;
    targets_.clear();
    for (NodeId node : request.targets) targets_.push_back({node});
    mostOnTheirWay_ = std::clamp(kChunksToEach * targets_.size(), kChunksOnTheirWay, kChunksOnTheirWayMax);
  }
  // What a target has refused is tried with those that are left.
  while (sendWindows(request)) continue;
  std::lock_guard lock(mutex_);
  takenBack_.clear();
  return std::exchange(result_, {});
}

/// Until enough has gone, or nothing more does. True if a target has refused some of it and others are left.
bool BlockMover::sendWindows(const Request& request) {
  size_t targets;
  {
    std::lock_guard lock(mutex_);
    targets = targets_.size();
  }
  // Each window holds other groups than the last, so a group that was taken back is not tried again at once; as many
  // windows of which nothing goes end the request.
  int idle = 0;
  for (uint64_t wanted; idle < kIdleWindows && (wanted = bytesWanted(request)) > 0;) {
    {
      std::unique_lock lock(mutex_);
      thread_->wait(lock, [&] { return stopping_ || !held_; });
    }
    if (!withdraw(std::min(wanted, windowBytes_), request.only)) break;
    awaitDeferred();
    const bool some = sendWindow(request);
    restoreWindow();
    idle = some || isHeldBack() ? 0 : idle + 1;
  }
  std::unique_lock lock(mutex_);
  thread_->wait(lock, [&] { return stopping_ || chunksOnTheirWay_ == 0; });
  return !stopping_ && !targets_.empty() && targets_.size() < targets;
}

uint64_t BlockMover::bytesWanted(const Request& request) {
  std::lock_guard lock(mutex_);
  const uint64_t served = result_.bytes + bytesOnTheirWay_;
  return stopping_ || targets_.empty() || served >= request.bytes ? 0 : request.bytes - served;
}

/// World stopped: the blocks that threads may rely on checks of.
std::set<uint64_t> BlockMover::reliedOn() const {
  return core_.options.fault == Fault::HoldNothing ? std::set<uint64_t>() : host_.heldBlocks();
}

/// False if there is nothing to move.
bool BlockMover::withdraw(uint64_t bytes, const std::set<uint64_t>& only) {
  bool any = false;
  int64_t nanos = 0;
  std::vector<ObjectRef> inTheWay;
  host_.stopWorld([&] {
    std::lock_guard lock(mutex_);
    const int64_t begin = core_.net.now();
    if ((any = held_)) return;  // since a moment ago
    std::set<uint64_t> held = reliedOn();
    const std::set<ObjectRef> shared = leases_.shared();
    for (ObjectRef lent : loans_.lent()) held.insert(lent & ~uint64_t(rt::kBlockBytes - 1));
    for (const BlockGroup& group : host_.withdraw(bytes, only)) {
      any = true;
      const auto firstShared = shared.lower_bound(group.address);
      const auto endShared = shared.lower_bound(group.end());
      inTheWay.insert(inTheWay.end(), firstShared, endShared);
      if (firstShared != endShared || isHeld(group, held)) {
        host_.restore(group);
        ++result_.revoked;
        continue;
      }
      const BlockHome home = core_.homes.at(group.address);
      core_.gates.set(group.address, {core_.self, HomeState::Leaving, home.moves});
      window_.push_back({group, home.moves, invalidate(group)});
    }
    // Who needs them this time waits: they go first.
    std::partition(window_.begin(), window_.end(),
                   [&](const Leaving& leaving) { return !takenBack_.contains(leaving.group.address); });
    nanos = core_.net.now() - begin;
  });
  // Such groups stay this time: leases are called back by messages.
  core_.host.accessGuest([&] {
    for (ObjectRef object : inTheWay) leases_.recall(object, nullptr);
  });
  // What a stop takes without blocks (the roots of many threads) smaller windows would only repeat. Many small objects
  // take longer than a few large ones.
  shortestStopNanos_ = std::min(shortestStopNanos_, nanos);
  nanos -= shortestStopNanos_;
  if (nanos < kStopNanos / 2) windowBytes_ = std::min(windowBytes_ * 2, kWindowBytesMax);
  if (nanos > kStopNanos) windowBytes_ = std::max(windowBytes_ / 2, kWindowBytesMin);
  return any;
}

bool BlockMover::takeBack(ObjectRef object) {
  BlockGates::Ready ready;
  std::lock_guard lock(mutex_);
  const uint64_t block = object & ~uint64_t(rt::kBlockBytes - 1);
  const auto found = std::find_if(window_.begin(), window_.end(),
                                  [&](const Leaving& leaving) { return leaving.group.address == block; });
  if (found == window_.end() || !takenBack_.insert(block).second) return false;
  const Leaving leaving = *found;
  window_.erase(found);
  ++result_.revoked;
  restore(leaving, ready);
  if (ready.any()) core_.net.post([ready]() mutable { ready.go(); });
  return true;
}

/// No check of the objects passes here any more. How many bytes they have.
uint64_t BlockMover::invalidate(const BlockGroup& group) {
  ClassCursor classes(core_.host);
  uint64_t bytes = 0;
  host_.objectsOf(group).forEach([&](uint64_t offset) {
    const ObjectRef object = group.address + offset;
    std::atomic<uint32_t>& classWord = rt::header(object)->classWord;
    // The heap has noted it by block. With the flag, who exports the object again need not look any further.
    classWord.store(classWord.load(std::memory_order_relaxed) | rt::kFlagExported, std::memory_order_relaxed);
    rt::header(object)->epochWord.store(rt::kEpochInvalid, std::memory_order_release);
    bytes += ObjectShape::of(*classes.of(rt::classIndexOf(object)), object).end();
  });
  return bytes;
}

/// The group stays. Epochs first: whoever finds it settled may use it.
void BlockMover::restore(const Leaving& leaving, BlockGates::Ready& ready) {
  const uint64_t address = leaving.group.address;
  host_.objectsOf(leaving.group).forEach([&](uint64_t offset) {
    rt::header(address + offset)->epochWord.store(rt::kEpochHome, std::memory_order_release);
  });
  host_.restore(leaving.group);
  core_.gates.settle(address, core_.self, leaving.moves, ready);
}

/// What is left of the window stays.
void BlockMover::restoreWindow() {
  {
    std::lock_guard lock(mutex_);
    if (window_.empty()) return;
  }
  core_.host.accessGuest([&] {
    BlockGates::Ready ready;
    {
      std::lock_guard lock(mutex_);
      for (const Leaving& leaving : window_) restore(leaving, ready);
      window_.clear();
    }
    ready.go();
  });
}

/// Monitors and volatile fields of the window have been released here; what that made visible must be home before they
/// are acquired elsewhere. It must not wait any later: a block that is announced may be what these writes wait for.
void BlockMover::awaitDeferred() {
  const auto isHome = std::make_shared<bool>(false);
  flusher_.afterDeferred([this, isHome] {
    std::lock_guard lock(mutex_);
    *isHome = true;
    thread_->notify();
  });
  std::unique_lock lock(mutex_);
  thread_->wait(lock, [&] { return stopping_ || *isHome; });
}

/// Sends the window off, chunk by chunk, until all has gone or no target has more room. True if some has gone.
bool BlockMover::sendWindow(const Request& request) {
  bool some = false;
  while (const std::shared_ptr<Chunk> chunk = cutChunk(request)) {
    some = true;
    sendOff(chunk);
  }
  return some;
}

/// When not too many are on their way. Nobody takes back what is in a chunk. Null if there is nothing more to send.
std::shared_ptr<BlockMover::Chunk> BlockMover::cutChunk(const Request& request) {
  const bool leaving = !core_.net.isPlace(core_.self);
  std::unique_lock lock(mutex_);
  thread_->wait(lock, [&] { return stopping_ || held_ || chunksOnTheirWay_ < mostOnTheirWay_; });
  if (stopping_ || held_ || window_.empty() || targets_.empty()) return nullptr;
  auto chunk = std::make_shared<Chunk>();
  Target& target = nextTarget();
  chunk->target = target.node;
  chunk->onItsWay = request.onItsWay;
  chunk->since = core_.net.now();
  const uint64_t bytes = leaving ? kChunkBytesLeaving : chunkBytes_;
  do {
    chunk->groups.push_back(window_.back());
    chunk->bytes += window_.back().group.bytes();
    window_.pop_back();
  } while (!window_.empty() && chunk->bytes + window_.back().group.bytes() <= bytes);
  ++target.chunksOnTheirWay;
  ++chunksOnTheirWay_;
  bytesOnTheirWay_ += chunk->bytes;
  return chunk;
}

/// The one that has least to do; the one that has waited longest of several.
BlockMover::Target& BlockMover::nextTarget() {
  const auto least = std::min_element(targets_.begin(), targets_.end(), [](const Target& a, const Target& b) {
    return a.chunksOnTheirWay < b.chunksOnTheirWay;
  });
  std::rotate(least, least + 1, targets_.end());
  return targets_.back();
}

/// Under the lock.
void BlockMover::noLongerOnItsWay(const Chunk& chunk) {
  for (Target& target : targets_)
    if (target.node == chunk.target) --target.chunksOnTheirWay;
  --chunksOnTheirWay_;
  bytesOnTheirWay_ -= chunk.bytes;
  thread_->notify();
}

void BlockMover::sendOff(const std::shared_ptr<Chunk>& chunk) {
  if (!core_.net.isPlace(chunk->target))
    return refuse(*chunk, {ErrorCode::kRefused, fmt::format("node {} is about to leave", chunk->target.value)});
  if (core_.options.fault == Fault::MoveWithoutPrepare) return core_.net.post([this, chunk] { ship(chunk); });
  ByteWriter out;
  out.put(uint8_t(ObjectMessage::Prepare));
  out.put(uint32_t(chunk->groups.size()));
  for (const Leaving& leaving : chunk->groups) {
    putGroupHeader(out, {leaving.group, leaving.moves});
    out.put(leaving.bytes);
  }
  core_.net.request(chunk->target, Channel::Objects, out.take(), [this, chunk](Result<Bytes> reply) {
    if (!reply.ok()) return refuse(*chunk, std::move(reply).error());
    if (reply->size() == 1 && (*reply)[0] == uint8_t(ReplyStatus::Done)) return ship(chunk);
    refuse(*chunk, {ErrorCode::kRefused,
                    fmt::format("node {} has no room for the blocks, or is about to leave", chunk->target.value)});
  });
}

/// On the I/O thread: no request is served in the middle of it.
void BlockMover::ship(const std::shared_ptr<Chunk>& chunk) {
  BlocksWriter message(core_, host_, uint32_t(chunk->groups.size()));
  core_.host.accessGuest([&] {
    for (const Leaving& leaving : chunk->groups) {
      core_.gates.set(leaving.group.address, {chunk->target, HomeState::Sent, leaving.moves + 1});
      message.add({leaving.group, leaving.moves});
    }
  });
  Payload payload = message.take();
  core_.stats.movedBytes += payload.size();
  core_.net.requestInPieces(chunk->target, Channel::Objects, std::move(payload), [this, chunk](Result<Bytes> reply) {
    if (reply.ok() && reply->size() == 2 && (*reply)[0] == uint8_t(ReplyStatus::Done))
      return finish(*chunk, (*reply)[1] != 0);
    // The target may or may not be their home now: nobody can tell any more.
    Error why = !reply.ok() ? std::move(reply).error()
                            : Error{ErrorCode::kCorrupt,
                                    "refused: " + std::string(reply->begin() + !reply->empty(), reply->end())};
    core_.host.fatal(std::move(why).withContext(fmt::format("moving blocks to node {}", chunk->target.value)));
  });
  if (!chunk->onItsWay) return;
  for (const Leaving& leaving : chunk->groups) chunk->onItsWay(leaving.group, chunk->target);
}

void BlockMover::refuse(Chunk& chunk, Error why) {
  core_.host.accessGuest([&] {
    BlockGates::Ready ready;
    for (const Leaving& leaving : chunk.groups) restore(leaving, ready);
    ready.go();
  });
  std::lock_guard lock(mutex_);
  std::erase_if(targets_, [&](const Target& target) { return target.node == chunk.target; });
  if (targets_.empty()) result_.refusal = std::move(why);
  noLongerOnItsWay(chunk);
}

void BlockMover::finish(Chunk& chunk, bool waitedFor) {
  core_.host.accessGuest([&] {
    BlockGates::Ready ready;
    for (const Leaving& leaving : chunk.groups) {
      host_.giveAway(leaving.group);
      core_.forgetCopies(leaving.group.address, leaving.group.end());  // all of it is zero now, whatever was noted
      core_.blockUsers.forget(leaving.group.address);
      core_.gates.settle(leaving.group.address, chunk.target, leaving.moves + 1, ready);
    }
    waitedFor = waitedFor || ready.any();
    ready.go();
  });
  core_.stats.movedGroups += chunk.groups.size();
  core_.stats.blockNanos.add(core_.net.now() - chunk.since);
  std::lock_guard lock(mutex_);
  result_.bytes += chunk.bytes;
  result_.groups += chunk.groups.size();
  chunkBytes_ = waitedFor ? kChunkBytesMin : std::min(chunkBytes_ + kChunkBytesStep, kChunkBytesMax);
  noLongerOnItsWay(chunk);
}

}  // namespace jvmc::cluster
