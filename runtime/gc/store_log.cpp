#include "runtime/gc/store_log.h"

#include <array>
#include <utility>

namespace jvmc::rt {
namespace {

/// Places are 8-byte aligned, and so are objects: the lowest bit tells one from the other.
constexpr uint64_t kIsSlot = 1;

}  // namespace

struct StoreLog::Buffer {
  size_t count = 0;
  std::array<uint64_t, 1022> entries;
};

StoreLog::StoreLog(std::function<void()> full) : full_(std::move(full)), shared_(takeBufferLocked()) {}
StoreLog::~StoreLog() = default;

StoreLog::Buffer* StoreLog::takeBufferLocked() {
  if (idle_.empty()) return buffers_.emplace_back(std::make_unique<Buffer>()).get();
  Buffer* buffer = idle_.back();
  idle_.pop_back();
  return buffer;
}

void StoreLog::addOverwritten(ThreadContext* ctx, ObjectRef object) {
  add(ctx, object);
}

void StoreLog::addSlot(ThreadContext* ctx, uint64_t address) {
  add(ctx, address | kIsSlot);
}

void StoreLog::add(ThreadContext* ctx, uint64_t entry) {
  std::unique_lock lock(mutex_, std::defer_lock);
  Buffer* buffer = ctx ? static_cast<Buffer*>(ctx->storeLog) : shared_;
  if (!ctx || !buffer) lock.lock();
  if (!buffer) ctx->storeLog = buffer = takeBufferLocked();
  buffer->entries[buffer->count++] = entry;
  if (buffer->count < buffer->entries.size()) return;
  if (!lock.owns_lock()) lock.lock();
  handOverLocked(*buffer);
}

void StoreLog::flush(ThreadContext& ctx) {
  if (!ctx.storeLog) return;
  std::scoped_lock lock(mutex_);
  Buffer* buffer = static_cast<Buffer*>(std::exchange(ctx.storeLog, nullptr));
  handOverLocked(*buffer);
  idle_.push_back(buffer);
}

void StoreLog::handOverLocked(Buffer& buffer) {
  for (size_t i = 0; i < buffer.count; ++i) {
    uint64_t entry = buffer.entries[i];
    (entry & kIsSlot ? slots_ : overwritten_).push_back(entry & ~kIsSlot);
  }
  buffer.count = 0;
  const size_t before = slotCount_.exchange(slots_.size(), std::memory_order_relaxed);
  if (before < kSlotsPerPause && isFull() && full_) full_();
}

std::vector<ObjectRef> StoreLog::takeOverwritten() {
  std::scoped_lock lock(mutex_);
  handOverLocked(*shared_);
  return std::exchange(overwritten_, {});
}

std::vector<uint64_t> StoreLog::takeSlots() {
  std::scoped_lock lock(mutex_);
  handOverLocked(*shared_);
  slotCount_.store(0, std::memory_order_relaxed);
  return std::exchange(slots_, {});
}

}  // namespace jvmc::rt
