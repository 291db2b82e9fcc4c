#include "tools/jvmcluster/timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>

namespace jvmc::tool {

using Json = nlohmann::ordered_json;

namespace {

constexpr int kThreads = 1;       // the process whose tracks are the program's threads
constexpr int kFirstNode = 1000;  // node n is process kFirstNode + n

/// Tracks of a node: what belongs to no thread.
enum NodeTrack { kCollector = 1, kRounds, kCompiler, kBalancer, kMembers, kMonitors };
constexpr const char* kTrackNames[] = {"",        "collector", "cluster-wide collections", "compiler", "balancer",
                                       "members", "monitors"};

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
      for (const char* label : {"wait", "function", "change", "phase", "class"})
        if (const auto text = each.find(label); text != each.end() && text->is_string()) event.label = *text;
      events_.push_back(std::move(event));
    }
    for (const Json& each : answer.at("decisions")) {
      each.at("time").get<int64_t>();
      decisions_[{node, each.at("number")}] = each;  // perhaps told before, without its outcome
    }
    lost_ += answer.value("lost", uint64_t(0));
  } catch (const Json::exception& error) {
    return Error{ErrorCode::kCorrupt, std::string("a node's events make no sense: ") + error.what()};
  }
  return Unit{};
}

int64_t Timeline::offsetOf(uint32_t node) const {
  const auto clock = clocks_.find(node);
  return clock == clocks_.end() ? 0 : clock->second.offset;
}

/// Each move that was seen to begin and to end, and its parts: the thread is written down and sent (capture), on its
/// way (wire), and waits for a worker (resume), if it is not there to wait for something else.
std::vector<Timeline::Event> Timeline::movesOf(const std::vector<Event>& inOrder) {
  struct Move {
    Event leave;
    std::optional<Event> arrive;
  };
  std::vector<Event> parts;
  const auto close = [&](const Move& move, const Event* run) {
    const auto add = [&](const char* kind, int64_t begin, int64_t end) {
      Event part = move.leave;
      part.kind = kind;
      part.begin = begin;
      part.end = end;
      parts.push_back(part);
    };
    const int64_t arrived = move.arrive->begin, sent = std::min(move.leave.end, arrived);
    add("move", move.leave.begin, run ? run->begin : arrived);
    add("capture", move.leave.begin, sent);
    add("wire", sent, arrived);
    if (run) add("resume", arrived, run->begin);
  };
  std::map<uint64_t, Move> open;  // by thread
  for (const Event& event : inOrder) {
    if (event.kind == "leave") {
      open.insert_or_assign(event.thread, Move{event, {}});
      continue;
    }
    const auto found = open.find(event.thread);
    if (found == open.end()) continue;
    Move& move = found->second;
    if (event.kind == "arrive" && event.b == move.leave.b) {
      move.arrive = event;
    } else if (move.arrive && (event.kind == "run" || event.kind == "wait")) {
      close(move, event.kind == "run" ? &event : nullptr);
      open.erase(found);
    }
  }
  for (const auto& [thread, move] : open)
    if (move.arrive) close(move, nullptr);
  return parts;
}

/// What one thread does must nest on its track. A fetch begins in one stretch of running and ends in the next, so it is
/// cut to what lies between. A flush begins before the wait that it is part of, and the wait counts from there on. All
/// else follows what began before it.
void Timeline::nest(Event& event, Track& track) {
  std::vector<Event*>& open = track.open;
  event.begin = std::max(event.begin, track.floor);
  while (!open.empty() && open.back()->end <= event.begin) open.pop_back();
  std::vector<Event*> inside;
  for (; !open.empty() && open.back()->end < event.end; open.pop_back()) {
    Event& before = *open.back();
    if (before.kind == "flush" && event.kind == "wait") {
      event.begin = before.begin;
      inside.push_back(&before);
    } else if (before.kind == "fetch" || before.kind == "flush") {
      before.end = std::max(before.begin, event.begin);
    } else {
      event.begin = std::max(event.begin, before.end);
      track.floor = event.begin;
    }
  }
  if (!open.empty()) event.begin = std::max(event.begin, open.back()->begin);
  event.end = std::max(event.end, event.begin);
  open.push_back(&event);
  open.insert(open.end(), inside.rbegin(), inside.rend());
}

