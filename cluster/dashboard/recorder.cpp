#include "cluster/dashboard/recorder.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "cluster/dashboard/counters.h"

namespace jvmc::cluster {

namespace {

using Json = nlohmann::json;

const NodeView* findNode(const std::vector<NodeView>& nodes, uint32_t id) {
  const auto found = std::find_if(nodes.begin(), nodes.end(), [id](const NodeView& node) { return node.node == id; });
  return found == nodes.end() ? nullptr : &*found;
}

constexpr int64_t kPatienceNanos = 3'000'000'000;  // for the outcome of a decision

/// Counters never fall; a node that is asked in vain once must not make a curve that does.
double rate(uint64_t before, uint64_t now, double seconds) {
  return now <= before || seconds <= 0 ? 0 : double(now - before) / seconds;
}

std::string nameOf(const ThreadView& thread) {
  return thread.name.empty() ? fmt::format("thread {}", thread.id) : fmt::format("{} ({})", thread.name, thread.id);
}

}  // namespace

void Recorder::take(ProgramSample sample) {
  problem_.clear();
  noteNodes(sample);
  noteThreads(sample);
  noteTraffic(sample);
  noteDecisions(sample);
  if (sample.unixMillis - frameMillis_ >= kFrameMillis) addFrame(sample);
  latest_ = std::move(sample);
}

void Recorder::fail(int64_t unixMillis, const std::string& why) {
  if (problem_.empty() && latest_) addEvent(unixMillis, "program", why);
  problem_ = why;
}

void Recorder::noteNodes(const ProgramSample& sample) {
  if (!latest_) {
    addEvent(sample.unixMillis, "program",
             fmt::format("{} runs on {} node{}", sample.program.name, sample.nodes.size(),
                         sample.nodes.size() == 1 ? "" : "s"));
    return;
  }
  for (const NodeView& node : sample.nodes) {
    const NodeView* before = findNode(latest_->nodes, node.node);
    if (!before) {
      addEvent(sample.unixMillis, "join", fmt::format("node {} joined (process {})", node.node, node.pid));
    } else if (node.state == "leaving" && before->state != "leaving") {
      addEvent(sample.unixMillis, "leaving", fmt::format("node {} is told to leave", node.node));
    } else if (node.state != "leaving" && before->state == "leaving") {
      addEvent(sample.unixMillis, "join", fmt::format("node {} stays", node.node));
    }
  }
  for (const NodeView& node : latest_->nodes)
    if (!findNode(sample.nodes, node.node))
      addEvent(sample.unixMillis, "leave", fmt::format("node {} left", node.node));
}

/// Threads between two nodes are on neither for a moment; their count of moves tells that they went.
void Recorder::noteThreads(const ProgramSample& sample) {
  if (!latest_) return;
  std::unordered_map<uint64_t, const ThreadView*> before;
  for (const ThreadView& thread : latest_->threads) before.emplace(thread.id, &thread);
  for (const ThreadView& thread : sample.threads) {
    const auto known = before.find(thread.id);
    if (known == before.end() || known->second->node == thread.node) continue;
    const uint64_t moves = thread.moves > known->second->moves ? thread.moves - known->second->moves : 1;
    addEvent(sample.unixMillis, "move",
             fmt::format("{} moved from node {} to node {}{}", nameOf(thread), known->second->node, thread.node,
                         moves > 1 ? fmt::format(" in {} moves", moves) : ""));
  }
}

void Recorder::noteTraffic(const ProgramSample& sample) {
  traffic_.clear();
  for (const ThreadView& thread : sample.threads)
    for (const ThreadView::Use& use : thread.uses)
      if (use.requestsPerSecond > 0) {
        Traffic& between = traffic_[{thread.node, use.home}];
        between.requests += use.requestsPerSecond;
        between.bytes += use.bytesPerSecond;
      }
}

/// When it is known what came of them.
void Recorder::noteDecisions(const ProgramSample& sample) {
  for (const DecisionView& decision : sample.decisions) {
    uint64_t& last = decided_[decision.node];
    if (decision.number <= last) continue;
    if (decision.outcome == "pending" && decision.ageNanos < kPatienceNanos) break;
    last = decision.number;
    const auto thread = std::find_if(sample.threads.begin(), sample.threads.end(),
                                     [&](const ThreadView& one) { return one.id == decision.thread; });
    const std::string what = decision.thread == 0             ? fmt::format("{} KiB of objects", decision.bytes / 1024)
                             : thread == sample.threads.end() ? fmt::format("thread {}", decision.thread)
                                                              : nameOf(*thread);
    addEvent(sample.unixMillis - decision.ageNanos / 1'000'000, "balance",
             fmt::format("{} from node {} to node {}: {}; gain expected {:.2f}{}; {}", what, decision.from, decision.to,
                         decision.reason, decision.predicted,
                         decision.isMeasured ? fmt::format(", measured {:.2f}", decision.measured) : "",
                         decision.outcome == "pending" ? "asked for" : decision.outcome));
  }
}

void Recorder::addFrame(const ProgramSample& sample) {
  const double seconds = frameMillis_ == 0 ? 0 : double(sample.unixMillis - frameMillis_) / 1000;
  frameMillis_ = sample.unixMillis;
  std::map<uint32_t, Totals> totals;
  for (const std::string& text : sample.counters) {
    const Json report = Json::parse(text, nullptr, false);
    if (!report.is_object()) continue;
    Totals& total = totals[uint32_t(counterValue(report, "node"))];
    total.pauseNanos = counterValue(report, "heap.pauseNanosTotal");
    total.moves = counterValue(report, "moves.out") + counterValue(report, "moves.in");
    for (const char* channel : {"objects", "threads", "control"})
      for (const char* way : {"bytes_out", "bytes_in"})
        total.netBytes += counterValue(report, fmt::format("net.{}.{}", channel, way));
  }
  HistoryFrame frame{++number_, sample.unixMillis, {}};
  for (const NodeView& node : sample.nodes) {
    Totals& now = totals[node.node];
    now.cpuNanos = node.cpuNanos;
    const auto known = totals_.find(node.node);
    const Totals before = known == totals_.end() ? now : known->second;
    auto& [id, values] = frame.nodes.emplace_back(node.node, std::array<float, kSeries>{});
    const auto set = [&values = values](Series series, double value) { values[size_t(series)] = float(value); };
    set(Series::Cpu, rate(before.cpuNanos, now.cpuNanos, seconds) / 1e9);
    set(Series::Heap, double(node.heapBytes));
    set(Series::Copies, double(node.copyBytes));
    set(Series::Rss, double(node.rssBytes));
    set(Series::Threads, node.threads);
    set(Series::Queue, node.queued);
    set(Series::Requests, node.remoteRequests);
    set(Series::Traffic, rate(before.netBytes, now.netBytes, seconds));
    set(Series::Pauses, rate(before.pauseNanos, now.pauseNanos, seconds) / 1e9);
    set(Series::Moves, rate(before.moves, now.moves, seconds));
  }
  totals_ = std::move(totals);
  frames_.push_back(std::move(frame));
  if (frames_.size() > kFramesMax) frames_.pop_front();
}

void Recorder::addEvent(int64_t unixMillis, const char* kind, std::string text) {
  events_.push_back({++number_, unixMillis, kind, std::move(text)});
  const auto isMove = [](const ProgramEvent& event) { return event.kind == "move"; };
  if (size_t(std::count_if(events_.begin(), events_.end(), isMove)) > kMovesMax)
    events_.erase(std::find_if(events_.begin(), events_.end(), isMove));
  if (events_.size() > kEventsMax) events_.pop_front();
}

}  // namespace jvmc::cluster
