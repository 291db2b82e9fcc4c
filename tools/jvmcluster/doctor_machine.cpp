#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "cluster/launch/runtime_dir.h"
#include "cluster/net/address.h"
#include "runtime/abi/address_plan.h"
#include "runtime/heap/heap.h"
#include "tools/jvmcluster/doctor.h"
#include "tools/jvmcluster/table.h"

namespace jvmc::tool {

namespace {

constexpr uint64_t kFilesLeast = 256, kFilesGood = 1024;
constexpr uint64_t kMapsGood = 65530;  // the kernel's default
constexpr uint64_t kMemoryGood = 512 << 20;
constexpr uint64_t kDiskLeast = 16 << 20, kDiskGood = 256 << 20;

std::string firstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::optional<uint64_t> number(const std::string& path) {
  std::istringstream text(firstLine(path));
  uint64_t value = 0;
  return text >> value ? std::optional(value) : std::nullopt;
}

Finding examineFiles() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  Finding finding{"open-files", Health::Ok, fmt::format("{} (ulimit -n)", limit.rlim_cur), ""};
  if (limit.rlim_cur >= kFilesGood) return finding;
  finding.health = limit.rlim_cur < kFilesLeast ? Health::Failure : Health::Warning;
  finding.remedy = fmt::format("ulimit -n {}   (for good: 'nofile' in /etc/security/limits.conf)", kFilesGood);
  return finding;
}

/// The only sure way to know is to reserve what a node reserves.
Finding examineAddressSpace() {
  const rt::AddressPlan plan;
  Finding finding{"address-space", Health::Ok, fmt::format("{} can be reserved", formatBytes(plan.bytes())), ""};
  void* wanted = reinterpret_cast<void*>(plan.base);
  void* got = mmap(wanted, plan.bytes(), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  const int error = errno;
  if (got != MAP_FAILED) munmap(got, plan.bytes());
  if (got == wanted) return finding;
  finding.health = Health::Failure;
  finding.found = fmt::format("a node cannot reserve {}: {}", formatBytes(plan.bytes()), std::strerror(error));
  rlimit limit{};
  getrlimit(RLIMIT_AS, &limit);
  if (limit.rlim_cur != RLIM_INFINITY)
    finding.remedy = fmt::format("ulimit -v unlimited   (it is {} now)", formatBytes(limit.rlim_cur));
  else if (number("/proc/sys/vm/overcommit_memory") == 2)
    finding.remedy = "sysctl vm.overcommit_memory=0   (2 counts reserved memory as used)";
  else
    finding.remedy = "let no other library take that range; a processor with 48 address bits is needed";
  return finding;
}

Finding examineOvercommit() {
  const uint64_t mode = number("/proc/sys/vm/overcommit_memory").value_or(0);
  Finding finding{"overcommit", Health::Ok, fmt::format("vm.overcommit_memory = {}", mode), ""};
  if (mode != 2) return finding;
  finding.health = Health::Warning;
  finding.remedy = "sysctl vm.overcommit_memory=0   (2 counts reserved memory as used)";
  return finding;
}

Finding examineMaps() {
  const uint64_t count = number("/proc/sys/vm/max_map_count").value_or(kMapsGood);
  Finding finding{"memory-maps", Health::Ok, fmt::format("vm.max_map_count = {}", count), ""};
  if (count >= kMapsGood) return finding;
  finding.health = Health::Warning;
  finding.remedy = fmt::format("sysctl vm.max_map_count={}   (guest threads have a stack each)", kMapsGood);
  return finding;
}

std::optional<uint64_t> availableMemory() {
  std::ifstream info("/proc/meminfo");
  for (std::string name, unit, line; std::getline(info, line);) {
    std::istringstream words(line);
    uint64_t kibibytes = 0;
    if (words >> name >> kibibytes && name == "MemAvailable:") return kibibytes << 10;
  }
  return std::nullopt;
}

Finding examineMemory() {
  const uint64_t available = availableMemory().value_or(0), heap = rt::HeapOptions().limitBytes;
  const std::optional<uint64_t> group = number("/sys/fs/cgroup/memory.max");  // "max" is no number
  Finding finding{"memory", Health::Ok, formatBytes(available) + " available", ""};
  if (group && *group < heap) {
    finding.health = Health::Warning;
    finding.found += fmt::format(", {} allowed by the control group", formatBytes(*group));
    finding.remedy = fmt::format("give nodes less than that: --heap (default {})", formatBytes(heap));
  } else if (available < kMemoryGood) {
    finding.health = Health::Warning;
    finding.remedy = "end other programs, or give nodes a small --heap";
  }
  return finding;
}

Finding examineRuntimeFolder() {
  Finding finding{"runtime-folder", Health::Ok, "", ""};
  auto dir = cluster::RuntimeDir::create("run");
  if (!dir.ok()) {
    finding.health = Health::Failure;
    finding.found = dir.error().message;
    finding.remedy = "set XDG_RUNTIME_DIR to a folder of yours with mode 700";
    return finding;
  }
  struct statvfs disk{};
  const std::string parent = std::filesystem::path(dir->path()).parent_path();
  statvfs(dir->path().c_str(), &disk);
  const uint64_t free = uint64_t(disk.f_bavail) * disk.f_frsize;
  finding.found = fmt::format("{}, {} free", parent, formatBytes(free));
  if (free >= kDiskGood) return finding;
  finding.health = free < kDiskLeast ? Health::Failure : Health::Warning;
  finding.remedy = "make room there, or set XDG_RUNTIME_DIR to another folder";
  return finding;
}

Finding examinePrograms() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error).replace_filename("jvmcluster-vm");
  Finding finding{"programs", Health::Ok, program, ""};
  if (access(program.c_str(), X_OK) == 0) return finding;
  finding.health = Health::Failure;
  finding.found = fmt::format("{}: {}", program.string(), std::strerror(errno));
  finding.remedy = "install jvmcluster and jvmcluster-vm in the same folder";
  return finding;
}

