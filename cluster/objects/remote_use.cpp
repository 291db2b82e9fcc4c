#include "cluster/objects/remote_use.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace jvmc::cluster {

void RemoteUse::note(rt::ThreadId thread, NodeId home, uint64_t bytes, int64_t waitNanos) {
  Shard& shard = this->shard(thread);
  std::lock_guard lock(shard.mutex);
  std::vector<Home>& homes = shard.threads[thread].homes;
  auto found = std::find_if(homes.begin(), homes.end(), [home](const Home& each) { return each.use.home == home; });
  if (found == homes.end()) {
    homes.emplace_back().use.home = home;
    found = homes.end() - 1;
  }
  HomeUse& use = found->use;
  ++use.requests;
  use.bytes += bytes;
  use.waitNanos += uint64_t(std::max<int64_t>(waitNanos, 0));
}

void RemoteUse::forget(rt::ThreadId thread) {
  Shard& shard = this->shard(thread);
  std::lock_guard lock(shard.mutex);
  shard.threads.erase(thread);
}

void RemoteUse::sample(int64_t nowNanos) {
  const double nanos = double(std::max<int64_t>(nowNanos - std::exchange(sampledNanos_, nowNanos), 1));
  const double fresh = 1 - std::exp(-nanos / kSmoothingNanos);
  const auto follow = [&](double& rate, uint64_t now, uint64_t& before, double unit) {
    rate += (double(now - before) * unit / nanos - rate) * fresh;
    before = now;
  };
  for (Shard& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    for (auto& [id, thread] : shard.threads) {
      for (Home& home : thread.homes) {
        if (home.use.requests != home.requestsBefore || thread.heardNanos == 0) thread.heardNanos = nowNanos;
        follow(home.use.requestsPerSecond, home.use.requests, home.requestsBefore, 1e9);
        follow(home.use.bytesPerSecond, home.use.bytes, home.bytesBefore, 1e9);
        follow(home.use.waitShare, home.use.waitNanos, home.waitBefore, 1);
      }
    }
    std::erase_if(shard.threads, [&](const auto& entry) { return nowNanos - entry.second.heardNanos > kForgetNanos; });
  }
}

std::vector<HomeUse> RemoteUse::usesOf(const Thread& thread) {
  std::vector<HomeUse> uses;
  uses.reserve(thread.homes.size());
  for (const Home& home : thread.homes) uses.push_back(home.use);
  std::sort(uses.begin(), uses.end(), [](const HomeUse& a, const HomeUse& b) {
    return a.requests != b.requests ? a.requests > b.requests : a.home < b.home;
  });
  return uses;
}

std::vector<HomeUse> RemoteUse::of(rt::ThreadId thread) const {
  const Shard& shard = this->shard(thread);
  std::lock_guard lock(shard.mutex);
  const auto found = shard.threads.find(thread);
  return found == shard.threads.end() ? std::vector<HomeUse>() : usesOf(found->second);
}

std::unordered_map<rt::ThreadId, std::vector<HomeUse>> RemoteUse::all() const {
  std::unordered_map<rt::ThreadId, std::vector<HomeUse>> all;
  for (const Shard& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    for (const auto& [thread, entry] : shard.threads) all.emplace(thread, usesOf(entry));
  }
  return all;
}

}  // namespace jvmc::cluster
