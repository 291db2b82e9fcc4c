// A timeline of a program on all its nodes, in the format that Perfetto and chrome://tracing read.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "ir/support/result.h"

namespace jvmc::tool {

struct TimelineOptions {
  double minMicros = 0;  ///< shorter fetches, flushes and waits are left out
};

/// Events of all nodes by one clock, the one of whoever asks. Nodes on the same machine share its monotonic clock; the
/// clocks of others are found by asking: what a node says stands for the middle of the question's way there and back.
class Timeline {
 public:
  /// A node said that its clock is at `now` between our `asked` and `answered`.
  void alignClock(uint32_t node, int64_t now, int64_t asked, int64_t answered);
  /// Fails if the answer makes no sense.
  Status add(const nlohmann::ordered_json& answer);
  void nameThread(uint64_t id, const std::string& name) { names_[id] = name; }

  /// Chrome's JSON: a process for the program with a track for each thread, wherever it is, and one for each node with
  /// what belongs to no thread.
  nlohmann::ordered_json toChrome(const std::string& program, const TimelineOptions& options) const;
  uint64_t lost() const { return lost_; }
  size_t size() const { return events_.size(); }

 private:
  struct Event {
    uint32_t node = 0;
    std::string kind, label;
    uint64_t thread = 0, b = 0;
    uint32_t a = 0;
    int64_t begin = 0, end = 0;  ///< the node's clock
  };
  struct Clock {
    int64_t offset = 0;  ///< to add to the node's
    int64_t error = INT64_MAX;
  };
  int64_t offsetOf(uint32_t node) const;
  std::string nameOf(uint64_t thread) const;
  static std::vector<Event> loansOf(const std::vector<Event>& all);
  static std::vector<Event> movesOf(const std::vector<Event>& inOrder);
  /// What is on the track of a thread so far.
  struct Track {
    std::vector<Event*> open;   ///< what may still go on, outermost first
    int64_t floor = INT64_MIN;  ///< what comes begins here at least
  };
  static void nest(Event& event, Track& track);
  std::vector<Event> aligned() const;
  void write(const Event& event, int64_t start, std::vector<nlohmann::ordered_json>& out) const;
  void writeLoan(const Event& event, int64_t start, std::vector<nlohmann::ordered_json>& out) const;
  void writeArrow(const Event& event, int64_t begin, std::vector<nlohmann::ordered_json>& out) const;
  void writeDecision(uint32_t node, const nlohmann::ordered_json& decision, int64_t start,
                     std::vector<nlohmann::ordered_json>& out) const;

  std::vector<Event> events_;
  std::map<std::pair<uint32_t, uint64_t>, nlohmann::ordered_json> decisions_;  // by node and number
  std::map<uint32_t, Clock> clocks_;
  std::map<uint64_t, std::string> names_;
  uint64_t lost_ = 0;
};

}  // namespace jvmc::tool