/// The events by our clock, in order.
std::vector<Timeline::Event> Timeline::aligned() const {
  std::vector<Event> all = events_;
  for (Event& event : all) {
    const int64_t offset = offsetOf(event.node);
    event.begin += offset;
    event.end = std::max(event.begin, event.end + offset);
  }
  const auto isBefore = [](const Event& a, const Event& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
  };
  std::stable_sort(all.begin(), all.end(), isBefore);
  const std::vector<Event> moves = movesOf(all);
  all.insert(all.end(), moves.begin(), moves.end());
  std::stable_sort(all.begin(), all.end(), isBefore);
  std::map<uint64_t, Track> tracks;  // by thread
  for (Event& event : all)
    if (event.thread != 0 && event.begin < event.end && event.kind != "leave") nest(event, tracks[event.thread]);
  return all;
}

std::string Timeline::nameOf(uint64_t thread) const {
  const auto name = names_.find(thread);
  return name == names_.end() || name->second.empty() ? fmt::format("thread {}", thread) : name->second;
}

/// Each once: its begin is told at once, and again when it is over.
std::vector<Timeline::Event> Timeline::loansOf(const std::vector<Event>& all) {
  std::map<std::tuple<uint32_t, uint64_t, int64_t>, Event> loans;  // by node, object and begin
  for (const Event& event : all) {
    if (event.kind != "loan") continue;
    Event& loan = loans.try_emplace({event.node, event.b, event.begin}, event).first->second;
    loan.end = std::max(loan.end, event.end);
    if (loan.label.empty()) loan.label = event.label;
  }
  std::vector<Event> list;
  for (auto& [key, loan] : loans) list.push_back(std::move(loan));
  return list;
}

namespace {

Json metaOf(const char* what, int process, uint64_t track, const std::string& name) {
  return {{"name", what}, {"ph", "M"}, {"pid", process}, {"tid", track}, {"args", {{"name", name}}}};
}

Json instantOf(const std::string& name, const char* category, int64_t at, int process, uint64_t track) {
  return {{"name", name},     {"cat", category}, {"ph", "i"},    {"s", "t"},
          {"ts", micros(at)}, {"pid", process},  {"tid", track}, {"args", Json::object()}};
}

}  // namespace

/// Times count from `start`.
void Timeline::write(const Event& event, int64_t start, std::vector<Json>& out) const {
  const int64_t begin = event.begin - start;
  const int node = kFirstNode + int(event.node);
  Json json = {{"name", event.kind},
               {"cat", event.kind},
               {"ph", "X"},
               {"ts", micros(begin)},
               {"dur", micros(event.end - event.begin)},
               {"pid", kThreads},
               {"tid", event.thread},
               {"args", {{"node", event.node}}}};
  if (event.kind == "run") {
    json["name"] = fmt::format("run on {}", event.node);
  } else if (event.kind == "wait") {
    json["name"] = "wait: " + event.label;
    if (event.b != 0) json["args"]["object"] = fmt::format("{:#x}", event.b);
  } else if (event.kind == "fetch") {
    json["name"] = fmt::format("fetch from {}", event.a);
    json["args"]["object"] = fmt::format("{:#x}", event.b);
  } else if (event.kind == "flush") {
    json["args"]["objects"] = event.a;
  } else if (event.kind == "move") {
    json["name"] = fmt::format("move from {} to {}", event.node, event.a);
  } else if (event.kind == "leave" || event.kind == "arrive") {
    return writeArrow(event, begin, out);
  } else if (event.kind == "collect") {
    json["pid"] = node;
    json["tid"] = int(kCollector);
    json["name"] = event.label;
  } else if (event.kind == "round") {
    json["pid"] = node;
    json["tid"] = int(kRounds);
    json["name"] = fmt::format("round {}{}", event.b, event.a ? "" : " (broken off)");
  } else if (event.kind == "compile") {
    json["pid"] = node;
    json["tid"] = int(kCompiler);
    json["name"] = event.label + (event.b ? " (continuation)" : "");
  } else if (event.kind == "member") {
    json = instantOf(fmt::format("node {} {}", event.a, event.label), "member", begin, node, kMembers);
  }
  out.push_back(std::move(json));
}

/// Several are on a node at once, so each is a line of its own; some go on when the trace ends.
void Timeline::writeLoan(const Event& event, int64_t start, std::vector<Json>& out) const {
  Json json = {{"name", fmt::format("monitor of {}", event.label.empty() ? "an object" : event.label)},
               {"cat", "loan"},
               {"ph", "b"},
               {"id", fmt::format("{}.{:#x}", event.node, event.b)},
               {"ts", micros(event.begin - start)},
               {"pid", kFirstNode + int(event.node)},
               {"tid", int(kMonitors)},
               {"args", {{"home", event.a}, {"object", fmt::format("{:#x}", event.b)}}}};
  out.push_back(json);
  if (event.end == event.begin) return;
  json["ph"] = "e";
  json["ts"] = micros(event.end - start);
  json.erase("args");
  out.push_back(std::move(json));
}

