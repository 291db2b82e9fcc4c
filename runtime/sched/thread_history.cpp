#include "runtime/sched/thread_history.h"

namespace jvmc::rt {

void ThreadHistory::note(ThreadId thread, uint32_t incarnation, Fate fate) {
  std::scoped_lock lock(mutex_);
  if (records_.insert_or_assign(thread, Record{incarnation, fate}).second) order_.push_back(thread);
  if (order_.size() <= kMaxRecords) return;
  records_.erase(order_.front());
  order_.pop_front();
}

ThreadHistory::Fate ThreadHistory::fateOf(ThreadId thread) const {
  std::scoped_lock lock(mutex_);
  auto found = records_.find(thread);
  return found == records_.end() ? Fate::Unknown : found->second.fate;
}

bool ThreadHistory::wasHere(ThreadId thread, uint32_t incarnation) const {
  std::scoped_lock lock(mutex_);
  auto found = records_.find(thread);
  return found != records_.end() && found->second.incarnation >= incarnation;
}

bool ThreadHistory::keep(const ThreadRef& to, const ThreadMail& mail) {
  std::scoped_lock lock(mutex_);
  auto& kept = mail_[to.id];
  kept.emplace_back(to, mail);
  return kept.size() == 1;
}

std::vector<std::pair<ThreadRef, ThreadMail>> ThreadHistory::takeMail(ThreadId thread) {
  std::scoped_lock lock(mutex_);
  auto found = mail_.find(thread);
  if (found == mail_.end()) return {};
  auto kept = std::move(found->second);
  mail_.erase(found);
  return kept;
}

}  // namespace jvmc::rt
