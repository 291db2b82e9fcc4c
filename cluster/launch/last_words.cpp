#include "cluster/launch/last_words.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace jvmc::cluster {

namespace {

/// What is gathered between two looks, as requests name it.
constexpr const char* kGathered[] = {"profile", "trace"};

std::string questionFor(const char* kind) {
  return nlohmann::json{{kind, {{"stop", true}, {"last", true}}}}.dump();
}

}  // namespace

std::vector<std::string> LastWords::take(const std::string& request, int64_t now) {
  const auto json = nlohmann::json::parse(request, nullptr, false);
  std::vector<std::string> taken;
  for (const char* kind : kGathered) {
    if (!json.is_object() || !json.contains(kind)) continue;
    Watch& watch = watches_[questionFor(kind)];
    std::ranges::move(watch.left, std::back_inserter(taken));
    watch.left.clear();
    watch.askedAt = now;
    if (json[kind].is_object() && json[kind].contains("stop")) watches_.erase(questionFor(kind));
  }
  return taken;
}

std::vector<std::string> LastWords::questions(int64_t now) const {
  std::vector<std::string> all;
  for (const auto& [question, watch] : watches_)
    if (now - watch.askedAt < kLeaseNanos) all.push_back(question);
  return all;
}

void LastWords::keep(const std::string& question, std::string answer) {
  // Unless the tool has said meanwhile that it has seen enough.
  if (const auto watch = watches_.find(question); watch != watches_.end())
    watch->second.left.push_back(std::move(answer));
}

bool LastWords::any() const {
  return std::ranges::any_of(watches_, [](const auto& each) { return !each.second.left.empty(); });
}

}  // namespace jvmc::cluster
