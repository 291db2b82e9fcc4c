#include "tools/jvmcluster/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <thread>

namespace jvmc::tool {

using Json = nlohmann::ordered_json;

namespace {

/// Who must do something before a thread goes on, and about what.
struct Edge {
  uint64_t to = 0;
  uint64_t ticket = 0;  ///< of the wait: another wait of the thread has another one
  std::string why;
};
using Graph = std::map<uint64_t, Edge>;

std::string objectText(const Json& about) {
  const Json& cls = about.at("class");
  return fmt::format("{} {}", cls.is_null() ? "object" : cls.get<std::string>(), about.at("object").get<std::string>());
}

/// Thread -> its wait, from all nodes.
std::map<uint64_t, uint64_t> ticketsOf(const std::vector<Json>& nodes) {
  std::map<uint64_t, uint64_t> tickets;
  for (const Json& node : nodes)
    for (const Json& thread : node.at("threads"))
      if (const Json& wait = thread.at("wait"); !wait.is_null()) tickets[thread.at("id")] = wait.at("ticket");
  return tickets;
}

/// Each thread waits for at most one other: the owner of a monitor, a thread that it joins, the one that initialises a
/// class.
Graph graphOf(const std::vector<Json>& nodes) {
  const std::map<uint64_t, uint64_t> tickets = ticketsOf(nodes);
  Graph graph;
  const auto add = [&](const Json& waiters, uint64_t to, const std::string& why) {
    for (const Json& waiter : waiters)
      if (const auto wait = tickets.find(waiter.get<uint64_t>()); wait != tickets.end())
        graph[wait->first] = {to, wait->second, why};
  };
  for (const Json& node : nodes) {
    for (const Json& monitor : node.at("monitors"))
      if (!monitor.contains("lentTo") && !monitor.at("owner").is_null())
        add(monitor.at("entering"), monitor.at("owner"), "to enter the monitor of " + objectText(monitor));
    for (const Json& join : node.at("joins")) add(join.at("waiting"), join.at("thread"), "for its end");
    for (const Json& init : node.at("classInits"))
      add(init.at("waiting"), init.at("runner"), "for the initialisation of " + objectText(init));
  }
  return graph;
}

/// The circles of a graph in which every node has one successor at most.
std::vector<std::vector<uint64_t>> circlesOf(const Graph& graph) {
  std::vector<std::vector<uint64_t>> circles;
  std::set<uint64_t> done;
  for (const auto& [start, edge] : graph) {
    std::vector<uint64_t> path;
    uint64_t at = start;
    while (graph.contains(at) && !done.contains(at) && std::find(path.begin(), path.end(), at) == path.end()) {
      path.push_back(at);
      at = graph.at(at).to;
    }
    const auto again = std::find(path.begin(), path.end(), at);
    if (again != path.end()) circles.emplace_back(again, path.end());
    done.insert(path.begin(), path.end());
  }
  return circles;
}

Result<std::vector<Json>> parsed(const std::vector<std::string>& texts) {
  std::vector<Json> nodes;
  for (const std::string& text : texts) {
    nodes.push_back(Json::parse(text, nullptr, false));
    if (!nodes.back().is_object() || !nodes.back().contains("threads"))
      return Error{ErrorCode::kCorrupt, "a node's answer makes no sense"};
  }
  return nodes;
}

/// A node knows the classes of its own objects and of those it has copies of. What one knows is told to all.
void shareClasses(std::vector<Json>& nodes) {
  std::map<std::string, std::string> classes;
  const auto forEachObject = [&](const auto& visit) {
    for (Json& node : nodes) {
      for (const char* list : {"monitors", "joins", "classInits"})
        for (Json& about : node.at(list)) visit(about);
      for (Json& thread : node.at("threads"))
        if (Json& wait = thread.at("wait"); wait.contains("object")) visit(wait);
    }
  };
  forEachObject([&](Json& about) {
    if (const Json& cls = about.at("class"); cls.is_string()) classes[about.at("object")] = cls;
  });
  forEachObject([&](Json& about) {
    if (const auto known = classes.find(about.at("object")); known != classes.end()) about["class"] = known->second;
  });
}

/// Each monitor once: what is known of one that is lent is with the borrower.
Json monitorsOf(const std::vector<Json>& nodes) {
  std::map<std::string, Json> byObject;
  for (const Json& node : nodes) {
    for (const Json& each : node.at("monitors")) {
      Json& monitor = byObject[each.at("object")];
      monitor.update(each);
      if (monitor.erase("borrowed") > 0)
        monitor["lentTo"] = node.at("node");
      else
        monitor["home"] = node.at("node");
    }
  }
  Json monitors = Json::array();
  for (auto& [object, monitor] : byObject) monitors.push_back(std::move(monitor));
  return monitors;
}

std::string nameOf(const Json& thread) {
  const std::string name = thread.at("name");
  return name.empty() ? fmt::format("thread {}", thread.at("id").get<uint64_t>()) : name;
}

std::string frameText(const Json& frame) {
  const uint32_t line = frame.at("line");
  if (line == 0) return frame.at("function");
  return fmt::format("{} ({}:{})", frame.at("function").get<std::string>(), frame.at("file").get<std::string>(), line);
}

Explanation explained(const std::vector<Json>& before, std::vector<Json> now) {
  Explanation out;
  shareClasses(now);
  out.monitors = monitorsOf(now);
  const Graph graph = graphOf(now), earlier = graphOf(before);
  std::map<uint64_t, Json> byId;
  for (const Json& node : now) {
    for (Json thread : node.at("threads")) {
      thread["node"] = node.at("node");
      byId[thread.at("id")] = thread;
    }
    Json about = {{"node", node.at("node")}, {"state", node.value("state", "")}};
    for (const char* part : {"objectSpace", "migration"})
      if (const auto found = node.find(part); found != node.end()) about[part] = *found;
    out.nodes.push_back(std::move(about));
  }
  for (auto& [id, thread] : byId) {
    if (const auto edge = graph.find(id); edge != graph.end()) {
      thread["waitsFor"] = {{"thread", edge->second.to}, {"why", edge->second.why}};
      if (const auto other = byId.find(edge->second.to); other != byId.end()) {
        thread["waitsFor"]["name"] = nameOf(other->second);
        thread["waitsFor"]["node"] = other->second.at("node");
      }
    }
    out.threads.push_back(thread);
  }
  for (const std::vector<uint64_t>& circle : circlesOf(graph)) {
    const bool lasts = std::all_of(circle.begin(), circle.end(), [&](uint64_t id) {
      const auto same = earlier.find(id);
      return same != earlier.end() && same->second.ticket == graph.at(id).ticket && same->second.to == graph.at(id).to;
    });
    if (!lasts) continue;
    Json members = Json::array();
    for (uint64_t id : circle) {
      const auto thread = byId.find(id);
      Json member = {{"thread", id}, {"waitsFor", graph.at(id).to}, {"why", graph.at(id).why}};
      if (thread != byId.end()) {
        member["name"] = nameOf(thread->second);
        member["node"] = thread->second.at("node");
        if (const Json& stack = thread->second.at("stack"); !stack.empty()) member["at"] = frameText(stack[0]);
      }
      members.push_back(std::move(member));
    }
    out.deadlocks.push_back(std::move(members));
  }
  return out;
}

}  // namespace

Result<Explanation> explain(const std::vector<std::string>& first, const std::vector<std::string>& second) {
  auto before = parsed(first), now = parsed(second);
  if (!before.ok()) return before.error();
  if (!now.ok()) return now.error();
  try {
    return explained(*before, std::move(*now));
  } catch (const Json::exception& error) {
    return Error{ErrorCode::kCorrupt, std::string("a node's answer makes no sense: ") + error.what()};
  }
}

Result<Explanation> explain(Clusters::Program& program) {
  constexpr auto kPause = std::chrono::milliseconds(200);
  std::vector<std::string> looks[2];
  for (auto& look : looks) {
    if (&look != looks) std::this_thread::sleep_for(kPause);
    auto reports = program.client->observe(program.view.id, R"({"threads": true})");
    if (!reports.ok()) return reports.error();
    look = std::move(*reports);
  }
  auto explanation = explain(looks[0], looks[1]);
  if (explanation.ok()) explanation->silentNodes = program.silentNodes(looks[1].size());
  return explanation;
}

Json Explanation::toJson() const {
  return {{"deadlocks", deadlocks},
          {"threads", threads},
          {"monitors", monitors},
          {"nodes", nodes},
          {"silentNodes", silentNodes}};
}

std::string Explanation::text() const {
  std::string text;
  if (silentNodes > 0)
    text += fmt::format("{} node{} did not answer; what is there is not shown\n\n", silentNodes,
                        silentNodes == 1 ? "" : "s");
  for (const Json& circle : deadlocks) {
    text += fmt::format("deadlock of {} thread{}:\n", circle.size(), circle.size() == 1 ? "" : "s");
    std::map<uint64_t, std::string> names;
    for (const Json& member : circle) names[member.at("thread")] = member.value("name", "?");
    for (const Json& member : circle)
      text += fmt::format("  {} on node {} waits {}, which {} has{}\n", member.value("name", "?"),
                          member.value("node", 0u), member.at("why").get<std::string>(), names[member.at("waitsFor")],
                          member.contains("at") ? "; at " + member.value("at", "") : "");
    text += '\n';
  }
  for (const Json& thread : threads) {
    text += fmt::format("{} (id {}) on node {}: {}", nameOf(thread), thread.at("id").get<uint64_t>(),
                        thread.at("node").get<uint32_t>(), thread.at("state").get<std::string>());
    if (const Json& wait = thread.at("wait"); !wait.is_null()) {
      text += ", waits for " + wait.at("for").get<std::string>();
      if (wait.contains("object")) text += " of " + objectText(wait);
    }
    if (thread.contains("waitsFor"))
      text += fmt::format(", that is for {} on node {}", thread["waitsFor"].value("name", "a thread on its way"),
                          thread["waitsFor"].value("node", 0u));
    text += '\n';
    for (const Json& frame : thread.at("stack")) text += "    at " + frameText(frame) + "\n";
  }
  for (const Json& node : nodes) {
    std::string state = node.at("state");
    for (size_t at = 0; (at = state.find('\n', at)) != std::string::npos; at += 3) state.replace(at, 1, "\n  ");
    if (!state.empty()) text += fmt::format("node {}:\n  {}\n", node.at("node").get<uint32_t>(), state);
  }
  return text;
}

}  // namespace jvmc::tool
