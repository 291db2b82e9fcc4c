// The past of a program, in memory of a fixed size: samples become points of charts, and differences between samples
// become events (a node joined, a thread moved). No network, no clock: a test is a list of samples.
//
// Every frame and event has a number that only grows; a page asks for what is newer than the last one it has seen.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>

#include "cluster/dashboard/program_sample.h"

namespace jvmc::cluster {

/// Curves of a node. Names in JSON: kSeriesNames.
enum class Series : uint8_t {
  Cpu,       ///< cores that the process uses
  Heap,      ///< bytes
  Copies,    ///< bytes of other nodes' objects
  Rss,       ///< bytes
  Threads,   ///< on the node
  Queue,     ///< ready threads without a worker
  Requests,  ///< to other nodes, a second
  Traffic,   ///< bytes to and from other nodes, a second
  Pauses,    ///< share of the time that a collection stopped the program
  Moves,     ///< threads that came or left, a second
  kCount
};
inline constexpr size_t kSeries = size_t(Series::kCount);
inline constexpr std::array<const char*, kSeries> kSeriesNames{"cpu",   "heap",     "copies",  "rss",    "threads",
                                                               "queue", "requests", "traffic", "pauses", "moves"};

struct HistoryFrame {
  uint64_t number = 0;
  int64_t unixMillis = 0;
  std::vector<std::pair<uint32_t, std::array<float, kSeries>>> nodes;
};

struct ProgramEvent {
  uint64_t number = 0;
  int64_t unixMillis = 0;
  std::string kind;  ///< join, leaving, leave, move, balance, program
  std::string text;
};

/// From one node to another, a second.
struct Traffic {
  double requests = 0;
  double bytes = 0;  ///< of requests and answers
};

/// Not thread-safe.
class Recorder {
 public:
  static constexpr size_t kFramesMax = 900;      ///< a quarter of an hour
  static constexpr size_t kEventsMax = 500;      ///< those of threads that move push no others out: see kMovesMax
  static constexpr size_t kMovesMax = 300;       ///< of kind move
  static constexpr int64_t kFrameMillis = 1000;  ///< between two frames at least

  void take(ProgramSample sample);
  /// The program could not be asked.
  void fail(int64_t unixMillis, const std::string& why);

  const std::optional<ProgramSample>& latest() const { return latest_; }
  /// Why there is nothing newer; empty: the latest sample is fresh.
  const std::string& problem() const { return problem_; }
  const std::deque<HistoryFrame>& frames() const { return frames_; }
  const std::deque<ProgramEvent>& events() const { return events_; }
  /// What threads on node `first` use of objects of node `second`, lately.
  const std::map<std::pair<uint32_t, uint32_t>, Traffic>& traffic() const { return traffic_; }
  uint64_t lastNumber() const { return number_; }

 private:
  /// What rates are computed from.
  struct Totals {
    uint64_t cpuNanos = 0, pauseNanos = 0, moves = 0, netBytes = 0;
  };

  void noteNodes(const ProgramSample& sample);
  void noteThreads(const ProgramSample& sample);
  void noteTraffic(const ProgramSample& sample);
  void noteDecisions(const ProgramSample& sample);
  void addFrame(const ProgramSample& sample);
  void addEvent(int64_t unixMillis, const char* kind, std::string text);

  std::optional<ProgramSample> latest_;
  std::string problem_;
  std::deque<HistoryFrame> frames_;
  std::deque<ProgramEvent> events_;
  std::map<std::pair<uint32_t, uint32_t>, Traffic> traffic_;
  std::map<uint32_t, uint64_t> decided_;  // by node that decides: the last decision that became an event
  uint64_t number_ = 0;
  int64_t frameMillis_ = 0;            // of the last frame
  std::map<uint32_t, Totals> totals_;  // at the last frame
};

}  // namespace jvmc::cluster