/// From where a thread leaves to where it arrives, by thread and incarnation.
void Timeline::writeArrow(const Event& event, int64_t begin, std::vector<Json>& out) const {
  const bool leaves = event.kind == "leave";
  if (!leaves && event.b == 0) return;  // it begins here
  const std::string what = leaves ? fmt::format("leaves for {}", event.a) : fmt::format("arrives on {}", event.node);
  out.push_back(instantOf(what, "move", begin, kThreads, event.thread));
  Json arrow = {{"name", "move"},           {"cat", "move"},
                {"ph", leaves ? "s" : "f"}, {"id", fmt::format("{}.{}", event.thread, event.b)},
                {"ts", micros(begin)},      {"pid", kThreads},
                {"tid", event.thread},      {"args", {{"node", event.node}}}};
  if (!leaves) arrow["bp"] = "e";
  out.back()["args"]["node"] = event.node;
  out.push_back(std::move(arrow));
}

void Timeline::writeDecision(uint32_t node, const Json& decision, int64_t start, std::vector<Json>& out) const {
  const Json& thread = decision.at("thread");
  const std::string what =
      thread.is_null() ? fmt::format("{} KiB of objects", decision.at("bytes").get<uint64_t>() / 1024) : nameOf(thread);
  Json json = instantOf(fmt::format("move {} from {} to {}", what, decision.at("from").get<uint32_t>(),
                                    decision.at("to").get<uint32_t>()),
                        "balance", decision.at("time").get<int64_t>() + offsetOf(node) - start, kFirstNode + int(node),
                        kBalancer);
  json["args"] = decision;
  json["args"].erase("time");  // it is the event's
  out.push_back(std::move(json));
}

Json Timeline::toChrome(const std::string& program, const TimelineOptions& options) const {
  Json out = Json::array();
  out.push_back(metaOf("process_name", kThreads, 0, program + ": threads"));
  std::set<uint64_t> threads;
  std::set<uint32_t> nodes;
  int64_t start = INT64_MAX;
  const std::vector<Event> all = aligned();
  for (const Event& event : all) {
    if (event.thread != 0) threads.insert(event.thread);
    nodes.insert(event.node);
    start = std::min(start, event.begin);
  }
  for (const auto& [key, decision] : decisions_) {
    nodes.insert(key.first);
    start = std::min(start, decision.at("time").get<int64_t>() + offsetOf(key.first));
  }
  for (uint64_t id : threads) out.push_back(metaOf("thread_name", kThreads, id, nameOf(id)));
  for (uint32_t node : nodes) {
    out.push_back(metaOf("process_name", kFirstNode + int(node), 0, fmt::format("node {}", node)));
    for (int track : {kCollector, kRounds, kCompiler, kBalancer, kMembers, kMonitors})
      out.push_back(metaOf("thread_name", kFirstNode + int(node), uint64_t(track), kTrackNames[track]));
  }
  std::vector<Json> events;
  for (const Event& event : all) {
    if (event.kind == "loan") continue;
    const bool mayBeShort = event.kind == "wait" || event.kind == "fetch" || event.kind == "flush";
    if (!mayBeShort || micros(event.end - event.begin) >= options.minMicros) write(event, start, events);
  }
  for (const Event& loan : loansOf(all)) writeLoan(loan, start, events);
  for (const auto& [key, decision] : decisions_) writeDecision(key.first, decision, start, events);
  // Readers take what comes first as what is outside.
  std::stable_sort(events.begin(), events.end(), [](const Json& a, const Json& b) {
    const auto key = [](const Json& event) {
      return std::pair(event.at("ts").get<double>(), -event.value("dur", 0.0));
    };
    return key(a) < key(b);
  });
  for (Json& event : events) out.push_back(std::move(event));
  Json clocks = Json::object();
  for (const auto& [node, clock] : clocks_)
    clocks[std::to_string(node)] = {{"offsetNanos", clock.offset}, {"errorNanos", clock.error}};
  return {{"traceEvents", out},
          {"displayTimeUnit", "ns"},
          {"otherData", {{"program", program}, {"lostEvents", lost_}, {"clocks", clocks}}}};
}

}  // namespace jvmc::tool
