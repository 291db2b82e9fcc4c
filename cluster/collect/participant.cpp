#include "cluster/collect/participant.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace jvmc::cluster {

namespace {

constexpr size_t kWordsPerMark = 1000;
constexpr int64_t kTickNanos = 500'000;
/// What others have to do takes moments. If it takes so long, the round is broken off.
constexpr int64_t kPatienceNanos = 10'000'000'000;
/// Blocks that copies are dropped from in one stop of the world.
constexpr size_t kBlocksAtOnce = 32;

}  // namespace

Participant::Participant(ControlChannel& control, ClusterObjectSpace& space, BlockHost& blocks, rt::Traceable& heap,
                         std::function<void(rt::Trace&)> moreRoots)
    : control_(control),
      space_(space),
      core_(space.core()),
      blocks_(blocks),
      heap_(heap),
      moreRoots_(std::move(moreRoots)),
      thread_(blocks.makeThread()) {
  core_.trace = &heap.trace();
}

void Participant::start() {
  thread_->start([this] { run(); });
}

void Participant::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    thread_->notify();
  }
  thread_->join();
}

// ---------------------------------------------------------------- what the trace asks

bool Participant::isElsewhere(ObjectRef address) const {
  return !core_.servedHere(address);
}

bool Participant::isCopy(ObjectRef address) const {
  return core_.isCopied(address);
}

ObjectRef Participant::copyAround(uint64_t address) const {
  const uint64_t begin = core_.copyMap.lastBefore(address);
  if (begin == rt::kNullRef) return rt::kNullRef;
  const ObjectRef copy = core_.chunks.unitAt(begin).object;
  return address < copy + core_.shapeOf(copy).end() ? copy : rt::kNullRef;
}

// ---------------------------------------------------------------- I/O thread

void Participant::handleStep(NodeId from, CollectStep step, std::shared_ptr<Responder> responder) {
  const bool isBegin = step.kind == CollectMessage::Begin;
  if (step.kind == CollectMessage::End && step.round == lastRound_ && round_ == 0) {
    space_.mover().resume();  // all have buried their dead: none of them refers to what is no more in a block
    return responder->reply(encode(CollectReply{.ok = true}));
  }
  if (isBegin ? step.round <= lastRound_ : step.round != round_) return responder->reply(encode(CollectReply{}));
  if (isBegin) lastRound_ = step.round;
  if (step.kind == CollectMessage::Go) {
    // All that was asked before this may have been answered by a node that had not begun.
    std::vector<std::pair<NodeId, uint64_t>> asked;
    for (NodeId node : step.participants) asked.emplace_back(node, control_.net().asked(node));
    stage_ = Stage::Settling;
    awaitAnswers(step.round, std::move(asked));
    return responder->reply(encode(CollectReply{.ok = true}));
  }
  {
    std::lock_guard lock(mutex_);
    jobs_.push_back({from, std::move(step), std::move(responder)});
    thread_->notify();
  }
  if (isBegin && !std::exchange(ticks_, true)) tick();
}

void Participant::tick() {
  std::lock_guard lock(mutex_);
  ticks_ = !stopping_ && (round_ != 0 || busy_ || !jobs_.empty());
  if (!ticks_) return;
  ticked_ = true;
  thread_->notify();
  control_.net().postAfter(kTickNanos, [this] { tick(); });
}

/// From then on whatever arrives has been sent by a node that has begun, or is kept by one that has.
void Participant::awaitAnswers(uint64_t round, std::vector<std::pair<NodeId, uint64_t>> asked) {
  if (round != round_ || stage_ != Stage::Settling) return;
  std::erase_if(asked, [&](const auto& each) { return control_.net().answered(each.first, each.second); });
  {
    std::lock_guard lock(mutex_);
    awaited_.clear();
    for (const auto& [node, count] : asked) awaited_.push_back(node);
  }
  if (asked.empty())
    return core_.host.accessGuest([&] {
      if (round != round_) return;  // else it does not end before this
      heap_.trace().setArrivals(rt::Trace::Arrivals::Local);
      stage_ = Stage::Settled;
    });
  control_.net().postAfter(kTickNanos, [this, round, asked = std::move(asked)] { awaitAnswers(round, asked); });
}

