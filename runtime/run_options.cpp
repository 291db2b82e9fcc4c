#include "runtime/run_options.h"

#include <charconv>

#include "runtime/frames/capture_stats.h"

namespace jvmc::rt {
namespace {

Error usage(std::string message) {
  return {ErrorCode::kInvalidInput, std::move(message)};
}

std::optional<uint64_t> parseCount(std::string_view text) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Result<Zeal> parseZeal(std::string_view list) {
  Zeal zeal;
  while (!list.empty()) {
    std::string_view item = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), item.size() + 1));
    size_t colon = item.find(':');
    std::string_view what = item.substr(0, colon);
    uint64_t* target = what == "capture"   ? &zeal.captureEvery
                       : what == "migrate" ? &zeal.migrateEvery
                       : what == "blocks"  ? &zeal.blocksEvery
                       : what == "gc"      ? &zeal.collectEvery
                       : what == "rounds"  ? &zeal.roundsEvery
                       : what == "io"      ? &zeal.outsideEvery
                       : what == "leases"  ? &zeal.leasesEvery
                       : what == "barrier" ? &zeal.countBarriers
                                           : nullptr;
    auto every = colon == std::string_view::npos ? std::nullopt : parseCount(item.substr(colon + 1));
    if (target == nullptr || !every || *every == 0)
      return usage(
          fmt::format("bad item '{}': write capture:K, migrate:K, blocks:K, gc:K, rounds:K, io:K, leases:K or "
                      "barrier:K with K of 1 or more",
                      item));
    *target = *every;
  }
  return zeal;
}

Result<NativeTools> parsePerf(std::string_view list) {
  NativeTools tools;
  while (!list.empty()) {
    std::string_view item = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), item.size() + 1));
    if (item != "map" && item != "jitdump")
      return usage(fmt::format("bad item '{}': write map, jitdump or map,jitdump", item));
    (item == "map" ? tools.perfMap : tools.jitDump) = true;
  }
  return tools;
}

std::string_view modeName(RunMode mode) {
  return mode == RunMode::Interp ? "interp" : mode == RunMode::Jit ? "jit" : "auto";
}

Result<RunMode> parseMode(std::string_view name) {
  for (RunMode mode : {RunMode::Interp, RunMode::Jit, RunMode::Auto})
    if (name == modeName(mode)) return mode;
  return usage(fmt::format("bad mode '{}': write interp, jit or auto", name));
}

Result<uint64_t> parseSize(std::string_view text) {
  std::string_view digits = text;
  uint64_t unit = 1;
  if (!digits.empty() && !(digits.back() >= '0' && digits.back() <= '9')) {
    switch (digits.back()) {
      case 'k':
      case 'K':
        unit = uint64_t(1) << 10;
        break;
      case 'm':
      case 'M':
        unit = uint64_t(1) << 20;
        break;
      case 'g':
      case 'G':
        unit = uint64_t(1) << 30;
        break;
      default:
        unit = 0;
    }
    digits.remove_suffix(1);
  }
  auto count = parseCount(digits);
  constexpr uint64_t kLeast = uint64_t(4) << 20, kMost = uint64_t(1) << 46;
  if (!count || unit == 0 || *count > kMost / unit || *count * unit < kLeast)
    return usage(fmt::format("bad size '{}': write 512M, 4G or bytes, at least 4M", text));
  return *count * unit;
}

std::string statsToJson(Vm& vm) {
  const VmOptions& options = vm.options();
  HeapStats heap = vm.heap().stats();
  CodeStats code;
  if (options.mode != RunMode::Interp && vm.code() != nullptr) code = vm.code()->stats();
  return fmt::format(
      "{{\"node\":{},\"mode\":\"{}\",\"workers\":{},\"capture\":{},"
      "\"heap\":{{\"allocatedBytes\":{},\"liveBytesAfterLast\":{},\"reservedBytes\":{},\"collections\":{},"
      "\"fullCollections\":{},\"cycles\":{},\"pauses\":{},\"pauseNanosTotal\":{},\"pauseNanosP50\":{},"
      "\"pauseNanosP99\":{},\"pauseNanosMax\":{},\"barrierCalls\":{}}},"
      "\"code\":{{\"functions\":{},\"continuations\":{},\"bytes\":{},\"compileNanos\":{},\"failures\":{}}}}}",
      options.node.value, modeName(options.mode), options.workers, vm.captureStats().toJson(), heap.allocatedBytes,
      heap.liveBytesAfterLast, heap.reservedBytes, heap.collections, heap.fullCollections, heap.cycles, heap.pauses,
      heap.pauseNanosTotal, heap.pauseNanosP50, heap.pauseNanosP99, heap.pauseNanosMax, heap.barrierCalls,
      code.functions, code.continuations, code.codeBytes, code.compileNanos, code.failures);
}

}  // namespace jvmc::rt
