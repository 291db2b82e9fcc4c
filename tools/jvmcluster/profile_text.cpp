// Profiles as tables and rows for people and scripts.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "tools/jvmcluster/profile.h"
#include "tools/jvmcluster/table.h"

namespace jvmc::tool {

using Json = nlohmann::ordered_json;

namespace {

/// Samples of one line; where the mode says more, of one class and home as well.
struct Row {
  std::string place, cls, wait;
  int64_t home = -1;
  ClusterProfile::Frame frame;
  uint64_t self = 0, total = 0, count = 0, nanos = 0;
  std::set<uint64_t> threads;
};

std::vector<Row> linesOf(const ClusterProfile& profile, const ModeInfo& mode) {
  std::map<std::tuple<ClusterProfile::Frame, std::string, std::string, int64_t>, Row> rows;
  const bool isCpu = mode.mode == ProfileMode::Cpu;
  const auto rowOf = [&](const ClusterProfile::Frame& frame, const ClusterProfile::Sample& sample) -> Row& {
    Row& row = rows[{frame, sample.cls, mode.mode == ProfileMode::Wait ? sample.wait : "", sample.home}];
    row.place = frame.place();
    row.frame = frame;
    row.cls = sample.cls;
    row.wait = sample.wait;
    row.home = sample.home;
    return row;
  };
  for (const auto* sample : profile.samplesOf(mode)) {
    Row& row = rowOf(profile.leafOf(*sample), *sample);
    row.self += sample->value;
    row.count += sample->count;
    row.nanos += sample->nanos;
    row.threads.insert(sample->thread);
    if (!isCpu) {
      row.total += sample->value;
      continue;
    }
    std::set<ClusterProfile::Frame> seen;  // a recursive function counts once
    for (uint32_t index : sample->stack)
      if (seen.insert(profile.frames()[index]).second) rowOf(profile.frames()[index], *sample).total += sample->value;
  }
  std::vector<Row> sorted;
  for (auto& [key, row] : rows) sorted.push_back(std::move(row));
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Row& a, const Row& b) { return a.self != b.self ? a.self > b.self : a.total > b.total; });
  return sorted;
}

std::string amount(const ModeInfo& mode, uint64_t value) {
  return mode.unit == std::string_view("bytes") ? formatBytes(value) : formatNanos(value);
}

std::string share(uint64_t part, uint64_t all) {
  return all == 0 ? "-" : fmt::format("{:.1f}%", 100.0 * double(part) / double(all));
}

uint64_t sumOf(const ClusterProfile& profile, const ModeInfo& mode) {
  uint64_t sum = 0;
  for (const auto* sample : profile.samplesOf(mode)) sum += sample->value;
  return sum;
}

std::vector<std::string> headerOf(const ModeInfo& mode) {
  switch (mode.mode) {
    case ProfileMode::Cpu:
      return {"SELF", "TOTAL", "TIME", "FUNCTION", "LINE"};
    case ProfileMode::Alloc:
      return {"BYTES", "SHARE", "CLASS", "FUNCTION", "LINE"};
    case ProfileMode::Lock:
      return {"TIME", "SHARE", "WAITS", "THREADS", "CLASS", "FUNCTION", "LINE"};
    case ProfileMode::Wait:
      return {"TIME", "SHARE", "WAITS", "THREADS", "WAIT", "CLASS", "FUNCTION", "LINE"};
    case ProfileMode::Remote:
      return {"FETCHES", "BYTES", "WAITED", "HOME", "CLASS", "FUNCTION", "LINE"};
  }
  return {};
}

std::vector<std::string> cellsOf(const ModeInfo& mode, const Row& row, uint64_t all) {
  const std::string line =
      row.frame.line == 0 ? ""
                          : fmt::format("{}:{}", row.frame.file.substr(row.frame.file.rfind('/') + 1), row.frame.line);
  const std::string home = row.home < 0 ? "" : std::to_string(row.home);
  const std::string threads = std::to_string(row.threads.size()), count = std::to_string(row.count);
  switch (mode.mode) {
    case ProfileMode::Cpu:
      return {share(row.self, all), share(row.total, all), formatNanos(row.self), row.frame.function, line};
    case ProfileMode::Alloc:
      return {formatBytes(row.self), share(row.self, all), row.cls, row.frame.function, line};
    case ProfileMode::Lock:
      return {formatNanos(row.self), share(row.self, all), count, threads, row.cls, row.frame.function, line};
    case ProfileMode::Wait:
      return {formatNanos(row.self), share(row.self, all), count, threads, row.wait, row.cls, row.frame.function, line};
    case ProfileMode::Remote:
      return {count, formatBytes(row.self), formatNanos(row.nanos), home, row.cls, row.frame.function, line};
  }
  return {};
}

struct ThreadRow {
  uint64_t id = 0, value = 0, count = 0;
  std::set<uint32_t> nodes;
};

