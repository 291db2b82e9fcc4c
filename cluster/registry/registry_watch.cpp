#include "cluster/registry/registry_watch.h"

#include <spdlog/spdlog.h>

#include <chrono>

namespace jvmc::cluster {

namespace {

constexpr auto kPeriod = std::chrono::seconds(1);

}  // namespace

RegistryWatch::RegistryWatch(std::unique_ptr<Registry> registry, std::string address, ClusterKey key,
                             std::function<void(std::vector<std::string>)> onAgents)
    : registry_(std::move(registry)),
      address_(std::move(address)),
      key_(key),
      onAgents_(std::move(onAgents)),
      thread_([this] { run(); }) {}

RegistryWatch::~RegistryWatch() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void RegistryWatch::run() {
  bool works = true;
  for (;;) {
    const Status looked = look();
    if (looked.ok() != works) {
      works = looked.ok();
      if (works)
        spdlog::info("the registry answers again");
      else
        spdlog::warn("this agent is not listed at present: {}", looked.error().message);
    }
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPeriod, [&] { return stopping_; });
    if (stopping_) break;
  }
  if (auto done = registry_->withdraw(); !done.ok()) spdlog::debug("still listed: {}", done.error().message);
}

Status RegistryWatch::look() {
  if (auto announced = registry_->announce(address_, key_); !announced.ok()) return announced;
  auto agents = registry_->agents();
  if (!agents.ok()) return agents.error();
  onAgents_(std::move(*agents));
  return Unit{};
}

}  // namespace jvmc::cluster
