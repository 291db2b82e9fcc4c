// What a node remembers about threads that are not here: those that were (so that a transfer that arrives twice is
// recognised), and mail that arrived before its thread did. Bounded: transfers repeat within moments or never.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "runtime/object_space.h"

namespace jvmc::rt {

class ThreadHistory {
 public:
  enum class Fate : uint8_t { Unknown, Left, Ended };

  void note(ThreadId thread, uint32_t incarnation, Fate fate);
  Fate fateOf(ThreadId thread) const;
  /// A thread of this incarnation, or a later one, was here.
  bool wasHere(ThreadId thread, uint32_t incarnation) const;

  /// Keeps mail for a thread that may be on its way. True if it is the first for this thread.
  bool keep(const ThreadRef& to, const ThreadMail& mail);
  std::vector<std::pair<ThreadRef, ThreadMail>> takeMail(ThreadId thread);
  /// Calls visit(ThreadMail) for all that is kept.
  template <class Visit>
  void forEachKept(Visit visit) const {
    std::scoped_lock lock(mutex_);
    for (const auto& [thread, kept] : mail_)
      for (const auto& [to, mail] : kept) visit(mail);
  }

 private:
  struct Record {
    uint32_t incarnation;
    Fate fate;
  };
  static constexpr size_t kMaxRecords = 1 << 16;

  mutable std::mutex mutex_;
  std::unordered_map<ThreadId, Record> records_;
  std::deque<ThreadId> order_;  // of records_, oldest first
  std::unordered_map<ThreadId, std::vector<std::pair<ThreadRef, ThreadMail>>> mail_;
};

}  // namespace jvmc::rt
