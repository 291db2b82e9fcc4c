// SyncHome without a VM: objects are plain memory, the clock is turned by hand, mail is a list.
#pragma once

#include <map>
#include <vector>

#include "runtime/sync/sync_home.h"

namespace jvmc::rt {

class ManualTimers final : public Timers {
 public:
  int64_t now() const override { return now_; }
  Id arm(int64_t nanos, Sink& sink, uint64_t a, uint64_t b, uint64_t c) override {
    alarms_[++last_] = {now_ + nanos, &sink, a, b, c};
    return last_;
  }
  void cancel(Id id) override { alarms_.erase(id); }
  void forget(Sink& sink) override {
    std::erase_if(alarms_, [&](const auto& each) { return each.second.sink == &sink; });
  }
  void advance(int64_t nanos) {
    now_ += nanos;
    while (true) {
      auto due = alarms_.end();
      for (auto it = alarms_.begin(); it != alarms_.end(); ++it)
        if (it->second.at <= now_ && (due == alarms_.end() || it->second.at < due->second.at)) due = it;
      if (due == alarms_.end()) return;
      Alarm alarm = due->second;
      alarms_.erase(due);
      alarm.sink->onTimer(alarm.a, alarm.b, alarm.c);
    }
  }
  size_t armed() const { return alarms_.size(); }

 private:
  struct Alarm {
    int64_t at;
    Sink* sink;
    uint64_t a, b, c;
  };
  int64_t now_ = 0;
  Id last_ = 0;
  std::map<Id, Alarm> alarms_;
};

class MailList final : public ThreadPost {
 public:
  void send(const ThreadRef& to, const ThreadMail& mail) override { sent.emplace_back(to, mail); }
  std::vector<std::pair<ThreadRef, ThreadMail>> take() { return std::exchange(sent, {}); }
  std::vector<std::pair<ThreadRef, ThreadMail>> sent;
};

/// An object with a header and 48 bytes of fields, zeroed.
struct alignas(16) PlainObject {
  ObjectHeader header{};
  std::atomic<uint64_t> fields[6]{};
  ObjectRef ref() { return reinterpret_cast<ObjectRef>(this); }
  uint32_t lockWord() const { return header.lockWord.load(); }
};

inline constexpr uint32_t kFakeThreadStateOffset = 24;

struct SyncFixture {
  ManualTimers timers;
  MailList post;
  std::atomic<uint64_t> clock{kEpochStep};
  SyncHome home{{post, timers, clock, kFakeThreadStateOffset, {}}};

  static SyncRequest request(SyncOp op, ThreadId thread, ObjectRef object, uint64_t ticket = 1, int64_t nanos = 0) {
    SyncRequest r{};
    r.op = op;
    r.thread = ThreadRef{thread, kNullRef};
    r.object = object;
    r.ticket = ticket;
    r.nanos = nanos;
    return r;
  }
  std::optional<Resumption> run(SyncOp op, ThreadId thread, PlainObject& object, uint64_t ticket = 1,
                                int64_t nanos = 0) {
    return home.handle(request(op, thread, object.ref(), ticket, nanos));
  }
};

inline bool isValue(const std::optional<Resumption>& r, uint64_t value = 0) {
  return r && r->kind == Resumption::Kind::Value && r->value == value;
}
inline bool isThrow(const std::optional<Resumption>& r, BuiltinThrow what) {
  return r && r->kind == Resumption::Kind::Throw && r->builtin == what;
}

}  // namespace jvmc::rt
