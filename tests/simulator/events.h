// Simulated time: a queue of events, each of one node, handled one after another. Everything random comes from one
// seeded generator, so the same seed gives the same run.
//
// A node handles its own events in the order of their times. It may be slow (each event waits for its turn), stand
// still (its events wait until it goes on), or be dead (they never happen).
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "ir/support/prng.h"

namespace jvmc::sim {

/// Whose event it is. Nodes of the program have the numbers of their ids.
using Actor = uint32_t;
inline constexpr Actor kLauncher = ~0u;  ///< the launcher, the network, the scenario: never slow, never dead

inline constexpr int64_t kMicros = 1'000, kMillis = 1'000'000, kSeconds = 1'000'000'000;

class Events {
 public:
  using Task = std::function<void()>;

  /// `enter` runs before each event of a node.
  Events(uint64_t seed, std::function<void(Actor)> enter) : random(seed), enter_(std::move(enter)) {}

  int64_t now() const { return now_; }
  void at(Actor actor, int64_t nanosFromNow, Task task);
  /// Handles the next event. False if there is none.
  bool step();
  size_t handled() const { return handled_; }
  /// Nothing of what is to come will happen.
  void clear();

  /// Uniform in [low, high].
  int64_t between(int64_t low, int64_t high) { return low + int64_t(random.below(uint64_t(high - low) + 1)); }
  bool chance(double probability) { return double(random.below(1'000'000)) < probability * 1e6; }

  // -- what a node is able to do
  void kill(Actor node) { stateOf(node).dead = true; }
  bool isDead(Actor node) { return node != kLauncher && stateOf(node).dead; }
  /// From now on each of its events takes up to so long.
  void slowDown(Actor node, int64_t nanosMax) { stateOf(node).slowNanos = nanosMax; }
  void standStill(Actor node) { stateOf(node).still = true; }
  void goOn(Actor node);

  Prng random;

 private:
  struct Event {
    int64_t time;
    uint64_t number;
    Actor actor;
    bool hasWaited;  ///< its node is slow, and this was taken into account
    Task task;
    bool operator>(const Event& other) const { return time != other.time ? time > other.time : number > other.number; }
  };
  struct State {
    bool dead = false, still = false;
    int64_t slowNanos = 0;
    int64_t busyUntil = 0;
    std::vector<Event> held;  ///< while it stands still
  };

  State& stateOf(Actor node) {
    if (node >= states_.size()) states_.resize(node + 1);
    return states_[node];
  }
  void push(Event event);
  /// True if the event must not happen now; it has been dealt with.
  bool postponed(Event& event);

  std::function<void(Actor)> enter_;
  int64_t now_ = 0;
  uint64_t numbers_ = 0;
  size_t handled_ = 0;
  std::vector<Event> heap_;  // the earliest first
  std::vector<State> states_;
};

}  // namespace jvmc::sim
