#include "runtime/prof/service_threads.h"

#include <dirent.h>
#include <time.h>

#include <charconv>
#include <cstring>
#include <fstream>
#include <optional>
#include <set>

namespace jvmc::rt {
namespace {

constexpr uint32_t kDrainsPerLook = 10;
constexpr std::pair<const char*, const char*> kKinds[] = {
    {"jvmc-collector", "[collector]"}, {"jvmc-compiler", "[compiler]"}, {"jvmc-net", "[messages]"}};

const char* kindOf(pid_t thread) {
  std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/comm");
  std::string name;
  std::getline(file, name);
  for (const auto& [own, kind] : kKinds)
    if (name == own) return kind;
  return nullptr;
}

/// Nothing once the thread has ended.
std::optional<uint64_t> cpuNanosOf(pid_t thread) {
  const auto clock =
      clockid_t(~unsigned(thread) << 3 | 6);  // as pthread_getcpuclockid makes it (CPUCLOCK_SCHED, thread)
  timespec time{};
  if (clock_gettime(clock, &time) != 0) return std::nullopt;
  return uint64_t(time.tv_sec) * 1'000'000'000 + uint64_t(time.tv_nsec);
}

}  // namespace

void ServiceThreads::look() {
  std::set<pid_t> here;
  if (DIR* folder = opendir("/proc/self/task")) {
    while (const dirent* entry = readdir(folder)) {
      pid_t thread = 0;
      const char* const end = entry->d_name + std::strlen(entry->d_name);
      if (std::from_chars(entry->d_name, end, thread).ptr == end) here.insert(thread);
    }
    closedir(folder);
  }
  std::erase_if(threads_, [&](const auto& known) { return !here.contains(known.first); });
  const bool isFirst = drains_ == 0;
  for (pid_t id : here) {
    const auto [known, isNew] = threads_.try_emplace(id);
    Thread& thread = known->second;
    thread.name = kindOf(id);  // anew each time: it begins with the name of the thread that has made it
    if (!isNew) continue;
    // What it has done before anybody looked is not of this profile.
    if (isFirst && thread.name) thread.nanos = cpuNanosOf(id).value_or(0);
  }
}

void ServiceThreads::drain(const std::function<void(const char* name, uint64_t nanos)>& take) {
  if (drains_ % kDrainsPerLook == 0) look();
  ++drains_;
  for (auto& [id, thread] : threads_) {
    if (!thread.name) continue;
    const uint64_t now = cpuNanosOf(id).value_or(thread.nanos);
    if (now > thread.nanos) take(thread.name, now - thread.nanos);
    thread.nanos = now;
  }
}

}  // namespace jvmc::rt