void Participant::handleMark(ByteReader& in) {
  const uint64_t round = in.get<uint64_t>();
  std::vector<uint64_t> words(in.getCount(8));
  for (uint64_t& word : words) word = in.get<uint64_t>();
  if (!in.finished() || round != round_) return;
  std::vector<uint64_t> elsewhere;
  core_.host.accessGuest([&] {
    if (round != round_) return;
    for (uint64_t word : words) {
      if (!core_.homes.valid(word)) continue;
      if (core_.servedHere(word))
        heap_.greyIfExported(word);
      else
        elsewhere.push_back(word);
    }
  });
  std::lock_guard lock(mutex_);
  toPassOn_.insert(toPassOn_.end(), elsewhere.begin(), elsewhere.end());
  ++received_;
}

// ---------------------------------------------------------------- own thread

void Participant::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    busy_ = false;
    thread_->wait(lock, [&] { return stopping_ || !jobs_.empty() || (ticked_ && round_ != 0); });
    if (stopping_) return;
    busy_ = true;
    ticked_ = false;
    if (jobs_.empty()) {
      lock.unlock();
      CollectReply reply;
      if (isOrphaned())
        finish(false, reply);
      else
        traceAll();
      lock.lock();
      continue;
    }
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job.responder->reply(encode(carryOut(job)));
    job.responder.reset();
    lock.lock();
  }
}

/// Until the next tick.
void Participant::pause() {
  std::unique_lock lock(mutex_);
  ticked_ = false;
  thread_->wait(lock, [&] { return stopping_ || ticked_; });
}

CollectReply Participant::carryOut(const Job& job) {
  CollectReply reply;
  if (job.step.kind == CollectMessage::Begin) {
    if (round_ != 0) finish(false, reply);
    reply.ok = begin(job);
    return reply;
  }
  if (job.step.round != round_) return reply;
  switch (job.step.kind) {
    case CollectMessage::Wave:
      return wave();
    case CollectMessage::Drop:
      reply.ok = drop();
      break;
    case CollectMessage::Free:
      reply.ok = true;
      finish(true, reply);
      break;
    default:
      reply.ok = true;
      finish(false, reply);
  }
  return reply;
}

bool Participant::begin(const Job& job) {
  coordinator_ = job.from;
  participants_ = job.step.participants;
  if (membersHaveChanged()) return false;
  const int64_t begun = roundBegan_ = now();
  sent_ = received_ = 0;
  orphanedSince_ = 0;
  // What is here on loan is held by that alone. What is in use will be here again.
  space_.objectLoans().giveUp();
  // Until the round is over: homes that stay are easier to reason about, and keep no garbage. What is on its way must
  // arrive first: others may wait for it, and the round for them.
  if (core_.options.fault != Fault::BlocksLeaveInRounds) space_.mover().hold();
  const bool possible = awaitStillness() && heap_.beginTrace(*this, [&](rt::Trace& trace) {
    space_.visitUnderWay([&](ObjectRef object) { trace.grey(object); });
    moreRoots_(trace);
    if (core_.options.fault == Fault::ArrivalsTrusted) trace.setArrivals(rt::Trace::Arrivals::Local);
    stage_ = Stage::Begun;
    round_ = job.step.round;
  });
  beginNanos_.add(now() - begun);
  if (!possible) space_.mover().resume();
  return possible;
}

bool Participant::awaitStillness() {
  const int64_t giveUp = now() + kPatienceNanos;
  while (!space_.mover().isStill() && core_.options.fault != Fault::BlocksLeaveInRounds) {
    if (isCalledOff() || now() > giveUp) return false;
    pause();
  }
  return true;
}

/// The next step waits: the coordinator has heard that others cannot go on.
bool Participant::isCalledOff() {
  std::lock_guard lock(mutex_);
  return stopping_ || !jobs_.empty();
}

/// Those who have come since hold what nobody has traced. Only the coordinator breaks a round off for that: else some
/// might bury what is dead while others keep, and some day send on, what refers to it.
bool Participant::membersHaveChanged() const {
  return control_.net().nodes() != participants_ && core_.options.fault != Fault::MembersUnchecked;
}

/// The coordinator has left for good. (It does not while it leads a round.)
bool Participant::isOrphaned() {
  const std::vector<NodeId> members = control_.net().nodes();
  if (std::find(members.begin(), members.end(), coordinator_) != members.end()) return false;
  if (orphanedSince_ == 0) orphanedSince_ = now();
  return now() - orphanedSince_ > kPatienceNanos;
}

bool Participant::traceAll() {
  while (!heap_.traceSome()) {
    std::lock_guard lock(mutex_);
    if (stopping_) return false;
  }
  sendMarks();
  return true;
}

