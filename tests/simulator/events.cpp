#include "tests/simulator/events.h"

#include <algorithm>
#include <utility>

namespace jvmc::sim {

void Events::push(Event event) {
  heap_.push_back(std::move(event));
  std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
}

void Events::at(Actor actor, int64_t nanosFromNow, Task task) {
  push({now_ + std::max<int64_t>(nanosFromNow, 0), numbers_++, actor, false, std::move(task)});
}

bool Events::postponed(Event& event) {
  if (event.actor == kLauncher) return false;
  State& state = stateOf(event.actor);
  if (state.dead) return true;
  if (state.still) {
    state.held.push_back(std::move(event));
    return true;
  }
  if (state.slowNanos == 0 || event.hasWaited) return false;
  event.time = state.busyUntil = std::max(state.busyUntil, now_) + between(0, state.slowNanos);
  event.number = numbers_++;
  event.hasWaited = true;
  push(std::move(event));
  return true;
}

bool Events::step() {
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    Event event = std::move(heap_.back());
    heap_.pop_back();
    now_ = event.time;
    if (postponed(event)) continue;
    if (event.actor != kLauncher) enter_(event.actor);
    ++handled_;
    event.task();
    return true;
  }
  return false;
}

void Events::clear() {
  // What an event holds may make new ones when it goes.
  while (!heap_.empty()) {
    const std::vector<Event> gone = std::exchange(heap_, {});
  }
  states_.clear();
}

void Events::goOn(Actor node) {
  State& state = stateOf(node);
  state.still = false;
  for (Event& event : state.held) {
    event.time = now_;
    event.number = numbers_++;
    push(std::move(event));
  }
  state.held.clear();
}

}  // namespace jvmc::sim
