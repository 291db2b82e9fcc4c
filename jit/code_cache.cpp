#include "jit/code_cache.h"

namespace jvmc::jit {

void CodeCache::addRange(uint64_t start, uint64_t bytes, ir::FunctionId function) {
  std::unique_lock lock(mutex_);
  ranges_[start] = {start + bytes, function};
  codeBytes_ += bytes;
}

ir::FunctionId CodeCache::functionAt(uint64_t pc) const {
  std::shared_lock lock(mutex_);
  auto after = ranges_.upper_bound(pc);
  if (after == ranges_.begin()) return {};
  const Range& range = std::prev(after)->second;
  return pc < range.end ? range.function : ir::FunctionId();
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