/// Tells homes what has been found; not before all have begun, because one that has not would forget it.
void Participant::sendMarks() {
  const Stage stage = stage_;
  if (stage < Stage::Settling) return;
  std::vector<uint64_t> words = heap_.trace().takeForeign();
  {
    std::lock_guard lock(mutex_);
    words.insert(words.end(), toPassOn_.begin(), toPassOn_.end());
    toPassOn_.clear();
  }
  std::map<NodeId, std::vector<uint64_t>> byHome;
  for (uint64_t word : words) {
    const NodeId home = core_.homes.homeOf(word);
    if (home == control_.net().self()) continue;  // what has come here is taken for marked
    // A word that only looks like a reference may lie in the region of a node that does not exist.
    if (std::binary_search(participants_.begin(), participants_.end(), home)) byHome[home].push_back(word);
  }
  for (const auto& [home, marked] : byHome) {
    marks_ += marked.size();
    for (size_t at = 0; at < marked.size(); at += kWordsPerMark) {
      const size_t count = std::min(kWordsPerMark, marked.size() - at);
      ++sent_;
      control_.notify(home, ControlKind::Collect, encodeMark(round_, std::span(marked).subspan(at, count)));
    }
  }
}

bool Participant::isIdle() {
  std::lock_guard lock(mutex_);
  return stage_ == Stage::Settled && toPassOn_.empty() && heap_.trace().isIdle();
}

CollectReply Participant::wave() {
  CollectReply reply;
  reply.ok = traceAll() && !membersHaveChanged();
  reply.received = received_;
  reply.idle = isIdle();
  reply.sent = sent_;
  return reply;
}

/// Nothing that a thread here has hold of is unmarked once nothing is grey; so nobody relies on the copies that go.
bool Participant::drop() {
  if (core_.options.fault == Fault::CopiesOutliveTheDead) return true;
  core_.copiesGo = true;
  const int64_t giveUp = now() + kPatienceNanos;
  std::vector<uint64_t> blocks = core_.copyMap.blocks();
  const auto unmarked = [&](ObjectRef copy) { return !heap_.trace().isMarked(copy); };
  while (!blocks.empty()) {
    if (!traceAll()) return false;
    std::vector<uint64_t> later;
    blocks_.stopWorld([&] {
      if (!heap_.trace().isTraced()) return;
      for (size_t i = 0; i < kBlocksAtOnce && !blocks.empty(); ++i) {
        // One that is busy was asked for on suspicion, before: the answer comes.
        if (!space_.evictor().dropCopies(blocks.back(), unmarked)) later.push_back(blocks.back());
        blocks.pop_back();
      }
    });
    if (blocks.empty() && !later.empty()) {
      pause();
      if (isCalledOff() || now() > giveUp) return false;
    }
    blocks.insert(blocks.begin(), later.begin(), later.end());
  }
  return true;
}

void Participant::finish(bool isComplete, CollectReply& reply) {
  const uint64_t round = round_.exchange(0);
  stage_ = Stage::None;
  const int64_t begun = now();
  const rt::TraceResult buried = heap_.endTrace(isComplete);
  freeNanos_.add(now() - begun);
  core_.host.trace({rt::TraceKind::Round, isComplete, 0, roundBegan_, now(), round});
  core_.copiesGo = false;
  if (!isComplete) space_.mover().resume();  // else END follows
  reply.objects = buried.objects;
  reply.bytes = buried.bytes;
  objects_ += buried.objects;
  bytes_ += buried.bytes;
  (isComplete ? completed_ : broken_)++;
  std::lock_guard lock(mutex_);
  toPassOn_.clear();
}

std::string Participant::describe() const {
  if (lastRound_ == 0) return {};
  std::string text =
      fmt::format("collected with all nodes {} times ({} broken off), found {} dead objects of {} bytes here",
                  completed_.load(), broken_.load(), objects_.load(), bytes_.load());
  const uint64_t round = round_;
  if (round == 0) return text;
  std::lock_guard lock(mutex_);
  text += fmt::format("\nround {} is under way: {} marks sent, {} received", round, sent_.load(), received_.load());
  if (stage_ == Stage::Begun) text += ", not all nodes have begun";
  if (stage_ == Stage::Settling)
    for (NodeId node : awaited_) text += fmt::format(", node {} has not answered yet", node.value);
  if (!heap_.trace().isTraced()) text += ", traces";
  return text;
}

void Participant::report(const StatSink& sink) const {
  sink("collect.rounds", completed_);
  sink("collect.broken", broken_);
  sink("collect.dead_objects", objects_);
  sink("collect.dead_bytes", bytes_);
  sink("collect.marks_sent", marks_);
  reportHistogram(sink, "collect.snapshot", beginNanos_);
  reportHistogram(sink, "collect.free", freeNanos_);
}

}  // namespace jvmc::cluster
