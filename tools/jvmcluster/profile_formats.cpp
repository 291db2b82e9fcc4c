// Profiles in the formats of other tools: folded stacks (flamegraph.pl, inferno), speedscope, pprof.
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <chrono>
#include <protozero/pbf_writer.hpp>

#include "ir/support/check.h"
#include "tools/jvmcluster/profile.h"
#include "tools/jvmcluster/table.h"

namespace jvmc::tool {

using Json = nlohmann::ordered_json;

namespace {

/// Names of frames for one line a stack: no separators of that format.
std::string foldedName(std::string name) {
  for (char& c : name)
    if (c == ';' || c == '\n') c = '_';
  return name;
}

std::string compressed(const std::string& bytes) {
  z_stream stream{};
  constexpr int kGzip = 16 + MAX_WBITS;
  JVMC_CHECK(deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = uInt(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = uInt(out.size());
  JVMC_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// One of speedscope's lists of stacks, outermost frame first.
struct WeightedStacks {
  explicit WeightedStacks(std::string listName) : name(std::move(listName)) {}
  void add(const ClusterProfile::Sample& sample) {
    samples.push_back(std::vector<uint32_t>(sample.stack.rbegin(), sample.stack.rend()));
    weights.push_back(sample.value);
    sum += sample.value;
  }

  std::string name;
  Json samples = Json::array(), weights = Json::array();
  uint64_t sum = 0;
};

/// pprof's string table: [0] is "".
class Strings {
 public:
  int64_t number(const std::string& text) {
    const auto [known, isNew] = numbers_.try_emplace(text, int64_t(all_.size()));
    if (isNew) all_.push_back(text);
    return known->second;
  }
  const std::vector<std::string>& all() const { return all_; }

 private:
  std::vector<std::string> all_{""};
  std::map<std::string, int64_t> numbers_{{"", 0}};
};

// Field numbers of profile.proto.
enum ProfileField : protozero::pbf_tag_type {
  kSampleType = 1,
  kSample = 2,
  kLocation = 4,
  kFunction = 5,
  kStringTable = 6,
  kTimeNanos = 9,
  kDurationNanos = 10,
  kPeriodType = 11,
  kPeriod = 12,
  kDefaultSampleType = 14
};
enum ValueTypeField : protozero::pbf_tag_type { kType = 1, kUnit = 2 };
enum SampleField : protozero::pbf_tag_type { kLocationId = 1, kValue = 2, kLabel = 3 };
enum LabelField : protozero::pbf_tag_type { kKey = 1, kStr = 2, kNum = 3 };
enum LocationField : protozero::pbf_tag_type { kLocId = 1, kLine = 4 };
enum LineField : protozero::pbf_tag_type { kFunctionId = 1, kLineNumber = 2 };
enum FunctionField : protozero::pbf_tag_type { kFuncId = 1, kName = 2, kSystemName = 3, kFilename = 4 };

void addValueType(protozero::pbf_writer& out, ProfileField field, int64_t type, int64_t unit) {
  protozero::pbf_writer value(out, field);
  value.add_int64(kType, type);
  value.add_int64(kUnit, unit);
}

}  // namespace

std::string foldedOf(const ClusterProfile& profile, const ModeInfo& mode) {
  std::map<std::string, uint64_t> lines;
  for (const auto* sample : profile.samplesOf(mode)) {
    std::string line = foldedName(profile.threadName(sample->thread));
    for (size_t i = sample->stack.size(); i-- > 0;)
      line += ';' + foldedName(profile.frames()[sample->stack[i]].place());
    if (!sample->cls.empty()) line += ';' + foldedName("(" + sample->cls + ")");
    lines[line] += sample->value;
  }
  std::string text;
  for (const auto& [line, value] : lines) text += fmt::format("{} {}\n", line, value);
  return text;
}

std::string speedscopeOf(const ClusterProfile& profile, const ModeInfo& mode) {
  Json frames = Json::array();
  for (const auto& frame : profile.frames()) {
    Json json = {{"name", frame.function}};
    if (!frame.file.empty()) json["file"] = frame.file;
    if (frame.line != 0) json["line"] = frame.line;
    frames.push_back(std::move(json));
  }
  // The viewer shows the first list when it opens the file: all threads, then each, those that took most before others.
  std::map<uint64_t, WeightedStacks> threads;
  WeightedStacks all{"all threads"};
  for (const auto* sample : profile.samplesOf(mode)) {
    WeightedStacks& own = threads.try_emplace(sample->thread, profile.threadName(sample->thread)).first->second;
    for (WeightedStacks* list : {&all, &own}) list->add(*sample);
  }
  std::vector<const WeightedStacks*> ordered;
  for (const auto& [id, list] : threads) ordered.push_back(&list);
  std::ranges::stable_sort(ordered, std::greater{}, [](const WeightedStacks* list) { return list->sum; });
  ordered.insert(ordered.begin(), &all);
  Json profiles = Json::array();
  for (const WeightedStacks* list : ordered)
    profiles.push_back({{"type", "sampled"},
                        {"name", list->name},
                        {"unit", mode.unit},
                        {"startValue", 0},
                        {"endValue", list->sum},
                        {"samples", list->samples},
                        {"weights", list->weights}});
  const Json file = {{"$schema", "https://www.speedscope.app/file-format-schema.json"},
                     {"name", fmt::format("{} {}", profile.program, mode.name)},
                     {"exporter", "jvmcluster"},
                     {"activeProfileIndex", 0},
                     {"shared", {{"frames", std::move(frames)}}},
                     {"profiles", std::move(profiles)}};
  return file.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string pprofOf(const ClusterProfile& profile, const ModeInfo& mode) {
  Strings strings;
  std::string bytes;
  protozero::pbf_writer out(bytes);
  const std::string valueName = mode.mode == ProfileMode::Remote ? "fetched" : mode.name;
  addValueType(out, kSampleType, strings.number(mode.what), strings.number("count"));
  addValueType(out, kSampleType, strings.number(valueName), strings.number(mode.unit));
  for (const auto* sample : profile.samplesOf(mode)) {
    protozero::pbf_writer each(out, kSample);
    std::vector<uint64_t> locations;
    for (uint32_t index : sample->stack) locations.push_back(index + 1);
    const int64_t values[] = {int64_t(sample->count), int64_t(sample->value)};
    each.add_packed_uint64(kLocationId, locations.begin(), locations.end());
    each.add_packed_int64(kValue, std::begin(values), std::end(values));
    const auto label = [&](const char* key, const std::string& text) {
      if (text.empty()) return;
      protozero::pbf_writer pair(each, kLabel);
      pair.add_int64(kKey, strings.number(key));
      pair.add_int64(kStr, strings.number(text));
    };
    label("thread", profile.threadName(sample->thread));
    label("node", std::to_string(sample->node));
    label("class", sample->cls);
    label("wait", sample->wait);
    if (sample->home >= 0) label("home", std::to_string(sample->home));
  }
  for (uint32_t i = 0; i < profile.frames().size(); ++i) {
    const auto& frame = profile.frames()[i];
    {
      protozero::pbf_writer location(out, kLocation);
      location.add_uint64(kLocId, i + 1);
      protozero::pbf_writer line(location, kLine);
      line.add_uint64(kFunctionId, i + 1);
      line.add_int64(kLineNumber, frame.line);
    }
    protozero::pbf_writer function(out, kFunction);
    function.add_uint64(kFuncId, i + 1);
    function.add_int64(kName, strings.number(frame.function));
    function.add_int64(kSystemName, strings.number(frame.function));
    function.add_int64(kFilename, strings.number(frame.file));
  }
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  out.add_int64(kTimeNanos, std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
  out.add_int64(kDurationNanos, int64_t(profile.seconds * 1e9));
  addValueType(out, kPeriodType, strings.number(valueName), strings.number(mode.unit));
  out.add_int64(kPeriod, 1);
  out.add_int64(kDefaultSampleType, strings.number(valueName));
  for (const std::string& text : strings.all()) out.add_string(kStringTable, text);
  return compressed(bytes);
}

ProfileFormat formatOf(const std::string& path) {
  if (path.ends_with(".pb.gz") || path.ends_with(".pprof")) return ProfileFormat::Pprof;
  if (path.ends_with(".speedscope.json")) return ProfileFormat::Speedscope;
  if (path.ends_with(".folded")) return ProfileFormat::Folded;
  if (path.ends_with(".txt")) return ProfileFormat::Text;
  return ProfileFormat::Json;
}

Result<ProfileFormat> formatNamed(const std::string& name) {
  const std::pair<const char*, ProfileFormat> known[] = {{"text", ProfileFormat::Text},
                                                         {"json", ProfileFormat::Json},
                                                         {"folded", ProfileFormat::Folded},
                                                         {"speedscope", ProfileFormat::Speedscope},
                                                         {"pprof", ProfileFormat::Pprof}};
  for (const auto& [text, format] : known)
    if (name == text) return format;
  return Error{ErrorCode::kInvalidInput, "unknown format '" + name + "'"};
}

std::string formatted(const ClusterProfile& profile, const ModeInfo& mode, ProfileFormat format,
                      const TextOptions& options) {
  switch (format) {
    case ProfileFormat::Text:
      return textOf(profile, mode, options);
    case ProfileFormat::Json:
      return profile.toJson().dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    case ProfileFormat::Folded:
      return foldedOf(profile, mode);
    case ProfileFormat::Speedscope:
      return speedscopeOf(profile, mode);
    case ProfileFormat::Pprof:
      return pprofOf(profile, mode);
  }
  JVMC_UNREACHABLE(int(format));
}

}  // namespace jvmc::tool
