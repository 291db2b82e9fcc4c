#include "cluster/collect/coordinator.h"

#include <algorithm>
#include <utility>

namespace jvmc::cluster {

namespace {

constexpr int64_t kBetweenWavesNanos = 1'000'000;
/// After a round that took so long, this many times as long none begins, and no less than so long.
constexpr int64_t kRest = 4, kRestNanosMin = 200'000'000;
/// A round in which nobody has told of an object for so long may never end. Breaking it off lets moves go on.
constexpr int64_t kPatienceNanos = 30'000'000'000;

}  // namespace

struct CollectCoordinator::Round {
  uint64_t number;
  std::vector<NodeId> participants;
  int64_t begun;
  uint64_t marks = 0;    ///< sent, as of the last wave
  int64_t progress = 0;  ///< when there were more than before
};

void CollectCoordinator::start(int64_t everyNanos) {
  everyNanos_ = everyNanos;
  if (everyNanos > 0) schedule();
}

void CollectCoordinator::schedule() {
  if (std::exchange(scheduled_, true)) return;
  control_.net().postAfter(everyNanos_, [this] {
    scheduled_ = false;
    if (stopped_) return;
    if (!running_ && mayLead()) return beginRound();  // which schedules the next
    schedule();
  });
}

/// One that is about to leave begins none. While another is, rounds are for who is out of memory: they hold moves up.
bool CollectCoordinator::mayLead() const {
  const NodeNet& net = control_.net();
  return net.isLeader() && net.isPlace(net.self());
}

void CollectCoordinator::wanted(bool atOnce) {
  if (stopped_ || !mayLead()) return;
  if (!atOnce && control_.net().places() != control_.net().nodes()) return;
  if (running_) {
    wantedAgain_ = true;
    atOnceAgain_ = atOnceAgain_ || atOnce;
    return;
  }
  const int64_t wait = notBefore_ - control_.net().now();
  if (atOnce || wait <= 0) {
    wantedAgain_ = false;
    return beginRound();
  }
  if (std::exchange(wantedAgain_, true)) return;
  control_.net().postAfter(wait, [this] {
    if (!stopped_ && !running_ && std::exchange(wantedAgain_, false) && mayLead()) beginRound();
  });
}

void CollectCoordinator::beginRound() {
  const auto round =
      std::make_shared<Round>(Round{participant_.lastRound() + 1, control_.net().nodes(), control_.net().now()});
  round->progress = round->begun;
  running_ = round;
  leads_ = true;
  step(round, CollectMessage::Begin, [this, round](const CollectReply& begun) {
    if (!begun.ok) return over(round, false);
    step(round, CollectMessage::Go, [this, round](const CollectReply& gone) {
      if (!gone.ok) return over(round, false);
      awaitQuiet(round, std::nullopt, [this, round] {
        step(round, CollectMessage::Drop, [this, round](const CollectReply& dropped) {
          if (!dropped.ok) return over(round, false);
          awaitQuiet(round, std::nullopt, [this, round] { free(round); });
        });
      });
    });
  });
}

void CollectCoordinator::step(const RoundPtr& round, CollectMessage kind, Next next) {
  struct Sum {
    CollectReply reply{.ok = true, .idle = true};
    size_t missing = 0;
  };
  const auto sum = std::make_shared<Sum>();
  sum->missing = round->participants.size();
  const Bytes message = encode(CollectStep{kind, round->number, round->participants});
  for (NodeId node : round->participants)
    control_.request(node, ControlKind::Collect, message, [this, sum, next](Result<Bytes> answer) {
      CollectReply reply;
      const bool valid = answer.ok() && decode(*answer, reply);
      sum->reply.ok = sum->reply.ok && valid && reply.ok;
      sum->reply.idle = sum->reply.idle && valid && reply.idle;
      sum->reply.sent += reply.sent;
      sum->reply.received += reply.received;
      sum->reply.objects += reply.objects;
      sum->reply.bytes += reply.bytes;
      if (--sum->missing == 0 && !stopped_) next(sum->reply);
    });
}

/// Mattern's four counters: twice the same sums, of messages sent and received, and nobody had anything to do. So there
/// was nothing to do, and nothing under way, at the moment at which the second wave began.
void CollectCoordinator::awaitQuiet(const RoundPtr& round, std::optional<CollectReply> before,
                                    std::function<void()> next) {
  waves_++;
  step(round, CollectMessage::Wave, [this, round, before, next = std::move(next)](const CollectReply& now) {
    if (!now.ok) return over(round, false);
    if (now.sent != std::exchange(round->marks, now.sent)) round->progress = control_.net().now();
    if (control_.net().now() - round->progress > kPatienceNanos) return over(round, false);
    const bool still = now.idle && now.sent == now.received;
    const bool unchanged = before && before->sent == now.sent;
    if (still && unchanged) return next();
    if (still) return awaitQuiet(round, now, next);
    control_.net().postAfter(kBetweenWavesNanos, [this, round, next] {
      if (!stopped_) awaitQuiet(round, std::nullopt, next);
    });
  });
}

void CollectCoordinator::free(const RoundPtr& round) {
  step(round, CollectMessage::Free, [this, round](const CollectReply& freed) {
    deadBytes_ += freed.bytes;
    over(round, freed.ok);
  });
}

void CollectCoordinator::over(const RoundPtr& round, bool isComplete) {
  const int64_t took = control_.net().now() - round->begun;
  nanos_.add(took);
  (isComplete ? rounds_ : broken_)++;
  notBefore_ = control_.net().now() + std::max(kRest * took, kRestNanosMin);
  // Also after FREE: only then blocks may leave again.
  step(round, CollectMessage::End, [this](const CollectReply&) {
    running_ = nullptr;
    leads_ = false;
    if (everyNanos_ > 0) return schedule();
    if (std::exchange(wantedAgain_, false)) wanted(std::exchange(atOnceAgain_, false));
  });
}

void CollectCoordinator::report(const StatSink& sink) const {
  sink("collect.led", rounds_);
  sink("collect.led_broken", broken_);
  sink("collect.waves", waves_);
  reportHistogram(sink, "collect.round", nanos_);
}

}  // namespace jvmc::cluster
