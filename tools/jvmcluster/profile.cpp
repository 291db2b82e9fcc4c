#include "tools/jvmcluster/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace jvmc::tool {

using Json = nlohmann::ordered_json;

namespace {

constexpr const char* kFileType = "jvmcluster profile";
constexpr int kSchemaVersion = 1;

}  // namespace

Result<ModeInfo> modeNamed(const std::string& name) {
  for (const ModeInfo& mode : kModes)
    if (name == mode.name) return mode;
  return Error{ErrorCode::kInvalidInput, "unknown mode '" + name + "': cpu, alloc, lock, wait, remote"};
}

std::string ClusterProfile::Frame::place() const {
  if (line == 0) return function;
  return fmt::format("{} {}:{}", function, file.substr(file.rfind('/') + 1), line);
}

uint32_t ClusterProfile::frame(Frame frame) {
  const auto [known, isNew] = frameNumbers_.try_emplace(frame, uint32_t(frames_.size()));
  if (isNew) frames_.push_back(std::move(frame));
  return known->second;
}

Status ClusterProfile::add(uint32_t node, const Json& report) {
  try {
    std::vector<uint32_t> numbers;
    for (const Json& each : report.at("frames")) numbers.push_back(frame({each.at(0), each.at(1), each.at(2)}));
    const Json& stacks = report.at("stacks");
    for (const Json& each : report.at("samples")) {
      Sample sample;
      sample.kind = each.at("kind");
      sample.thread = each.at("thread");
      sample.node = each.value("node", node);
      sample.cls = each.value("class", "");
      sample.wait = each.value("wait", "");
      sample.home = each.value("home", int64_t(-1));
      sample.count = each.at("count");
      sample.value = each.at("value");
      sample.nanos = each.value("nanos", uint64_t(0));
      for (const Json& index : stacks.at(each.at("stack").get<size_t>()))
        sample.stack.push_back(numbers.at(index.get<size_t>()));
      if (sample.stack.empty()) continue;
      const auto [known, isNew] = sampleNumbers_.try_emplace(
          {sample.kind, sample.cls, sample.wait, sample.thread, sample.node, sample.home, sample.stack},
          samples_.size());
      if (isNew) {
        samples_.push_back(std::move(sample));
        continue;
      }
      Sample& sum = samples_[known->second];
      sum.count += sample.count;
      sum.value += sample.value;
      sum.nanos += sample.nanos;
    }
    for (const auto& [id, name] : report.at("threads").items()) threads_[std::stoull(id)] = name;
    lost += report.value("lost", uint64_t(0));
  } catch (const std::exception& error) {
    return Error{ErrorCode::kCorrupt, fmt::format("a profile of node {} that makes no sense: {}", node, error.what())};
  }
  return Unit{};
}

Status ClusterProfile::load(const std::string& path) {
  std::ifstream file(path);
  if (!file) return Error{ErrorCode::kNotFound, "cannot read " + path};
  std::stringstream text;
  text << file.rdbuf();
  const Json json = Json::parse(text.str(), nullptr, false);
  if (!json.is_object() || json.value("type", "") != kFileType)
    return Error{ErrorCode::kInvalidInput, path + " is no profile that 'jvmcluster prof -o FILE.json' has written"};
  program = json.value("program", "");
  seconds = json.value("seconds", 0.0);
  return add(0, json);
}

Json ClusterProfile::toJson() const {
  Json frames = Json::array(), stacks = Json::array(), samples = Json::array(), threads = Json::object();
  for (const Frame& each : frames_) frames.push_back({each.function, each.file, each.line});
  std::map<std::vector<uint32_t>, size_t> numbers;
  for (const Sample& each : samples_) {
    const auto [known, isNew] = numbers.try_emplace(each.stack, stacks.size());
    if (isNew) stacks.push_back(each.stack);
    samples.push_back({{"kind", each.kind},
                       {"thread", each.thread},
                       {"node", each.node},
                       {"stack", known->second},
                       {"class", each.cls},
                       {"wait", each.wait},
                       {"home", each.home},
                       {"count", each.count},
                       {"value", each.value},
                       {"nanos", each.nanos}});
  }
  for (const auto& [id, name] : threads_) threads[std::to_string(id)] = name;
  return {{"schemaVersion", kSchemaVersion},
          {"type", kFileType},
          {"program", program},
          {"seconds", seconds},
          {"lost", lost},
          {"threads", threads},
          {"frames", frames},
          {"stacks", stacks},
          {"samples", samples}};
}

std::vector<const ClusterProfile::Sample*> ClusterProfile::samplesOf(const ModeInfo& mode) const {
  std::vector<const Sample*> chosen;
  for (const Sample& sample : samples_) {
    if (sample.kind != mode.kind) continue;
    if (mode.mode == ProfileMode::Lock && sample.wait != "monitor") continue;
    chosen.push_back(&sample);
  }
  return chosen;
}

std::string ClusterProfile::threadName(uint64_t id) const {
  if (id == 0) return "[runtime]";
  const auto found = threads_.find(id);
  return found == threads_.end() || found->second.empty() ? fmt::format("thread {}", id) : found->second;
}

const ClusterProfile::Frame& ClusterProfile::leafOf(const Sample& sample) const {
  for (uint32_t index : sample.stack)
    if (!frames_[index].isRuntime()) return frames_[index];
  return frames_[sample.stack.front()];
}

}  // namespace jvmc::tool
