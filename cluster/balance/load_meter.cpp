#include "cluster/balance/load_meter.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace jvmc::cluster {

namespace {

constexpr double kCpuWindowNanos = 100e6;  // of ThreadSnapshot::cpuNanosRecent
constexpr double kSliceSeconds = 0.01;     // of the scheduler
constexpr double kIdleCpu = 0.005;         // a thread that has used less of a core wants nothing

// A thread that has been ready or running for some time without parking wants a core: unless it is one that runs
// briefly and only waits for its turn, in a queue of others. Three time slices may well be a turn. The time is what the
// workers have run meanwhile: where other processes take the machine, the queue stands still for long.
constexpr uint64_t kLiveNanos = 25'000'000;
constexpr uint64_t kLongCpuNanos = 5'000'000;    // it has used so much since: no brief one
constexpr uint64_t kLongBurstNanos = 2'000'000;  // or it usually does between two waits
constexpr uint32_t kParksKnown = 3;              // fewer waits tell nothing about it

/// A thread that asks another node gives up its worker, and on a crowded node others run before it is its turn again.
/// So the requests cost it more than the wait for the answers: all that it lacks to a fair share of the CPU there is,
/// but no more than a whole round of the queue for each of them.
void addTurnsLost(NodeLoad& load) {
  double active = 0;
  for (const ThreadLoad& thread : load.threads) active += thread.active;
  const double used = load.cpuUsed();
  const double fair = std::min(1.0, std::max(load.occupied, used) / std::max(active, 1e-9)) *
                      std::min(1.0, used / std::max(load.occupied, 1e-9));
  const double round = kSliceSeconds * std::max(0.0, active / load.workers - 1);
  for (ThreadLoad& thread : load.threads) {
    double requests = 0, waits = 0;
    for (const HomeRate& use : thread.uses) requests += use.requests, waits += use.wait;
    const double lacks = std::min({thread.active, fair, 1.0}) - thread.cpu;
    const double lost = std::min(lacks, requests * round) - waits;
    if (requests <= 0 || lost <= 0) continue;
    for (HomeRate& use : thread.uses) use.wait += lost * use.requests / requests;
  }
}

}  // namespace

LoadMeter::LoadMeter(LoadMeterOptions options, const rt::Scheduler& scheduler, RemoteUse& remoteUse,
                     BlockUsers& blockUsers, std::function<MemoryLoad()> memory)
    : options_(options),
      scheduler_(scheduler),
      remoteUse_(remoteUse),
      blockUsers_(blockUsers),
      memory_(std::move(memory)) {
  latest_.node = options_.node;
  latest_.workers = options_.workers;
}

LoadMeter::Moment LoadMeter::moment() const {
  return {scheduler_.threadCount(), scheduler_.occupiedWorkers(), scheduler_.queuedThreads() > 0};
}

bool LoadMeter::hasChanged() const {
  return moment() != sampledMoment_;
}

std::vector<double> LoadMeter::workerCpu(double nanos) {
  const std::vector<uint64_t> now = scheduler_.workerCpuNanos();
  workerNanos_.resize(now.size());
  std::vector<double> shares;
  uint64_t most = 0;
  for (size_t i = 0; i < now.size(); ++i) {
    const uint64_t used = now[i] - std::min(now[i], workerNanos_[i]);
    shares.push_back(std::min(1.0, double(used) / nanos));
    most = std::max(most, used);
  }
  ranNanos_ += most;
  workerNanos_ = now;
  return shares;
}

/// The share of a core that the thread would use, if that can be told from how it has run since it last waited; else 0.
double LoadMeter::wanted(const rt::ThreadSnapshot& thread, bool live, double waits, Seen& seen) {
  const uint64_t cpu = thread.stats.cpuNanosInterpreter + thread.stats.cpuNanosCompiled + thread.cpuNanosRunning;
  const auto before = seen_.find(thread.ref.id);
  const double active = seen.active;
  seen = {live, thread.parks, ranNanos_, cpu, cpu, cpu, active};
  if (before == seen_.end()) return 0;
  seen.cpuFirst = before->second.cpuFirst;
  if (!live || !before->second.live || before->second.parks != thread.parks) return 0;
  // What it has waited is known when the answer comes. If that takes long, it would seem to want a core meanwhile.
  if (thread.suspended && cpu == before->second.cpuLast) return 0;
  seen.liveSince = before->second.liveSince;
  seen.cpuThen = before->second.cpuThen;
  if (ranNanos_ - seen.liveSince < kLiveNanos) return 0;
  const bool isLong = thread.parks < kParksKnown || cpu - std::min(cpu, seen.cpuThen) >= kLongCpuNanos ||
                      cpu - std::min(cpu, seen.cpuFirst) >= kLongBurstNanos * thread.parks;
  return isLong ? std::max(0.0, 1 - waits) : 0;
}