/// For information: the heap works with whatever it says, and asks for small pages where copies lie.
Finding examineHugePages() {
  const std::string modes = firstLine("/sys/kernel/mm/transparent_hugepage/enabled");
  return {"huge-pages", Health::Ok, modes.empty() ? "not known to this kernel" : "transparent: " + modes, ""};
}

Finding examinePerf() {
  std::istringstream text(firstLine("/proc/sys/kernel/perf_event_paranoid"));
  int level = 4;
  text >> level;
  Finding finding{"perf", Health::Ok, fmt::format("kernel.perf_event_paranoid = {}", level), ""};
  if (level <= 2 || geteuid() == 0) return finding;
  finding.health = Health::Warning;
  finding.remedy = "sysctl kernel.perf_event_paranoid=1   (only to profile with perf)";
  return finding;
}

Finding examineDebugger() {
  const uint64_t scope = number("/proc/sys/kernel/yama/ptrace_scope").value_or(0);
  Finding finding{"debugger", Health::Ok, fmt::format("kernel.yama.ptrace_scope = {}", scope), ""};
  if (scope == 0 || geteuid() == 0) return finding;
  finding.health = Health::Warning;
  finding.remedy = "sysctl kernel.yama.ptrace_scope=0   (only to attach gdb to running nodes)";
  return finding;
}

}  // namespace

std::vector<Finding> examineMachine() {
  return {examinePrograms(), examineFiles(),         examineAddressSpace(), examineOvercommit(), examineMaps(),
          examineMemory(),   examineRuntimeFolder(), examineHugePages(),    examinePerf(),       examineDebugger()};
}

Finding examinePort(const std::string& address) {
  Finding finding{"port", Health::Ok, address + " is free", ""};
  auto parsed = cluster::Address::parse(address);
  Result<int> listening = parsed.ok() ? cluster::listenOn(*parsed, cluster::Reach::Network) : parsed.error();
  if (listening.ok()) {
    close(*listening);
    return finding;
  }
  finding.health = Health::Failure;
  finding.found = listening.error().message;
  finding.remedy = fmt::format("use another port (0: any free one), or see who has it: ss -ltnp 'sport = :{}'",
                               parsed.ok() ? parsed->port : 0);
  return finding;
}

}  // namespace jvmc::tool
