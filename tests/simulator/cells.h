// Objects that come and go, for runs with cluster-wide collections: threads make them, let each other have them, and
// forget them. A cell that has been buried is never used again, so whoever comes by a reference to it has found a
// living object dead.
#pragma once

#include <functional>
#include <map>

#include "tests/simulator/world.h"

namespace jvmc::sim {

class Cells {
 public:
  explicit Cells(const World& world) {
    for (ObjectRef cell : world.cells) states_[cell] = State::Unmade;
  }

  /// True of a reference to no cell.
  bool isAlive(ObjectRef object) const {
    const auto found = states_.find(object);
    return found == states_.end() || found->second == State::Alive;
  }
  /// Takes a cell that is not made yet, of those that `isHere`; null if there is none.
  ObjectRef make(const std::function<bool(ObjectRef)>& isHere) {
    for (auto& [cell, state] : states_)
      if (state == State::Unmade && isHere(cell)) {
        state = State::Alive;
        ++made_;
        return cell;
      }
    return rt::kNullRef;
  }
  void bury(ObjectRef cell) {
    states_[cell] = State::Buried;
    ++buried_;
  }
  template <class Visit>
  void forEachAlive(Visit visit) const {
    for (const auto& [cell, state] : states_)
      if (state == State::Alive) visit(cell);
  }
  uint64_t made() const { return made_; }
  uint64_t buried() const { return buried_; }

 private:
  enum class State : uint8_t { Unmade, Alive, Buried };
  std::map<ObjectRef, State> states_;
  uint64_t made_ = 0, buried_ = 0;
};

}  // namespace jvmc::sim
