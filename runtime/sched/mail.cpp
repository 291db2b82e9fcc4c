// What ends a thread's wait: answers, alarms, interrupts, permits; and the other mail it gets.
//
//   Parked,  answer has the wait's ticket          -> resumption = answer, Ready
//   Running, answer has the wait's ticket          -> earlyAnswer, used when the thread parks
//   moving (its writes are on their way home)      -> earlyAnswer, leaves with the thread as its resumption
//   any other ticket                               -> dropped: that wait has ended otherwise
#include <algorithm>
#include <utility>

#include "ir/support/check.h"
#include "ir/support/fault.h"
#include "runtime/abi/guest_memory.h"
#include "runtime/sched/node_scheduler.h"
#include "runtime/vm.h"

namespace jvmc::rt {
namespace {

/// How long mail waits for a thread that may be on its way here, before it is sent out again.
constexpr int64_t kKeepMailNanos = 1'000'000'000;
/// onTimer's third word.
enum AlarmKind : uint64_t { kEndOfWait = 0, kEndOfKeeping = 1 };

Resumption wakeUp(bool remote) {
  Resumption r;
  r.acquire = true;
  r.remote = remote;
  return r;
}

/// The flag does not tell where the interrupter is: taken for remote.
Resumption interruption() {
  Resumption r = wakeUp(true);
  r.kind = Resumption::Kind::Throw;
  r.builtin = BuiltinThrow::Interrupted;
  return r;
}

bool isInterruption(const Resumption& r) {
  return r.kind == Resumption::Kind::Throw && r.builtin == BuiltinThrow::Interrupted;
}

}  // namespace

bool NodeScheduler::isHere(ThreadId thread) const {
  ThreadTable::Locked locked = table_.find(thread);
  return locked && locked->thread->state != ThreadState::Shipped && locked->thread->state != ThreadState::Ended;
}

bool NodeScheduler::deliver(const ThreadRef& to, const ThreadMail& mail) {
  Effects effects;
  {
    ThreadTable::Locked locked = table_.find(to.id);
    bool here = locked && locked->thread->state != ThreadState::Shipped && locked->thread->state != ThreadState::Ended;
    if (!here) {
      locked = {};
      return deliverElsewhere(to, mail);
    }
    applyLocked(*locked.entry, mail, effects);
  }
  perform(effects);
  return true;
}

/// The thread is not here. Whether it left, ended, or has yet to come decides what becomes of its mail.
bool NodeScheduler::deliverElsewhere(const ThreadRef& to, const ThreadMail& mail) {
  ThreadHistory::Fate fate = vm_.shipper() ? history_.fateOf(to.id) : ThreadHistory::Fate::Ended;
  if (fate == ThreadHistory::Fate::Left) return false;
  if (fate == ThreadHistory::Fate::Unknown) {
    if (history_.keep(to, mail)) timers_.arm(kKeepMailNanos, *this, to.id, 0, kEndOfKeeping);
    return true;
  }
  if (mail.isQuestion()) vm_.post().send(mail.asker, mail.reply(false));
  return vm_.shipper() != nullptr;  // here is where it was known last; nobody else knows more
}

void NodeScheduler::onTimer(uint64_t thread, uint64_t ticket, uint64_t kind) {
  if (kind == kEndOfKeeping) return postLater(thread);
  deliver(ThreadRef{thread, kNullRef}, ThreadMail{ThreadMail::Kind::Answer, ticket, wakeUp(false), {}, {}});
}

/// The thread did not come: whoever routes mail shall look for it again.
void NodeScheduler::postLater(ThreadId thread) {
  World::GuestAccess access(vm_.world());  // while the world stops, no letter is in nobody's hands
  for (auto& [to, mail] : history_.takeMail(thread)) vm_.post().send(to, mail);
}

void NodeScheduler::applyLocked(ThreadEntry& entry, const ThreadMail& mail, Effects& effects) {
  GuestThread& thread = *entry.thread;
  switch (mail.kind) {
    case ThreadMail::Kind::Answer:
      return answerLocked(entry, mail, effects);
    case ThreadMail::Kind::Interrupt:
      thread.interrupted = true;
      effects.mail = {mail.asker, mail.reply(true)};
      if (thread.state == ThreadState::Parked && !entry.moving) interruptLocked(entry, effects);
      return;
    case ThreadMail::Kind::Unpark:
      if (thread.state == ThreadState::Parked && !entry.moving && thread.wait.kind == WaitKind::Park)
        return endWaitLocked(entry, wakeUp(mail.answer.remote), effects);
      thread.parkPermit = true;
      return;
    case ThreadMail::Kind::QueryInterrupted:
      effects.mail = {mail.asker, mail.reply(thread.interrupted)};
      return;
    case ThreadMail::Kind::Migrate:
      return migrateLocked(entry, mail.target, effects);
    case ThreadMail::Kind::Pin:
      return pinLocked(entry, mail.target, effects);
    case ThreadMail::Kind::Unpin:
      thread.pinned = false;
      entry.pinOnArrival = false;
      return;
  }
}

void NodeScheduler::answerLocked(ThreadEntry& entry, const ThreadMail& mail, Effects& effects) {
  GuestThread& thread = *entry.thread;
  if (mail.ticket & kFlushTickets) {
    if (mail.ticket != entry.flushTicket) return;
    entry.flushTicket = 0;
    if (thread.state == ThreadState::Parked) detachLocked(entry, effects);
    return;
  }
  if (thread.wait.kind == WaitKind::None) return;
  if (thread.wait.ticket != mail.ticket && !JVMC_FAULT("old-ticket-ends-wait")) return;
  if (thread.state == ThreadState::Parked && !entry.moving) return endWaitLocked(entry, mail.answer, effects);
  if (JVMC_FAULT("lost-early-answer")) return;
  if (!thread.earlyAnswer) thread.earlyAnswer = mail.answer;
}

/// The thread is parked and its interrupt flag set: ends the wait if it can be ended so.
void NodeScheduler::interruptLocked(ThreadEntry& entry, Effects& effects) {
  GuestThread& thread = *entry.thread;
  if (!thread.wait.interruptible || !thread.interrupted) return;
  SyncRequest cancel{};
  cancel.op = SyncOp::CancelWait;
  cancel.thread = thread.ref;
  cancel.object = thread.wait.object;
  cancel.a = thread.wait.ticket;
  switch (thread.wait.kind) {
    case WaitKind::MonitorWait:
      // The monitor must be entered again first: its home decides whether notify or the interrupt came first.
      effects.post = cancel;
      return;
    case WaitKind::Join:
      effects.post = cancel;
      return endWaitLocked(entry, interruption(), effects);
    case WaitKind::Sleep:
      return endWaitLocked(entry, interruption(), effects);
    case WaitKind::Park:
      return endWaitLocked(entry, wakeUp(true), effects);
    default:
      return;
  }
}

void NodeScheduler::endWaitLocked(ThreadEntry& entry, const Resumption& answer, Effects& effects) {
  GuestThread& thread = *entry.thread;
  noteWaitLocked(entry);
  thread.resumption = answer;
  if (isInterruption(answer) && !JVMC_FAULT("interrupt-flag-survives")) thread.interrupted = false;
  effects.holds = thread.wait.kind == WaitKind::MonitorEnter || thread.wait.kind == WaitKind::MonitorWait;
  thread.wait.kind = WaitKind::None;
  thread.wait.object = kNullRef;
  thread.wait.remainingNanos = 0;
  thread.earlyAnswer.reset();
  effects.cancel = std::exchange(entry.timer, 0);
  thread.state = ThreadState::Ready;
  effects.wake = &entry;
}

bool NodeScheduler::parkLocked(ThreadEntry& entry, Effects& effects) {
  GuestThread& thread = *entry.thread;
  thread.state = ThreadState::Parked;
  if (thread.earlyAnswer) {
    endWaitLocked(entry, Resumption(*thread.earlyAnswer), effects);
  } else if (thread.wait.kind == WaitKind::Park && std::exchange(thread.parkPermit, false)) {
    endWaitLocked(entry, wakeUp(true), effects);
  } else {
    interruptLocked(entry, effects);
  }
  if (thread.state == ThreadState::Ready) return true;
  ++entry.parks;
  if (vm_.profiler().wants(SampleKind::Wait) || vm_.tracer().isOn())
    entry.parkedSince = ThreadEntry::parkedAt(Tracer::now());
  return false;
}

/// The thread is parked no more, or elsewhere. For profile and timeline.
void NodeScheduler::noteWaitLocked(ThreadEntry& entry) {
  if (entry.parkedSince == 0) return;
  const int64_t now = Tracer::now();
  const uint32_t units = uint32_t(now / ThreadEntry::kParkedUnit) - (std::exchange(entry.parkedSince, 0) & ~1u);
  const int64_t nanos = int64_t(units) * ThreadEntry::kParkedUnit;
  const GuestThread& thread = *entry.thread;
  if (vm_.profiler().wants(SampleKind::Wait)) vm_.profiler().noteWait(thread, uint64_t(nanos));
  if (vm_.tracer().isOn())
    vm_.tracer().add(
        {TraceKind::Wait, uint32_t(thread.wait.kind), thread.ref.id, now - nanos, now, thread.wait.object});
}

void NodeScheduler::beginWaits() {
  const uint32_t now = ThreadEntry::parkedAt(Tracer::now());
  table_.forEach([now](ThreadEntry& entry) {
    if (entry.thread->state == ThreadState::Parked) entry.parkedSince = now;
  });
}

void NodeScheduler::noteWaits() {
  table_.forEach([this](ThreadEntry& entry) {
    if (entry.thread->state != ThreadState::Parked) return;
    noteWaitLocked(entry);
    entry.parkedSince = ThreadEntry::parkedAt(Tracer::now());
  });
}

/// Where it is, or at `target`: then it moves once more.
void NodeScheduler::pinLocked(ThreadEntry& entry, NodeId target, Effects& effects) {
  const bool elsewhere = target.valid() && target != vm_.options().node;
  entry.pinOnArrival = elsewhere || entry.moving;
  entry.thread->pinned = !elsewhere;
  if (elsewhere) migrateLocked(entry, target, effects);
}

void NodeScheduler::migrateLocked(ThreadEntry& entry, NodeId target, Effects& effects) {
  GuestThread& thread = *entry.thread;
  if (entry.moving) return;
  thread.migrateTarget = target;
  if (!mayMove(thread)) return;
  if (thread.state != ThreadState::Parked) return thread.request(kRequestMigrate);
  entry.moving = true;
  if (!thread.writeSet) return detachLocked(entry, effects);
  // Its writes go home from a fiber, with a context, as those of any other thread.
  entry.step = ThreadEntry::Step::Flush;
  thread.state = ThreadState::Ready;
  effects.wake = &entry;
}

/// The writes are home: makes the thread independent of this node. From here on it is Shipped and ours alone.
void NodeScheduler::detachLocked(ThreadEntry& entry, Effects& effects) {
  GuestThread& thread = *entry.thread;
  if (thread.earlyAnswer && !JVMC_FAULT("moved-waiter-loses-its-wake-up")) {
    Effects wake;
    endWaitLocked(entry, Resumption(*thread.earlyAnswer), wake);
    effects.cancel = wake.cancel;
  } else if (thread.wait.kind != WaitKind::None && entry.timer) {
    thread.wait.remainingNanos = std::max<int64_t>(1, entry.deadline - timers_.now());
    if (JVMC_FAULT("moved-sleep-starts-over")) thread.wait.remainingNanos += 10'000'000'000;
    effects.cancel = std::exchange(entry.timer, 0);
  }
  noteWaitLocked(entry);
  thread.state = ThreadState::Shipped;
  effects.ship = &entry;
}

// ---------------------------------------------------------------- answers from outside

bool NodeScheduler::completeOutside(const ThreadRef& to, uint64_t ticket, OutsideResult result) {
  // The array is reachable only from here until the thread has it: no collection in between.
  World::GuestAccess access(vm_.world());
  Resumption answer;
  answer.acquire = true;
  switch (result.kind) {
    case OutsideResult::Kind::Value:
      answer.value = result.value;
      break;
    case OutsideResult::Kind::Null:
      break;
    case OutsideResult::Kind::Bytes: {
      ObjectRef bytes = newByteArray(result.bytes);
      if (bytes == kNullRef) {
        answer.kind = Resumption::Kind::Throw;
        answer.builtin = BuiltinThrow::OutOfMemory;
      }
      answer.value = bytes;
      break;
    }
    case OutsideResult::Kind::IoError: {
      answer.kind = Resumption::Kind::ThrowObject;
      answer.exception = newIoException(result.bytes);
      if (answer.exception != kNullRef) break;
      answer.kind = Resumption::Kind::Throw;
      answer.builtin = BuiltinThrow::IO;
      break;
    }
  }
  ThreadMail mail{ThreadMail::Kind::Answer, ticket, answer, {}, {}};
  if (isHere(to.id) && deliver(to, mail)) return true;
  vm_.post().send(to, mail);
  return false;
}

ObjectRef NodeScheduler::newByteArray(const std::string& bytes) {
  ClassIndex index = vm_.layout().arrayIndexOfElement(ir::kI8);
  uint64_t size = arrayBytes(ir::TypeKind::I8, uint32_t(bytes.size()));
  ObjectRef array = vm_.heap().allocateDetached(index, size, uint32_t(bytes.size()));
  if (array == kNullRef) return kNullRef;
  for (size_t i = 0; i < bytes.size(); ++i) storeGuest<uint8_t>(array + kArrayElementsOffset + i, uint8_t(bytes[i]));
  return array;
}

ObjectRef NodeScheduler::newIoException(const std::string& message) {
  const ModuleLayout& layout = vm_.layout();
  ObjectRef text = newByteArray(message);
  if (text == kNullRef) return kNullRef;
  ObjectRef exception = vm_.heap().allocateDetached(layout.classIndex(ir::builtin::kIOException),
                                                    layout[ir::builtin::kIOException].instanceBytes, 0);
  if (exception == kNullRef) return kNullRef;
  storeGuest<uint64_t>(exception + layout[ir::builtin::kThrowable].fields[ir::builtin::kThrowableMessage].offset, text);
  return exception;
}

}  // namespace jvmc::rt
