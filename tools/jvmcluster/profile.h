// A profile of a program on all its nodes: what nodes report (cluster/launch/observer.h) added up, kept in files, and
// written in the formats that other tools read.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "ir/support/result.h"

namespace jvmc::tool {

/// What people call it, what the nodes' samples are called, and what their values are.
enum class ProfileMode : uint8_t { Cpu, Alloc, Lock, Wait, Remote };
struct ModeInfo {
  ProfileMode mode;
  const char* name;
  const char* kind;  ///< of the samples
  const char* unit;  ///< of their values
  const char* what;  ///< of their counts
};
inline constexpr ModeInfo kModes[] = {
    {ProfileMode::Cpu, "cpu", "cpu", "nanoseconds", "samples"},
    {ProfileMode::Alloc, "alloc", "alloc", "bytes", "samples"},
    {ProfileMode::Lock, "lock", "wait", "nanoseconds", "waits"},
    {ProfileMode::Wait, "wait", "wait", "nanoseconds", "waits"},
    {ProfileMode::Remote, "remote", "fetch", "bytes", "fetches"},
};
Result<ModeInfo> modeNamed(const std::string& name);

class ClusterProfile {
 public:
  struct Frame {
    std::string function, file;
    uint32_t line = 0;
    bool isRuntime() const { return function.starts_with('['); }
    /// "work hot.ir:17"
    std::string place() const;
    auto operator<=>(const Frame&) const = default;
  };
  struct Sample {
    std::string kind, cls, wait;
    uint64_t thread = 0;
    uint32_t node = 0;
    int64_t home = -1;
    std::vector<uint32_t> stack;  ///< indexes in frames(), innermost first
    uint64_t count = 0, value = 0, nanos = 0;
  };

  /// Adds what a node has said ({"frames", "stacks", "samples", ...}). Fails if it makes no sense.
  Status add(uint32_t node, const nlohmann::ordered_json& report);
  Status load(const std::string& path);
  /// What load() reads: everything that is known.
  nlohmann::ordered_json toJson() const;

  const std::vector<Frame>& frames() const { return frames_; }
  const std::vector<Sample>& samples() const { return samples_; }
  /// Those of one mode.
  std::vector<const Sample*> samplesOf(const ModeInfo& mode) const;
  std::string threadName(uint64_t id) const;
  /// The innermost frame that is the program's, or the innermost at all.
  const Frame& leafOf(const Sample& sample) const;

  std::string program;
  double seconds = 0;
  uint64_t lost = 0;

 private:
  uint32_t frame(Frame frame);

  std::vector<Frame> frames_;
  std::map<Frame, uint32_t> frameNumbers_;
  std::vector<Sample> samples_;
  std::map<std::tuple<std::string, std::string, std::string, uint64_t, uint32_t, int64_t, std::vector<uint32_t>>,
           size_t>
      sampleNumbers_;
  std::map<uint64_t, std::string> threads_;
};

// ---------------------------------------------------------------- as text for people and other tools

enum class ProfileFormat : uint8_t { Text, Json, Folded, Speedscope, Pprof };
/// By a file's name: .pb.gz, .folded or .txt, .speedscope.json, any other: Json (which `prof --load` reads).
ProfileFormat formatOf(const std::string& path);
Result<ProfileFormat> formatNamed(const std::string& name);

struct TextOptions {
  uint32_t top = 20;
  bool color = false;
};
/// Tables: the lines with most of it, and the threads.
std::string textOf(const ClusterProfile& profile, const ModeInfo& mode, const TextOptions& options);
/// What has become more and less, by line.
std::string diffOf(const ClusterProfile& before, const ClusterProfile& after, const ModeInfo& mode,
                   const TextOptions& options);
/// The same as rows of a JSON object, for scripts.
nlohmann::ordered_json rowsOf(const ClusterProfile& profile, const ModeInfo& mode, uint32_t top);
/// One line a stack, outermost frame first, the thread before it: "main;run;work 120".
std::string foldedOf(const ClusterProfile& profile, const ModeInfo& mode);
/// speedscope's file format, a profile for each thread.
std::string speedscopeOf(const ClusterProfile& profile, const ModeInfo& mode);
/// profile.proto of pprof, compressed.
std::string pprofOf(const ClusterProfile& profile, const ModeInfo& mode);
/// Any of these.
std::string formatted(const ClusterProfile& profile, const ModeInfo& mode, ProfileFormat format,
                      const TextOptions& options);

}  // namespace jvmc::tool
