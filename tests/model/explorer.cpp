#include "tests/model/explorer.h"

#include <cstring>

#include "tests/model/protocol.h"

namespace jvmc::cluster::model {
namespace {

constexpr uint32_t kNone = ~uint32_t(0);

/// 128 bits stand for a state: that two of some million states share them is not to be expected.
struct Print {
  uint64_t low = 0, high = 0;
  bool operator==(const Print&) const = default;
};

uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 32)) * 0xD6E8'FEB8'6659'FD93;
  x = (x ^ (x >> 29)) * 0x9E37'79B9'7F4A'7C15;
  return x ^ (x >> 32);
}

size_t bytesOf(const State& state) {
  return offsetof(State, message) + state.messageCount * sizeof(Message);
}

Print printOf(const State& state) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&state);
  const size_t size = bytesOf(state);
  Print print{size, ~size};
  for (size_t at = 0; at < size; at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes + at, std::min<size_t>(8, size - at));
    print.low = mix(print.low ^ word);
    print.high = mix(print.high + word * 0xC2B2'AE3D'27D4'EB4F);
  }
  if (print == Print{}) print.low = 1;  // empty places hold zeros
  return print;
}

/// Open addressing, grown by doubling.
class Seen {
 public:
  Seen() : places_(1 << 16) {}
  /// False if it was there.
  bool insert(const Print& print) {
    if (++count_ * 2 > places_.size()) grow();
    if (place(print)) return true;
    --count_;
    return false;
  }

 private:
  bool place(const Print& print) {
    for (size_t at = print.low;; ++at) {
      Print& found = places_[at & (places_.size() - 1)];
      if (found == print) return false;
      if (found == Print{}) {
        found = print;
        return true;
      }
    }
  }
  void grow() {
    std::vector<Print> old(places_.size() * 2);
    old.swap(places_);
    for (const Print& print : old)
      if (!(print == Print{})) place(print);
  }

  std::vector<Print> places_;
  size_t count_ = 0;
};

/// The states of one level, one after another without their empty tails.
class Level {
 public:
  void add(const State& state, uint32_t id) {
    ids_.push_back(id);
    at_.push_back(bytes_.size());
    const auto* begin = reinterpret_cast<const uint8_t*>(&state);
    bytes_.insert(bytes_.end(), begin, begin + bytesOf(state));
  }
  size_t size() const { return ids_.size(); }
  uint32_t id(size_t i) const { return ids_[i]; }
  State state(size_t i) const {
    State state{};
    const size_t end = i + 1 < at_.size() ? at_[i + 1] : bytes_.size();
    std::memcpy(static_cast<void*>(&state), &bytes_[at_[i]], end - at_[i]);
    return state;
  }

 private:
  std::vector<uint32_t> ids_;
  std::vector<size_t> at_;
  std::vector<uint8_t> bytes_;
};

/// How a state was reached first.
struct Origin {
  uint32_t parent;
  uint32_t step;  ///< the how-manieth of the parent
};

class Search {
 public:
  Search(const Scenario& scenario, Fault removed, uint64_t statesMax)
      : protocol_(scenario, removed), statesMax_(statesMax) {}

  Outcome run() {
    Level level;
    const State first = protocol_.initial();
    seen_.insert(printOf(first));
    origins_.push_back({kNone, 0});
    level.add(first, 0);
    while (level.size() > 0 && outcome_.violation.empty() && outcome_.complete) {
      level = next(level);
      if (level.size() > 0) ++outcome_.depth;
    }
    outcome_.states = origins_.size();
    return std::move(outcome_);
  }

 private:
  Level next(const Level& level) {
    Level found;
    for (size_t i = 0; i < level.size() && outcome_.violation.empty(); ++i) {
      const State state = level.state(i);
      uint32_t step = 0;
      protocol_.forEachStep(state, false, [&](const Step& next) {
        if (!outcome_.violation.empty()) return;
        if (!next.violation.empty()) violated(next.violation, level.id(i), step);
        if (seen_.insert(printOf(next.state))) {
          found.add(next.state, uint32_t(origins_.size()));
          origins_.push_back({level.id(i), step});
        }
        ++step;
      });
      outcome_.steps += step;
      if (step == 0)
        if (std::string why = protocol_.whyNotFinal(state); !why.empty()) violated(why, level.id(i), kNone);
      if (origins_.size() > statesMax_) outcome_.complete = false;
      if (!outcome_.complete) break;
    }
    return found;
  }

  void violated(const std::string& what, uint32_t id, uint32_t lastStep) {
    outcome_.violation = what;
    std::vector<uint32_t> steps;
    if (lastStep != kNone) steps.push_back(lastStep);
    for (uint32_t at = id; origins_[at].parent != kNone; at = origins_[at].parent) steps.push_back(origins_[at].step);
    State state = protocol_.initial();
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
      uint32_t number = 0;
      State after{};
      protocol_.forEachStep(state, true, [&](const Step& next) {
        if (number++ != *step) return;
        after = next.state;
        outcome_.trace.push_back(next.label);
      });
      state = after;
    }
  }

  const Protocol protocol_;
  const uint64_t statesMax_;
  Seen seen_;
  std::vector<Origin> origins_;
  Outcome outcome_;
};

}  // namespace

Outcome explore(const Scenario& scenario, Fault removed, uint64_t statesMax) {
  return Search(scenario, removed, statesMax).run();
}

}  // namespace jvmc::cluster::model
