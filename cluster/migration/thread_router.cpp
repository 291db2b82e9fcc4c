#include "cluster/migration/thread_router.h"

#include <algorithm>
#include <utility>

#include "ir/support/fault.h"

namespace jvmc::cluster {

using rt::ThreadId;
using rt::ThreadMail;
using rt::ThreadRef;

ThreadRouter::ThreadRouter(ThreadHost& host, NodeNet& net, const HomeMap& homes)
    : host_(host), net_(net), homes_(homes), self_(net.self()) {}

void ThreadRouter::send(const ThreadRef& to, const ThreadMail& mail) {
  if (deliveredHere({to, mail})) return;
  host_.exportAnswer(mail.answer);
  if (!mail.isNews()) return route({to, mail});
  const uint64_t number = keep(mail.answer);
  host_.afterDeferred([this, to, mail, number] {
    route({to, mail});
    letGo(number);
  });
}

bool ThreadRouter::deliveredHere(const Letter& letter) {
  return host_.isHere(letter.to.id) && host_.deliver(letter.to, letter.mail);
}

void ThreadRouter::route(Letter letter) {
  if (deliveredHere(letter)) return;
  const std::optional<NodeId> next = nextStop(letter);
  if (!next) return drop(letter);
  const bool wandering = letter.hops >= kHopsBeforeWaiting && letter.attempts == 0 && !leaving_;
  if (!next->valid() && JVMC_FAULT("mail-for-a-moving-thread-is-dropped")) return drop(letter);
  if (!next->valid() || wandering) return hold(std::move(letter));
  forward(std::move(letter), *next);
}

std::optional<NodeId> ThreadRouter::nextStop(Letter& letter) {
  const bool hasHome = letter.to.object != rt::kNullRef && homes_.valid(letter.to.object);
  const NodeId home = hasHome ? homes_.homeOf(letter.to.object) : NodeId();
  if (letter.attempts == kAttemptsMax) letter.known = 0;
  {
    std::lock_guard lock(mutex_);
    // Whoever has left has sent its threads on; where they are now is known to their homes, or will be soon.
    const auto usable = [&](const std::unordered_map<ThreadId, Place>& places, uint32_t from) -> const Place* {
      const auto found = places.find(letter.to.id);
      const bool isUsable = found != places.end() && found->second.node != self_ && net_.isMember(found->second.node);
      return isUsable && found->second.incarnation >= from ? &found->second : nullptr;
    };
    const Place* place = usable(moved_, letter.known);
    // The thread has arrived where its home says: if it is there no more, that node knows where it went.
    const Place* seen = home == self_ ? usable(locations_, letter.known - std::min(letter.known, 1u)) : nullptr;
    if (seen && (!place || seen->incarnation >= place->incarnation)) place = seen;
    if (place) {
      letter.known = place->incarnation + 1;
      return place->node;
    }
  }
  if (!hasHome) return std::nullopt;
  if (home != self_) return home;
  if (host_.hasEnded(letter.to)) return std::nullopt;
  return NodeId();
}

/// The thread has ended. Whoever asks something of it gets an answer all the same: it is not interrupted.
void ThreadRouter::drop(const Letter& letter) {
  dropped_++;
  if (letter.mail.isQuestion()) send(letter.mail.asker, letter.mail.reply(false));
}

void ThreadRouter::forward(Letter letter, NodeId node) {
  forwarded_++;
  ByteWriter out;
  out.put(uint8_t(ThreadMessage::Mail));
  out.put(uint8_t(std::min<int>(letter.hops + 1, UINT8_MAX)));
  out.put(letter.known);
  putThreadRef(out, letter.to);
  putMail(out, letter.mail);
  const rt::Resumption& answer = letter.mail.answer;
  if (answer.value == 0 && answer.exception == rt::kNullRef) return net_.notify(node, Channel::Threads, out.take());
  // Until it has arrived, nobody else may have hold of what it refers to.
  const uint64_t number = keep(answer);
  net_.request(node, Channel::Threads, out.take(), [this, number](Result<Bytes>) { letGo(number); });
}

uint64_t ThreadRouter::keep(const rt::Resumption& answer) {
  std::lock_guard lock(mutex_);
  underWay_.emplace(++nextUnderWay_, answer);
  return nextUnderWay_;
}

void ThreadRouter::letGo(uint64_t number) {
  std::lock_guard lock(mutex_);
  underWay_.erase(number);
}

void ThreadRouter::visitAnswers(const std::function<void(const rt::Resumption&)>& visit) const {
  std::lock_guard lock(mutex_);
  for (const auto& [number, answer] : underWay_) visit(answer);
  for (const auto& [thread, held] : held_)
    for (const Letter& letter : held.letters) visit(letter.mail.answer);
}

void ThreadRouter::hold(Letter letter) {
  heldCount_++;
  const ThreadId thread = letter.to.id;
  // One that wanders between nodes because its thread is long on its way rests ever longer, too.
  const int tired = letter.attempts + std::min<int>(letter.hops / kHopsBeforeWaiting, kHopDoublings);
  const int64_t wait = kRetryNanosMin << std::min<int>(tired, kRetryDoublings);
  letter.attempts = uint8_t(std::min<int>(letter.attempts + 1, UINT8_MAX));
  {
    std::lock_guard lock(mutex_);
    Held& held = held_[thread];
    // Of wishes to move one is enough: a thread that is long on its way would collect one a round of the balancer.
    const auto isWish = [](const Letter& other) { return other.mail.kind == ThreadMail::Kind::Migrate; };
    const auto wish = std::find_if(held.letters.begin(), held.letters.end(), isWish);
    if (isWish(letter) && wish != held.letters.end())
      *wish = std::move(letter);
    else
      held.letters.push_back(std::move(letter));
    if (std::exchange(held.timerRuns, true)) return;
  }
  net_.postAfter(wait, [this, thread] { onRetryTimer(thread); });
}

void ThreadRouter::onRetryTimer(ThreadId thread) {
  {
    std::lock_guard lock(mutex_);
    const auto found = held_.find(thread);
    if (found == held_.end()) return;
    found->second.timerRuns = false;
  }
  retry(thread);
}

/// Takes what waits for the thread and routes it again.
void ThreadRouter::retry(ThreadId thread) {
  {
    std::lock_guard lock(mutex_);
    if (!held_.contains(thread)) return;
  }
  host_.accessGuest([&] {
    std::vector<Letter> letters;
    {
      std::lock_guard lock(mutex_);
      const auto found = held_.find(thread);
      if (found == held_.end()) return;
      letters = std::exchange(found->second.letters, {});
      if (!found->second.timerRuns) held_.erase(found);
    }
    for (Letter& letter : letters) route(std::move(letter));
  });
}

size_t ThreadRouter::sendLettersOn() {
  leaving_ = true;
  std::vector<ThreadId> threads;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [thread, held] : held_) threads.push_back(thread);
  }
  for (ThreadId thread : threads) retry(thread);
  std::lock_guard lock(mutex_);
  size_t letters = 0;
  for (const auto& [thread, held] : held_) letters += held.letters.size();
  return letters;
}