double LoadMeter::activity(const rt::ThreadSnapshot& thread, bool live, double nanos) const {
  // Parked until an answer of another node comes, or until its writes are home.
  const bool awaitsNode = thread.wait.kind == rt::WaitKind::Access || thread.wait.kind == rt::WaitKind::Yield ||
                          thread.wait.kind == rt::WaitKind::None;
  const double now = live || awaitsNode ? 1 : 0;
  const auto before = seen_.find(thread.ref.id);
  if (before == seen_.end()) return 0;
  return before->second.active + (now - before->second.active) * (1 - std::exp(-nanos / kActiveNanos));
}

bool LoadMeter::isWorthListing(const ThreadLoad& thread) const {
  return options_.listIdle || thread.runnable || thread.cpu >= kIdleCpu || !thread.uses.empty();
}

NodeLoad LoadMeter::sample(int64_t nowNanos) {
  const double nanos = double(std::max<int64_t>(nowNanos - std::exchange(sampledNanos_, nowNanos), 1));
  sampledMoment_ = moment();
  remoteUse_.sample(nowNanos);
  const auto uses = remoteUse_.all();

  NodeLoad load;
  load.node = options_.node;
  load.workers = options_.workers;
  occupied_ += (sampledMoment_.occupied - occupied_) * (1 - std::exp(-nanos / kOccupiedNanos));
  load.occupied = occupied_;
  load.queued = scheduler_.queuedThreads();
  load.workerCpu = workerCpu(nanos);
  load.memory = memory_();
  blockUsers_.sample(nowNanos);
  for (const BlockUsers::Use& use : blockUsers_.all()) load.usedBy.push_back({use.user, use.requests, use.bytes});

  std::unordered_map<rt::ThreadId, Seen> seen;
  for (const rt::ThreadSnapshot& thread : scheduler_.snapshot()) {
    ThreadLoad one;
    one.thread = thread.ref;
    one.cpu = double(thread.cpuNanosRecent) / kCpuWindowNanos;
    const bool live = thread.state == rt::ThreadState::Running || thread.state == rt::ThreadState::Ready;
    one.runnable = live && !thread.suspended;
    one.pinned = thread.pinned || thread.moving;
    one.frameBytes = thread.frameBytes;
    double waits = 0;
    if (const auto found = uses.find(thread.ref.id); found != uses.end()) {
      for (const HomeUse& use : found->second) {
        waits += use.waitShare;
        load.remote.requests += use.requestsPerSecond;
        load.remote.bytes += use.bytesPerSecond;
        if (use.requestsPerSecond >= 1 && one.uses.size() < ThreadLoad::kUsesMax)
          one.uses.push_back({use.home, use.requestsPerSecond, use.bytesPerSecond, std::min(use.waitShare, 1.0)});
      }
    }
    load.remote.wait += std::min(waits, 1.0);
    Seen& remembered = seen[thread.ref.id];
    one.active = remembered.active = activity(thread, live, nanos);
    one.wanted = wanted(thread, live, waits, remembered);
    if (isWorthListing(one))
      load.threads.push_back(std::move(one));
    else
      ++load.idleThreads;
  }
  addTurnsLost(load);
  seen_ = std::move(seen);
  std::vector<ThreadLoad> threads = std::exchange(load.threads, {});
  {
    std::lock_guard lock(mutex_);
    latest_ = load;
  }
  load.threads = std::move(threads);
  return load;
}

NodeLoad LoadMeter::latest() const {
  std::lock_guard lock(mutex_);
  return latest_;
}

}  // namespace jvmc::cluster
