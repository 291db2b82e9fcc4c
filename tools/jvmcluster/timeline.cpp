#include "tools/jvmcluster/timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace jvmc::tool {

using Json = nlohmann::ordered_json;

namespace {

constexpr int kThreads = 1;       // the process whose tracks are the program's threads
constexpr int kFirstNode = 1000;  // node n is process kFirstNode + n

double micros(int64_t nanos) {
  return double(nanos) / 1e3;
}

}  // namespace

void Timeline::alignClock(uint32_t node, int64_t now, int64_t asked, int64_t answered) {
  const int64_t error = (answered - asked) / 2, offset = asked + error - now;
  Clock& clock = clocks_[node];
  if (error >= clock.error) return;
  clock.error = error;
  // An offset that is not told from none is none: the same machine's clock.
  clock.offset = std::abs(offset) <= error ? 0 : offset;
}

Status Timeline::add(const Json& answer) {
  try {
    const uint32_t node = answer.at("node");
    for (const Json& each : answer.at("trace")) {
      Event event{node,          each.at("kind"), "", each.at("thread"), each.at("b"), each.at("a"), each.at("begin"),
                  each.at("end")};
      event.label = each.value("wait", each.value("function", ""));
      events_.push_back(std::move(event));
    }
    lost_ += answer.value("lost", uint64_t(0));
  } catch (const Json::exception& error) {
    return Error{ErrorCode::kCorrupt, std::string("a node's events make no sense: ") + error.what()};
  }
  return Unit{};
}

/// The events by our clock, in order. What one thread does must nest: a fetch begins in one stretch of running and ends
/// in the next, so it is cut to what lies between.
std::vector<Timeline::Event> Timeline::aligned() const {
  std::vector<Event> all = events_;
  for (Event& event : all) {
    const auto clock = clocks_.find(event.node);
    const int64_t offset = clock == clocks_.end() ? 0 : clock->second.offset;
    event.begin += offset;
    event.end = std::max(event.begin, event.end + offset);
  }
  std::stable_sort(all.begin(), all.end(), [](const Event& a, const Event& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
  });
  std::map<uint64_t, Event*> latest;  // by thread: the event that may still go on
  for (Event& event : all) {
    if (event.thread == 0 || event.begin == event.end) continue;
    Event*& before = latest[event.thread];
    if (before && event.begin < before->end && event.end > before->end) {
      if (before->kind == "fetch")
        before->end = event.begin;
      else
        event.begin = before->end;
    }
    if (!before || event.end > before->end) before = &event;
  }
  return all;
}

Json Timeline::toChrome(const std::string& program, const TimelineOptions& options) const {
  Json out = Json::array();
  const auto meta = [&](const char* what, int process, uint64_t track, const std::string& name) {
    out.push_back({{"name", what}, {"ph", "M"}, {"pid", process}, {"tid", track}, {"args", {{"name", name}}}});
  };
  meta("process_name", kThreads, 0, program + ": threads");
  std::set<uint64_t> threads;
  std::set<uint32_t> nodes;
  int64_t start = INT64_MAX;
  const std::vector<Event> all = aligned();
  for (const Event& event : all) {
    if (event.thread != 0) threads.insert(event.thread);
    nodes.insert(event.node);
    start = std::min(start, event.begin);
  }
  for (uint64_t id : threads) {
    const auto name = names_.find(id);
    meta("thread_name", kThreads, id,
         name == names_.end() || name->second.empty() ? fmt::format("thread {}", id) : name->second);
  }
  for (uint32_t node : nodes) {
    meta("process_name", kFirstNode + int(node), 0, fmt::format("node {}", node));
    meta("thread_name", kFirstNode + int(node), 1, "collector");
    meta("thread_name", kFirstNode + int(node), 2, "compiler");
  }
  std::vector<Json> events;
  for (const Event& event : all) {
    const int64_t begin = event.begin - start, duration = event.end - event.begin;
    const bool mayBeShort = event.kind == "wait" || event.kind == "fetch";
    if (mayBeShort && micros(duration) < options.minMicros) continue;
    Json json = {{"name", event.kind},      {"cat", event.kind}, {"ph", "X"},          {"ts", micros(begin)},
                 {"dur", micros(duration)}, {"pid", kThreads},   {"tid", event.thread}};
    json["args"] = {{"node", event.node}};
    if (event.kind == "run") {
      json["name"] = fmt::format("run on {}", event.node);
    } else if (event.kind == "wait") {
      json["name"] = "wait: " + event.label;
    } else if (event.kind == "fetch") {
      json["name"] = fmt::format("fetch from {}", event.a);
      json["args"]["object"] = fmt::format("{:#x}", event.b);
    } else if (event.kind == "leave" || event.kind == "arrive") {
      const bool leaves = event.kind == "leave";
      if (!leaves && event.b == 0) continue;  // it begins here
      // An arrow from the one to the other, by thread and incarnation.
      json = {{"name", "move"},           {"cat", "move"},
              {"ph", leaves ? "s" : "f"}, {"id", fmt::format("{}.{}", event.thread, event.b)},
              {"ts", micros(begin)},      {"pid", kThreads},
              {"tid", event.thread},      {"args", {{"node", event.node}}}};
      if (!leaves) json["bp"] = "e";
      events.push_back(
          {{"name", leaves ? fmt::format("leaves for {}", event.a) : fmt::format("arrives on {}", event.node)},
           {"cat", "move"},
           {"ph", "i"},
           {"s", "t"},
           {"ts", micros(begin)},
           {"pid", kThreads},
           {"tid", event.thread},
           {"args", {{"node", event.node}}}});
    } else if (event.kind == "pause") {
      const char* const kinds[] = {"young", "begin of a cycle", "end of a cycle", "full"};
      json["pid"] = kFirstNode + int(event.node);
      json["tid"] = 1;
      json["name"] = fmt::format("pause: {}", event.a < 4 ? kinds[event.a] : "?");
    } else if (event.kind == "compile") {
      json["pid"] = kFirstNode + int(event.node);
      json["tid"] = 2;
      json["name"] = event.label + (event.b ? " (continuation)" : "");
    }
    events.push_back(std::move(json));
  }
  std::stable_sort(events.begin(), events.end(),
                   [](const Json& a, const Json& b) { return a.at("ts").get<double>() < b.at("ts").get<double>(); });
  for (Json& event : events) out.push_back(std::move(event));
  Json clocks = Json::object();
  for (const auto& [node, clock] : clocks_)
    clocks[std::to_string(node)] = {{"offsetNanos", clock.offset}, {"errorNanos", clock.error}};
  return {{"traceEvents", out},
          {"displayTimeUnit", "ns"},
          {"otherData", {{"program", program}, {"lostEvents", lost_}, {"clocks", clocks}}}};
}

}  // namespace jvmc::tool