void ThreadRouter::departed(ThreadId thread, uint32_t incarnation, NodeId target) {
  std::lock_guard lock(mutex_);
  if (moved_.size() >= kMovedMax) moved_.erase(moved_.begin());  // a hint only: the home knows too
  moved_[thread] = {target, incarnation};
}

void ThreadRouter::arrived(const ThreadRef& thread, uint32_t incarnation) {
  {
    std::lock_guard lock(mutex_);
    const auto moved = moved_.find(thread.id);
    if (moved != moved_.end() && moved->second.incarnation <= incarnation) moved_.erase(moved);
  }
  const NodeId home = homes_.homeOf(thread.object);
  if (home == self_) {
    noteLocation(thread.id, {self_, incarnation});
  } else {
    tellHome(thread, {self_, incarnation});
  }
  retry(thread.id);
}

void ThreadRouter::tellHome(const ThreadRef& thread, LastSeen seen) {
  ByteWriter out;
  out.put(uint8_t(ThreadMessage::Location));
  putThreadRef(out, thread);
  out.put(seen.incarnation);
  out.put(seen.node.value);
  net_.notify(homes_.homeOf(thread.object), Channel::Threads, out.take());
}

void ThreadRouter::starting(ThreadId thread, NodeId node) {
  std::lock_guard lock(mutex_);
  locations_.try_emplace(thread, Place{node, 0});
}

void ThreadRouter::ended(ThreadId thread) {
  std::lock_guard lock(mutex_);
  locations_.erase(thread);
  moved_.erase(thread);
}

std::optional<LastSeen> ThreadRouter::takeLocation(ThreadId thread) {
  std::lock_guard lock(mutex_);
  auto taken = locations_.extract(thread);
  return taken.empty() ? std::nullopt : std::optional(taken.mapped());
}

void ThreadRouter::putLocation(ThreadId thread, LastSeen seen) {
  noteLocation(thread, seen);
}

void ThreadRouter::noteLocation(ThreadId thread, Place place) {
  std::lock_guard lock(mutex_);
  Place& known = locations_.try_emplace(thread, place).first->second;
  if (place.incarnation >= known.incarnation || JVMC_FAULT("older-location-wins")) known = place;
}

void ThreadRouter::handleMail(ByteReader& in) {
  Letter letter;
  letter.hops = in.get<uint8_t>();
  letter.known = in.get<uint32_t>();
  letter.to = getThreadRef(in);
  letter.mail = getMail(in);
  if (!in.finished()) return;
  host_.accessGuest([&] {
    host_.answerArrived(letter.mail.answer);
    route(std::move(letter));
  });
}

void ThreadRouter::handleLocation(ByteReader& in) {
  const ThreadRef thread = getThreadRef(in);
  LastSeen seen;
  seen.incarnation = in.get<uint32_t>();
  seen.node = NodeId(in.get<uint32_t>());
  if (!in.finished() || seen.node.value >= homes_.nodesMax() || !homes_.valid(thread.object)) return;
  // The object may have moved on, or be about to arrive: then what arrives with it is older than this.
  const BlockHome home = homes_.at(thread.object);
  if (home.node == self_ && host_.hasEnded(thread)) return;  // mail would look for it for ever
  if (home.node != self_ && home.state != HomeState::Incoming) return tellHome(thread, seen);
  noteLocation(thread.id, seen);
  retry(thread.id);
}

std::vector<ThreadId> ThreadRouter::lastSeenAt(NodeId node) const {
  std::vector<ThreadId> threads;
  std::lock_guard lock(mutex_);
  for (const auto& [thread, place] : locations_)
    if (place.node == node) threads.push_back(thread);
  std::sort(threads.begin(), threads.end());
  return threads;
}

void ThreadRouter::report(const StatSink& sink) const {
  sink("mail.forwarded", forwarded_);
  sink("mail.held", heldCount_);
  sink("mail.dropped", dropped_);
}

}  // namespace jvmc::cluster