std::vector<ThreadRow> threadsOf(const ClusterProfile& profile, const ModeInfo& mode) {
  std::map<uint64_t, ThreadRow> rows;
  for (const auto* sample : profile.samplesOf(mode)) {
    ThreadRow& row = rows[sample->thread];
    row.id = sample->thread;
    row.value += sample->value;
    row.count += sample->count;
    row.nodes.insert(sample->node);
  }
  std::vector<ThreadRow> sorted;
  for (auto& [id, row] : rows) sorted.push_back(std::move(row));
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const ThreadRow& a, const ThreadRow& b) { return a.value > b.value; });
  return sorted;
}

}  // namespace

std::string textOf(const ClusterProfile& profile, const ModeInfo& mode, const TextOptions& options) {
  const uint64_t all = sumOf(profile, mode);
  uint64_t count = 0;
  for (const auto* sample : profile.samplesOf(mode)) count += sample->count;
  std::string text =
      fmt::format("{}: {} in {} {}{}\n", mode.name, amount(mode, all), count, mode.what,
                  profile.lost ? fmt::format(", {} more were lost: there was no room for them", profile.lost) : "");
  if (count == 0) return text;
  std::vector<Row> rows = linesOf(profile, mode);
  if (mode.mode == ProfileMode::Remote)
    std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.count > b.count; });
  Table lines(headerOf(mode));
  for (size_t i = 0; i < std::min<size_t>(rows.size(), options.top); ++i) lines.add(cellsOf(mode, rows[i], all));
  text += lines.text(options.color);
  Table threads({"THREAD", "SHARE", "AMOUNT", "NODES"});
  size_t listed = 0;
  for (const ThreadRow& row : threadsOf(profile, mode)) {
    if (listed++ == options.top) break;
    std::string nodes;
    for (uint32_t node : row.nodes) nodes += fmt::format("{}{}", nodes.empty() ? "" : ",", node);
    threads.add({profile.threadName(row.id), share(row.value, all), amount(mode, row.value), nodes});
  }
  return text + "\n" + threads.text(options.color);
}

Json rowsOf(const ClusterProfile& profile, const ModeInfo& mode, uint32_t top) {
  Json lines = Json::array(), threads = Json::array();
  for (const Row& row : linesOf(profile, mode)) {
    if (lines.size() == top) break;
    Json json = {{"function", row.frame.function},
                 {"file", row.frame.file},
                 {"line", row.frame.line},
                 {"self", row.self},
                 {"total", row.total},
                 {"count", row.count}};
    if (!row.cls.empty()) json["class"] = row.cls;
    if (!row.wait.empty()) json["wait"] = row.wait;
    if (row.home >= 0) json["home"] = row.home;
    if (row.nanos > 0) json["nanos"] = row.nanos;
    lines.push_back(std::move(json));
  }
  for (const ThreadRow& row : threadsOf(profile, mode))
    threads.push_back({{"id", row.id},
                       {"name", profile.threadName(row.id)},
                       {"value", row.value},
                       {"count", row.count},
                       {"nodes", row.nodes}});
  return {{"mode", mode.name},    {"unit", mode.unit},          {"total", sumOf(profile, mode)},
          {"lost", profile.lost}, {"seconds", profile.seconds}, {"lines", lines},
          {"threads", threads}};
}

std::string diffOf(const ClusterProfile& before, const ClusterProfile& after, const ModeInfo& mode,
                   const TextOptions& options) {
  struct Change {
    double before = 0, after = 0;  // share of all
  };
  std::map<std::string, Change> changes;
  const auto take = [&](const ClusterProfile& profile, double Change::* side) {
    const double all = double(std::max<uint64_t>(sumOf(profile, mode), 1));
    for (const Row& row : linesOf(profile, mode)) changes[row.place].*side += double(row.self) / all;
  };
  take(before, &Change::before);
  take(after, &Change::after);
  std::vector<std::pair<std::string, Change>> sorted(changes.begin(), changes.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return std::abs(a.second.after - a.second.before) > std::abs(b.second.after - b.second.before);
  });
  std::string text = fmt::format("{}: {} before, {} after\n", mode.name, amount(mode, sumOf(before, mode)),
                                 amount(mode, sumOf(after, mode)));
  Table table({"CHANGE", "BEFORE", "AFTER", "PLACE"});
  for (const auto& [place, change] : sorted) {
    if (table.rows() > options.top) break;
    std::string cell = place;
    std::replace(cell.begin(), cell.end(), ' ', '@');
    table.add({fmt::format("{:+.1f}%", 100 * (change.after - change.before)),
               fmt::format("{:.1f}%", 100 * change.before), fmt::format("{:.1f}%", 100 * change.after), cell});
  }
  return text + table.text(options.color);
}

}  // namespace jvmc::tool
