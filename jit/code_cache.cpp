#include "jit/code_cache.h"

namespace jvmc::jit {

void CodeCache::addRange(uint64_t start, uint64_t bytes, ir::FunctionId function,
                         std::shared_ptr<const UnitLines> lines, uint64_t offset) {
  std::unique_lock lock(mutex_);
  ranges_[start] = {start + bytes, function, std::move(lines), offset};
  codeBytes_ += bytes;
}

const std::pair<const uint64_t, CodeCache::Range>* CodeCache::rangeAtLocked(uint64_t pc) const {
  auto after = ranges_.upper_bound(pc);
  if (after == ranges_.begin()) return nullptr;
  const auto& range = *std::prev(after);
  return pc < range.second.end ? &range : nullptr;
}

ir::FunctionId CodeCache::functionAt(uint64_t pc) const {
  std::shared_lock lock(mutex_);
  const auto* range = rangeAtLocked(pc);
  return range ? range->second.function : ir::FunctionId();
}

std::vector<rt::CodeSite> CodeCache::sitesAt(uint64_t pc) const {
  std::shared_ptr<const UnitLines> lines;
  ir::FunctionId function;
  uint64_t offset = 0;
  {
    std::shared_lock lock(mutex_);
    const auto* range = rangeAtLocked(pc);
    if (!range) return {};
    function = range->second.function;
    lines = range->second.lines;
    offset = pc - range->first + range->second.offset;
  }
  std::vector<rt::CodeSite> places;
  for (uint32_t site = lines ? lines->siteAt(offset) : 0; site != 0; site = lines->sites()[site].outer)
    places.push_back({lines->sites()[site].function, lines->sites()[site].loc});
  if (places.empty()) places.push_back({function, {}});
  return places;
}

uint64_t CodeCache::codeBytes() const {
  std::shared_lock lock(mutex_);
  return codeBytes_;
}

void CodeCache::addContinuation(uint64_t key, rt::ContinuationFn code) {
  std::unique_lock lock(mutex_);
  continuations_[key] = code;
}

rt::ContinuationFn CodeCache::continuation(uint64_t key) const {
  std::shared_lock lock(mutex_);
  auto found = continuations_.find(key);
  return found == continuations_.end() ? nullptr : found->second;
}

}  // namespace jvmc::jit
